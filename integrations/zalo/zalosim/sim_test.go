package zalosim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	lan  = "2512345678901234567"
	minh = "2512345678901234999"
)

var noon = time.UnixMilli(1795401600000)

// bench is a stand-in behind a real server, with a door that records webhooks.
type bench struct {
	*Sim
	t     testing.TB
	url   string
	token string
	door  *door
}

// start runs a stand-in with a frozen clock and a door, unless opt says otherwise.
func start(t testing.TB, opt Options) *bench {
	t.Helper()
	d := newDoor(t)
	if opt.Clock == nil {
		opt.Clock = NewFrozenClock(noon)
	}
	if opt.WebhookURL == "" {
		opt.WebhookURL = d.url
	}
	s := New(opt)
	srv := httptest.NewServer(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() {
		s.Close()
		cancel()
		<-done
		srv.Close()
	})
	return &bench{Sim: s, t: t, url: srv.URL, token: s.AccessToken(), door: d}
}

// settle waits until every webhook that is due has been delivered.
func (b *bench) settle() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Settle(ctx); err != nil {
		b.t.Fatalf("webhooks did not settle: %v", err)
	}
}

// received is one webhook as it arrived at the door.
type received struct {
	name, mac, retry string
	body             string
}

// door records webhooks and answers what it is told to.
type door struct {
	url    string
	mu     sync.Mutex
	got    []received
	answer func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1
}

func newDoor(t testing.TB) *door {
	d := &door{}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL + "/webhooks/zalo"
	return d
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var ev struct {
		Name string `json:"event_name"`
	}
	json.Unmarshal(body, &ev)
	d.mu.Lock()
	d.got = append(d.got, received{name: ev.Name, body: string(body), retry: r.Header.Get("num_retry"),
		mac: strings.TrimPrefix(r.Header.Get("X-ZEvent-Signature"), "mac=")})
	n, answer := len(d.got), d.answer
	d.mu.Unlock()
	if answer != nil {
		answer(n, w, r)
		return
	}
	io.WriteString(w, "{}")
}

func (d *door) respond(answer func(n int, w http.ResponseWriter, r *http.Request)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

// all returns what arrived so far.
func (d *door) all() []received {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]received(nil), d.got...)
}

func (d *door) names() string {
	var out []string
	for _, r := range d.all() {
		out = append(out, r.name)
	}
	return strings.Join(out, " ")
}

// answered is what the API said.
type answered struct {
	Error   int             `json:"error"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	header  http.Header
}

// call sends body (POST) or, for an empty method, data (GET) with the token.
func (b *bench) call(method, path, body string) answered {
	b.t.Helper()
	res, raw, err := b.do(method, path, body, b.token)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	if res.StatusCode != 200 {
		b.t.Fatalf("%s %s: status %d, want 200 for every business answer: %s", method, path, res.StatusCode, raw)
	}
	var a answered
	if err := json.Unmarshal(raw, &a); err != nil {
		b.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
	a.header = res.Header
	return a
}

func (b *bench) do(method, path, body, token string) (*http.Response, []byte, error) {
	target := b.url + path
	var in io.Reader
	if method == http.MethodGet {
		target += "?data=" + url.QueryEscape(body)
	} else {
		in = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequest(method, target, in)
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("access_token", token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return res, raw, err
}

// say sends a plain text by API.
func (b *bench) say(user, text string) answered {
	b.t.Helper()
	body, _ := json.Marshal(map[string]any{
		"recipient": map[string]string{"user_id": user}, "message": map[string]string{"text": text}})
	return b.call("POST", PathSend, string(body))
}

func TestSignMatchesKnownVectors(t *testing.T) {
	body := `{"app_id":"1234567890123456789","sender":{"id":"2512345678901234567"},"recipient":{"id":"3612345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_send_text","message":{"text":"Xin chào","msg_id":"a1b2c3d4e5f60718293a"},"timestamp":"1795401600000"}`
	if len(body) != 271 {
		t.Fatalf("the vector has %d bytes, want 271", len(body))
	}
	for _, tt := range []struct{ body, want string }{
		{body, "52ecc22c3af6729985d880bce4a8cc9517690409ce7b4880c0c3ff8b373d613a"},
		{strings.Replace(body, "à", `\u00e0`, 1), "2a12de052a387409f0f010d60a97f54255d52a36b5db85074def92bb8d1c0122"},
	} {
		if got := Sign("1234567890123456789", []byte(tt.body), "1795401600000", "oa-secret-key-EXAMPLE"); got != tt.want {
			t.Errorf("mac of %s\n got %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

// The body the stand-in makes is the vector's, byte by byte.
func TestTextEventIsZalosOwn(t *testing.T) {
	for _, tt := range []struct {
		escape bool
		text   string
	}{{false, "Xin chào"}, {true, `Xin ch\u00e0o`}} {
		b := start(t, Options{EscapeUnicode: tt.escape})
		id := b.SendText(lan, "Xin chào")
		b.settle()
		got := b.door.all()
		if len(got) != 1 {
			t.Fatalf("%d webhooks arrived, want 1", len(got))
		}
		want := `{"app_id":"1234567890123456789","sender":{"id":"2512345678901234567"},"recipient":{"id":"3612345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_send_text","message":{"text":"` + tt.text + `","msg_id":"` + id + `"},"timestamp":"1795401600000"}`
		if got[0].body != want {
			t.Errorf("body\n got %s\nwant %s", got[0].body, want)
		}
		if mac := Sign(ExampleAppID, []byte(want), "1795401600000", ExampleOASecret); got[0].mac != mac {
			t.Errorf("mac %s, want %s", got[0].mac, mac)
		}
		if len(id) != 20 {
			t.Errorf("message id %q, want 20 hex digits", id)
		}
	}
}
