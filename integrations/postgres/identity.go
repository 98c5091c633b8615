package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Identity says which server's memory we are talking to. Where it differs from
// the one recorded, the database may have forgotten what was sent (failover to a
// standby that lagged, restore from a backup).
type Identity struct {
	// System is the cluster's system identifier and the database's OID, as
	// "7391…/16384". The identifier is made by initdb and shared by physical
	// copies; a logical restore gets another identifier, or, inside the same
	// cluster, another OID.
	System string
	// Timeline goes up by one with every promotion of a standby and every
	// recovery to a point in time.
	Timeline int
}

// ReadIdentity asks db who it is. An ordinary role may: the functions it uses are
// open to PUBLIC unless an administrator revoked them, in which case System falls
// back to the database's OID alone.
//
// A copy of the data directory that is started without archive recovery (a
// virtual machine's snapshot rolled back) has the same identity as its original:
// nothing inside the database can tell. Restore procedures therefore also set
// SEND_PAUSED.
func ReadIdentity(ctx context.Context, db DB) (Identity, error) {
	var id Identity
	// Right after a promotion the control file still names the old timeline, so
	// the name of the current WAL segment is asked; a standby cannot tell it.
	err := db.QueryRow(ctx, `
		SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || d.oid,
		       CASE WHEN pg_is_in_recovery()
		            THEN (SELECT timeline_id FROM pg_control_checkpoint())
		            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
		       END
		FROM pg_database d
		WHERE d.datname = current_database()`).Scan(&id.System, &id.Timeline)
	if denied(err) {
		err = db.QueryRow(ctx, `
			SELECT '/' || d.oid,
			       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
			FROM pg_database d
			WHERE d.datname = current_database()`).Scan(&id.System, &id.Timeline)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read identity of the database server: %w", err)
	}
	return id, nil
}

// denied reports insufficient_privilege.
func denied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}
