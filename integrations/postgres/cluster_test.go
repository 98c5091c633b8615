package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

func TestDataSurviveARestart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(pgtest.Folder(t), "var", "postgres")
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true})
	exec1(t, cluster, `CREATE TABLE kept AS SELECT 1 AS n`)
	if err := cluster.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Stop(ctx); err != nil {
		t.Fatalf("stopping twice: %v", err)
	}
	if pids := serversIn(cluster); len(pids) != 0 {
		t.Fatalf("processes %v outlived Stop", pids)
	}
	again := pgtest.StartIn(t, postgres.Options{Dir: dir, Fsync: true})
	if n := query[int](t, again, `SELECT n FROM kept`); n != 1 {
		t.Fatalf("read %d, want 1", n)
	}
	if db := query[string](t, again, `SELECT current_database() || ' ' || current_setting('fsync') || ' ' || current_setting('listen_addresses')`); db != "congdanso on " {
		t.Fatalf("database, fsync, addresses: %q", db)
	}
}

func TestSecondStartNamesTheFirst(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	first := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true})
	_, err := postgres.Start(context.Background(), postgres.Options{Dir: dir, BinDir: os.Getenv("PG_BIN_DIR")})
	var running postgres.ErrRunning
	if !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Fatalf("second start: %v; want ErrRunning naming process %d", err, os.Getpid())
	}
	if !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("the error does not name the process: %v", err)
	}
	if n := query[int](t, first, `SELECT 1`); n != 1 {
		t.Fatal("the first server was hurt")
	}
}

func TestKilledProgramTakesItsServerAlongAndLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := pgtest.MigratedFolder(t)
	program := startHelper(t, dir)
	_, err := postgres.Start(ctx, postgres.Options{Dir: dir, BinDir: os.Getenv("PG_BIN_DIR")})
	var running postgres.ErrRunning
	if !errors.As(err, &running) || running.PID != program.Process.Pid {
		t.Fatalf("start beside another program: %v; want ErrRunning naming %d", err, program.Process.Pid)
	}
	url := "postgres:///congdanso?user=congdanso&host=" + filepath.Join(dir, "run")
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE kept AS SELECT 1 AS n`); err != nil {
		t.Fatal(err)
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	// At once, while the old server may still be going down.
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Fsync: true})
	if n := query[int](t, cluster, `SELECT n FROM kept`); n != 1 {
		t.Fatalf("read %d, want 1", n)
	}
	if err := conn.Ping(ctx); err == nil {
		t.Fatal("the killed program's server still answers")
	}
}

// The harshest case: program and server are killed, no signal reaches the
// backends, and the pid in postmaster.pid belongs to somebody else by now.
func TestStaleLockFileIsNoHindrance(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := pgtest.MigratedFolder(t)
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Fsync: true})
	exec1(t, cluster, `CREATE TABLE kept AS SELECT 1 AS n`)
	if err := cluster.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	lockFile := filepath.Join(dir, "data", "postmaster.pid")
	raw, err := os.ReadFile(lockFile)
	if err != nil {
		t.Fatalf("a killed server leaves its lock file: %v", err)
	}
	_, rest, _ := strings.Cut(string(raw), "\n")
	other := sleeperAs(t, dir)
	if err := os.WriteFile(lockFile, []byte(strconv.Itoa(other)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Restart(ctx); err != nil {
		t.Fatalf("start with a stale lock file: %v", err)
	}
	if n := query[int](t, cluster, `SELECT n FROM kept`); n != 1 {
		t.Fatalf("read %d, want 1", n)
	}
	if err := syscall.Kill(other, 0); err != nil {
		t.Fatalf("the process whose number stood in the lock file was ended: %v", err)
	}
}

func TestServerThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := pgtest.Folder(t)
	said := newLines()
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true, Log: said})
	pool := pgtest.Open(t, cluster.URL(""))
	raw, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Split(string(raw), "\n")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if line := said.next(ctx, t); !strings.Contains(line, "starting it again") {
		t.Fatalf("said %q", line)
	}
	for pool.Ping(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatal("the server did not come back")
		case <-time.After(10 * time.Millisecond):
		}
	}
	var started bool
	if err := pool.QueryRow(ctx, `SELECT pg_postmaster_start_time() > now() - interval '1 minute'`).Scan(&started); err != nil || !started {
		t.Fatalf("started lately: %v, error %v", started, err)
	}
}

func TestInitdbCutOffInTheMiddleIsRepeated(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	half := filepath.Join(dir, "data.new")
	if err := os.MkdirAll(filepath.Join(half, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true})
	if n := query[int](t, cluster, `SELECT 1`); n != 1 {
		t.Fatal("no answer")
	}
}

func TestHalfACleanedUpClusterIsNotTouched(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	precious := filepath.Join(dir, "data", "base", "1")
	if err := os.MkdirAll(precious, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(context.Background(), postgres.Options{Dir: dir, BinDir: os.Getenv("PG_BIN_DIR")})
	if err == nil || !strings.Contains(err.Error(), "no complete Postgres cluster") {
		t.Fatalf("start on remains: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Fatalf("the remains were removed: %v", err)
	}
}

func TestTooLongAPathMovesToVarTmpAndSaysSo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Folder(t), strings.Repeat("long", 25))
	said := newLines()
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true, Log: said})
	t.Cleanup(func() { os.RemoveAll(cluster.Folder()) })
	if !strings.HasPrefix(cluster.Folder(), "/var/tmp/congdanso-") {
		t.Fatalf("the cluster lives in %s", cluster.Folder())
	}
	line := said.next(context.Background(), t)
	if !strings.Contains(line, dir) || !strings.Contains(line, cluster.Folder()) || !strings.Contains(line, "too long") {
		t.Fatalf("said %q", line)
	}
	if n := query[int](t, cluster, `SELECT 1`); n != 1 {
		t.Fatal("no answer")
	}
}

// A clone under a home folder of mode 0700: root's server, which runs as another
// user, moves away; one of ours can live there.
func TestClosedHomeFolderIsNoHindrance(t *testing.T) {
	t.Parallel()
	home := filepath.Join(pgtest.Folder(t), "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "var", "postgres")
	cluster := pgtest.StartIn(t, postgres.Options{Dir: dir, Throwaway: true})
	if cluster.Folder() != dir {
		t.Cleanup(func() { os.RemoveAll(cluster.Folder()) })
	}
	if moved := cluster.Folder() != dir; moved != (os.Getuid() == 0) {
		t.Fatalf("user %d: the cluster of %s lives in %s", os.Getuid(), dir, cluster.Folder())
	}
	if n := query[int](t, cluster, `SELECT 1`); n != 1 {
		t.Fatal("no answer")
	}
}

func TestMissingProgramsSayHowToGetThem(t *testing.T) {
	t.Parallel()
	_, err := postgres.Start(context.Background(), postgres.Options{Dir: pgtest.Folder(t), BinDir: t.TempDir()})
	if !errors.Is(err, postgres.ErrNoPrograms) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Fatalf("start without programs: %v", err)
	}
}

func TestDataOfAnotherVersionAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(context.Background(), postgres.Options{Dir: dir, BinDir: os.Getenv("PG_BIN_DIR")})
	if err == nil || !strings.Contains(err.Error(), "install postgresql-9") {
		t.Fatalf("start on data of Postgres 9: %v", err)
	}
}

func startHelper(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("the other program says %q, error %v", line, err)
	}
	return cmd
}

// sleeperAs runs a harmless process as whoever owns the data in dir.
func sleeperAs(t *testing.T, dir string) int {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "read line")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// serversIn lists processes whose working directory is the cluster's data.
func serversIn(c *postgres.Cluster) (pids []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range links {
		if cwd, err := os.Readlink(l); err == nil && cwd == filepath.Join(c.Folder(), "data") {
			pids = append(pids, l)
		}
	}
	return pids
}

func exec1(t testing.TB, c *postgres.Cluster, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func query[T any](t testing.TB, c *postgres.Cluster, sql string) (v T) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// lines is a log whose lines a test waits for.
type lines chan string

func newLines() lines { return make(lines, 16) }

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l lines) next(ctx context.Context, t testing.TB) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-ctx.Done():
		t.Fatal(fmt.Errorf("nothing was said: %w", context.Cause(ctx)))
	case <-time.After(time.Minute):
		t.Fatal("nothing was said within a minute")
	}
	return ""
}
