package procedures_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"congdanso/bot/dossier"
	"congdanso/integrations/procedures"
	"congdanso/integrations/procedures/proceduresim"

	"github.com/google/go-cmp/cmp"
)

// changes reads every page since then.
func (r rig) changes(t *testing.T, since time.Time) []dossier.Change {
	t.Helper()
	var all []dossier.Change
	for page := 0; ; page++ {
		got, more, err := r.Changes(t.Context(), since, page)
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		all = append(all, got...)
		if !more {
			return all
		}
	}
}

func TestChangesAreThoseSinceThenNewestFirst(t *testing.T) {
	c := start(t)
	since := c.clock.now()
	var want []dossier.Change
	for _, code := range []string{"H42.16-240612-0002", "G22.99.05-240612-0006", "H42.16-240612-0003"} {
		c.clock.add(time.Minute)
		if err := c.sim.Set(code, proceduresim.Change{Status: 4, Words: "Chuyển xử lý"}); err != nil {
			t.Fatal(err)
		}
		ch := dossier.Change{Code: dossier.Code(code), UpdatedAt: c.clock.now()}
		if strings.HasPrefix(code, "G22") {
			ch.Code, ch.NationCode = "H42.16-240612-0006", ch.Code
		}
		want = append([]dossier.Change{ch}, want...)
	}
	if diff := cmp.Diff(want, c.changes(t, since.Add(time.Second))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.changes(t, c.clock.now().Add(time.Second)); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

func TestChangesThatMoveBetweenPagesAreSeenWithAnOverlap(t *testing.T) {
	c := start(t)
	since := c.clock.now()
	codes := c.sim.Fill(350, since)
	c.clock.add(time.Minute)
	change := func(code string) {
		t.Helper()
		if err := c.sim.Set(code, proceduresim.Change{Status: 9}); err != nil {
			t.Fatal(err)
		}
	}
	for i, code := range codes[:250] {
		if i%25 == 0 {
			c.clock.add(time.Second)
		}
		change(code)
	}
	began := c.clock.now()
	seen := map[dossier.Code]bool{}
	pages := 0
	for more := true; more; pages++ {
		var got []dossier.Change
		var err error
		if got, more, err = c.Changes(t.Context(), since, pages); err != nil {
			t.Fatal(err)
		}
		for _, ch := range got {
			seen[ch.Code] = true
		}
		c.clock.add(time.Second)
		change(codes[pages])     // the oldest, not read yet, moves onto a page already read
		change(codes[300+pages]) // and one that had not changed comes in there
	}
	if pages < 3 {
		t.Fatalf("%d pages, want three at least", pages)
	}
	for _, ch := range c.changes(t, began.Add(-time.Second)) {
		seen[ch.Code] = true
	}
	for i, code := range codes[:300+pages] {
		if (i < 250 || i >= 300) && !seen[dossier.Code(code)] {
			t.Errorf("change of %s was never seen", code)
		}
	}
}

func TestASystemWithoutTheListSaysSoAndServesLookUps(t *testing.T) {
	for _, kind := range []proceduresim.Kind{proceduresim.Absent, proceduresim.Forbidden, proceduresim.BadRequest, proceduresim.Unmade} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.sim.Fault(proceduresim.Fault{Kind: kind, Path: proceduresim.ChangesPath})
			for range 30 {
				if _, _, err := c.Changes(t.Context(), c.clock.now(), 0); !errors.Is(err, dossier.ErrNoChanges) {
					t.Fatalf("got %v", err)
				}
			}
			if n := c.sim.Lists(); n != 30 {
				t.Errorf("%d requests, want none repeated", n)
			}
			c.find(t, example)
			if c.Breaker() != "closed" {
				t.Errorf("breaker %s", c.Breaker())
			}
		})
	}
}

func TestAListThatFailsIsUnavailableAndOpensNoBreaker(t *testing.T) {
	for _, kind := range []proceduresim.Kind{
		proceduresim.BadGateway, proceduresim.SignInPage, proceduresim.ServerError, proceduresim.CutOff,
		proceduresim.Unauthorised, proceduresim.Huge, proceduresim.Garbage,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := start(t, func(o *procedures.Options) { o.Retries = -1 })
			c.sim.Fault(proceduresim.Fault{Kind: kind, Path: proceduresim.ChangesPath})
			for range 12 {
				_, _, err := c.Changes(t.Context(), c.clock.now(), 0)
				wantUnavailable(t, err)
			}
			c.find(t, example)
			if c.Breaker() != "closed" {
				t.Errorf("breaker %s", c.Breaker())
			}
		})
	}
}

func TestTheListRestsWhileLookUpsDo(t *testing.T) {
	c := start(t, func(o *procedures.Options) { o.Retries = -1 })
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway, Path: proceduresim.LookPath})
	for c.Breaker() != "open" {
		_, err := c.Find(t.Context(), example)
		wantUnavailable(t, err)
	}
	_, _, err := c.Changes(t.Context(), c.clock.now(), 0)
	if away := wantUnavailable(t, err); away.RetryAfter == 0 || c.sim.Lists() != 0 {
		t.Errorf("asked, or told no time: %v", err)
	}
}

func TestTheListOvercomesOneFailure(t *testing.T) {
	for _, kind := range []proceduresim.Kind{proceduresim.TokenEnded, proceduresim.Unauthorised, proceduresim.BadGateway, proceduresim.CutOff} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.sim.Fill(150, c.clock.now())
			since := c.clock.now().AddDate(0, 0, -60)
			if _, more, err := c.Changes(t.Context(), since, 0); err != nil || !more {
				t.Fatalf("first page: %v, %v", more, err)
			}
			c.sim.Fault(proceduresim.Fault{Kind: kind, Times: 1, Path: proceduresim.ChangesPath})
			if got, _, err := c.Changes(t.Context(), since, 1); err != nil || len(got) == 0 {
				t.Errorf("second page: %d, %v", len(got), err)
			}
		})
	}
}

func TestTheListTellsRetryAfter(t *testing.T) {
	c := start(t)
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.TooMany, RetryAfter: 40 * time.Second, Path: proceduresim.ChangesPath})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, _, err := c.Changes(ctx, c.clock.now(), 0)
	if away := wantUnavailable(t, err); away.RetryAfter != 40*time.Second {
		t.Errorf("retry after %s", away.RetryAfter)
	}
}

func TestListsOfOtherShapes(t *testing.T) {
	since := local("2024-06-14 16:00:00")
	line := func(code, at string) string { return `{"code":"` + code + `","updatedDate":` + at + `}` }
	hundred := strings.TrimSuffix(strings.Repeat(line("H42.16-240612-0001", "null")+",", 100), ",")
	one := []dossier.Change{{Code: "H42.16-240612-0001", UpdatedAt: local("2024-06-14 16:20:00")}}
	for name, c := range map[string]struct {
		page int
		body string
		want []dossier.Change
		n    int // where want is nil
		more bool
		away bool
	}{
		"a bare array":    {body: `[` + line("H42.16-240612-0001 ", `"2024-06-14T16:20:00.000+0700"`) + `]`, want: one},
		"no time":         {body: `{"content":[` + line("h42.16-240612-0001", "null") + `],"last":true}`, want: []dossier.Change{{Code: "H42.16-240612-0001"}}},
		"no code":         {body: `{"content":[` + line("", "null") + `],"last":true}`},
		"a line of trash": {body: `{"content":["x",` + line("H42.16-240612-0001", `"2024-06-14T09:20:00.000+0000"`) + `],"last":true}`, want: one},
		"updated-from not heeded": {body: `{"content":[` + line("H42.16-240612-0001", `"2024-06-14T16:20:00.000+0700"`) + "," +
			line("H42.16-240612-0002", `"2024-06-14T15:59:59.999+0700"`) + `],"last":false,"number":0}`, want: one},
		"last not told, a full page":       {body: `{"content":[` + hundred + `],"number":0}`, n: 100, more: true},
		"last not told, an array":          {body: `[` + hundred + `]`, n: 100},
		"last said false of an empty page": {page: 1, body: `{"content":[],"last":false,"number":1}`},
		"always the first page":            {page: 1, body: `{"content":[` + hundred + `],"last":false,"number":0}`, away: true},
		"no content":                       {body: `{}`, away: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, _ = w.Write([]byte(`{"access_token":"a","expires_in":300}`))
					return
				}
				q := r.URL.Query()
				if q.Get("updated-from") != "2024-06-14T09:00:00.000+0000" || q.Get("sort") != "updatedDate,desc" || q.Get("spec") != "slice" || q.Get("page") != strconv.Itoa(c.page) {
					t.Errorf("asked for %s", r.URL.RawQuery)
				}
				_, _ = w.Write([]byte(c.body))
			}))
			defer srv.Close()
			client := start(t, func(o *procedures.Options) { o.URL, o.TokenURL, o.Retries = srv.URL, srv.URL, -1 })
			got, more, err := client.Changes(t.Context(), since, c.page)
			if c.away {
				wantUnavailable(t, err)
				return
			}
			if err != nil || more != c.more || c.n != 0 && len(got) != c.n || c.n == 0 && !cmp.Equal(got, c.want) {
				t.Errorf("got %v, %v, %v; want %v, %v", got, more, err, c.want, c.more)
			}
		})
	}
}
