package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/migrations"
)

const (
	templatePrefix = "template-"
	runPrefix      = "run-"
	// Templates nobody used for this long are removed.
	keepTemplates = 7 * 24 * time.Hour
)

// base is where everything of this package lies, one folder a user.
func base() (string, error) {
	dir := filepath.Join("/var/tmp", "congdanso-pgtest-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make folder for tests: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at folder for tests: %w", err)
	}
	if st := info.Sys().(*syscall.Stat_t); !info.IsDir() || int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to somebody else", dir)
	}
	return dir, os.Chmod(dir, 0o711)
}

// template returns the folder of a migrated cluster that is shut down, made by
// whoever needs it first.
var template = func() func(context.Context) (string, error) {
	var mu sync.Mutex
	var path string
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if path != "" {
			return path, nil
		}
		dir, err := base()
		if err != nil {
			return "", err
		}
		building, err := lock(filepath.Join(dir, "lock"))
		if err != nil {
			return "", err
		}
		defer building.Close()
		sweep(dir)
		key, err := templateKey(ctx)
		if err != nil {
			return "", err
		}
		want := filepath.Join(dir, templatePrefix+key)
		if _, err := os.Stat(filepath.Join(want, "data", "PG_VERSION")); err != nil {
			if err := build(ctx, want); err != nil {
				return "", fmt.Errorf("make the template: %w", err)
			}
		}
		now := time.Now()
		_ = os.Chtimes(want, now, now)
		path = want
		return path, nil
	}
}()

// templateKey changes with whatever goes into a template.
func templateKey(ctx context.Context) (string, error) {
	sum := sha256.New()
	version, err := postgres.ProgramVersion(ctx, binDir())
	if err != nil {
		return "", err
	}
	schema, err := postgres.WantedSchema()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(sum, "1 %s %d\n", version, schema)
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return "", fmt.Errorf("list migrations: %w", err)
	}
	for _, f := range files {
		raw, err := migrations.FS.ReadFile(f)
		if err != nil {
			return "", fmt.Errorf("read migration: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", f, len(raw), raw)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func build(ctx context.Context, want string) error {
	making := want + ".making"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	cluster, err := postgres.Start(ctx, postgres.Options{Dir: making, BinDir: binDir(), Log: os.Stderr, Throwaway: true})
	if err != nil {
		return err
	}
	err = postgres.Migrate(ctx, cluster.URL(""))
	if stop := cluster.Stop(ctx); err == nil {
		err = stop
	}
	if err != nil {
		return err
	}
	// A machine that goes down must not leave a half-written template behind.
	if err := syncAll(making); err != nil {
		return err
	}
	_ = os.RemoveAll(want)
	return os.Rename(making, want)
}

// emptyFolder makes a folder that a janitor removes once this process has ended,
// however it ended.
func emptyFolder() (string, error) {
	parent, err := base()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, runPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", err
	}
	// The file says, while it is locked, that somebody still uses the folder.
	inUse, err := lock(filepath.Join(dir, "in-use"))
	if err != nil {
		return "", err
	}
	keep(inUse)
	return dir, janitor(dir)
}

// janitor starts a shell that waits for us to end, which closes its standard
// input, then for our server, and removes dir.
func janitor(dir string) error {
	const script = `cat >/dev/null
n=0; while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
rm -rf -- "$1"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// The pipe stays open until we end; nobody writes to it.
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the janitor: %w", err)
	}
	keep(cmd)
	return nil
}

var kept struct {
	sync.Mutex
	things []any
}

// keep holds on to what must stay open until the process ends: collected, it
// would be closed.
func keep(thing any) {
	kept.Lock()
	defer kept.Unlock()
	kept.things = append(kept.things, thing)
}

// sweep removes what earlier processes left, where even the janitor was killed,
// and templates nobody has used for long.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			continue
		}
		switch {
		case strings.HasSuffix(e.Name(), ".making"): // we hold the lock, so nobody is at it
			_ = os.RemoveAll(path)
		case strings.HasPrefix(e.Name(), templatePrefix):
			if time.Since(info.ModTime()) > keepTemplates {
				_ = os.RemoveAll(path)
			}
		case strings.HasPrefix(e.Name(), runPrefix) && time.Since(info.ModTime()) > time.Minute:
			f, err := os.Open(filepath.Join(path, "in-use"))
			if err == nil {
				err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
				f.Close()
			}
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// lock waits for the file's lock, which holds until the file is closed or the
// process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// copyCluster copies a data directory with its owner.
func copyCluster(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

// syncAll puts everything under dir on the disk.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !(d.IsDir() || d.Type().IsRegular()) {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}
