// Package instance knows who runs: it beats while this process lives, counts the
// others, notices when nobody beat for a while, and notices when the database is
// not the one it was.
//
// A database that was restored, or that failed over, may have forgotten what was
// already sent. Zalo has no way to tell a repetition, so nothing is sent then
// until an operator says so (`congdanso resume`).
package instance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	beatEvery = 5 * time.Second
	// alive is how recent an instance's last beat must be to count.
	alive = 3 * beatEvery
	// Outage is how long nobody may beat before deliveries count as missed.
	Outage = 30 * time.Second
)

// Server identifies a database server across restarts: a restored copy or a
// promoted replica has another timeline, a new cluster another identifier.
type Server struct {
	SystemID string
	Timeline int
}

// Instance is this process among its likes.
type Instance struct {
	ID    string
	pool  *pgxpool.Pool
	roles string
	read  func(context.Context, *pgxpool.Pool) (Server, error)

	others atomic.Int64
	known  atomic.Pointer[Server] // the recorded server, once it is known
	state  atomic.Int32           // unsure, settled, moved
	onMove func(moved bool)
}

// Until the first heartbeat it is not known which database this is.
const (
	unsure int32 = iota
	settled
	moved
)

// New returns an instance with a random id. read tells which server the pool
// stands on; onMove is called when it is first known whether that is the
// recorded one, and whenever that changes.
func New(pool *pgxpool.Pool, roles string, read func(context.Context, *pgxpool.Pool) (Server, error), onMove func(moved bool)) *Instance {
	id := make([]byte, 8)
	rand.Read(id)
	in := &Instance{ID: hex.EncodeToString(id), pool: pool, roles: roles, read: read, onMove: onMove}
	in.others.Store(1)
	return in
}

// Alive is how many instances beat lately, this one included; at least one.
func (in *Instance) Alive() int { return int(in.others.Load()) }

// Moved reports whether the database is not the one this installation recorded.
func (in *Instance) Moved() bool { return in.state.Load() == moved }

// Connected hears of each new connection which server it reached, before any
// query goes over it: a failover shows here first.
func (in *Instance) Connected(server Server) {
	if known := in.known.Load(); known != nil && *known != server {
		in.note(true)
	}
}

// Run beats until ctx ends, then takes this instance off the list.
func (in *Instance) Run(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := in.Beat(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("heartbeat failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			// Another instance may do without us at once; failing that, our beat ages.
			if _, err := in.pool.Exec(ctx, `DELETE FROM instance WHERE id = $1`, in.ID); err != nil {
				slog.Warn("cannot sign off", "error", err)
			}
			return nil
		}
	}
}

// Beat says that this instance is alive, looks for an outage behind it, and
// compares the server with the recorded one.
func (in *Instance) Beat(ctx context.Context) error {
	server, err := in.read(ctx, in.pool)
	if err != nil {
		return fmt.Errorf("identify the database server: %w", err)
	}
	var known Server
	err = pgx.BeginFunc(ctx, in.pool, func(tx pgx.Tx) error {
		var system *string
		var timeline *int
		// The row's lock makes instances that start together beat one by one.
		err := tx.QueryRow(ctx, `SELECT system_identifier, timeline FROM installation FOR UPDATE`).Scan(&system, &timeline)
		if err != nil {
			return err
		}
		if system == nil || timeline == nil {
			_, err = tx.Exec(ctx, `UPDATE installation SET system_identifier = $1, timeline = $2`, server.SystemID, server.Timeline)
			known = server
		} else {
			known = Server{*system, *timeline}
		}
		if err != nil {
			return err
		}
		// Nobody beat for a while: whatever Zalo delivered since then may be lost.
		_, err = tx.Exec(ctx, `
UPDATE installation SET refused_since = least(refused_since, (SELECT max(beat_at) FROM heartbeat))
WHERE (SELECT max(beat_at) FROM heartbeat) < now() - $1::interval`, Outage)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `UPDATE heartbeat SET beat_at = now()`); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
INSERT INTO instance (id, roles) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET beat_at = now()`, in.ID, in.roles)
		if err != nil {
			return err
		}
		var n int64
		err = tx.QueryRow(ctx, `SELECT count(*) FROM instance WHERE beat_at > now() - $1::interval`, alive).Scan(&n)
		in.others.Store(max(1, n))
		return err
	})
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	in.known.Store(&known)
	in.note(server != known)
	return nil
}

func (in *Instance) note(isMoved bool) {
	now := settled
	if isMoved {
		now = moved
	}
	was := in.state.Swap(now)
	if was == now {
		return
	}
	if isMoved {
		slog.Error("the database is not the one this installation recorded (failover or restore): nothing is sent until `congdanso resume`")
	} else if was == moved {
		slog.Info("the database is the recorded one again: sending goes on")
	}
	in.onMove(isMoved)
}

// Record makes server the one this installation stands on, as `congdanso resume` does.
func Record(ctx context.Context, tx pgx.Tx, server Server) error {
	_, err := tx.Exec(ctx, `UPDATE installation SET system_identifier = $1, timeline = $2, resumed_at = now()`, server.SystemID, server.Timeline)
	if err != nil {
		return fmt.Errorf("record the database server: %w", err)
	}
	return nil
}

// Forget removes instances that have not beaten for a day.
func Forget(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, `DELETE FROM instance WHERE beat_at < now() - interval '1 day'`); err != nil {
		return fmt.Errorf("forget dead instances: %w", err)
	}
	return nil
}
