package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/procedures/proceduresim"
	"congdanso/integrations/zalo/zalosim"
)

func TestStoryOfSomebodyWhoLooksAround(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}} {
		out, err := invoke(nil, nil, args...)
		if err != nil {
			t.Errorf("congdanso %v: %v", args, err)
		}
		for _, c := range commands() {
			if !strings.Contains(out, "  "+c.name+" ") || !strings.Contains(out, c.about) {
				t.Errorf("congdanso %v does not tell of %s:\n%s", args, c.name, out)
			}
		}
	}
	if out, err := invoke(nil, nil, "version"); err != nil || !strings.HasPrefix(out, "congdanso ") {
		t.Errorf("version: %q, %v", out, err)
	}
	for _, args := range [][]string{
		{"sevre"}, {"serve", "--roles", "wep"}, {"serve", "--colour"}, {"understand"}, {"understand", "a", "b"},
		{"check", "--lively"}, {"resume", "--erase", "x"}, {"dead-letters", "--retry", "first"}, {"dev", "--lively"},
	} {
		if _, err := invoke(nil, nil, args...); !errors.Is(err, errUsage) {
			t.Errorf("congdanso %v: %v; want an error of usage", args, err)
		}
	}
	p := run(t, t.TempDir(), nil, nil, "sevre")
	if code := p.ends(); code != 2 || !strings.Contains(p.printed(), `no command "sevre"`) || !strings.Contains(p.printed(), "congdanso help") {
		t.Errorf("an unknown command ends with %d:\n%s", code, p.printed())
	}
}

// TestStoryOfSettingsForgotten: one message names all that is missing or wrong.
func TestStoryOfSettingsForgotten(t *testing.T) {
	t.Parallel()
	required := []string{
		"PUBLIC_URL", "DATABASE_URL", "ZALO_APP_ID", "ZALO_APP_SECRET", "ZALO_OA_ID", "ZALO_WEBHOOK_SECRET", "ZALO_REFRESH_TOKEN",
		"PROCEDURES_URL", "PROCEDURES_TOKEN_URL", "PROCEDURES_CLIENT_ID", "PROCEDURES_CLIENT_SECRET", "DATA_KEY",
	}
	wrong := map[string]string{
		"ZALO_RATE_PER_MINUTE": "many", "SEND_PAUSED": "perhaps", "LOG_LEVEL": "loud", "LOG_FORMAT": "poem", "TZ_NAME": "Asia/Hanoi",
		"ZALO_API_URL": "openapi.zalo.me", "DATA_KEY_OLD": "short", "SMTP_URL": "smtp://mail.example:25",
	}
	for _, command := range []string{"serve", "resume", "dead-letters"} {
		_, err := invoke(wrong, nil, command)
		if err == nil {
			t.Fatalf("%s starts without settings", command)
		}
		for _, name := range required {
			if !strings.Contains(err.Error(), name+" is not set") {
				t.Errorf("%s does not name %s:\n%v", command, name, err)
			}
		}
		for name := range wrong {
			if name == "SMTP_URL" {
				name = "ALERT_MAIL" // is what is missing then
			}
			if strings.Count(err.Error(), "- "+name+" ") != 1 {
				t.Errorf("%s does not name %s once:\n%v", command, name, err)
			}
		}
		hasNone(t, err.Error(), "ZaloRatePerMinute", "strconv", "SendPaused")
	}
	if _, err := invoke(nil, nil, "migrate"); err == nil || !strings.Contains(err.Error(), "DATABASE_OWNER_URL") {
		t.Errorf("migrate without a database: %v", err)
	}
}

// TestStoryOfAnInstallation: migrate, twice and side by side; a start on an older
// schema is refused; check says what is well and what is not.
func TestStoryOfAnInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.EmptyURL(t))
	vars := maps.Clone(w.vars)
	vars["HTTP_ADDR"] = "127.0.0.1:0"
	p := run(t, t.TempDir(), vars, nil, "serve")
	if code := p.ends(); code != 1 || !strings.Contains(p.printed(), "run `congdanso migrate` first") {
		t.Fatalf("a start without a schema ends with %d:\n%s", code, p.printed())
	}
	if out, err := w.invoke("check", "--live"); !errors.Is(err, errCheck) || !strings.Contains(out, "FAIL  postgres: ") || !strings.Contains(out, "migrate") {
		t.Errorf("check before migrate: %v\n%s", err, out)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if out, err := w.invoke("migrate"); err != nil || !strings.Contains(out, "up to date") {
				t.Errorf("migrate: %v\n%s", err, out)
			}
		})
	}
	both.Wait()
	if out, err := w.invoke("migrate"); err != nil || !strings.Contains(out, "up to date") {
		t.Errorf("migrate again: %v\n%s", err, out)
	}

	// A release older than the schema is refused, a newer schema is not.
	var newest int
	if err := w.pool.QueryRow(t.Context(), `SELECT max(version_id) FROM goose_db_version`).Scan(&newest); err != nil {
		t.Fatal(err)
	}
	w.exec(`DELETE FROM goose_db_version WHERE version_id = $1`, newest)
	p = run(t, t.TempDir(), vars, nil, "serve")
	if code := p.ends(); code != 1 || !strings.Contains(p.printed(), "older than this program") {
		t.Errorf("a start on an older schema ends with %d:\n%s", code, p.printed())
	}
	w.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true), ($1 + 1, true)`, newest)
	s := w.start()
	has(t, w.newcomer(1).says(papersWanted), papersWanted)
	w.stop(s)

	out, err := w.invoke("check", "--live")
	if err != nil {
		t.Fatalf("check --live: %v\n%s", err, out)
	}
	for _, line := range []string{"ok    settings", "ok    content", "ok    lexicon", "ok    postgres", "ok    data keys",
		"ok    zalo token and account", "ok    procedure system", "Công dân số Ninh Bình", "warn  REDIS_URL", "warn  SMTP_URL",
		"DATABASE_URL and DATABASE_OWNER_URL are one role"} {
		if !strings.Contains(out, line) {
			t.Errorf("check does not say %q:\n%s", line, out)
		}
	}
	hasNone(t, out, "FAIL", w.vars["DATA_KEY"], w.vars["ZALO_APP_SECRET"], w.vars["ZALO_REFRESH_TOKEN"])
}

// TestStoryOfACheckThatFails: every fault is told, each by its name, and the exit
// says that there is something to mend.
func TestStoryOfACheckThatFails(t *testing.T) {
	t.Parallel()
	if out, err := invoke(nil, nil, "check"); !errors.Is(err, errCheck) || !strings.Contains(out, "FAIL  settings") || !strings.Contains(out, "ok    content") {
		t.Errorf("check without settings: %v\n%s", err, out)
	}
	w := newWorld(t, pgtest.URL(t))
	failing := func(line string, change func(vars map[string]string), args ...string) {
		t.Helper()
		vars := maps.Clone(w.vars)
		change(vars)
		out, err := invoke(vars, nil, append([]string{"check"}, args...)...)
		if !errors.Is(err, errCheck) || !strings.Contains(out, line) {
			t.Errorf("check does not say %q: %v\n%s", line, err, out)
		}
	}
	content := t.TempDir()
	if err := os.Mkdir(filepath.Join(content, "locales"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(content, "locales", "menu.vi.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	withContent := func(vars map[string]string) { vars["CONTENT_DIR"] = content }
	write("[menu]\ngreeting = \"Xin chào\"\n")
	failing("FAIL  content", withContent)
	failing("menu.button.lookup", withContent)
	write("[menu\n")
	failing("FAIL  content", withContent)
	// The same faults stop a start.
	vars := maps.Clone(w.vars)
	withContent(vars)
	if _, err := invoke(vars, nil, "serve"); err == nil || !strings.Contains(err.Error(), "menu.vi.toml") {
		t.Errorf("a start with broken content: %v", err)
	}

	failing("FAIL  postgres", func(vars map[string]string) { vars["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none" }, "--live")
	failing("FAIL  zalo token and account", func(vars map[string]string) { vars["ZALO_OA_ID"] = "3999999999999999999" }, "--live")
	remove := w.proc.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway})
	failing("FAIL  procedure system", func(map[string]string) {}, "--live")
	remove()
	failing("FAIL  procedure system", func(vars map[string]string) { vars["PROCEDURES_CLIENT_SECRET"] = "another" }, "--live")
	w.zalo.Fault(zalosim.Fault{Path: zalosim.PathToken, Times: -1, Status: 502})
	failing("FAIL  zalo token and account", func(vars map[string]string) { vars["ZALO_REFRESH_TOKEN"] = "a-token-zalo-never-gave" }, "--live")
}

// TestStoryOfImprovingTheWords: a file of sentences is read, each that is taken
// for something else is printed, and the sum ends it.
func TestStoryOfImprovingTheWords(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sentences.csv")
	sentences := "intent,text\ngreet,xin chào\nlookup,tra cứu hồ sơ\nhuman,\"tôi muốn, gặp cán bộ\"\nstop,xin chào\n"
	if err := os.WriteFile(file, []byte("\uFEFF"+sentences), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := invoke(nil, nil, "understand", file)
	if err != nil || out != "xin chào\tstop\tgreet\n3 of 4 right\n" {
		t.Errorf("understand: %v\n%s", err, out)
	}
	if _, err := invoke(nil, nil, "understand", file+".none"); err == nil {
		t.Error("a file that is not there is read")
	}
	if err := os.WriteFile(file, []byte("sentence,meaning\na,b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := invoke(nil, nil, "understand", file); err == nil || !strings.Contains(err.Error(), "columns text and intent") {
		t.Errorf("a file without the columns: %v", err)
	}
}
