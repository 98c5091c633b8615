package pgtest_test

import (
	"context"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

func TestEveryTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b := pgtest.New(t), pgtest.New(t)
	for _, pool := range []interface {
		postgres.DB
	}{a, b} {
		have, want, err := postgres.SchemaVersion(ctx, pool)
		if err != nil || have != want || want == 0 {
			t.Fatalf("schema: have %d, want %d, error %v", have, want, err)
		}
	}
	if _, err := a.Exec(ctx, `INSERT INTO tombstone VALUES ('\x01', now())`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.QueryRow(ctx, `SELECT count(*) FROM tombstone`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("the other database has %d rows, error %v; want 0", n, err)
	}
}

func TestDatabaseIsDroppedAfterItsTest(t *testing.T) {
	ctx := context.Background()
	var name string
	t.Run("inner", func(t *testing.T) {
		name = pgtest.New(t).Config().ConnConfig.Database
	})
	var there bool
	err := pgtest.Superuser(t).QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil || there {
		t.Fatalf("database %q there: %v, error %v; want it dropped", name, there, err)
	}
}

func TestDurableServerSyncsAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cluster := pgtest.Durable(t)
	pool := pgtest.Open(t, cluster.URL(""))
	var fsync, commit string
	if err := pool.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&fsync, &commit); err != nil {
		t.Fatal(err)
	}
	if fsync != "on" || commit != "on" {
		t.Fatalf("fsync %s, synchronous_commit %s; want both on", fsync, commit)
	}
	if _, err := pool.Exec(ctx, `INSERT INTO tombstone VALUES ('\x01', now())`); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := pool.Ping(short); err == nil {
		t.Fatal("a killed server answered")
	}
	if err := cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM tombstone`).Scan(&n); err != nil || n != 1 {
		t.Fatalf("after the kill there are %d rows, error %v; want 1", n, err)
	}
}

// What a test pays for its database; dropping it is not counted.
func BenchmarkURL(b *testing.B) {
	for b.Loop() {
		pgtest.URL(b)
	}
}
