package setting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/integrations/postgres/pgtest"
)

var (
	limit = Int("test.limit", 3, 1, 20)
	shown = Bool("test.shown", true)
	label = Text("test.label", "", func(s string) error {
		if strings.Contains(s, "<") {
			return errors.New("must hold no <")
		}
		return nil
	})
)

// eventually waits for cond.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
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

func TestValuesNeverReadAreTheDefaults(t *testing.T) {
	for _, v := range []Values{{}, NewStore(nil).Values()} {
		if limit.Of(v) != 3 || !shown.Of(v) || label.Of(v) != "" {
			t.Errorf("defaults = %d, %v, %q", limit.Of(v), shown.Of(v), label.Of(v))
		}
		if value, set := v.Given("test.shown"); value != "on" || set {
			t.Errorf("test.shown = %q, set %v; want its default, on", value, set)
		}
	}
}

func TestSettingsAreKnownOnceTheyWereRead(t *testing.T) {
	t.Parallel()
	s := NewStore(pgtest.New(t))
	ended, end := context.WithCancel(context.Background())
	end()
	if err := s.Known(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("known before they were read: %v", err)
	}
	for range 2 {
		if _, err := s.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Known(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestSettingIsReadAsItWasSet(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s, other := NewStore(pool), NewStore(pool)
	for _, c := range []struct{ name, value, want string }{
		{"test.limit", "1", "1"}, {"test.limit", " 20 ", "20"}, {"test.limit", "007", "7"},
		{"test.shown", "off", "off"}, {"test.shown", "TRUE", "on"}, {"test.shown", "0", "off"},
		{"test.label", "Mẫu 12", "Mẫu 12"}, {"test.label", "", ""},
	} {
		if err := s.Set(t.Context(), "operator:an", c.name, c.value, nil); err != nil {
			t.Errorf("set %s to %q: %v", c.name, c.value, err)
			continue
		}
		if got, set := s.Values().Given(c.name); got != c.want || !set {
			t.Errorf("%s set to %q is %q, set %v; want %q", c.name, c.value, got, set, c.want)
		}
	}
	if v := other.Values(); limit.Of(v) != 3 {
		t.Errorf("another instance knows without having read: %d", limit.Of(v))
	}
	v, err := other.Load(t.Context())
	if err != nil || limit.Of(v) != 7 || shown.Of(v) || label.Of(v) != "" {
		t.Errorf("read: %d, %v, %q, %v; want 7, false, nothing", limit.Of(v), shown.Of(v), label.Of(v), err)
	}
	var by string
	if err := pool.QueryRow(t.Context(), `SELECT changed_by FROM setting WHERE name = 'test.limit'`).Scan(&by); err != nil || by != "operator:an" {
		t.Errorf("changed by %q, %v", by, err)
	}
}

func TestWhatASettingMayNotBe(t *testing.T) {
	t.Parallel()
	s := NewStore(pgtest.New(t))
	for _, c := range []struct{ name, value, why string }{
		{"test.limit", "0", "must be a whole number from 1 to 20"},
		{"test.limit", "21", "must be a whole number from 1 to 20"},
		{"test.limit", "3.5", "must be a whole number from 1 to 20"},
		{"test.limit", "", "must be a whole number from 1 to 20"},
		{"test.limit", "99999999999999999999", "must be a whole number from 1 to 20"},
		{"test.shown", "perhaps", "must be on or off"},
		{"test.shown", "", "must be on or off"},
		{"test.label", "a\nb", "must be plain text on one line"},
		{"test.label", "a\x00b", "must be plain text on one line"},
		{"test.label", "a\xffb", "must be plain text on one line"},
		{"test.label", strings.Repeat("ệ", 501), "must be no longer than 500 characters"},
		{"test.label", "<b>", "must hold no <"},
	} {
		err := s.Set(t.Context(), "test", c.name, c.value, func(context.Context, pgx.Tx, string, string) error {
			t.Errorf("%s = %q is audited as if it were set", c.name, c.value)
			return nil
		})
		var invalid *Invalid
		if !errors.As(err, &invalid) || invalid.Name != c.name || invalid.Why != c.why {
			t.Errorf("set %s to %q: %v; want it refused, for it %s", c.name, c.value, err, c.why)
		}
	}
	if err := s.Set(t.Context(), "test", "test.limits", "3", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("a name nobody declared: %v", err)
	}
	if v, err := s.Load(t.Context()); err != nil || len(v.given) != 0 {
		t.Errorf("settings %v, %v; want none", v.given, err)
	}
}

// What another release stored and this one does not allow counts as not there.
func TestStrangeRowsAreTheDefault(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if _, err := pool.Exec(t.Context(), `
INSERT INTO setting (name, value, changed_by)
VALUES ('test.limit', '500', 'x'), ('test.shown', 'maybe', 'x'), ('test.gone', '1', 'x'), ('test.label', 'kept', 'x')`); err != nil {
		t.Fatal(err)
	}
	v, err := NewStore(pool).Load(t.Context())
	if err != nil || limit.Of(v) != 3 || !shown.Of(v) || label.Of(v) != "kept" {
		t.Errorf("read: %d, %v, %q, %v", limit.Of(v), shown.Of(v), label.Of(v), err)
	}
}

func TestChangeIsAuditedOrNotMade(t *testing.T) {
	t.Parallel()
	s := NewStore(pgtest.New(t))
	var told []string
	audit := func(_ context.Context, _ pgx.Tx, old, new string) error {
		told = append(told, old+"→"+new)
		return nil
	}
	for _, value := range []string{"5", "9"} {
		if err := s.Set(t.Context(), "test", "test.limit", value, audit); err != nil {
			t.Fatal(err)
		}
	}
	fails := errors.New("no audit")
	err := s.Set(t.Context(), "test", "test.limit", "1", func(context.Context, pgx.Tx, string, string) error { return fails })
	if !errors.Is(err, fails) {
		t.Errorf("set without audit: %v", err)
	}
	if v, err := s.Load(t.Context()); err != nil || limit.Of(v) != 9 {
		t.Errorf("limit = %d, %v; want 9", limit.Of(v), err)
	}
	if diff := cmp.Diff([]string{"3→5", "5→9"}, told); diff != "" {
		t.Error(diff)
	}
}

// Changes made at the same moment tell rightly what each of them changed: the old
// values are the default and all new ones but the last.
func TestChangesAtOnceFollowEachOther(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := NewStore(pool)
	var mu sync.Mutex
	var olds, news []string
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			err := s.Set(t.Context(), "test", "test.limit", strconv.Itoa(n+10), func(_ context.Context, _ pgx.Tx, old, new string) error {
				mu.Lock()
				defer mu.Unlock()
				olds, news = append(olds, old), append(news, new)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(append([]string{"3"}, news[:7]...), olds); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotStandsWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cluster := pgtest.Durable(t)
	pool := pgtest.Open(t, cluster.URL(""))
	s := NewStore(pool)
	s.every = 10 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	set := func(n int) {
		t.Helper()
		if _, err := pool.Exec(ctx, `
INSERT INTO setting (name, value, changed_by) VALUES ('test.limit', $1, 'test')
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value`, strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("the limit is %d", n), func() bool { return limit.Of(s.Values()) == n })
	}
	set(5)
	if err := cluster.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx); err == nil {
		t.Error("a killed server answered")
	}
	if n := limit.Of(s.Values()); n != 5 {
		t.Errorf("without Postgres the limit is %d; want the last one read, 5", n)
	}
	if err := s.Set(ctx, "test", "test.limit", "6", nil); err == nil || limit.Of(s.Values()) != 5 {
		t.Errorf("set without Postgres: %v, limit %d", err, limit.Of(s.Values()))
	}
	if err := cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Postgres is back", func() bool { return pool.Ping(ctx) == nil })
	set(8)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestFaultsOfADeclarationPanic(t *testing.T) {
	for name, declare := range map[string]func(){
		"twice":            func() { Bool("test.limit", true) },
		"default too high": func() { Int("test.other", 9, 1, 8) },
		"default refused":  func() { Text("test.other", "<", func(string) error { return errors.New("is not allowed") }) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			declare()
		}()
	}
}

// texts are a few texts in both languages.
type texts []string

func (have texts) Text(lang, key string, _ map[string]any) string {
	if slices.Contains(have, lang+": "+key) {
		return "words"
	}
	return key
}
func (texts) Moment(string, time.Time, time.Time) string { return "" }
func (texts) Day(string, time.Time) string               { return "" }

func TestEverySettingIsExplained(t *testing.T) {
	if diff := cmp.Diff([]string{"test.label", "test.limit", "test.shown"}, names(All())); diff != "" {
		t.Error(diff)
	}
	have := texts{"vi: setting.test_limit.about", "en: setting.test_limit.about", "vi: setting.test_label.about",
		"en: setting.test_label.about", "vi: setting.test_shown.about"}
	if diff := cmp.Diff([]string{"en: setting.test_shown.about"}, Check(have)); diff != "" {
		t.Error(diff)
	}
}

func names(list []Definition) (names []string) {
	for _, d := range list {
		names = append(names, d.Name)
	}
	return names
}
