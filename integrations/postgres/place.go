package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// longestSocket is the longest path of a Unix socket we rely on; systems allow
// 104 to 108 bytes.
const longestSocket = 100

// elsewhere is where a cluster goes whose own folder will not do.
const elsewhere = "/var/tmp"

// account is who runs the server. Postgres refuses to run as root, so root runs
// it as the user postgres.
type account struct {
	cred *syscall.Credential // nil: we ourselves
	uid  int
	gid  int
}

func serverAccount() (account, error) {
	if os.Getuid() != 0 {
		return account{uid: os.Getuid(), gid: os.Getgid()}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("postgres does not run as root, and there is no user named postgres to run it as "+
			"(Debian's package postgresql makes one; else: adduser --system --group postgres): %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, fmt.Errorf("read user id of postgres: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, fmt.Errorf("read group id of postgres: %w", err)
	}
	return account{cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, uid: uid, gid: gid}, nil
}

// place decides which folder a cluster wanted in dir really lives in, and says
// why when it is another one.
func place(dir string, who account) (folder, notice string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("find folder of the private cluster: %w", err)
	}
	var why string
	if len(filepath.Join(abs, socketDir, socketName)) > longestSocket {
		why = "its path is too long for a Unix socket"
	} else if barrier := firstBarrier(abs, who); barrier != "" {
		why = fmt.Sprintf("the user postgres may not pass %s", barrier)
	}
	if why == "" {
		return abs, "", nil
	}
	sum := sha256.Sum256([]byte(abs))
	folder = filepath.Join(elsewhere, "congdanso-"+hex.EncodeToString(sum[:6]))
	return folder, fmt.Sprintf("the private Postgres of %s lives in %s, for %s", abs, folder, why), nil
}

// firstBarrier returns the first folder on the way to dir that the server's
// account cannot pass, or "". Folders that do not exist yet will be made passable.
func firstBarrier(dir string, who account) string {
	if who.cred == nil {
		return "" // we make the folder, and we are who runs the server
	}
	var way []string
	for d := dir; ; d = filepath.Dir(d) {
		way = append(way, d)
		if d == filepath.Dir(d) {
			break
		}
	}
	slices.Reverse(way)
	for _, d := range way {
		info, err := os.Stat(d)
		if errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		if err != nil {
			return d
		}
		st := info.Sys().(*syscall.Stat_t)
		bit := fs.FileMode(0o001)
		switch {
		case int(st.Uid) == who.uid:
			bit = 0o100
		case int(st.Gid) == who.gid:
			bit = 0o010
		}
		if info.Mode().Perm()&bit == 0 {
			return d
		}
	}
	return ""
}

// prepare makes the cluster's folder, ours and passable for the server.
func prepare(folder string, who account) error {
	if err := makePassable(folder); err != nil {
		return fmt.Errorf("make folder of the private cluster: %w", err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return fmt.Errorf("look at folder of the private cluster: %w", err)
	}
	// Under /var/tmp anybody could have been there first.
	if st := info.Sys().(*syscall.Stat_t); !info.IsDir() || int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to somebody else: the private cluster will not live there", folder)
	}
	run := filepath.Join(folder, socketDir)
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("make socket folder of the private cluster: %w", err)
	}
	if who.cred != nil {
		if err := os.Chown(run, who.uid, who.gid); err != nil {
			return fmt.Errorf("hand socket folder to postgres: %w", err)
		}
	}
	return nil
}

// makePassable makes folder and its missing parents so that the server can pass
// them, whatever our umask.
func makePassable(folder string) error {
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makePassable(filepath.Dir(folder)); err != nil {
			return err
		}
		err = os.Mkdir(folder, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(folder, 0o755)
}
