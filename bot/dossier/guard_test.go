package dossier_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"

	"github.com/google/go-cmp/cmp"
)

func TestARightFactorOpensTheDetail(t *testing.T) {
	b := start(t)
	for _, digits := range []string{"0001", "0042"} {
		d, err := b.Prove(t.Context(), anna, b.event(), code, digits)
		if err != nil {
			t.Fatalf("%s: %v", digits, err)
		}
		if d.Owner != "N*** T** M**" || !d.Complete || !d.FeesKnown || len(d.Fees) != 1 || d.Steps[0].Comment != "Bổ sung trích lục" || !d.Private {
			t.Errorf("%s: %+v", digits, d)
		}
	}
}

func TestOneAnswerForEveryFailure(t *testing.T) {
	b := start(t)
	for name, c := range map[string]dossier.Code{"wrong digits": code, "no such dossier": nowhere, "no number on it": bare} {
		for left := 4; left >= 1; left-- {
			b.says(name, b.guess(anna, c, "9999"), &dossier.Wrong{Left: left})
		}
		locked := &dossier.Locked{Until: b.clock.now().Add(time.Hour)}
		b.says(name+", fifth", b.guess(anna, c, "9999"), locked)
		b.says(name+", locked", b.guess(anna, c, "0001"), locked)
	}
	for _, odd := range []string{"", "1", "00010", "abcd"} {
		if err := b.guess(ben, code, odd); !is[*dossier.Wrong](err) && !is[*dossier.Locked](err) {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestALockHoldsAnHourForThatCitizenAndDossier(t *testing.T) {
	b := start(t)
	for range 5 {
		_ = b.guess(anna, code, "9999")
	}
	if err := b.guess(ben, code, "0001"); err != nil {
		t.Errorf("another citizen: %v", err)
	}
	b.system.set(func(s *system) { s.held[nowhere] = []dossier.Record{record("c1", nowhere, "0007")} })
	if err := b.guess(anna, nowhere, "0007"); err != nil {
		t.Errorf("another dossier: %v", err)
	}
	b.clock.add(time.Hour - time.Second)
	if err := b.guess(anna, code, "0001"); !is[*dossier.Locked](err) {
		t.Errorf("a second before the hour: %v", err)
	}
	b.clock.add(time.Second)
	b.says("after the hour", b.guess(anna, code, "9999"), &dossier.Wrong{Left: 4})
	if err := b.guess(anna, code, "0001"); err != nil {
		t.Errorf("right after the hour: %v", err)
	}
}

func TestSuccessClearsTheCount(t *testing.T) {
	b := start(t)
	for range 4 {
		_ = b.guess(anna, code, "9999")
	}
	if err := b.guess(anna, code, "0001"); err != nil {
		t.Fatal(err)
	}
	b.says("after success", b.guess(anna, code, "9999"), &dossier.Wrong{Left: 4})
}

func TestOldGuessesAreForgotten(t *testing.T) {
	b := start(t)
	for range 4 {
		_ = b.guess(anna, code, "9999")
	}
	b.clock.add(24 * time.Hour)
	b.says("a day later", b.guess(anna, code, "9999"), &dossier.Wrong{Left: 4})
}

func TestARepeatedTurnGuessesOnce(t *testing.T) {
	b := start(t)
	for i := range 5 {
		event := b.event()
		var first error
		for range 3 { // the turn was lost twice before its commit
			_, err := b.Prove(t.Context(), anna, event, code, "9999")
			if first == nil {
				first = err
			}
			b.says(fmt.Sprint("guess ", i), err, first)
		}
	}
	if err := b.guess(anna, code, "0001"); !is[*dossier.Locked](err) {
		t.Errorf("after five: %v", err)
	}
	// One event is no way to guess twice, either.
	event := b.event()
	for left := 4; left >= 1; left-- {
		_, err := b.Prove(t.Context(), ben, event, code, fmt.Sprint("999", left))
		b.says("other digits in the same event", err, &dossier.Wrong{Left: left})
	}
}

func TestThirtyWrongGuessesCloseTheFactorUntilMidnight(t *testing.T) {
	b := start(t)
	citizen := func(i int) bot.CitizenID { return bot.CitizenID{OA: "1", User: fmt.Sprint(1000 + i)} }
	for i := range 29 {
		if err := b.guess(citizen(i), code, "9999"); !is[*dossier.Wrong](err) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if err := b.guess(anna, code, "0001"); err != nil {
		t.Errorf("a right one in between: %v", err)
	}
	midnight := time.Date(2024, 6, 15, 0, 0, 0, 0, dossier.Local)
	event := b.event()
	for range 2 { // the turn is repeated: the alert may have been lost with it
		var closed *dossier.Closed
		if _, err := b.Prove(t.Context(), citizen(29), event, code, "9999"); !errors.As(err, &closed) || !closed.Alert || !closed.Until.Equal(midnight) {
			t.Errorf("the thirtieth: %v", err)
		}
	}
	var closed *dossier.Closed
	if err := b.guess(anna, code, "0001"); !errors.As(err, &closed) || closed.Alert {
		t.Errorf("closed to everybody, without a second alert: %v", err)
	}
	if v := b.view(ben); v.Status != dossier.StatusProcessing {
		t.Error("the public part closed, too")
	}
	b.clock.add(midnight.Sub(b.clock.now()))
	if err := b.guess(anna, code, "0001"); err != nil {
		t.Errorf("after midnight: %v", err)
	}
}

func TestTheGuardHoldsAcrossInstances(t *testing.T) {
	b := start(t)
	other := b.instance()
	var compared, alerts atomic.Int64
	var wg sync.WaitGroup
	for i := range 80 {
		wg.Go(func() {
			service := b.Service
			if i%2 == 1 {
				service = other
			}
			_, err := service.Prove(t.Context(), bot.CitizenID{OA: "1", User: fmt.Sprint(i)}, fmt.Sprint("race:", i), code, "9999")
			var closed *dossier.Closed
			switch {
			case is[*dossier.Wrong](err):
				compared.Add(1)
			case errors.As(err, &closed):
				if closed.Alert {
					compared.Add(1)
					alerts.Add(1)
				}
			default:
				t.Errorf("guess %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if compared.Load() != 30 || alerts.Load() != 1 {
		t.Errorf("%d guesses compared, %d alerts; want 30 and 1", compared.Load(), alerts.Load())
	}
	// One citizen on many instances has five, too.
	compared.Store(0)
	for i := range 20 {
		wg.Go(func() {
			_, err := other.Prove(t.Context(), anna, fmt.Sprint("one:", i), bare, "9999")
			if is[*dossier.Wrong](err) {
				compared.Add(1)
			} else if !is[*dossier.Locked](err) {
				t.Errorf("guess %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if compared.Load() != 4 { // the fifth is told as the lock
		t.Errorf("%d told as wrong, want 4", compared.Load())
	}
}

func TestAnAbsentSystemCostsNoGuess(t *testing.T) {
	b := start(t)
	b.system.set(func(s *system) { s.down = errors.New("down") })
	for range 7 {
		if err := b.guess(anna, code, "9999"); !is[*dossier.Unavailable](err) {
			t.Errorf("got %v", err)
		}
	}
	b.system.set(func(s *system) { s.down = nil })
	b.says("back again", b.guess(anna, code, "9999"), &dossier.Wrong{Left: 4})
}

func TestUnknownCodesAreThrottled(t *testing.T) {
	b := start(t)
	unknown := func(who bot.CitizenID, n int) error {
		_, err := b.Lookup(t.Context(), who, b.event(), dossier.Code(fmt.Sprintf("H42.16-240612-8%03d", n)))
		return err
	}
	for i := range 11 {
		b.says(fmt.Sprint("unknown code ", i+1), unknown(anna, i), dossier.ErrNotFound)
		b.clock.add(time.Second)
	}
	next := &dossier.Throttled{Until: b.clock.now().Add(59 * time.Second)}
	b.says("the twelfth", unknown(anna, 12), next)
	_, err := b.Lookup(t.Context(), anna, b.event(), code)
	b.says("a known one", err, next)
	b.says("another citizen", unknown(ben, 12), dossier.ErrNotFound)

	b.clock.add(time.Minute)
	if _, err := b.Lookup(t.Context(), anna, b.event(), code); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	if err := unknown(anna, 13); !is[*dossier.Throttled](err) {
		t.Errorf("a second answer in that minute: %v", err)
	}
	b.clock.add(10 * time.Minute)
	for i := range 3 {
		b.says("ten minutes later", unknown(anna, 20+i), dossier.ErrNotFound)
	}
}

func TestARepeatedTurnIsNotThrottledByItself(t *testing.T) {
	b := start(t)
	for range 40 {
		_, err := b.Lookup(t.Context(), anna, "user_send:same", nowhere)
		b.says("the same event", err, dossier.ErrNotFound)
	}
	if _, err := b.Lookup(t.Context(), anna, b.event(), code); err != nil {
		t.Errorf("then: %v", err)
	}
}

func TestThrottleHoldsAcrossInstances(t *testing.T) {
	b := start(t)
	other := b.instance()
	var answered atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			service := b.Service
			if i%2 == 1 {
				service = other
			}
			_, err := service.Lookup(t.Context(), anna, fmt.Sprint("race:", i), dossier.Code(fmt.Sprintf("H42.16-240612-7%03d", i)))
			if errors.Is(err, dossier.ErrNotFound) {
				answered.Add(1)
			} else if !is[*dossier.Throttled](err) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if answered.Load() != 11 {
		t.Errorf("%d answered, want 11", answered.Load())
	}
}

func TestAProofHoldsThirtyMinutesOrThirtyDays(t *testing.T) {
	b := start(t)
	if _, err := b.Detail(t.Context(), anna, code); !errors.Is(err, dossier.ErrNoProof) {
		t.Fatalf("without proof: %v", err)
	}
	holds := func(what string, want bool) {
		t.Helper()
		_, err := b.Detail(t.Context(), anna, code)
		if got := err == nil; got != want || b.view(anna).Proven != want {
			t.Errorf("%s: proof stands %v (%v), want %v", what, got, err, want)
		}
	}
	b.prove(anna)
	holds("at once", true)
	if _, err := b.Detail(t.Context(), ben, code); !errors.Is(err, dossier.ErrNoProof) {
		t.Errorf("another citizen: %v", err)
	}
	b.clock.add(30*time.Minute - time.Second)
	holds("before half an hour", true)
	b.clock.add(time.Second)
	holds("after half an hour", false)
	b.apply(anna, "e", dossier.Keep{Code: code})
	holds("keeping it afterwards revives nothing", false)
	b.prove(anna)
	b.clock.add(29 * 24 * time.Hour)
	holds("kept, before 30 days", true)
	b.clock.add(24 * time.Hour)
	holds("kept, after 30 days", false)
	b.prove(anna)
	b.clock.add(time.Hour)
	b.apply(anna, "e", dossier.Drop{Code: code})
	holds("dropped after an hour", false)
	b.prove(anna)
	b.apply(anna, "e", dossier.Keep{Code: code})
	b.clock.add(time.Hour)
	holds("kept within half an hour", true)
	b.apply(anna, "e", dossier.DropAll{})
	holds("everything dropped", false)
}

func TestAProofIsGrantedByARightGuessOfTheSameTurnOnly(t *testing.T) {
	b := start(t)
	b.apply(anna, b.event(), dossier.GrantProof{Code: code}) // a payload typed by hand
	wrong := b.event()
	_, _ = b.Prove(t.Context(), anna, wrong, code, "9999")
	b.apply(anna, wrong, dossier.GrantProof{Code: code})
	right := b.event()
	if _, err := b.Prove(t.Context(), anna, right, code, "0001"); err != nil {
		t.Fatal(err)
	}
	b.apply(ben, right, dossier.GrantProof{Code: code})  // somebody else
	b.apply(anna, right, dossier.GrantProof{Code: bare}) // something else
	b.apply(anna, wrong, dossier.GrantProof{Code: code}) // some other turn
	for _, who := range []bot.CitizenID{anna, ben} {
		for _, c := range []dossier.Code{code, bare} {
			if _, err := b.Detail(t.Context(), who, c); !errors.Is(err, dossier.ErrNoProof) {
				t.Errorf("%v %s: %v, want no proof", who, c, err)
			}
		}
	}
	b.apply(anna, right, dossier.GrantProof{Code: code})
	if _, err := b.Detail(t.Context(), anna, code); err != nil {
		t.Errorf("the turn itself: %v", err)
	}
}

func TestAProofIsBoundToItsDossier(t *testing.T) {
	b := start(t)
	b.prove(anna)
	newer := record("a2", code, "0777")
	newer.Status = dossier.StatusReady
	b.system.set(func(s *system) { s.held[code] = []dossier.Record{newer, s.held[code][0]} })
	b.clock.add(2 * time.Minute)
	if v := b.view(ben); v.Status != dossier.StatusReady || v.Others != 1 {
		t.Errorf("without proof: %+v, want the newest, and that there is another", v)
	}
	if v := b.view(anna); v.Status != dossier.StatusProcessing || !v.Proven {
		t.Errorf("with proof: %+v, want one's own", v)
	}
	if d, err := b.Detail(t.Context(), anna, code); err != nil || d.Status != dossier.StatusProcessing {
		t.Errorf("detail: %+v, %v", d, err)
	}
	b.system.set(func(s *system) { s.held[code] = []dossier.Record{newer} })
	b.clock.add(2 * time.Minute)
	if _, err := b.Detail(t.Context(), anna, code); !errors.Is(err, dossier.ErrNoProof) {
		t.Errorf("the code names somebody else's dossier now: %v", err)
	}
	// Either dossier's number opens its own.
	b.system.set(func(s *system) { s.held[code] = []dossier.Record{newer, record("a1", code, "0001")} })
	b.clock.add(2 * time.Minute)
	d, err := b.Prove(t.Context(), ben, b.event(), code, "0001")
	if err != nil || !cmp.Equal(d.Status, dossier.StatusProcessing) {
		t.Errorf("the older one's number: %+v, %v", d, err)
	}
}
