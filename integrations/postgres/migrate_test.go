package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

func TestMigrateFromSeveralPlacesAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := pgtest.EmptyURL(t)
	pool := pgtest.Open(t, url)
	if have, want, err := postgres.SchemaVersion(ctx, pool); err != nil || have != 0 || want == 0 {
		t.Fatalf("empty database: have %d, want %d, error %v", have, want, err)
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return postgres.Migrate(ctx, url) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if have, want, err := postgres.SchemaVersion(ctx, pool); err != nil || have != want {
		t.Fatalf("migrated: have %d, want %d, error %v", have, want, err)
	}
	if err := postgres.Migrate(ctx, url); err != nil {
		t.Fatalf("once more: %v", err)
	}
	var jobs, doubled int
	err := pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM river_job),
		       (SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version)`).Scan(&jobs, &doubled)
	if err != nil || jobs != 0 || doubled != 0 {
		t.Fatalf("river's jobs %d, migrations applied twice %d, error %v", jobs, doubled, err)
	}
}

func TestSchemaOfANewerReleaseIsNewer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	if _, err := pool.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	have, want, err := postgres.SchemaVersion(ctx, pool)
	if err != nil || have <= want {
		t.Fatalf("have %d, want %d, error %v; want a newer one", have, want, err)
	}
	if _, err := pool.Exec(ctx, `DELETE FROM goose_db_version WHERE version_id > 1; DELETE FROM river_migration WHERE version > 3`); err != nil {
		t.Fatal(err)
	}
	if have, want, err = postgres.SchemaVersion(ctx, pool); err != nil || have != 1003 || have >= want {
		t.Fatalf("have %d, want %d, error %v; want 1003, an older one", have, want, err)
	}
}

func TestMigrateWaitsForAnotherUntilItsTimeIsUp(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	pool := pgtest.Open(t, url)
	conn, err := pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(context.Background(), `SELECT pg_advisory_lock($1)`, int64(0x636f6e6764616e73)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := postgres.Migrate(ctx, url); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("migrate beside another one: %v; want it to wait until its deadline", err)
	}
}

func TestApplicationRoleMayWorkAndNoMore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	owner := pgtest.EmptyURL(t)
	role := fmt.Sprintf("app_%d", os.Getpid())
	super := pgtest.Superuser(t)
	if _, err := super.Exec(ctx, `CREATE ROLE `+role+` LOGIN`); err != nil {
		t.Fatal(err)
	}
	ownerPool := pgtest.Open(t, owner)
	t.Cleanup(func() {
		if _, err := ownerPool.Exec(ctx, `DROP OWNED BY `+role); err != nil {
			t.Error(err)
		}
		if _, err := super.Exec(ctx, `DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	app := asRole(t, owner, role)
	if err := postgres.Migrate(ctx, owner, postgres.GrantTo(app)); err != nil {
		t.Fatal(err)
	}
	// What a later release adds, migrated again.
	if _, err := ownerPool.Exec(ctx, `
		CREATE TABLE added (n int GENERATED ALWAYS AS IDENTITY, day date) PARTITION BY RANGE (day);
		CREATE TABLE added_default PARTITION OF added DEFAULT;
		CREATE FUNCTION cut(d date) RETURNS void LANGUAGE sql SECURITY DEFINER
		BEGIN ATOMIC DELETE FROM added_default WHERE day < d; END;
		GRANT ALL ON audit, audit_default TO `+role); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(ctx, owner, postgres.GrantTo(app)); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Open(t, app)
	if have, want, err := postgres.SchemaVersion(ctx, pool); err != nil || have != want {
		t.Fatalf("schema as the application sees it: %d, want %d, error %v", have, want, err)
	}
	if _, err := postgres.ReadIdentity(ctx, pool); err != nil {
		t.Fatalf("identity as the application sees it: %v", err)
	}
	for _, sql := range []string{
		`INSERT INTO tombstone VALUES ('\x01', now())`,
		`UPDATE tombstone SET erased_at = now()`,
		`DELETE FROM tombstone`,
		`INSERT INTO added (day) VALUES (current_date)`,
		`SELECT cut(current_date)`,
		`INSERT INTO audit SELECT n, now(), '', '', '', '', '', '{}', NULL, '', '' FROM generate_series(1, 2) n`,
		`SELECT count(*) FROM audit`,
		`SELECT make_audit_partitions(current_date), drop_audit_partitions('infinity')`,
		`INSERT INTO river_job (kind, args, max_attempts) VALUES ('test', '{}', 1)`,
		`DELETE FROM river_job`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Errorf("%s: %v; want it allowed", sql, err)
		}
	}
	for _, sql := range []string{
		`CREATE TABLE mine (n int)`,
		`DROP TABLE tombstone`,
		`TRUNCATE tombstone`,
		`ALTER TABLE tombstone ADD COLUMN n int`,
		`DELETE FROM goose_db_version`,
		`DELETE FROM river_migration`,
		`DELETE FROM added_default`,
		`UPDATE audit SET actor = 'x'`,
		`UPDATE audit SET actor = 'x' WHERE false`,
		`DELETE FROM audit`,
		`TRUNCATE audit`,
		`INSERT INTO audit SELECT 1, now(), '', '', '', '', '', '{}', NULL, '', '' ON CONFLICT (seq, at) DO UPDATE SET actor = 'x'`,
		`ALTER TABLE audit ADD COLUMN n int`,
		`SELECT FROM audit FOR UPDATE`,
		`SELECT count(*) FROM audit_default`,
		`DELETE FROM audit_default`,
		`UPDATE audit_default SET actor = 'x'`,
		`TRUNCATE audit_default`,
		`INSERT INTO audit_default SELECT 1, now(), '', '', '', '', '', '{}', NULL, '', ''`,
		`DELETE FROM audit_` + time.Now().UTC().Format("200601"),
		`DROP TABLE audit_` + time.Now().UTC().Format("200601"),
	} {
		_, err := pool.Exec(ctx, sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v; want it refused for want of rights", sql, err)
		}
	}
	var kept int
	if err := ownerPool.QueryRow(ctx, `SELECT count(*) FROM audit`).Scan(&kept); err != nil || kept != 2 {
		t.Errorf("%d audit rows, error %v; want the 2 that were added", kept, err)
	}
	other := `SELECT has_function_privilege('public', 'cut(date)', 'EXECUTE')`
	var open bool
	if err := ownerPool.QueryRow(ctx, other).Scan(&open); err != nil || open {
		t.Errorf("the owner's function is open to everybody: %v, error %v", open, err)
	}
}

// asRole is raw with another user.
func asRole(t testing.TB, raw, role string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", role)
	u.RawQuery = q.Encode()
	return u.String()
}
