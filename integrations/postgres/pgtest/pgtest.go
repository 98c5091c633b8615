// Package pgtest gives tests a real Postgres.
//
// New and URL hand every test a freshly migrated database of its own, in
// parallel, on one private cluster per test process that never syncs to disk.
// What initdb and the migrations make is kept between processes and copied, so
// that a package's first database costs a few tenths of a second and each further
// one some hundredths. Durable gives a test a whole server of its own that does
// sync, to be killed, stopped and measured.
//
// The server ends with the test process, also with one that is killed, and its
// folder is swept away then. Missing Postgres programs fail the test: nothing is
// skipped.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/integrations/postgres"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// patience limits every start and stop; only a hanging machine takes that long.
const patience = 2 * time.Minute

// New returns a pool on a migrated, empty database that is t's alone and is
// dropped after it.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Open(t, URL(t))
}

// Open returns a pool on url that is closed after t.
func Open(t testing.TB, url string, opts ...postgres.Option) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), url, opts...)
	if err != nil {
		t.Fatalf("open pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL returns the address of a migrated, empty database that is t's alone and is
// dropped after it, whoever is still connected.
func URL(t testing.TB) string {
	t.Helper()
	return create(t, "TEMPLATE "+postgres.Database)
}

// EmptyURL returns the address of a database without any schema, for tests of
// migrations.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, "TEMPLATE template0")
}

// Superuser connects to the shared cluster itself, for tests that make roles. What
// they make there must have names of its own and be dropped again.
func Superuser(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), shared(t).cluster.URL("postgres"))
	if err != nil {
		t.Fatalf("connect to the test cluster: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

var databases atomic.Int64

func create(t testing.TB, from string) string {
	t.Helper()
	s := shared(t)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if _, err := s.admin.Exec(context.Background(), "CREATE DATABASE "+name+" "+from); err != nil {
		t.Fatalf("make database %s: %v", name, err)
	}
	t.Cleanup(func() {
		if _, err := s.admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return s.cluster.URL(name)
}

// process is what the tests of one process share.
type process struct {
	cluster *postgres.Cluster
	admin   *pgxpool.Pool
}

var start = sync.OnceValues(func() (*process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	folder, err := newFolder(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := postgres.Start(ctx, postgres.Options{
		Dir: folder, BinDir: binDir(), Log: os.Stderr, Throwaway: true,
		Settings: map[string]string{"max_connections": "600", "shared_buffers": "64MB"},
	})
	if err != nil {
		return nil, err
	}
	admin, err := postgres.Open(context.Background(), cluster.URL("postgres"), postgres.Name("pgtest"), postgres.StatementTimeout(patience))
	if err != nil {
		return nil, err
	}
	return &process{cluster: cluster, admin: admin}, nil
})

func shared(t testing.TB) *process {
	t.Helper()
	p, err := start()
	if err != nil {
		t.Fatalf("Postgres for tests: %v", err)
	}
	return p
}

// Durable starts a server of t's own that syncs to disk as in production, with a
// migrated database at its URL(""). Stop, Kill and Restart it as the test needs;
// it is stopped and removed after t.
func Durable(t testing.TB) *postgres.Cluster {
	t.Helper()
	return StartIn(t, postgres.Options{Dir: MigratedFolder(t), Fsync: true})
}

// StartIn starts a cluster that is stopped after t.
func StartIn(t testing.TB, opt postgres.Options) *postgres.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if opt.BinDir == "" {
		opt.BinDir = binDir()
	}
	if opt.Log == nil {
		opt.Log = t.Output()
	}
	cluster, err := postgres.Start(ctx, opt)
	if err != nil {
		t.Fatalf("start a Postgres server: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := cluster.Stop(ctx); err != nil {
			t.Errorf("stop the Postgres server: %v", err)
		}
	})
	return cluster
}

// Folder returns an empty folder that the server's user can reach (t.TempDir is
// closed to all but us) and that is removed after t.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := emptyFolder()
	if err != nil {
		t.Fatalf("make a folder for Postgres: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// MigratedFolder returns a Folder that holds a migrated cluster, for StartIn.
func MigratedFolder(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir, err := newFolder(ctx)
	if err != nil {
		t.Fatalf("Postgres for tests: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func binDir() string { return os.Getenv("PG_BIN_DIR") }

// newFolder returns a folder of this process with a copy of the migrated template
// in it.
func newFolder(ctx context.Context) (string, error) {
	tmpl, err := template(ctx)
	if err != nil {
		return "", err
	}
	dir, err := emptyFolder()
	if err != nil {
		return "", err
	}
	if err := copyCluster(filepath.Join(tmpl, "data"), filepath.Join(dir, "data")); err != nil {
		return "", fmt.Errorf("copy the template: %w", err)
	}
	return dir, nil
}
