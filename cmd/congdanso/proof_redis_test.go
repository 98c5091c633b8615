package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"congdanso/integrations/zalo/zalosim"
)

// redisServer is a redis-server of a test's own, on a Unix socket.
type redisServer struct {
	t      testing.TB
	dir    string
	socket string
	client *goredis.Client
	cmd    *exec.Cmd // nil while it is stopped
}

// newRedis makes a server that is not started yet and ends with t.
func newRedis(t testing.TB) *redisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "rd") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	r.client = goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.socket})
	t.Cleanup(func() {
		r.client.Close()
		r.stop()
		os.RemoveAll(dir)
	})
	return r
}

// setting points the servers of a world to it.
func (r *redisServer) setting(_ *zalosim.Options, vars map[string]string) {
	vars["REDIS_URL"] = "unix://" + r.socket
}

// start starts it, empty, and waits until it answers.
func (r *redisServer) start() *redisServer {
	r.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		r.t.Fatal("redis-server is not installed: apt-get install redis-server (or valkey-server with a link of that name)")
	}
	r.cmd = exec.Command(program, "--port", "0", "--unixsocket", r.socket, "--dir", r.dir, "--save", "", "--appendonly", "no")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, 20*time.Second, "redis-server answers", func() bool { return r.client.Ping(context.Background()).Err() == nil })
	return r
}

// stop kills it; what it knew is gone.
func (r *redisServer) stop() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

// flush empties it.
func (r *redisServer) flush() {
	r.t.Helper()
	if err := r.client.FlushAll(context.Background()).Err(); err != nil {
		r.t.Fatal(err)
	}
}
