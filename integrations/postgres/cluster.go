package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database is the name of the one database of a private cluster, and of its
// superuser.
const Database = "congdanso"

const (
	dataDir    = "data"
	socketDir  = "run"
	socketName = ".s.PGSQL.5432"
	logName    = "postgres.log"
)

// Options say how a private cluster runs.
type Options struct {
	// Dir is the cluster's folder, made when missing. Where the server could not
	// use it, the cluster lives under /var/tmp and Log is told.
	Dir string
	// BinDir holds initdb and postgres; empty: they are looked for where
	// distributions put them, and in PATH.
	BinDir string
	// Fsync keeps what is committed through a crash of the machine. Without it
	// only a crash of processes is survived.
	Fsync bool
	// Log receives what a person should read, a line each. The server's own log
	// is postgres.log in the folder. nil: nobody reads.
	Log io.Writer
	// Settings are added to the server's command line, e.g. "max_connections".
	Settings map[string]string
	// Throwaway clusters are shut down without a checkpoint when this process
	// dies: quick, and fine for data nobody wants again.
	Throwaway bool
}

// ErrRunning means that another process of ours runs the cluster in Dir.
type ErrRunning struct {
	Dir string
	PID int // of the program that runs it; 0 when it could not be read
}

func (e ErrRunning) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the private Postgres in %s is already running", e.Dir)
	}
	return fmt.Sprintf("the private Postgres in %s is already running, started by process %d", e.Dir, e.PID)
}

// Cluster is a Postgres server of our own on a Unix socket, for `congdanso dev`
// and for tests. It goes down with this process, also when that is killed; a
// server that dies by itself is started again. Its socket admits only the user it
// runs as, and root.
type Cluster struct {
	opt    Options
	folder string
	who    account
	bin    programs

	mu   sync.Mutex
	lock *os.File // held while the cluster is ours
	srv  *server  // nil while stopped
}

// Start runs the cluster in opt.Dir, making it first when there is none, and
// returns when it answers. A cluster left behind by a killed process is
// recovered. It returns ErrRunning when another process has it, and
// ErrNoPrograms when Postgres is not installed.
func Start(ctx context.Context, opt Options) (*Cluster, error) {
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	folder, notice, err := place(opt.Dir, who)
	if err != nil {
		return nil, err
	}
	c := &Cluster{opt: opt, folder: folder, who: who}
	major, err := dataMajor(c.data())
	if err != nil {
		return nil, err
	}
	if c.bin, err = findPrograms(ctx, opt.BinDir, major); err != nil {
		return nil, err
	}
	if err := prepare(folder, who); err != nil {
		return nil, err
	}
	if notice != "" {
		c.say("%s", notice)
	}
	if err := c.up(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// URL is where db of this cluster is reached; empty means Database.
func (c *Cluster) URL(db string) string {
	if db == "" {
		db = Database
	}
	q := url.Values{"host": {filepath.Join(c.folder, socketDir)}, "user": {Database}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + db, RawQuery: q.Encode()}).String()
}

// Folder is where the cluster really lives.
func (c *Cluster) Folder() string { return c.folder }

// Stop shuts the server down, disconnecting its clients, and gives the folder
// free. When ctx ends first the server is stopped the hard way, which costs the
// next start a recovery and no data. Stopping twice is harmless.
func (c *Cluster) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down(ctx, syscall.SIGINT)
}

// Kill ends the server as kill -9 would, for tests of recovery.
func (c *Cluster) Kill(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down(ctx, syscall.SIGKILL)
}

// Restart starts the server again, after Stop, after Kill or while it runs.
func (c *Cluster) Restart(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.down(ctx, syscall.SIGINT); err != nil {
		return err
	}
	return c.up(ctx)
}

func (c *Cluster) data() string { return filepath.Join(c.folder, dataDir) }

func (c *Cluster) say(format string, args ...any) {
	if c.opt.Log != nil {
		fmt.Fprintf(c.opt.Log, format+"\n", args...)
	}
}

// up takes the folder, makes the cluster if need be and runs its server. The
// caller holds c.mu or is alone.
func (c *Cluster) up(ctx context.Context) (err error) {
	if c.lock, err = lockFolder(c.folder); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.unlock()
		}
	}()
	if err := clearOrphans(ctx, c.data()); err != nil {
		return err
	}
	if err := c.initdb(ctx); err != nil {
		return err
	}
	srv, err := c.launch(ctx)
	if err != nil {
		return err
	}
	if err := c.ensureDatabase(ctx); err != nil {
		_ = srv.signal(syscall.SIGINT)
		<-srv.done
		return err
	}
	c.srv = srv
	go c.watch(srv)
	return nil
}

func (c *Cluster) down(ctx context.Context, sig syscall.Signal) error {
	defer c.unlock()
	srv := c.srv
	c.srv = nil // tells watch that this end is wanted
	if srv == nil {
		return nil
	}
	_ = srv.signal(sig)
	select {
	case <-srv.done:
	case <-ctx.Done():
		_ = srv.signal(syscall.SIGQUIT)
		<-srv.done
	}
	if sig != syscall.SIGKILL {
		return nil
	}
	return clearOrphans(ctx, c.data())
}

func (c *Cluster) unlock() {
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
}

// watch starts a server again that ended without being asked to.
func (c *Cluster) watch(srv *server) {
	<-srv.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.srv != srv {
		return
	}
	c.say("the private Postgres ended (%v); starting it again", srv.err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := clearOrphans(ctx, c.data())
	if err == nil {
		srv, err = c.launch(ctx)
	}
	if err != nil {
		c.srv = nil
		c.say("the private Postgres could not be started again: %v", err)
		return
	}
	c.srv = srv
	go c.watch(srv)
}

// ensureDatabase makes the cluster's one database when it is not there.
func (c *Cluster) ensureDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the private cluster: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, Database).Scan(&there)
	if err == nil && !there {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+Database)
	}
	if err != nil {
		return fmt.Errorf("make database %s: %w", Database, err)
	}
	return nil
}

// lockFolder takes the folder for this process until the file is closed or the
// process ends, however it ends.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the private cluster: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		raw, _ := io.ReadAll(f)
		f.Close()
		pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
		return nil, ErrRunning{Dir: folder, PID: pid}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the private cluster: %w", err)
	}
	return f, nil
}

// dataMajor is the major version that made the data in dir; 0 when there are none.
func dataMajor(dir string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("read version of the data in %s: %w", dir, err)
	}
	return major, nil
}
