package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/procedures/proceduresim"
	"congdanso/integrations/zalo/zalosim"
)

// runAsProgram makes the test binary behave as the program itself, so that tests
// have a real process to kill.
const runAsProgram = "CONGDANSO_TEST_PROGRAM"

// profileTo names the file into which a benchmark's server profiles itself.
const profileTo = "CONGDANSO_TEST_PROFILE"

func TestMain(m *testing.M) {
	if os.Getenv(runAsProgram) != "" {
		if file := os.Getenv(profileTo); file != "" {
			f, err := os.Create(file)
			if err != nil {
				panic(err)
			}
			if err := pprof.StartCPUProfile(f); err != nil {
				panic(err)
			}
			main() // ends with SIGTERM
			pprof.StopCPUProfile()
			os.Exit(0)
		}
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world is everything around a server: Zalo, the procedure system, Postgres.
type world struct {
	t       testing.TB
	zalo    *zalosim.Sim
	zaloURL string
	proc    *proceduresim.Sim
	pool    *pgxpool.Pool
	vars    map[string]string
}

type worldOption func(*zalosim.Options, map[string]string)

// newWorld makes the surroundings. database is the URL of a migrated database.
func newWorld(t testing.TB, database string, opts ...worldOption) *world {
	t.Helper()
	zo := zalosim.Options{RatePerMinute: -1, OARatePerMinute: -1}
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	vars := map[string]string{
		"DATABASE_URL": database, "DATA_KEY": key, "PUBLIC_URL": "https://zalo.example.gov.vn",
		"ZALO_APP_ID": zalosim.ExampleAppID, "ZALO_APP_SECRET": zalosim.ExampleAppSecret,
		"ZALO_OA_ID": zalosim.ExampleOAID, "ZALO_WEBHOOK_SECRET": zalosim.ExampleOASecret,
		"ZALO_RATE_PER_MINUTE": "1000000", "LOG_LEVEL": "info",
	}
	for _, o := range opts {
		o(&zo, vars)
	}
	w := &world{t: t, zalo: zalosim.New(zo), proc: proceduresim.New(proceduresim.Options{ClientID: standInClient, ClientSecret: standInSecret}), vars: vars}
	zaloSrv, procSrv := httptest.NewServer(w.zalo), httptest.NewServer(w.proc)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.zalo.Run(ctx); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		zaloSrv.CloseClientConnections()
		procSrv.CloseClientConnections()
		zaloSrv.Close()
		procSrv.Close()
	})
	w.zaloURL = zaloSrv.URL
	maps.Copy(vars, map[string]string{
		"ZALO_API_URL": zaloSrv.URL, "ZALO_OAUTH_URL": zaloSrv.URL, "ZALO_ZNS_URL": zaloSrv.URL,
		"ZALO_REFRESH_TOKEN": w.zalo.RefreshToken(),
		"PROCEDURES_URL":     procSrv.URL, "PROCEDURES_TOKEN_URL": procSrv.URL + proceduresim.TokenPath,
		"PROCEDURES_CLIENT_ID": standInClient, "PROCEDURES_CLIENT_SECRET": standInSecret,
	})
	w.pool = pgtest.Open(t, database)
	return w
}

// server is a running `congdanso serve`.
type server struct {
	t    testing.TB
	cmd  *exec.Cmd
	url  string
	mu   sync.Mutex
	logs []string
	gone chan struct{}
}

// freePort finds a port for a server that has to come back on the same address.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// serve starts a server as a process of its own and waits until it listens.
func (w *world) serve(addr string, args ...string) *server {
	w.t.Helper()
	s := &server{t: w.t, gone: make(chan struct{})}
	s.cmd = exec.Command(os.Args[0], append([]string{"serve"}, args...)...)
	s.cmd.Env = []string{runAsProgram + "=1", "PATH=" + os.Getenv("PATH"), "HTTP_ADDR=" + addr, "HOME=" + os.Getenv("HOME")}
	for k, v := range w.vars {
		s.cmd.Env = append(s.cmd.Env, k+"="+v)
	}
	if file := os.Getenv(profileTo); file != "" {
		s.cmd.Env = append(s.cmd.Env, profileTo+"="+file)
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	listening := make(chan string, 1)
	go s.read(stderr, listening)
	w.t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGCONT)
		s.Kill()
		if w.t.Failed() {
			s.mu.Lock()
			w.t.Logf("log of %s:\n%s", addr, strings.Join(s.logs[max(0, len(s.logs)-60):], "\n"))
			s.mu.Unlock()
		}
	})
	select {
	case s.url = <-listening:
	case <-s.gone:
		w.t.Fatal("the server ended at once")
	case <-time.After(30 * time.Second):
		w.t.Fatal("the server does not listen")
	}
	return s
}

func (s *server) read(r io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.logs = append(s.logs, lines.Text())
		s.mu.Unlock()
		var l struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
			listening <- l.URL
		}
	}
	s.cmd.Wait()
	close(s.gone)
}

// Logs returns what the server has logged.
func (s *server) Logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.logs, "\n")
}

// Ready waits until /readyz says so.
func (s *server) Ready() *server {
	s.t.Helper()
	eventually(s.t, 30*time.Second, "server is ready", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

// Kill is kill -9.
func (s *server) Kill() {
	s.cmd.Process.Kill()
	<-s.gone
}

// Stop is what an operator does.
func (s *server) Stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(30 * time.Second):
		return fmt.Errorf("did not stop within 30 s")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

// eventually polls a condition that something else brings about.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// settled waits until nothing waits in inbox or outbox.
func (w *world) settled(within time.Duration) {
	w.t.Helper()
	eventually(w.t, within, "inbox and outbox are empty", func() bool {
		var n int
		err := w.pool.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM outbox)`).Scan(&n)
		return err == nil && n == 0
	})
}

// replies lists the texts that Zalo took for a person, in order.
func (w *world) replies(user string) (list []string) {
	for _, m := range w.zalo.Messages(user) {
		if !m.FromUser {
			list = append(list, m.Text)
		}
	}
	return list
}

// durable is a Postgres server of the test's own, with a migrated database.
func durable(t testing.TB) (*postgres.Cluster, string) {
	t.Helper()
	c := pgtest.Durable(t)
	return c, c.URL("")
}
