package postgres_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

// These tests do what docs/operations.md tells operators to do, and show that a
// restored database is told from the one it was.

func TestRestoreFromBaseBackupAndArchivedLog(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	archive := pgtest.Folder(t)
	original := pgtest.StartIn(t, postgres.Options{
		Dir: pgtest.MigratedFolder(t), Fsync: true,
		Settings: map[string]string{
			"archive_mode":    "on",
			"archive_command": `test ! -f ` + archive + `/%f && cp %p ` + archive + `/%f`,
		},
	})
	owner := ownerOf(t, filepath.Join(original.Folder(), "data"))
	handTo(t, archive, owner)
	pool := pgtest.Open(t, original.URL(""))
	before, err := postgres.ReadIdentity(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	restoredTo := pgtest.Folder(t)
	data := filepath.Join(restoredTo, "data")
	run(t, program(t, original, "pg_basebackup"), "--dbname="+original.URL("postgres"), "--pgdata="+data, "--checkpoint=fast", "--wal-method=none")
	handTo(t, data, owner)

	// Accepted after the backup: only the archived log has it.
	if _, err := pool.Exec(ctx, `INSERT INTO tombstone VALUES ('\x02', now())`); err != nil {
		t.Fatal(err)
	}
	var segment string
	if err := pool.QueryRow(ctx, `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&segment); err != nil {
		t.Fatal(err)
	}
	await(t, func() (done bool, err error) {
		err = pool.QueryRow(ctx, `SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver`, segment).Scan(&done)
		return done, err
	})
	// The old server is gone for good.
	if err := original.Kill(ctx); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	restored := pgtest.StartIn(t, postgres.Options{
		Dir: restoredTo, Fsync: true,
		Settings: map[string]string{"restore_command": `cp ` + archive + `/%f "%p"`},
	})
	pool = pgtest.Open(t, restored.URL(""))
	// While it recovers it takes no writes, and the pool does not let it in.
	await(t, func() (bool, error) { return pool.Ping(ctx) == nil, nil })

	after, err := postgres.ReadIdentity(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	if after.System != before.System || after.Timeline != before.Timeline+1 {
		t.Fatalf("identity before %+v, after %+v; want the next timeline of the same system", before, after)
	}
	var rows int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM tombstone`).Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows, error %v; want the one written after the backup", rows, err)
	}
	if have, want, err := postgres.SchemaVersion(ctx, pool); err != nil || have != want {
		t.Fatalf("restored schema %d, want %d, error %v", have, want, err)
	}
}

func TestRestoreFromDump(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	original := installed(t)
	if err := postgres.Migrate(ctx, original.owner, postgres.GrantTo(original.app)); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Open(t, original.app)
	if _, err := pool.Exec(ctx, `INSERT INTO tombstone VALUES ('\x03', now())`); err != nil {
		t.Fatal(err)
	}
	before, err := postgres.ReadIdentity(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "congdanso.dump")
	run(t, program(t, original.cluster, "pg_dump"), "--format=custom", "--no-owner", "--file="+dump, original.owner)

	restored := installed(t)
	run(t, program(t, restored.cluster, "pg_restore"), "--no-owner", "--exit-on-error", "--single-transaction", "--dbname="+restored.owner, dump)
	if err := postgres.Migrate(ctx, restored.owner, postgres.GrantTo(restored.app)); err != nil {
		t.Fatalf("migrate a restored database: %v", err)
	}
	pool = pgtest.Open(t, restored.app)
	after, err := postgres.ReadIdentity(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	if after.System == before.System {
		t.Fatalf("a dump restored elsewhere has the same identity: %+v", after)
	}
	var rows int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM tombstone WHERE key = '\x03'`).Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows, error %v; want the one that was dumped", rows, err)
	}
	if _, err := pool.Exec(ctx, `UPDATE tombstone SET erased_at = now()`); err != nil {
		t.Fatalf("the application cannot work on the restored database: %v", err)
	}
	if _, err := pool.Exec(ctx, `DROP TABLE tombstone`); err == nil {
		t.Fatal("the application owns the restored tables")
	}
}

// installation is a server with the roles and the database that the runbook has
// operators make.
type installation struct {
	cluster    *postgres.Cluster
	owner, app string // URLs
}

func installed(t testing.TB) installation {
	t.Helper()
	c := pgtest.StartIn(t, postgres.Options{Dir: pgtest.Folder(t), Throwaway: true})
	exec1(t, c, `CREATE ROLE congdanso_owner LOGIN`)
	exec1(t, c, `CREATE ROLE congdanso_app LOGIN`)
	exec1(t, c, `CREATE DATABASE channel OWNER congdanso_owner ENCODING 'UTF8' TEMPLATE template0`)
	exec1(t, c, `REVOKE ALL ON DATABASE channel FROM PUBLIC`)
	exec1(t, c, `GRANT CONNECT ON DATABASE channel TO congdanso_app`)
	url := c.URL("channel")
	return installation{cluster: c, owner: asRole(t, url, "congdanso_owner"), app: asRole(t, url, "congdanso_app")}
}

func TestDatabaseMadeAnewInTheSameServerIsAnother(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, err := postgres.ReadIdentity(ctx, pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := postgres.ReadIdentity(ctx, pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	if a == b || a.Timeline != b.Timeline {
		t.Fatalf("two databases of one server: %+v and %+v; want other systems on one timeline", a, b)
	}
}

// program is the path of one of the server's own programs.
func program(t testing.TB, c *postgres.Cluster, name string) string {
	t.Helper()
	return filepath.Join(query[string](t, c, `SELECT setting FROM pg_config WHERE name = 'BINDIR'`), name)
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}

func ownerOf(t testing.TB, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

func handTo(t testing.TB, dir string, owner *syscall.Stat_t) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// await asks until ok, for a minute at most.
func await(t testing.TB, ok func() (bool, error)) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen within a minute")
		}
	}
}
