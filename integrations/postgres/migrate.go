package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"congdanso/migrations"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// migrateLock is the advisory lock under which every migration runs; the number
// spells "congdans" in ASCII.
const migrateLock int64 = 0x636f6e6764616e73

// lockPoll is how often a migrate that waits for another one asks again. It asks
// rather than blocks, for a session blocked in a query would hold up CREATE INDEX
// CONCURRENTLY of the one that is migrating.
const lockPoll = 200 * time.Millisecond

// MigrateOption changes how Migrate works.
type MigrateOption func(*migration)

// GrantTo gives the role that appURL names the rights the application needs, when
// it is another role than the owner. An appURL that names no role is ignored.
func GrantTo(appURL string) MigrateOption {
	return func(m *migration) { m.appURL = appURL }
}

type migration struct {
	appURL string
}

// Migrate brings the database at ownerURL to this program's schema: our own
// migrations and River's, under one advisory lock. It may be repeated and run
// from several places at once; whoever comes second waits and finds nothing to
// do. ownerURL must reach Postgres directly or through a pooler in session mode,
// and its role must own the database or its objects.
func Migrate(ctx context.Context, ownerURL string, opts ...MigrateOption) error {
	var m migration
	for _, opt := range opts {
		opt(&m)
	}
	pool, err := Open(ctx, ownerURL, Name("migrate"), StatementTimeout(0), MaxConns(4))
	if err != nil {
		return err
	}
	defer pool.Close()
	unlock, err := lockMigrations(ctx, pool)
	if err != nil {
		return err
	}
	defer unlock()
	if err := migrateOurs(ctx, pool); err != nil {
		return err
	}
	if err := migrateRiver(ctx, pool); err != nil {
		return err
	}
	return m.grant(ctx, pool)
}

func lockMigrations(ctx context.Context, pool *pgxpool.Pool) (unlock func(), err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	for {
		var got bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, migrateLock).Scan(&got); err != nil {
			conn.Release()
			return nil, fmt.Errorf("lock migrations: %w", err)
		}
		if got {
			break
		}
		select {
		case <-ctx.Done():
			conn.Release()
			return nil, fmt.Errorf("wait for another migrate to end: %w", context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
	return func() {
		// Closing the session frees the lock even where ctx is over.
		c := conn.Hijack()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = c.Close(ctx)
	}, nil
}

func migrateOurs(ctx context.Context, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read embedded migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func riverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("read river's migrations: %w", err)
	}
	return m, nil
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := riverMigrator(pool)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	return nil
}

// riverFactor keeps River's version, a small number, below ours in one figure.
const riverFactor = 1000

// SchemaVersion tells which schema the database has and which one this program
// was made for. A version is the number of our last migration times a thousand
// plus River's: 4008 is our 00004 with River's 008. A database never migrated has
// version 0. A program serves a schema that is as new as its own or newer, and
// refuses an older one.
func SchemaVersion(ctx context.Context, db DB) (have, want int64, err error) {
	want, err = WantedSchema()
	if err != nil {
		return 0, 0, err
	}
	var ours, river bool
	err = db.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL, to_regclass('river_migration') IS NOT NULL`).
		Scan(&ours, &river)
	if err != nil {
		return 0, want, fmt.Errorf("read schema version: %w", err)
	}
	if !ours || !river {
		return 0, want, nil
	}
	err = db.QueryRow(ctx, `
		SELECT (SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied) * $1
		     + (SELECT coalesce(max(version), 0) FROM river_migration WHERE line = 'main')`, riverFactor).Scan(&have)
	if err != nil {
		return 0, want, fmt.Errorf("read schema version: %w", err)
	}
	return have, want, nil
}

// WantedSchema is the schema version this program was made for; see SchemaVersion.
func WantedSchema() (int64, error) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("list embedded migrations: %w", err)
	}
	var ours int64
	for _, f := range files {
		n, err := goose.NumericComponent(f)
		if err != nil {
			return 0, fmt.Errorf("read embedded migration %s: %w", f, err)
		}
		ours = max(ours, n)
	}
	m, err := riverMigrator(nil)
	if err != nil {
		return 0, err
	}
	all := m.AllVersions()
	return ours*riverFactor + int64(all[len(all)-1].Version), nil
}
