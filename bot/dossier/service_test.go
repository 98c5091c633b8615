package dossier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"

	"github.com/jackc/pgx/v5"
)

func (s *system) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finds
}

func TestAnAnswerIsToldAgainForAMinuteWithItsTime(t *testing.T) {
	b := start(t)
	first := b.view(anna)
	b.clock.add(59 * time.Second)
	again := b.view(ben)
	if b.system.asked() != 1 || !again.SeenAt.Equal(first.SeenAt) || again.Stale {
		t.Errorf("asked %d times, seen %s and %s", b.system.asked(), first.SeenAt, again.SeenAt)
	}
	b.clock.add(time.Second)
	if v := b.view(anna); b.system.asked() != 2 || !v.SeenAt.Equal(b.clock.now()) {
		t.Errorf("asked %d times, seen %s", b.system.asked(), v.SeenAt)
	}
}

func TestCallersOfOneCodeShareOneRequest(t *testing.T) {
	b := start(t)
	release, began := make(chan struct{}), make(chan struct{}, 2)
	b.system.set(func(s *system) { s.block, s.began = release, began })
	var wg sync.WaitGroup
	leaver, leave := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, err := b.Lookup(leaver, anna, "first", code); err == nil {
			t.Error("served a caller who had left")
		}
	})
	<-began // the first caller is on the way
	for i := range 10 {
		wg.Go(func() {
			if _, err := b.Lookup(t.Context(), ben, fmt.Sprint("other:", i), code); err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	leave()
	close(release)
	wg.Wait()
	if n := b.system.asked(); n > 2 { // latecomers may have missed the first flight, never the cache
		t.Errorf("asked %d times", n)
	}
}

func TestADownSystemLeavesTheLastKnownState(t *testing.T) {
	b := start(t)
	seen := b.view(anna).SeenAt
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.system.set(func(s *system) { s.down = errors.New("down") })
	b.clock.add(3 * time.Hour)
	restarted := b.instance()
	for name, s := range map[string]*dossier.Service{"the same instance": b.Service, "another": restarted} {
		_, err := s.Lookup(t.Context(), anna, b.event(), code)
		var away *dossier.Unavailable
		if !errors.As(err, &away) || away.Last == nil {
			t.Fatalf("%s: %v, want the last known state", name, err)
		}
		l := away.Last
		if !l.SeenAt.Equal(seen) || !l.Stale || l.Status != dossier.StatusProcessing || !l.Private || away.RetryAfter != 7*time.Second {
			t.Errorf("%s: %+v, retry after %s", name, l, away.RetryAfter)
		}
	}
	_, err := b.Lookup(t.Context(), anna, b.event(), nowhere)
	var away *dossier.Unavailable
	if !errors.As(err, &away) || away.Last != nil {
		t.Errorf("never seen: %v", err)
	}
}

func TestAHangingSystemEndsWithinTheBudget(t *testing.T) {
	b := start(t, func(o *dossier.Options) { o.Budget = 200 * time.Millisecond })
	b.system.set(func(s *system) { s.block = make(chan struct{}) })
	began := time.Now()
	if _, err := b.Lookup(t.Context(), anna, b.event(), code); !is[*dossier.Unavailable](err) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestADossierJustSeenIsNotUnknown(t *testing.T) {
	b := start(t)
	b.view(anna)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.system.set(func(s *system) { delete(s.held, code) }) // a replica that lags
	b.clock.add(time.Hour)
	_, err := b.Lookup(t.Context(), anna, b.event(), code)
	var away *dossier.Unavailable
	if !errors.As(err, &away) || away.Last == nil {
		t.Errorf("an hour later: %v", err)
	}
	b.clock.add(24 * time.Hour)
	_, err = b.Lookup(t.Context(), anna, b.event(), code)
	b.says("a day later", err, dossier.ErrNotFound)
}

func TestDetailWithoutTheSystemsHelp(t *testing.T) {
	b := start(t)
	b.prove(anna)
	b.system.set(func(s *system) { s.down = errors.New("down") })
	// Within the minute the digits and the list are still known; the rest is not.
	d, err := b.Detail(t.Context(), anna, code)
	if err != nil || d.Complete || d.FeesKnown || d.Owner != "N*** T** M**" {
		t.Errorf("got %+v, %v", d, err)
	}
	b.clock.add(5 * time.Minute)
	if _, err := b.Detail(t.Context(), anna, code); !is[*dossier.Unavailable](err) {
		t.Errorf("later: %v", err)
	}
}

// shelf is a shared cache.
type shelf struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (s *shelf) Get(_ context.Context, key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[key]
	return v, ok
}

func (s *shelf) Set(_ context.Context, key string, value []byte, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = value
}

func TestInstancesShareThePublicPartOnly(t *testing.T) {
	shared := &shelf{m: map[string][]byte{}}
	with := func(o *dossier.Options) { o.Cache = shared }
	b := start(t, with)
	other := b.instance(with)
	first := b.view(anna)
	v, err := other.Lookup(t.Context(), ben, b.event(), code)
	if err != nil || b.system.asked() != 1 || !v.SeenAt.Equal(first.SeenAt) || v.AgencyName != first.AgencyName {
		t.Errorf("got %+v, %v after %d requests", v, err, b.system.asked())
	}
	for key, value := range shared.m {
		for _, secret := range []string{"0042", "NGUY", "Trần", "H42"} {
			if strings.Contains(key, secret) || secret != "H42" && strings.Contains(string(value), secret) {
				t.Errorf("the shared cache holds %q: %s %s", secret, key, value)
			}
		}
	}
	if _, err := other.Prove(t.Context(), ben, b.event(), code, "0001"); err != nil || b.system.asked() != 2 {
		t.Errorf("factors are asked for again: %v after %d requests", err, b.system.asked())
	}
	for key := range shared.m {
		shared.m[key] = []byte("{") // of another release
	}
	b.clock.add(2 * time.Minute)
	if _, err := other.Lookup(t.Context(), ben, b.event(), code); err != nil {
		t.Errorf("an unreadable cache: %v", err)
	}
}

// put is an event handed to the inbox.
type put struct {
	who bot.CitizenID
	id  string
	due bot.Due
}

// tray is an inbox that commits with the transaction it was given.
type tray struct {
	mu   sync.Mutex
	puts []put
	fail error
}

func (in *tray) Put(ctx context.Context, tx pgx.Tx, who bot.CitizenID, id string, due bot.Due) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fail != nil {
		return in.fail
	}
	in.puts = append(in.puts, put{who, id, due})
	return nil
}

func (b *bench) runDue(in dossier.Inbox) int {
	b.t.Helper()
	n, err := b.RunDue(b.t.Context(), b.clock.now(), in)
	if err != nil {
		b.t.Fatalf("run due: %v", err)
	}
	return n
}

func TestAPromiseIsKeptOnceTheSystemIsBack(t *testing.T) {
	b := start(t)
	in := &tray{}
	b.system.set(func(s *system) { s.down = errors.New("down") })
	b.apply(anna, "e", dossier.AskCallback{Code: code})
	b.apply(ben, "e", dossier.AskCallback{Code: code}, dossier.AskCallback{Code: bare}, dossier.CancelCallback{Code: bare})
	if n := b.runDue(in); n != 0 {
		t.Errorf("%d before the first minute", n)
	}
	asked := b.system.asked()
	for range 60 { // an hour of outage
		b.clock.add(time.Minute)
		b.runDue(in)
	}
	if tries := b.system.asked() - asked; len(in.puts) != 0 || tries < 4 || tries > 15 {
		t.Errorf("in an hour: %d tries, %v", tries, in.puts)
	}
	b.system.set(func(s *system) { s.down = nil })
	b.clock.add(20 * time.Minute)
	if n := b.runDue(in); n != 2 || len(in.puts) != 2 {
		t.Fatalf("kept %d: %+v; want two", n, in.puts)
	}
	want := bot.Due{Flow: "dossier", Action: dossier.ActionCallback, Arg: string(code)}
	if in.puts[0].due != want || in.puts[1].due != want || in.puts[0].id == in.puts[1].id || in.puts[0].who == in.puts[1].who {
		t.Errorf("got %+v", in.puts)
	}
	b.clock.add(time.Hour)
	if n := b.runDue(in); n != 0 {
		t.Errorf("%d more", n)
	}
}

func TestAPromiseThatCannotBeKeptIsTold(t *testing.T) {
	b := start(t)
	in := &tray{}
	b.system.set(func(s *system) { s.down = errors.New("down") })
	b.apply(anna, "e", dossier.AskCallback{Code: code})
	b.clock.add(24 * time.Hour)
	if n := b.runDue(in); n != 1 || in.puts[0].due.Action != dossier.ActionGaveUp {
		t.Errorf("got %d %+v", n, in.puts)
	}
}

func TestAnUnknownCodeIsAnAnswerToo(t *testing.T) {
	b := start(t)
	in := &tray{}
	b.apply(anna, "e", dossier.AskCallback{Code: nowhere})
	b.clock.add(time.Minute)
	if n := b.runDue(in); n != 1 || in.puts[0].due.Action != dossier.ActionCallback {
		t.Errorf("got %d %+v", n, in.puts)
	}
}

func TestAPromiseSurvivesAFailingInboxAndManyInstances(t *testing.T) {
	b := start(t)
	in := &tray{fail: errors.New("full")}
	for i := range 50 {
		b.apply(bot.CitizenID{OA: "1", User: fmt.Sprint(i)}, "e", dossier.AskCallback{Code: code})
	}
	b.clock.add(time.Minute)
	if _, err := b.RunDue(t.Context(), b.clock.now(), in); err == nil {
		t.Error("a failing inbox is no error")
	}
	in.fail = nil
	b.clock.add(20 * time.Minute)
	other := b.instance()
	var wg sync.WaitGroup
	for _, s := range []*dossier.Service{b.Service, other, b.Service, other} {
		wg.Go(func() {
			if _, err := s.RunDue(t.Context(), b.clock.now(), in); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[bot.CitizenID]int{}
	for _, p := range in.puts {
		seen[p.who]++
	}
	if len(in.puts) != 50 || len(seen) != 50 {
		t.Errorf("%d events to %d citizens, want 50 to 50", len(in.puts), len(seen))
	}
}

func TestStoppingAndErasingTakePromisesBack(t *testing.T) {
	b := start(t)
	in := &tray{}
	b.apply(anna, "e", dossier.AskCallback{Code: code}, dossier.AskCallback{Code: bare})
	b.apply(ben, "e", dossier.AskCallback{Code: code})
	b.apply(anna, "e", dossier.CancelCallbacks{})
	b.clock.add(time.Minute)
	if n := b.runDue(in); n != 1 || in.puts[0].who != ben {
		t.Errorf("got %d %+v", n, in.puts)
	}
}

func TestWhileTheSystemIsDownOnlyAFewCodesAreTried(t *testing.T) {
	b := start(t)
	b.system.set(func(s *system) { s.down = errors.New("down") })
	for i := range 40 {
		b.apply(anna, "e", dossier.AskCallback{Code: dossier.Code(fmt.Sprintf("H42.16-240612-6%03d", i))})
	}
	b.clock.add(time.Minute)
	before := b.system.asked()
	b.runDue(&tray{})
	if n := b.system.asked() - before; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestRunWritesWhatWasSeen(t *testing.T) {
	b := start(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.view(anna)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.system.set(func(s *system) { s.down = errors.New("down") })
	b.clock.add(time.Hour)
	_, err := b.Lookup(t.Context(), anna, b.event(), code)
	var away *dossier.Unavailable
	if !errors.As(err, &away) || away.Last == nil {
		t.Errorf("got %v, want the state written when Run ended", err)
	}
}
