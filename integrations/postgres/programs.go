package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// oldestMajor is the oldest Postgres this project runs on.
const oldestMajor = 15

// ErrNoPrograms means that this machine has no Postgres server programs that are
// new enough.
var ErrNoPrograms = errors.New("no Postgres server programs of version 15 or newer found: " +
	"install them (Debian, Ubuntu: apt-get install postgresql) or set PG_BIN_DIR to the folder that holds initdb and postgres")

// usualPlaces are where distributions put the server's own programs, which most
// keep out of PATH.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",       // Debian, Ubuntu
	"/usr/pgsql-*/bin",                // packages of postgresql.org for Red Hat
	"/usr/local/pgsql/bin",            // built from source
	"/opt/homebrew/opt/postgres*/bin", // Homebrew
}

// programs is a folder with initdb and postgres of one major version.
type programs struct {
	dir   string
	major int
}

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

// findPrograms returns the programs in binDir, or without one the newest of the
// usual places and PATH. With a major other than 0 (data already exist) only
// that version will do.
func findPrograms(ctx context.Context, binDir string, major int) (programs, error) {
	var dirs []string
	if binDir != "" {
		dirs = []string{binDir}
	} else {
		for _, pattern := range usualPlaces {
			found, _ := filepath.Glob(pattern)
			dirs = append(dirs, found...)
		}
		if path, err := exec.LookPath("postgres"); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	var found []programs
	for _, dir := range dirs {
		p := programs{dir: dir}
		if _, err := os.Stat(p.path("initdb")); err != nil {
			continue
		}
		var err error
		if p.major, err = majorOf(ctx, p.path("postgres")); err == nil && p.major >= oldestMajor {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		if binDir != "" {
			return programs{}, fmt.Errorf("in %s: %w", binDir, ErrNoPrograms)
		}
		return programs{}, ErrNoPrograms
	}
	if major == 0 {
		return slices.MaxFunc(found, func(a, b programs) int { return a.major - b.major }), nil
	}
	i := slices.IndexFunc(found, func(p programs) bool { return p.major == major })
	if i < 0 {
		return programs{}, fmt.Errorf("the data are of Postgres %d, and only version %d is installed: install postgresql-%d, or remove the folder to begin afresh",
			major, found[0].major, major)
	}
	return found[i], nil
}

// ProgramVersion tells which server programs a new cluster would use and where
// they are. It returns ErrNoPrograms when there are none.
func ProgramVersion(ctx context.Context, binDir string) (string, error) {
	p, err := findPrograms(ctx, binDir, 0)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, p.path("postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", p.path("postgres"), err)
	}
	return fmt.Sprintf("%s: %s", p.dir, bytes.TrimSpace(out)), nil
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

func majorOf(ctx context.Context, postgres string) (int, error) {
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", postgres, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s is no Postgres server: %q", postgres, out)
	}
	return strconv.Atoi(string(m[1]))
}
