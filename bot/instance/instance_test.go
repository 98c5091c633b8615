package instance

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/integrations/postgres/pgtest"
)

// mover is a database server that can be exchanged under an instance.
type mover struct {
	server Server
	heard  []bool
}

func (m *mover) instance(pool *pgxpool.Pool) *Instance {
	return New(pool, "web", func(context.Context, *pgxpool.Pool) (Server, error) { return m.server, nil },
		func(moved bool) { m.heard = append(m.heard, moved) })
}

func beat(t *testing.T, in *Instance) {
	t.Helper()
	if err := in.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFirstHeartbeatRecordsTheServer(t *testing.T) {
	pool, m := pgtest.New(t), &mover{server: Server{"7", 1}}
	in := m.instance(pool)
	if in.Moved() {
		t.Error("moved before anything is known")
	}
	beat(t, in)
	beat(t, in)
	if in.Moved() || len(m.heard) != 1 || m.heard[0] {
		t.Errorf("moved %v, heard %v; want one word that all is well", in.Moved(), m.heard)
	}
}

func TestRestoredDatabaseIsNoticedUntilResumed(t *testing.T) {
	pool, m := pgtest.New(t), &mover{server: Server{"7", 1}}
	in := m.instance(pool)
	beat(t, in)
	m.server.Timeline = 2
	beat(t, in)
	if !in.Moved() {
		t.Fatal("another timeline went unnoticed")
	}
	another := m.instance(pool)
	beat(t, another)
	if !another.Moved() {
		t.Error("a new instance took the restored database for granted")
	}
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return Record(t.Context(), tx, m.server) }); err != nil {
		t.Fatal(err)
	}
	beat(t, in)
	if in.Moved() {
		t.Error("still moved after resuming")
	}
}

func TestFailoverShowsOnANewConnection(t *testing.T) {
	m := &mover{server: Server{"7", 1}}
	in := m.instance(pgtest.New(t))
	in.Connected(Server{"7", 2}) // nothing is known yet
	if in.Moved() {
		t.Error("moved before the first heartbeat")
	}
	beat(t, in)
	in.Connected(Server{"7", 1})
	if in.Moved() {
		t.Error("the same server counts as moved")
	}
	in.Connected(Server{"7", 2})
	if !in.Moved() {
		t.Error("a promoted standby went unnoticed")
	}
}

func TestInstancesAreCountedAndOutagesNoticed(t *testing.T) {
	pool, m := pgtest.New(t), &mover{server: Server{"7", 1}}
	a, b := m.instance(pool), m.instance(pool)
	beat(t, a)
	beat(t, b)
	beat(t, a)
	if a.Alive() != 2 {
		t.Errorf("%d alive, want 2", a.Alive())
	}
	refused := func() (since bool) {
		if err := pool.QueryRow(t.Context(), `SELECT refused_since IS NOT NULL FROM installation`).Scan(&since); err != nil {
			t.Fatal(err)
		}
		return since
	}
	if refused() {
		t.Fatal("an outage without one")
	}
	if _, err := pool.Exec(t.Context(), `UPDATE heartbeat SET beat_at = now() - interval '31 seconds'`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE instance SET beat_at = now() - interval '31 seconds' WHERE id = $1`, b.ID); err != nil {
		t.Fatal(err)
	}
	beat(t, a)
	if !refused() {
		t.Error("half a minute without a heartbeat went unnoticed")
	}
	if a.Alive() != 1 {
		t.Errorf("%d alive, want 1: the other has not beaten", a.Alive())
	}
}
