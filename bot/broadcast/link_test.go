package broadcast

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// links makes the short links of a body.
func (d *desk) links(id int64, body Body) (short func(string) string) {
	d.t.Helper()
	err := pgx.BeginFunc(context.Background(), d.Pool, func(tx pgx.Tx) (err error) {
		short, err = d.shortLinks(context.Background(), tx, id, body, noon)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return short
}

func TestShortLinks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := bulletin().Body
	if want := []string{"https://soyte.example.vn/lich?thang=12", "https://soyte.example.vn/en_(new)"}; !cmp.Equal(want, body.Links()) {
		t.Errorf("links %q", body.Links())
	}
	short := d.links(7, body)
	form := regexp.MustCompile(`^https://kenh\.example\.vn/l/[a-hj-km-np-z2-46-9]{7}$`)
	first, second := short(body.Links()[0]), short(body.Links()[1])
	if !form.MatchString(first) || !form.MatchString(second) || first == second {
		t.Errorf("short links %q, %q", first, second)
	}
	if len(first) != len(d.placeholder("x")) {
		t.Errorf("measured as %q, sent as %q", d.placeholder("x"), first)
	}
	if again := d.links(7, body)(body.Links()[0]); again != first {
		t.Errorf("shortened again, %s became %s", first, again)
	}
	if other := d.links(8, body)(body.Links()[0]); other == first {
		t.Error("two broadcasts share a code")
	}
	if short("https://elsewhere.vn") != "https://elsewhere.vn" {
		t.Error("an address nobody shortened changed")
	}
	d.PublicURL = ""
	if d.links(7, body) != nil || d.placeholder("https://a.vn") != "https://a.vn" {
		t.Error("without an address of ours there is nothing to shorten to")
	}
}

func TestLinksLeadAndCount(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := bulletin().Body
	short := d.links(7, body)
	now := noon
	l := NewLinks(d.Pool, d.texts, func() time.Time { return now })
	e := echo.New()
	e.Match([]string{http.MethodGet, http.MethodHead}, "/l/:code", l.Handle)
	open := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	path := strings.TrimPrefix(short(body.Links()[0]), d.PublicURL)
	for range 3 {
		if w := open(http.MethodGet, path); w.Code != http.StatusFound || w.Header().Get("Location") != body.Links()[0] {
			t.Fatalf("%d to %q", w.Code, w.Header().Get("Location"))
		}
	}
	if w := open(http.MethodHead, path); w.Code != http.StatusFound {
		t.Errorf("HEAD: %d", w.Code)
	}
	now = noon.Add(13 * time.Hour) // the next day, where people live
	open(http.MethodGet, path)
	for _, bad := range []string{"/l/zzzzzzz", "/l/https:%2F%2Fevil.vn", "/l/abc", "/l/ABCDEFG", "/l/%27%3B--aaaa"} {
		w := open(http.MethodGet, bad)
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "Liên kết") {
			t.Errorf("%s: %d %q", bad, w.Code, w.Body)
		}
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	clicks, err := d.Clicks(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Clicks{{body.Links()[0], 4}, {body.Links()[1], 0}}, clicks); diff != "" {
		t.Error(diff)
	}
	if n := d.int(`SELECT count(*) FROM link_click`); n != 2 {
		t.Errorf("%d days", n)
	}
}

// A link opened while Postgres is away is told as such; clicks wait in memory.
func TestLinksWithoutPostgres(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := bulletin().Body
	path := strings.TrimPrefix(d.links(7, body)(body.Links()[0]), d.PublicURL)
	l := NewLinks(d.Pool, d.texts, func() time.Time { return noon })
	e := echo.New()
	e.Match([]string{http.MethodGet, http.MethodHead}, "/l/:code", l.Handle)
	get := func(path string) int {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	if code := get(path); code != http.StatusFound {
		t.Fatal(code)
	}
	d.exec(`ALTER TABLE link RENAME TO link_away`)
	d.exec(`ALTER TABLE link_click RENAME TO link_click_away`)
	if code := get(path); code != http.StatusFound {
		t.Errorf("a known link: %d", code)
	}
	if code := get("/l/zzzzzzz"); code != http.StatusServiceUnavailable {
		t.Errorf("an unknown link: %d", code)
	}
	if err := l.Flush(t.Context()); err == nil {
		t.Error("clicks were written to a table that is not there")
	}
	d.exec(`ALTER TABLE link_away RENAME TO link`)
	d.exec(`ALTER TABLE link_click_away RENAME TO link_click`)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := l.Run(stopped); err != nil {
		t.Fatal(err)
	}
	if n := d.int(`SELECT sum(clicks) FROM link_click`); n != 2 {
		t.Errorf("%d clicks", n)
	}
}
