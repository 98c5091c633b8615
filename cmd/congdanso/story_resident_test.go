package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/seal"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// The story tests tell what residents and operators live through, over the whole
// program: a real server, a real Postgres, and the stand-ins for what is outside.

// Dossiers of the stand-in that stories are told of, and the digits that open the
// first.
const (
	papersWanted = "H42.16-240612-0001"
	tooLate      = "H42.16-240612-0002"
	isReady      = "H42.16-240612-0004"
	rightDigits  = "0001"
)

// soon bounds what takes a moment, on a busy machine too.
const soon = 20 * time.Second

// resident is a person with a phone. Each does one thing, and reads what comes.
type resident struct {
	w  *world
	id string
}

// newcomer is somebody who has never written.
func (w *world) newcomer(n int) *resident {
	id := fmt.Sprintf("25%017d", n)
	w.zalo.AddUser(zalosim.User{ID: id, Name: fmt.Sprint("Người ", n)})
	return &resident{w: w, id: id}
}

// sends are the messages that Zalo took for the resident.
func (r *resident) sends() []zalosim.Send { return r.w.zalo.Sends(r.id) }

// does something and returns the one message that answers it.
func (r *resident) does(what string, act func()) zalosim.ChatMessage {
	r.w.t.Helper()
	before := len(r.sends())
	act()
	eventually(r.w.t, soon, "an answer to "+what, func() bool { return len(r.sends()) > before })
	return r.newest()
}

// newest is the last message of the account.
func (r *resident) newest() (last zalosim.ChatMessage) {
	for _, m := range r.w.zalo.Messages(r.id) {
		if !m.FromUser {
			last = m
		}
	}
	return last
}

func (r *resident) follows() zalosim.ChatMessage {
	r.w.t.Helper()
	return r.does("following", func() { r.w.zalo.Follow(r.id) })
}

func (r *resident) says(text string) zalosim.ChatMessage {
	r.w.t.Helper()
	return r.does(fmt.Sprintf("%.60q", text), func() { r.w.zalo.SendText(r.id, text) })
}

// taps the newest button of that title.
func (r *resident) taps(title string) zalosim.ChatMessage {
	r.w.t.Helper()
	payload := r.button(title)
	return r.does("["+title+"]", func() { r.w.zalo.Tap(r.id, payload, false) })
}

// button is what the newest button of that title carries.
func (r *resident) button(title string) string {
	r.w.t.Helper()
	payload := ""
	for _, m := range r.w.zalo.Messages(r.id) {
		for _, b := range m.Buttons {
			if b.Title == title {
				payload = b.Payload
			}
		}
	}
	if payload == "" {
		r.w.t.Fatalf("no button says %q; the newest message is:\n%s", title, r.newest().Text)
	}
	return payload
}

// heard is everything the account told the resident.
func (r *resident) heard() string { return strings.Join(r.w.replies(r.id), "\n\n") }

// event is the body of a text message of the resident, to be sent through
// zalosim.Sim.Raw: signed whenever the story wants it to be. text and msgID stand
// in it as they are, escapes included.
func (r *resident) event(msgID, text string, signed time.Time) []byte {
	return fmt.Appendf(nil, `{"app_id":%q,"sender":{"id":%q},"recipient":{"id":%q},"event_name":"user_send_text",`+
		`"message":{"text":"%s","msg_id":"%s"},"timestamp":"%d"}`,
		zalosim.ExampleAppID, r.id, zalosim.ExampleOAID, text, msgID, signed.UnixMilli())
}

// has fails unless the message holds all of the phrases.
func has(t testing.TB, m zalosim.ChatMessage, phrases ...string) {
	t.Helper()
	for _, p := range phrases {
		if p == "" || !strings.Contains(m.Text, p) {
			t.Fatalf("the message lacks %q:\n%s", p, m.Text)
		}
	}
}

// hasNone fails when text holds any of the phrases.
func hasNone(t testing.TB, text string, phrases ...string) {
	t.Helper()
	for _, p := range phrases {
		if strings.Contains(text, p) {
			t.Errorf("it holds %q:\n%s", p, text)
		}
	}
}

var library = sync.OnceValues(func() (*content.Library, error) {
	zone, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		return nil, err
	}
	return content.Load(content.Files(""), zone, content.WithPublicURL("https://zalo.example.gov.vn"))
})

// text is what content says under key.
func text(t testing.TB, key string, pairs ...any) string {
	t.Helper()
	return textIn(t, bot.Vietnamese, key, pairs...)
}

func textIn(t testing.TB, lang, key string, pairs ...any) string {
	t.Helper()
	texts, err := library()
	if err != nil {
		t.Fatal(err)
	}
	return texts.Text(lang, key, bot.Pairs(pairs...))
}

// open starts a server on a database of the test's own, connected to Zalo.
func open(t testing.TB, opts ...worldOption) (*world, *server) {
	t.Helper()
	w := newWorld(t, pgtest.URL(t), opts...)
	return w, w.start()
}

// start starts a server and waits until Zalo's events reach it.
func (w *world) start(args ...string) *server {
	w.t.Helper()
	s := w.serve("127.0.0.1:0", args...)
	w.zalo.SetWebhookURL(s.url + "/webhooks/zalo")
	return s.Ready()
}

// stop is what an operator does, and waits for.
func (w *world) stop(s *server) {
	w.t.Helper()
	if err := s.Stop(); err != nil {
		w.t.Fatalf("stop the server: %v", err)
	}
}

// quiet waits until every event was taken and turned and every message settled.
func (w *world) quiet() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := w.zalo.Settle(ctx); err != nil {
		w.t.Fatalf("webhooks are under way for long: %v", err)
	}
	w.settled(soon)
	if err := w.zalo.Settle(ctx); err != nil { // echoes and receipts of what was sent last
		w.t.Fatalf("webhooks are under way for long: %v", err)
	}
}

// invoke runs a subcommand inside the test.
func (w *world) invoke(args ...string) (out string, err error) {
	w.t.Helper()
	return invoke(w.vars, nil, args...)
}

func invoke(vars map[string]string, in io.Reader, args ...string) (out string, err error) {
	var both bytes.Buffer
	p := &program{vars: maps.Clone(vars), stdin: in, stdout: &both, stderr: &both}
	err = p.main(context.Background(), args)
	return both.String(), err
}

// keys are those of the world's database.
func (w *world) keys() *seal.Keyring {
	w.t.Helper()
	key, err := seal.ParseKey(w.vars["DATA_KEY"])
	if err != nil {
		w.t.Fatal(err)
	}
	ring, err := seal.Load(w.t.Context(), w.pool, key, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return ring
}

// count runs a query for one number.
func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// exec runs a statement.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// process is the program run in a folder of its own, with what it printed.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	gone chan struct{}
	mu   sync.Mutex
	out  bytes.Buffer
}

// Write takes what the program prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// printed is what the program has printed so far.
func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// run starts the program in dir and returns at once.
func run(t testing.TB, dir string, vars map[string]string, in io.Reader, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), gone: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = dir, in, p, p
	p.cmd.Env = []string{runAsProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PG_BIN_DIR=" + os.Getenv("PG_BIN_DIR")}
	for k, v := range vars {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	// What a program left behind that holds its output must not hold us.
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.gone) }()
	t.Cleanup(func() {
		p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.gone:
		case <-time.After(30 * time.Second):
			p.cmd.Process.Kill()
			<-p.gone
		}
		if t.Failed() {
			t.Logf("%v printed:\n%s", args, p.printed())
		}
	})
	return p
}

// prints waits until the program has printed a phrase.
func (p *process) prints(phrase string) {
	p.t.Helper()
	eventually(p.t, time.Minute, "it prints "+phrase, func() bool {
		select {
		case <-p.gone:
			if !strings.Contains(p.printed(), phrase) {
				p.t.Fatalf("it ended without printing %q:\n%s", phrase, p.printed())
			}
		default:
		}
		return strings.Contains(p.printed(), phrase)
	})
}

// ends waits for the program's end and returns its exit code.
func (p *process) ends() int {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(time.Minute):
		p.t.Fatalf("it does not end; it printed:\n%s", p.printed())
	}
	return p.cmd.ProcessState.ExitCode()
}

// interrupt is Ctrl-C.
func (p *process) interrupt() int {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGINT)
	return p.ends()
}
