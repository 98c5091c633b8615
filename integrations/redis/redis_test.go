package redis

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"congdanso/bot"
)

// server is a redis-server of a test's own, on a Unix socket.
type server struct {
	t      testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
}

// startServer starts a server that ends with t. Without the program the test
// fails: nothing is skipped.
func startServer(t testing.TB) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rd") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	s.start()
	t.Cleanup(func() { s.stop(); os.RemoveAll(dir) })
	return s
}

func (s *server) start() {
	s.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is not installed: apt-get install redis-server (or valkey-server with a link of that name)")
	}
	s.cmd = exec.Command(program, "--port", "0", "--unixsocket", s.socket, "--dir", s.dir, "--save", "", "--appendonly", "no")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: s.socket})
	defer client.Close()
	eventually(s.t, "redis-server answers", func() bool { return client.Ping(context.Background()).Err() == nil })
}

func (s *server) stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) open() *Redis {
	s.t.Helper()
	r, err := Open("unix://" + s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close() })
	return r
}

// run runs r until the test ends.
func run(t testing.TB, r *Redis) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestOpenRefusesAMalformedURL(t *testing.T) {
	for _, url := range []string{"http://localhost", "redis://%zz", "://"} {
		if _, err := Open(url); err == nil {
			t.Errorf("Open(%q) succeeded", url)
		}
	}
}

func TestCacheWithAndWithoutServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := startServer(t)
	absent, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Redis{"with": s.open(), "without": absent} {
		r.Set(ctx, "a", []byte("1"), time.Minute)
		if got, ok := r.Get(ctx, "a"); !ok || string(got) != "1" {
			t.Errorf("%s a server: Get = %q, %v", name, got, ok)
		}
		if _, ok := r.Get(ctx, "b"); ok {
			t.Errorf("%s a server: found what was never kept", name)
		}
	}
	other := s.open()
	if got, ok := other.Get(ctx, "a"); !ok || string(got) != "1" {
		t.Errorf("another instance: Get = %q, %v", got, ok)
	}
	if err := other.client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok := other.Get(ctx, "a"); ok {
		t.Error("found after the server was emptied")
	}
}

func TestServerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := startServer(t)
	r := s.open()
	r.Listen("x", func([]bot.CitizenID) {})
	run(t, r)
	s.stop()
	eventually(t, "the server is away", func() bool { return !r.Up() })
	r.Set(ctx, "a", []byte("1"), time.Minute)
	if got, ok := r.Get(ctx, "a"); !ok || string(got) != "1" {
		t.Errorf("while away: Get = %q, %v", got, ok)
	}
	s.start()
	eventually(t, "the server is back", func() bool { return r.Up() })
	r.Set(ctx, "a", []byte("2"), time.Minute)
	if got, ok := s.open().Get(ctx, "a"); !ok || string(got) != "2" {
		t.Errorf("once back, elsewhere: Get = %q, %v", got, ok)
	}
}

func TestWakeUpsReachOtherInstances(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := s.open(), s.open()
	got := make(chan []bot.CitizenID, 100)
	b.Listen("inbox", func(who []bot.CitizenID) { got <- who })
	run(t, b)
	want := []bot.CitizenID{{OA: "1", User: "2"}, {OA: "1", User: "3"}}
	deliver := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			a.note(context.Background(), a.client.Ping(context.Background()).Err())
			a.Notify("inbox", want)
			select {
			case who := <-got:
				if diff := cmp.Diff(want, who); diff != "" {
					t.Fatal(diff)
				}
				return true
			default:
				return false
			}
		})
	}
	deliver("a wake-up arrives")
	s.stop()
	eventually(t, "the server is away", func() bool { return !b.Up() })
	for len(got) > 0 {
		<-got
	}
	s.start()
	deliver("a wake-up arrives after the server came back")
}

func TestLRUForgetsTheOldest(t *testing.T) {
	c := newLRU(2)
	now := time.Unix(1000, 0)
	for i := range 3 {
		c.set(fmt.Sprint(i), []byte{byte(i)}, time.Minute, now)
		c.get("0", now) // keeps it young
	}
	if _, ok := c.get("1", now); ok {
		t.Error("the entry used longest ago is still there")
	}
	if _, ok := c.get("0", now); !ok {
		t.Error("an entry used lately is gone")
	}
	if _, ok := c.get("0", now.Add(time.Minute)); ok {
		t.Error("an entry outlived its time")
	}
}
