package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

func TestPoolOpensWithoutAServerAndRecovers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cluster := pgtest.StartIn(t, postgres.Options{Dir: pgtest.Folder(t), Throwaway: true})
	if err := cluster.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Open(t, cluster.URL(""))
	begin := time.Now()
	if err := pool.Ping(ctx); err == nil {
		t.Fatal("a server that is away answered")
	}
	if took := time.Since(begin); took > time.Second {
		t.Fatalf("noticing that nobody listens took %v", took)
	}
	if err := cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pool.Ping(ctx); err != nil {
		t.Fatalf("the server is back, the pool is not: %v", err)
	}
}

func TestMalformedURLIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(context.Background(), "postgres://app:s3cret@host:notaport/db")
	if err == nil {
		t.Fatal("a malformed URL was taken")
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Fatalf("the error tells the password: %v", err)
	}
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	var at time.Time
	var many []time.Time
	var zone string
	err := pool.QueryRow(ctx, `
		SELECT timestamptz '2024-06-17 17:00+07', ARRAY[timestamptz '2024-06-17 17:00+07'], current_setting('timezone')`).
		Scan(&at, &many, &zone)
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2024, 6, 17, 10, 0, 0, 0, time.UTC)
	if at != want || !slices.Equal(many, []time.Time{want}) || zone != "UTC" {
		t.Fatalf("got %v, %v in zone %s; want %v", at, many, zone, want)
	}
}

func TestSettingsDefaultsURLAndOptions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := pgtest.URL(t)
	for _, c := range []struct {
		name    string
		url     string
		opts    []postgres.Option
		timeout string
		app     string
		conns   int32
	}{
		{"defaults", url, nil, "30s", "congdanso", 16},
		{"url", url + "&statement_timeout=7000&application_name=psql&pool_max_conns=3", nil, "7s", "psql", 3},
		{"options", url + "&statement_timeout=7000&pool_max_conns=3",
			[]postgres.Option{postgres.StatementTimeout(0), postgres.Name("worker"), postgres.MaxConns(2)}, "0", "congdanso worker", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := pgtest.Open(t, c.url, c.opts...)
			var timeout, app string
			err := pool.QueryRow(ctx, `SELECT current_setting('statement_timeout'), current_setting('application_name')`).Scan(&timeout, &app)
			if err != nil {
				t.Fatal(err)
			}
			if timeout != c.timeout || app != c.app || pool.Config().MaxConns != c.conns {
				t.Fatalf("statement_timeout %s, application_name %s, %d connections; want %s, %s, %d",
					timeout, app, pool.Config().MaxConns, c.timeout, c.app, c.conns)
			}
		})
	}
}

func TestServerThatTakesNoWritesCountsAsAway(t *testing.T) {
	t.Parallel()
	pool := pgtest.Open(t, pgtest.URL(t)+"&default_transaction_read_only=on")
	if err := pool.Ping(context.Background()); err == nil {
		t.Fatal("a read-only server was taken")
	}
}

func TestOnConnectHearsOfTheServerBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var mu sync.Mutex
	var heard []postgres.Identity
	pool := pgtest.Open(t, pgtest.URL(t), postgres.OnConnect(func(id postgres.Identity) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, id)
	}))
	id, err := postgres.ReadIdentity(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(heard, id) {
		t.Fatalf("heard of %v before the first query, which says %v", heard, id)
	}
}

func TestInTxCommitsOrRollsBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	insert := func(key string, end error) error {
		return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO tombstone VALUES ($1, now())`, []byte(key)); err != nil {
				return err
			}
			return end
		})
	}
	if err := insert("kept", nil); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := insert("dropped", refused); !errors.Is(err, refused) {
		t.Fatalf("error %v, want %v", err, refused)
	}
	var keys []string
	if err := pool.QueryRow(ctx, `SELECT array_agg(convert_from(key, 'UTF8')) FROM tombstone`).Scan(&keys); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(keys, []string{"kept"}) {
		t.Fatalf("rows %v, want only the committed one", keys)
	}
}
