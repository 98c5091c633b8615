package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphans lists the server processes that work in data: the postmaster and its
// children all have it as their working directory. Called under the folder's
// lock, it finds what a killed program of ours left behind. Systems without /proc
// show none, and rely on Postgres's own check of postmaster.pid.
func orphans(data string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err != nil || cwd != data {
			continue
		}
		if comm, err := os.ReadFile(filepath.Join(proc, "comm")); err == nil && strings.HasPrefix(string(comm), "postgres") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// postmasterPid reads the pid in postmaster.pid; 0 when there is none.
func postmasterPid(data string) int {
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// clearOrphans ends servers left behind in data and waits until they are gone:
// politely for a while (a fast shutdown that is under way needs no crash recovery
// afterwards), then harder. With nobody left, a stale postmaster.pid whose number
// another program of the same user has by now is taken away; any other stale one
// Postgres recognises by itself.
func clearOrphans(ctx context.Context, data string) error {
	signals := []struct {
		after time.Duration
		sig   syscall.Signal
	}{
		{0, syscall.SIGINT}, {8 * time.Second, syscall.SIGQUIT}, {12 * time.Second, syscall.SIGKILL},
	}
	start := time.Now()
	for {
		pids := orphans(data)
		if len(pids) == 0 {
			break
		}
		postmaster := postmasterPid(data)
		for len(signals) > 0 && time.Since(start) >= signals[0].after {
			for _, pid := range pids {
				// SIGINT asks a postmaster for a fast shutdown; its children follow,
				// and follow by themselves where it was killed.
				if pid == postmaster || signals[0].sig != syscall.SIGINT {
					_ = syscall.Kill(pid, signals[0].sig)
				}
			}
			signals = signals[1:]
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for an earlier server in %s (processes %v) to end: %w", data, pids, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
	pid := postmasterPid(data)
	if pid == 0 || pid == os.Getpid() {
		return nil
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		return nil
	}
	if syscall.Kill(pid, 0) == nil {
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
			return fmt.Errorf("remove stale lock file: %w", err)
		}
	}
	return nil
}
