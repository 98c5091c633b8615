package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"congdanso/integrations/postgres/pgtest"
)

// devVars are what a developer's shell may hold.
var devVars = map[string]string{"HTTP_ADDR": "127.0.0.1:0"}

// dev starts `congdanso dev` in dir and returns it with the address it says.
func startDev(t testing.TB, dir string, vars map[string]string) (p *process, base string) {
	t.Helper()
	p = run(t, dir, vars, nil, "dev")
	p.prints("Ctrl-C stops everything")
	_, rest, _ := strings.Cut(p.printed(), "Chat page")
	base, _, ok := strings.Cut(strings.TrimSpace(rest), "/chat")
	if !ok {
		t.Fatalf("dev does not say where the chat page is:\n%s", p.printed())
	}
	return p, base
}

// tell says something as a person at the stand-in of a dev, and returns what the
// channel has told that person once it holds a phrase.
func tell(t testing.TB, base, user, act, text, phrase string) (heard string) {
	t.Helper()
	resp, err := http.PostForm(base+"/dev/say", url.Values{"user": {user}, "act": {act}, "text": {text}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	eventually(t, soon, "the terminal shows "+phrase, func() bool {
		var list []line
		if err := json.Unmarshal([]byte(get(t, base+"/dev/messages?after=0&user="+user).body), &list); err != nil {
			t.Fatal(err)
		}
		heard = ""
		for _, l := range list {
			if !l.Mine {
				heard += l.Text + "\n\n"
			}
		}
		return strings.Contains(heard, phrase)
	})
	return heard
}

// TestStoryOfADevelopersDay: dev starts from nothing, a second one in the same
// folder is told so, the terminal joins it, Ctrl-C stops it cleanly, a kill does
// not hurt it, and what people said and kept is there the next time.
func TestStoryOfADevelopersDay(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	first, base := startDev(t, dir, devVars)
	const lan = "2512345678901234567"
	tell(t, base, lan, "follow", "", "Xin chào")
	tell(t, base, lan, "text", papersWanted, papersWanted)
	tell(t, base, lan, "tap", "#dossier.keep_yes:"+papersWanted, text(t, "dossier.keep.done", "Code", papersWanted))
	for _, path := range []string{"/chat", "/", "/readyz", "/metrics", "/privacy"} {
		if got := get(t, base+path); got.status >= 400 {
			t.Errorf("%s answers %d", path, got.status)
		}
	}

	second := run(t, dir, devVars, nil, "dev")
	if code := second.ends(); code != 1 || !strings.Contains(second.printed(), fmt.Sprintf("already running, started by process %d", first.cmd.Process.Pid)) {
		t.Errorf("a second dev ends with %d:\n%s", code, second.printed())
	}

	// The terminal joins what runs.
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer typed.Close()
	chat := run(t, dir, nil, in, "chat")
	chat.prints("Joined " + base)
	chat.prints(text(t, "menu.greeting")[:40])
	fmt.Fprintln(typed, isReady)
	chat.prints("Hồ sơ " + isReady)
	fmt.Fprintln(typed, "/tap 2")
	chat.prints(strings.Split(text(t, "dossier.follow.consent"), ".")[0])
	fmt.Fprintln(typed, "/tap 9")
	chat.prints("(there is no such button)")
	fmt.Fprintln(typed, "/quit")
	if code := chat.ends(); code != 0 {
		t.Errorf("the terminal ends with %d:\n%s", code, chat.printed())
	}

	// Ctrl-C, and another day.
	if code := first.interrupt(); code != 0 {
		t.Errorf("Ctrl-C ends it with %d:\n%s", code, first.printed())
	}
	if _, err := os.Stat(filepath.Join(dir, "var", "dev.json")); err == nil {
		t.Error("it still says that it runs")
	}
	again, base := startDev(t, dir, devVars)
	if heard := tell(t, base, lan, "text", "hồ sơ của tôi", text(t, "dossier.mine.title", "Count", 1)); !strings.Contains(heard, "Xin chào") {
		t.Errorf("yesterday's chat is gone:\n%s", heard)
	}
	again.cmd.Process.Kill()
	again.ends()
	_, base = startDev(t, dir, devVars)
	tell(t, base, lan, "follow", "", "Xin chào")
	if heard := tell(t, base, lan, "text", "hồ sơ của tôi", papersWanted); strings.Contains(heard, text(t, "dossier.mine.none")) {
		t.Errorf("what was kept is gone after a kill:\n%s", heard)
	}
}

// TestStoryOfAFileOfLines: with no dev running the terminal starts one for itself,
// says the lines it is given, waits for the last answer, and cleans up.
func TestStoryOfAFileOfLines(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	lines := "tra giup ho so " + papersWanted + "\n1\n" + rightDigits + "\nmenu\n\nH42.16-240612-01\n"
	chat := run(t, dir, devVars, strings.NewReader(lines), "chat")
	if code := chat.ends(); code != 0 {
		t.Fatalf("it ends with %d:\n%s", code, chat.printed())
	}
	at := 0
	for _, phrase := range []string{"Starting", "/tap N", "Cấp Giấy xác nhận tình trạng hôn nhân", "[Xem cần nộp gì]", "4 số cuối",
		"N*** T** M**", "Gặp cán bộ", "Mã còn thiếu 2 chữ số cuối"} {
		i := strings.Index(chat.printed()[at:], phrase)
		if i < 0 {
			t.Fatalf("%q does not come, or not in its place:\n%s", phrase, chat.printed())
		}
		at += i
	}
}

// TestStoryOfADevThatWouldReachRealPeople: dev touches nothing outside this
// machine unless it is told to.
func TestStoryOfADevThatWouldReachRealPeople(t *testing.T) {
	t.Parallel()
	refuse := func(vars map[string]string, phrases ...string) {
		t.Helper()
		_, err := invoke(vars, nil, "dev")
		if err == nil {
			t.Fatalf("dev starts with %v", vars)
		}
		for _, phrase := range phrases {
			if !strings.Contains(err.Error(), phrase) {
				t.Errorf("with %v: the error lacks %q: %v", vars, phrase, err)
			}
		}
	}
	for _, name := range []string{"ZALO_API_URL", "ZALO_OAUTH_URL", "ZALO_ZNS_URL"} {
		refuse(map[string]string{name: "https://openapi.zalo.me"}, name, "--live")
		refuse(map[string]string{name: "http://127.0.0.1.evil.example"}, name, "--live")
		refuse(map[string]string{name: "http://localhost@openapi.zalo.me/"}, name, "--live")
	}
	refuse(map[string]string{"DATABASE_URL": "postgres://congdanso@db.example/congdanso"}, "DATABASE_URL", "--live")
	refuse(map[string]string{"DATABASE_OWNER_URL": "postgres://owner@db.example/congdanso"}, "DATABASE_OWNER_URL", "--live")
	if _, err := os.Stat(devFolder); err == nil {
		t.Error("a dev that was refused has left a folder behind")
	}
	// A .env file says no more than the shell, and only to dev.
	dir := pgtest.Folder(t)
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("ZALO_API_URL=https://openapi.zalo.me\nDATA_KEY=short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := run(t, dir, nil, nil, "dev"); p.ends() != 1 || !strings.Contains(p.printed(), "ZALO_API_URL is not on this machine") {
		t.Errorf("dev with a .env that points at Zalo:\n%s", p.printed())
	}
	if p := run(t, dir, nil, nil, "serve"); p.ends() != 1 || !strings.Contains(p.printed(), "DATA_KEY is not set") {
		t.Errorf("serve beside a .env:\n%s", p.printed())
	}
	// Told to, it takes the database it is given, and names what is missing for Zalo.
	w := newWorld(t, pgtest.URL(t))
	p := run(t, pgtest.Folder(t), map[string]string{"HTTP_ADDR": "127.0.0.1:0", "DATABASE_URL": w.vars["DATABASE_URL"], "ZALO_API_URL": w.zaloURL}, nil, "dev", "--live")
	if code := p.ends(); code != 1 || !strings.Contains(p.printed(), "ZALO_APP_ID is not set") {
		t.Errorf("a Zalo of one's own without its settings ends with %d:\n%s", code, p.printed())
	}
}
