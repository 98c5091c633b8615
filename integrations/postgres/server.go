package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is one run of a postgres process.
type server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; read after done
}

func (s *server) signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// initdb makes the data directory unless it is there. It is made under another
// name first, so that one cut off in the middle is never taken for whole.
func (c *Cluster) initdb(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.data(), "global", "pg_control")); err == nil {
		return nil
	}
	if entries, err := os.ReadDir(c.data()); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is no complete Postgres cluster (a clean-up of old files may have taken parts): remove %s to begin afresh", c.data(), c.folder)
	}
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear the way for a new cluster: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if c.who.cred != nil {
		if err := os.Chown(fresh, c.who.uid, c.who.gid); err != nil {
			return fmt.Errorf("hand data directory to postgres: %w", err)
		}
	}
	args := []string{"-D", fresh, "-U", Database, "--encoding=UTF8", "--auth=trust"}
	if runtime.GOOS == "linux" {
		args = append(args, "--locale=C.UTF-8")
	} else {
		args = append(args, "--locale=C")
	}
	if c.opt.Throwaway {
		args = append(args, "--no-sync")
	} else {
		args = append(args, "--data-checksums")
	}
	cmd := exec.CommandContext(ctx, c.bin.path("initdb"), args...)
	cmd.Dir, cmd.Env = "/", serverEnv()
	cmd.SysProcAttr = sysProcAttr(c.who.cred, syscall.SIGKILL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("put new cluster in place: %w", err)
	}
	return nil
}

// launch runs postgres and returns when it answers queries.
func (c *Cluster) launch(ctx context.Context) (*server, error) {
	logPath := filepath.Join(c.folder, logName)
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of the private cluster: %w", err)
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil && info.Size() > 8<<20 {
		_ = log.Truncate(0)
	}
	before, _ := log.Seek(0, io.SeekEnd)

	cmd := exec.Command(c.bin.path("postgres"), c.serverArgs()...)
	cmd.Dir, cmd.Env = "/", serverEnv()
	cmd.Stdout, cmd.Stderr = log, log
	farewell := syscall.SIGINT // fast shutdown
	if c.opt.Throwaway {
		farewell = syscall.SIGQUIT // immediate
	}
	cmd.SysProcAttr = sysProcAttr(c.who.cred, farewell)

	srv := &server{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the farewell signal when the thread that started the
		// process ends, so that thread waits here as long as the server lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			srv.err = cmd.Wait()
			close(srv.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	if err := c.awaitReady(ctx, srv); err != nil {
		_ = srv.signal(syscall.SIGQUIT)
		<-srv.done
		return nil, fmt.Errorf("start the private Postgres: %w\n%s", err, tail(logPath, before))
	}
	return srv, nil
}

func (c *Cluster) serverArgs() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": filepath.Join(c.folder, socketDir),
		"unix_socket_permissions": "0700",
		"port":                    "5432",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C",
		"logging_collector":       "off",
		"jit":                     "off",
		"fsync":                   "on",
	}
	if !c.opt.Fsync {
		settings["fsync"], settings["full_page_writes"] = "off", "off"
	}
	for k, v := range c.opt.Settings {
		settings[k] = v
	}
	args := []string{"-D", c.data()}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	return args
}

// awaitReady asks until the server lets somebody in.
func (c *Cluster) awaitReady(ctx context.Context, srv *server) error {
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-srv.done:
			return errors.Join(errors.New("it ended at once"), srv.err)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// serverEnv is our environment without what would change the server's behaviour.
func serverEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "LC_") || strings.HasPrefix(kv, "LANG") || strings.HasPrefix(kv, "TZ=")
	})
	return append(env, "LC_ALL=C")
}

// tail returns what was written to path after offset, at most its last 2 KiB.
func tail(path string, offset int64) []byte {
	raw, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil || int64(len(raw)) < offset {
		return nil
	}
	raw = raw[offset:]
	return bytes.TrimSpace(raw[max(0, len(raw)-2048):])
}
