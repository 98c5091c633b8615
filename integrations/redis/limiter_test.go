package redis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"congdanso/bot/delivery"
)

// world is some instances, their clock, and every slot they were given.
type world struct {
	now      time.Time
	limiters []*Limiter
	given    []slot
}

type slot struct {
	at time.Time
	p  delivery.Priority
}

func newWorld() *world { return &world{now: time.Unix(1_700_000_000, 0)} }

// join adds an instance on r.
func (w *world) join(r *Redis, perMinute int, alive func() int) *Limiter {
	l := r.Limiter("1", perMinute, alive)
	l.now = func() time.Time { return w.now }
	l.born = w.now.Add(-time.Hour)
	l.fake = func() string { return strconv.FormatFloat(float64(w.now.UnixMicro())/1e6, 'f', 6, 64) }
	w.limiters = append(w.limiters, l)
	return l
}

func (w *world) try(t rapid.TB, l *Limiter, p delivery.Priority, n int) (int, time.Duration) {
	got, again := l.Try(context.Background(), p, n)
	if got < 0 || got > n {
		t.Fatalf("asked for %d slots, got %d", n, got)
	}
	if got < n && again <= 0 {
		t.Fatalf("got %d of %d slots and no time to ask again", got, n)
	}
	for range got {
		w.given = append(w.given, slot{w.now, p})
	}
	return got, again
}

// most is the most slots given in any 60 seconds.
func (w *world) most() int {
	most, from := 0, 0
	for i, s := range w.given {
		for s.at.Sub(w.given[from].at) > time.Minute {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func (w *world) count(p delivery.Priority, since, until time.Time) int {
	n := 0
	for _, s := range w.given {
		if s.p == p && !s.at.Before(since) && s.at.Before(until) {
			n++
		}
	}
	return n
}

// kinds are the limiters under test: one instance without a server, and two on
// one server.
func kinds(t *testing.T) map[string]func(w *world, perMinute int) {
	s := startServer(t)
	var n atomic.Int64
	return map[string]func(*world, int){
		"in the process": func(w *world, perMinute int) {
			r, _ := Open("")
			w.join(r, perMinute, func() int { return 1 })
		},
		"shared": func(w *world, perMinute int) {
			name := fmt.Sprint("congdanso:rate:{", n.Add(1), "}")
			r := s.open()
			for range 2 {
				l := w.join(r, perMinute, func() int { return 2 })
				l.keys = []string{name, name + ":present"}
			}
			for _, l := range w.limiters {
				if err := l.beat(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
}

func TestNoMinuteHasMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			w := newWorld()
			r := rapid.SampledFrom([]int{1, 2, 3, 10, 99, 100, 101, 250, 2000, 4000}).Draw(t, "limit")
			make(w, r)
			for range rapid.IntRange(1, 120).Draw(t, "steps") {
				w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 7, 100, 600, 3000, 20_000, 61_000}).Draw(t, "pause")) * time.Millisecond)
				l := rapid.SampledFrom(w.limiters).Draw(t, "instance")
				w.try(t, l, delivery.Priority(rapid.IntRange(0, delivery.Priorities-1).Draw(t, "priority")), rapid.IntRange(1, 2*r).Draw(t, "wanted"))
			}
			if most := w.most(); most > r {
				t.Fatalf("%d slots in a minute, the limit is %d", most, r)
			}
		}))
	}
}

// greedy has every instance ask for everything it may, every 10 ms or when it was
// told to ask again.
func (w *world) greedy(t rapid.TB, d time.Duration, want ...delivery.Priority) {
	again := map[[2]int]time.Time{}
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(10 * time.Millisecond) {
		for i, l := range w.limiters {
			for _, p := range want {
				k := [2]int{i, int(p)}
				if w.now.Before(again[k]) {
					continue
				}
				if got, wait := w.try(t, l, p, 8); got < 8 {
					again[k] = w.now.Add(wait)
				}
			}
		}
	}
}

func TestEmptyAtFirstAndNothingWasted(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		for _, r := range []int{100, 2000} {
			t.Run(fmt.Sprint(name, r), func(t *testing.T) {
				w := newWorld()
				make(w, r)
				if got, _ := w.try(t, w.limiters[0], delivery.Reply, 5); got != 0 {
					t.Errorf("an unknown bucket gave %d slots", got)
				}
				start := w.now
				w.greedy(t, 3*time.Minute, delivery.Reply)
				got, want := w.count(delivery.Reply, start.Add(time.Minute), start.Add(3*time.Minute)), 2*r
				if float64(got) < 0.94*float64(want) {
					t.Errorf("%d slots in two minutes of greed, the limit would allow %d", got, want)
				}
				if most := w.most(); most > r {
					t.Errorf("%d slots in a minute", most)
				}
			})
		}
	}
}

func TestRepliesFirstAndNobodyStarves(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		for _, r := range []int{100, 500} {
			t.Run(fmt.Sprint(name, r), func(t *testing.T) {
				w := newWorld()
				make(w, r)
				w.greedy(t, time.Minute, delivery.Reply)
				start := w.now
				all := []delivery.Priority{delivery.Reply, delivery.Urgent, delivery.Notice, delivery.Broadcast, delivery.Upkeep}
				w.greedy(t, 3*time.Minute, all...)
				total := 3 * float64(r)
				for _, p := range all[1:] {
					if got := float64(w.count(p, start, w.now)); got < 0.045*total || got > 0.075*total {
						t.Errorf("%v got %.1f %% while everybody wanted all", p, 100*got/total)
					}
				}
				if got := float64(w.count(delivery.Reply, start, w.now)); got < 0.70*total {
					t.Errorf("replies got %.1f %%", 100*got/total)
				}
				if most := w.most(); most > r {
					t.Errorf("%d slots in a minute", most)
				}
			})
		}
	}
}

func TestUpkeepTakesAFifthAtMost(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			make(w, 1000)
			w.greedy(t, 3*time.Minute, delivery.Upkeep)
			if most := w.most(); most > 200 || most < 150 {
				t.Errorf("upkeep alone had %d slots of 1000 in a minute", most)
			}
		})
	}
}

func TestTheIdleLeaveTheirShareToOthers(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			make(w, 1000)
			w.greedy(t, time.Minute, delivery.Reply)
			start := w.now
			w.greedy(t, 2*time.Minute, delivery.Broadcast)
			if got := w.count(delivery.Broadcast, start, w.now); got < 1850 {
				t.Errorf("a lone broadcast got %d slots of 2000", got)
			}
		})
	}
}

func TestZaloTeachesALowerLimit(t *testing.T) {
	t.Parallel()
	for name, make := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			make(w, 1000)
			l := w.limiters[0]
			for _, other := range w.limiters {
				other.SetCeiling(4000)
			}
			if got := l.PerMinute(); got != 1000 {
				t.Errorf("a header above the setting made it %d", got)
			}
			for _, other := range w.limiters {
				other.SetCeiling(500)
			}
			if got := l.PerMinute(); got != 500 {
				t.Errorf("a header below the setting made it %d", got)
			}
			w.greedy(t, 2*time.Minute, delivery.Reply)
			if most := w.most(); most > 500 || most < 450 {
				t.Errorf("%d slots in a minute under a header of 500", most)
			}
			l.Throttled()
			l.Throttled() // the same refusal, told twice
			if got := l.PerMinute(); got != 450 {
				t.Errorf("a refusal made it %d", got)
			}
			w.given = nil
			w.greedy(t, time.Minute, delivery.Reply)
			if most := w.most(); most > 460 || most < 380 {
				t.Errorf("%d slots in the minute after a refusal", most)
			}
			w.now = w.now.Add(time.Hour)
			w.given = nil
			w.greedy(t, time.Minute, delivery.Reply)
			if most := w.most(); most < 470 || most > 500 {
				t.Errorf("%d slots in a minute an hour after a refusal", most)
			}
		})
	}
}

// Instances lose the server and find it again, each on its own, in all orders.
func TestChangingBetweenServerAndOwnShareNeverExceeds(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		n++
		name := fmt.Sprint("congdanso:rate:{switch", n, "}")
		limit := rapid.SampledFrom([]int{10, 100, 500, 2001}).Draw(t, "limit")
		count := rapid.IntRange(1, 3).Draw(t, "instances")
		var conns []*Redis
		for range count {
			r, err := Open("unix://" + s.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			l := w.join(r, limit, func() int { return count })
			l.keys = []string{name, name + ":present"}
			conns = append(conns, r)
		}
		again := make([]time.Time, count)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, count-1).Draw(t, "instance")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				conns[i].up.Store(!conns[i].up.Load())
			case 1:
				if err := conns[i].client.Del(context.Background(), name).Err(); err != nil {
					t.Fatal(err)
				}
			}
			until := w.now.Add(time.Duration(rapid.SampledFrom([]int{50, 500, 3000, 8000}).Draw(t, "time")) * time.Millisecond)
			for ; w.now.Before(until); w.now = w.now.Add(100 * time.Millisecond) {
				for j, l := range w.limiters {
					if conns[j].up.Load() {
						if err := l.beat(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
					if !w.now.Before(again[j]) {
						if got, wait := w.try(t, l, delivery.Reply, 100); got < 100 {
							again[j] = w.now.Add(wait)
						}
					}
				}
			}
		}
		if most := w.most(); most > limit {
			t.Fatalf("%d slots in a minute, the limit is %d", most, limit)
		}
	})
}

func TestEachReturnToTheServerStartsEmpty(t *testing.T) {
	t.Parallel()
	r := startServer(t).open()
	w := newWorld()
	w.join(r, 2000, func() int { return 1 })
	for range 30 {
		r.up.Store(!r.up.Load())
		w.greedy(t, 5*time.Second, delivery.Reply)
	}
	if most := w.most(); most > 2000 || most < 1900 {
		t.Errorf("%d slots in a minute, the limit is 2000", most)
	}
}

func TestRestartedServerStartsEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := s.open()
	w := newWorld()
	l := w.join(r, 1000, func() int { return 1 })
	run(t, r)
	w.try(t, l, delivery.Reply, 1)
	w.now = w.now.Add(time.Hour)
	if got, _ := w.try(t, l, delivery.Reply, 100); got == 0 {
		t.Fatal("a full bucket gave nothing")
	}
	s.stop()
	s.start()
	// A server that remembers an old, full bucket.
	if err := s.open().client.HSet(t.Context(), l.keys[0], "at", w.now.Unix(), "level", 10).Err(); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Millisecond)
	eventually(t, "the server is used again", func() bool {
		got, _ := w.try(t, l, delivery.Reply, 3)
		if got != 0 {
			t.Fatalf("%d slots right after a restart", got)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.share && l.restarts == 1
	})
}

func TestANewcomerWaitsUntilOthersHaveNoticed(t *testing.T) {
	r, _ := Open("")
	w := newWorld()
	alive := 1
	l := w.join(r, 6000, func() int { return alive })
	l.born = w.now
	w.try(t, l, delivery.Reply, 1)
	w.now = w.now.Add(time.Second)
	alive = 2
	for range 59 {
		if got, _ := w.try(t, l, delivery.Reply, 1); got != 0 {
			t.Fatalf("a slot %v after the start", w.now.Sub(l.born))
		}
		w.now = w.now.Add(100 * time.Millisecond)
	}
	w.now = w.now.Add(time.Second)
	if got, _ := w.try(t, l, delivery.Reply, 100); got < 30 || got > 60 {
		t.Errorf("%d slots once others have noticed", got)
	}
}

func TestTakeWaitsForItsSlot(t *testing.T) {
	r, _ := Open("")
	l := r.Limiter("1", 60_000, func() int { return 1 })
	for range 50 {
		if err := l.Take(t.Context(), delivery.Notice); err != nil {
			t.Fatal(err)
		}
	}
	if level := l.own.level; math.IsNaN(level) || level < 0 {
		t.Errorf("level %v", level)
	}
}

func TestRateAddsUp(t *testing.T) {
	for r := range 5000 {
		got := rateOf(float64(r))
		if most := got.burst + got.refill*(minute+slotLife); r > 0 && int(most) > r {
			t.Fatalf("%d a minute: burst %v, refill %v a second", r, got.burst, got.refill)
		}
		if slices.Contains([]float64{got.credit, got.upkeep, got.refill}, 0) && r > 0 {
			t.Fatalf("%d a minute: something never flows: %+v", r, got)
		}
	}
}
