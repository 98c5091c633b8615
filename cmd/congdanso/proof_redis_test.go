package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// TestProofRedisComesAndGoes: two instances share the account's rate. Redis is not
// there when they start, comes, is emptied, killed, and started again, all with more
// to send than the rate allows. Replies go out all the time, none is lost or
// doubled, and the two together never send faster than the setting.
func TestProofRedisComesAndGoes(t *testing.T) {
	t.Parallel()
	const perMinute = 900
	r := newRedis(t)
	w := newWorld(t, pgtest.URL(t), behindGateway, r.setting, func(o *zalosim.Options, vars map[string]string) {
		vars["ZALO_RATE_PER_MINUTE"] = strconv.Itoa(perMinute)
		o.OARatePerMinute = perMinute // over any sixty seconds
		o.KeepLog = 5000
	})
	g := newGateway(w, true)
	c := newCrowd(g, 60, 6)
	a, b := w.serve("127.0.0.1:0").Ready(), w.serve("127.0.0.1:0").Ready()
	g.to(a, b)
	c.ask(c.people, 6)
	more := func(when string, n int) {
		t.Helper()
		want := min(w.zalo.Accepted()+int64(n), int64(c.total()))
		eventually(t, time.Minute, "replies go out "+when, func() bool { return w.zalo.Accepted() >= want })
	}
	more("without Redis", 90)
	r.start()
	more("with Redis", 40)
	r.flush()
	more("after it was emptied", 40)
	r.stop()
	more("after it was killed", 90)
	r.start()
	more("after it was started again", 40)
	c.settle()

	c.account().nothingInDoubt(t)
	var at []time.Time
	for _, call := range w.zalo.Calls() {
		if call.Path == zalosim.PathToken {
			continue
		}
		at = append(at, call.At)
		if strings.Contains(call.Response, `"error":-32`) {
			t.Error("Zalo refused a call for its rate")
		}
	}
	if len(at) < c.total() {
		t.Fatalf("%d calls are on record for %d replies", len(at), c.total())
	}
	// Shorter than a minute, no stretch takes more than its part and the burst: a
	// hundredth of the rate, and a second's worth that a slow machine carries over.
	most, want := mostWithin(at, 10*time.Second), perMinute/6+perMinute/100+perMinute/60
	if most > want {
		t.Errorf("%d calls within ten seconds, want at most %d", most, want)
	}
	t.Logf("%d calls in %.0f s, at most %d within ten seconds", len(at), at[len(at)-1].Sub(at[0]).Seconds(), most)
	w.stop(a)
	w.stop(b)
}

// mostWithin is the largest number of moments that lie within so long of each other.
func mostWithin(at []time.Time, d time.Duration) (most int) {
	slices.SortFunc(at, time.Time.Compare)
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) > d {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

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
