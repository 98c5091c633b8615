package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks for a page, without following anything.
func get(t testing.TB, url string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req, headers...)
}

// do sends a request with headers as name, value, name, value.
func do(t testing.TB, req *http.Request, headers ...string) answer {
	t.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// TestStoryOfAVisitor: what the world sees of a server, and what it does not.
func TestStoryOfAVisitor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"web/zalo_verifierAbC123.html": "<html>proof</html>", "web/secret.html": "no", "zalo_verifierX.html": "no"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, s := open(t, func(_ *zalosim.Options, vars map[string]string) { vars["CONTENT_DIR"] = dir })

	for path, want := range map[string]string{"/healthz": `{"status":"alive"}`, "/readyz": `{"status":"ready"}`} {
		got := get(t, s.url+path)
		if got.status != 200 || strings.TrimSpace(got.body) != want || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s %s", path, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
	w.newcomer(1).says(papersWanted)
	w.quiet()
	figures := get(t, s.url+"/metrics")
	for _, name := range []string{
		`congdanso_accepted_total{event="user_send_text"} 1`, "congdanso_turn_seconds_bucket", "congdanso_inbox_oldest_seconds 0",
		"congdanso_zalo_token_age_seconds", "congdanso_breaker_open 0", "congdanso_sending_stopped 0", "congdanso_dead_letters_total 0",
		`congdanso_deliveries_total{class="reply",outcome="sent"} 1`, `congdanso_outbox_oldest_seconds{class="reply"}`, "go_goroutines",
	} {
		if !strings.Contains(figures.body, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	for _, proxied := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"} {
		if got := get(t, s.url+"/metrics", proxied, "192.0.2.1"); got.status != 404 || strings.Contains(got.body, "congdanso_") {
			t.Errorf("figures leave the network with %s: %d", proxied, got.status)
		}
	}

	for _, page := range []string{"about", "privacy"} {
		path := map[string]string{"about": "/", "privacy": "/privacy"}[page]
		for lang, query := range map[string]string{"vi": "", "en": "?lang=en"} {
			got := get(t, s.url+path+query)
			title := html.EscapeString(textIn(t, lang, "pages."+page+".title"))
			if got.status != 200 || !strings.Contains(got.body, title) || !strings.Contains(got.body, `<html lang="`+lang+`"`) {
				t.Errorf("%s%s: %d, without %q\n%s", path, query, got.status, title, got.body)
			}
			csp := got.header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Referrer-Policy") == "" {
				t.Errorf("%s%s lacks a header: %v", path, query, got.header)
			}
			hasNone(t, got.body, "‹", "{{", "<no value>", "<script")
		}
	}
	if got := get(t, s.url+"/zalo_verifierAbC123.html"); got.status != 200 || got.body != "<html>proof</html>" {
		t.Errorf("Zalo's proof of the domain: %d %s", got.status, got.body)
	}
	for _, path := range []string{
		"/zalo_verifierNone.html", "/zalo_verifierX.html", "/secret.html", "/province.toml", "/zalo_verifier..html", "/web/secret.html",
		"/zalo_verifier%2f..%2f..%2fprovince.html", "/zalo_verifier%5c..html", "/chat", "/chat/", "/dev/say", "/dev/messages", "/console/",
		"/webhooks/procedures", "/debug/pprof/", "/.env", "/nothing",
	} {
		if got := get(t, s.url+path); got.status != 404 && got.status != 405 || strings.Contains(got.body, "proof") || strings.Contains(got.body, dir) {
			t.Errorf("%s answers %d %s", path, got.status, got.body)
		}
	}
	if got := get(t, s.url+"/webhooks/zalo"); got.status != 405 && got.status != 404 {
		t.Errorf("GET of the door answers %d", got.status)
	}

	// A server without the role web shows none of it, but is watched all the same.
	worker := w.serve("127.0.0.1:0", "--roles", "worker,jobs").Ready()
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/": 404, "/privacy": 404, "/zalo_verifierAbC123.html": 404} {
		if got := get(t, worker.url+path); got.status != want {
			t.Errorf("a worker answers %s with %d, want %d", path, got.status, want)
		}
	}
	w.stop(worker)
	w.stop(s)
}

// TestStoryOfADoor: what is knocked with, and what is answered.
func TestStoryOfADoor(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	lan.follows()
	now := time.Now()
	good := lan.event("knock-1", "menu", now)
	number := bytes.Replace(lan.event("knock-2", "menu", now), fmt.Appendf(nil, `"timestamp":"%d"`, now.UnixMilli()), fmt.Appendf(nil, `"timestamp":%d`, now.UnixMilli()), 1)
	twelve := bytes.Replace(lan.event("knock-3", "menu", now), fmt.Appendf(nil, "%d", now.UnixMilli()), []byte("154390853474"), 1)
	twice := bytes.Replace(lan.event("knock-4", "menu", now), []byte(`{"app_id"`), []byte(`{"timestamp":"1","app_id"`), 1)
	foreign := bytes.Replace(lan.event("knock-5", "menu", now), []byte(zalosim.ExampleOAID), []byte("388613280878808645"), 1)
	old := lan.event("knock-6", "menu", now.Add(-2*time.Hour))
	mac := func(body []byte, stamp, secret string) string {
		return "mac=" + zalosim.Sign(zalosim.ExampleAppID, body, stamp, secret)
	}
	stamp := itoa(int(now.UnixMilli()))
	var squeezed bytes.Buffer
	gz := gzip.NewWriter(&squeezed)
	gz.Write(good)
	gz.Close()
	secret := zalosim.ExampleOASecret
	for _, k := range []struct {
		what   string
		body   []byte
		mac    string
		status int
		more   []string
	}{
		{"a delivery", good, mac(good, stamp, secret), 200, nil},
		{"the same again", good, mac(good, stamp, secret), 200, nil},
		{"in pieces", number, mac(number, stamp, secret), 200, []string{"Transfer-Encoding", "chunked"}},
		{"a timestamp of twelve digits", twelve, mac(twelve, "154390853474", secret), 200, nil},
		{"a timestamp that stands twice", twice, mac(twice, stamp, secret), 200, nil},
		{"a retry two hours old", old, mac(old, itoa(int(now.Add(-2*time.Hour).UnixMilli())), secret), 200, nil},
		{"another account's", foreign, mac(foreign, stamp, secret), 200, nil},
		{"Zalo's unsigned probe", []byte(`{}`), "", 200, nil},
		{"unsigned", good, "", 401, nil},
		{"signed by nobody", good, "mac=" + strings.Repeat("0", 64), 401, nil},
		{"a signature of something else", good, "hmac=x", 401, nil},
		{"signed with the App Secret", good, mac(good, stamp, zalosim.ExampleAppSecret), 401, nil},
		{"altered on the way", append(bytes.Clone(good), ' '), mac(good, stamp, secret), 401, nil},
		{"not JSON", []byte("event_name=user_send_text"), mac(good, stamp, secret), 400, nil},
		{"cut short", good[:len(good)-9], mac(good, stamp, secret), 400, nil},
		{"nothing", nil, mac(good, stamp, secret), 400, nil},
		{"squeezed", squeezed.Bytes(), mac(squeezed.Bytes(), stamp, secret), 400, []string{"Content-Encoding", "gzip"}},
		{"too large", append(bytes.Repeat([]byte{' '}, 1<<20), good...), mac(good, stamp, secret), 413, nil},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/webhooks/zalo", bytes.NewReader(k.body))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(k.more, "chunked") {
			req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(k.body))
		}
		if k.mac != "" {
			req.Header.Set("X-ZEvent-Signature", k.mac)
		}
		got := do(t, req, k.more...)
		if got.status != k.status {
			t.Errorf("%s is answered %d %s, want %d", k.what, got.status, got.body, k.status)
		}
		if k.status == 200 && got.body != "{}" {
			t.Errorf("%s is answered with %q, want an empty object", k.what, got.body)
		}
	}
	// A body that is announced and never comes.
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /webhooks/zalo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(reply, " 400 ") {
		t.Errorf("half a body is answered %q, %v", reply, err)
	}
	conn.Close()

	// The door still works, and four of those deliveries were turned once each:
	// knock-1, -2, -3 and -4; the late one said nothing that stands by itself.
	w.settled(soon)
	if n := len(lan.sends()); n < 2 || n > 5 {
		t.Errorf("%d messages for four different deliveries, greeting included", n)
	}
	has(t, lan.says(papersWanted), papersWanted)
	if !strings.Contains(s.Logs(), "signed with the App Secret") {
		t.Error("the log does not say that the secrets are mixed up")
	}
	w.stop(s)
}

// TestStoryOfAServerWithoutPostgres: it starts, says that it lives and cannot
// serve, keeps nothing it could lose, and gives no password away.
func TestStoryOfAServerWithoutPostgres(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), func(_ *zalosim.Options, vars map[string]string) {
		vars["DATABASE_URL"] = "postgres://congdanso:geheimes-wort@127.0.0.1:1/congdanso"
	})
	s := w.serve("127.0.0.1:0")
	if got := get(t, s.url+"/healthz"); got.status != 200 {
		t.Errorf("/healthz answers %d", got.status)
	}
	got := get(t, s.url+"/readyz")
	var why struct{ Status, Why string }
	if err := json.Unmarshal([]byte(got.body), &why); err != nil || got.status != 503 || why.Why == "" {
		t.Errorf("/readyz answers %d %s", got.status, got.body)
	}
	if got := get(t, s.url+"/privacy"); got.status != 200 {
		t.Errorf("/privacy answers %d", got.status)
	}
	lan := w.newcomer(1)
	body := lan.event("m1", "menu", time.Now())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/webhooks/zalo", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := do(t, req); got.status != 503 || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("the door answers %d after %v", got.status, time.Since(began))
	}
	eventually(t, soon, "the log says what it waits for", func() bool { return strings.Contains(s.Logs(), "waiting for Postgres") })
	hasNone(t, s.Logs()+got.body, "geheimes-wort")
	w.stop(s)
}
