package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"congdanso/bot"
)

// dying brings an instance to the given point with what is in the table, and
// leaves it there. Thawed, it goes on as a process does that was paused.
func (r *rig) dying(point string) (thaw func()) {
	r.t.Helper()
	a := r.instance(quick())
	a.work = context.Background()
	frozen, release := make(chan struct{}, 1), make(chan struct{})
	freeze := func(*job) { frozen <- struct{}{}; <-release }
	switch point {
	case "before the claim":
		return func() {}
	case "before the call":
		a.beforeCall = freeze
	case "before it is written down":
		a.afterCall = freeze
	}
	if err := a.poll(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	if point == "after the claim" {
		return func() { a.stagger() }
	}
	stop, cancel := context.WithCancel(context.Background())
	go a.settle.Run(stop)
	a.stagger()
	if point == "after it is written down" {
		a.air.close()
		cancel()
		return func() {}
	}
	<-frozen
	return func() {
		close(release)
		a.air.close()
		cancel()
	}
}

// stagger marks and launches what an instance without a dispatcher holds.
func (in *instance) stagger() {
	for p := range priorities {
		if jobs := in.queue.pop(p, in.places.take(8, false)); len(jobs) > 0 {
			for _, j := range jobs {
				j.slotAt = time.Now()
			}
			in.mark(context.Background(), jobs)
		}
	}
}

func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		point string
		item  Item
		echo  bool
		sends int
		rows  []string // left in the outbox
		known []string // outcomes in history
	}{
		{"before the claim", notice(1, "x"), false, 1, nil, []string{"sent"}},
		{"after the claim", notice(1, "x"), false, 1, nil, []string{"sent"}},
		{"before the call", notice(1, "x"), false, 0, []string{"unknown"}, nil},
		{"before it is written down", notice(1, "x"), false, 1, []string{"unknown"}, nil},
		{"before it is written down", notice(1, "x"), true, 1, nil, []string{"sent"}},
		{"after it is written down", notice(1, "x"), false, 1, nil, []string{"sent"}},
		{"before the claim", reply(1, "x"), false, 1, nil, []string{"sent"}},
		{"after the claim", reply(1, "x"), false, 1, nil, []string{"sent"}},
		{"before the call", reply(1, "x"), false, 1, nil, []string{"sent"}},
		{"before it is written down", reply(1, "x"), false, 2, nil, []string{"sent"}},
		{"before it is written down", reply(1, "x"), true, 1, nil, []string{"sent"}},
		{"after it is written down", reply(1, "x"), false, 1, nil, []string{"sent"}},
	} {
		t.Run(fmt.Sprint(c.item.Priority, " ", c.point, " echo ", c.echo), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.leave(r.instance(quick()), c.item)
			thaw := r.dying(c.point)
			b := r.run()
			if c.echo {
				b.Note(echo(r.zalo.last()))
			}
			settled := func() bool {
				return cmp.Equal(c.rows, r.states(), cmpEmpty) && cmp.Equal(c.known, r.outcomes(1), cmpEmpty)
			}
			eventually(t, fmt.Sprint("rows ", c.rows, " and history ", c.known), settled)
			b.moments(2)
			thaw() // it was only paused, beyond its lease
			b.moments(5)
			if got := r.zalo.calls(); got != c.sends {
				t.Errorf("sent %d times, want %d", got, c.sends)
			}
			want := c.known
			if c.point == "before it is written down" && len(c.rows) == 1 {
				c.rows, want = nil, []string{"sent"} // the answer was only late
			}
			if rows, known := r.states(), r.outcomes(1); !cmp.Equal(c.rows, rows, cmpEmpty) || !cmp.Equal(want, known, cmpEmpty) {
				t.Errorf("in the end: rows %v, history %v", rows, known)
			}
		})
	}
}

// cmpEmpty takes nil and empty for the same.
var cmpEmpty = cmp.Transformer("empty", func(s []string) []string {
	if len(s) == 0 {
		return []string{"(nothing)"}
	}
	return append([]string{""}, s...)[1:]
})

// The turn's own commit marks its reply as sending; the instance dies before it
// can begin the call.
func TestCrashBetweenTurnAndCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.instance(quick())
	a.running.Store(true)
	items := []Item{reply(1, "x")}
	a.Prepare(t.Context(), items)
	err := pgx.BeginFunc(t.Context(), r.pool, func(tx pgx.Tx) error { return a.Enqueue(t.Context(), tx, items) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sending"}, r.states()); diff != "" {
		t.Fatal(diff)
	}
	r.run()
	r.empty()
	wantTexts(t, r, 1, "x")
	a.work = context.Background()
	go a.settle.Run(t.Context())
	a.Hand(items) // paused beyond its lease
	a.air.close()
	wantTexts(t, r, 1, "x")
}

// Whatever is refused and cut off, replies of one citizen arrive in order, nothing
// is lost, nothing is doubled but what was cut off, and one call a citizen is in
// the air (the fake Zalo checks that): with two instances on one database.
func TestOrderUnderRefusals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		seed := rapid.Uint64().Draw(rt, "seed")
		people, each := rapid.IntRange(1, 12).Draw(rt, "people"), rapid.IntRange(1, 6).Draw(rt, "each")
		mostRefused := rapid.IntRange(0, 3).Draw(rt, "refusals")
		var mu sync.Mutex
		rnd, choice := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
		refused, lost := map[string]int{}, map[string]int{}
		r.zalo.latency = 5 * time.Millisecond // so that others try meanwhile
		r.zalo.answer = func(s sent) error {
			mu.Lock()
			defer mu.Unlock()
			k := s.who.User + s.text
			if refused[k] >= mostRefused || rnd.IntN(3) > 0 {
				return nil
			}
			refused[k]++
			return &Refusal{Class: []Class{ClassNotSent, ClassWait}[rnd.IntN(2)], Code: -200}
		}
		r.zalo.lose = func(s sent) bool {
			mu.Lock()
			defer mu.Unlock()
			if lost[s.who.User] > 0 || rnd.IntN(20) > 0 {
				return false
			}
			lost[s.who.User]++
			return true
		}
		opt := quick()
		opt.BlockFor = time.Minute // nobody is overtaken here
		opt.Backoff = time.Millisecond
		a, b := r.instance(opt).start(), r.instance(opt).start()
		defer func() { a.stop(); b.stop(); r.pool.Close() }()
		for i := range each {
			for n := range people {
				in := []*instance{a, b}[choice.IntN(2)]
				r.decide(in, reply(n, fmt.Sprint(i)), Item{To: person(n), Priority: Reply, Call: &bot.Call{Kind: bot.CallTag, Tag: fmt.Sprint(i)}})
				if choice.IntN(3) == 0 {
					r.leave(in, notice(n, fmt.Sprint("n", i)))
				}
			}
		}
		eventually(t, "all is delivered or unknown", func() bool {
			for _, s := range r.states() {
				if s != stateUnknown {
					return false
				}
			}
			var waiting int
			r.pool.QueryRow(context.Background(), `SELECT count(*) FROM outbox WHERE priority = 0`).Scan(&waiting)
			return waiting == 0
		})
		for n := range people {
			var replies, notices []string
			doubled := 0
			for _, text := range r.zalo.texts(person(n)) {
				list := &replies
				if text[0] == 'n' {
					list = &notices
				}
				if k := len(*list); k > 0 && (*list)[k-1] == text {
					doubled++
					continue
				}
				*list = append(*list, text)
			}
			var want []string
			for i := range each {
				want = append(want, fmt.Sprint(i), fmt.Sprint("tag ", i))
			}
			if !cmp.Equal(want, replies) {
				rt.Fatalf("person %d read %v, want %v", n, replies, want)
			}
			for i := 1; i < len(notices); i++ {
				if notices[i] <= notices[i-1] {
					rt.Fatalf("person %d read notices %v", n, notices)
				}
			}
			if doubled > lost[person(n).User] {
				rt.Fatalf("person %d: %d doubled, %d calls cut off", n, doubled, lost[person(n).User])
			}
		}
	})
}

func TestPostgresAwayDuringACall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.hold = make(chan struct{})
	r.decide(in, reply(1, "a"), reply(2, "b"))
	eventually(t, "the calls are in the air", func() bool { r.zalo.mu.Lock(); defer r.zalo.mu.Unlock(); return r.zalo.now == 2 })
	// Every connection of the database is cut, and new ones are refused.
	admin := pgtestAdmin(t, r)
	admin("ALTER DATABASE %s ALLOW_CONNECTIONS false")
	admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'")
	close(r.zalo.hold)
	eventually(t, "it is known that Postgres is away", func() bool { return r.pool.Ping(t.Context()) != nil })
	admin("ALTER DATABASE %s ALLOW_CONNECTIONS true")
	eventually(t, "both are written down", func() bool {
		var n int
		err := r.pool.QueryRow(t.Context(), `SELECT count(*) FROM history WHERE outcome = 'sent'`).Scan(&n)
		return err == nil && n == 2
	})
	r.empty()
	if got := r.zalo.calls(); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
}

func TestNothingIsSentAgainAfterResume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.instance(quick())
	r.leave(a, reply(1, "claimed"), notice(2, "claimed"))
	r.dying("after the claim")
	r.leave(a, reply(3, "old"), notice(4, "old"))
	var cut time.Time
	if err := r.pool.QueryRow(t.Context(), `SELECT max(created_at) + interval '1 microsecond' FROM outbox`).Scan(&cut); err != nil {
		t.Fatal(err)
	}
	r.leave(a, reply(5, "new"))
	if n, err := a.MarkAllUnknown(t.Context()); err != nil || n != 2 {
		t.Fatalf("marked %d, %v", n, err)
	}
	if n, err := a.SetAside(t.Context(), cut); err != nil || n != 2 {
		t.Fatalf("set aside %d, %v", n, err)
	}
	in := r.run()
	eventually(t, "the reply of unknown fate leaves", func() bool { return len(r.outcomes(1)) == 1 })
	in.moments(20)
	if got := r.zalo.calls(); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
	wantTexts(t, r, 5, "new")
	wantOutcomes(t, r, 1, "unknown")
	if diff := cmp.Diff([]string{"unknown", "held", "held"}, r.states()); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedReplyBlocksForAWhileOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	var refused time.Time
	var open sync.Once
	again := make(chan struct{})
	r.zalo.answer = func(s sent) error {
		if s.text != "refused" {
			open.Do(func() { close(again) })
			return nil
		}
		select {
		case <-again:
			return nil
		default:
		}
		if refused.IsZero() {
			refused = time.Now()
		}
		return &Refusal{Class: ClassNotSent, Err: errors.New("connection refused")}
	}
	r.decide(in, reply(1, "refused"), reply(1, "next"))
	r.empty()
	wantTexts(t, r, 1, "next", "refused")
	if waited := r.zalo.took[0].at.Sub(refused); waited < quick().BlockFor-50*time.Millisecond {
		t.Errorf("the next reply waited %v only", waited)
	}
}
