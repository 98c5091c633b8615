package zalosim

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda does what is put off, when its time has come by the stand-in's clock.
type agenda struct {
	clock  *Clock
	rescan chan struct{}
	doing  sync.Mutex // held while tasks are done, so that doDue returns after them

	mu    sync.Mutex
	tasks byTime
	count int
}

// task is one thing put off.
type task struct {
	at time.Time
	n  int // of two at the same time, the earlier one comes first
	do func(now time.Time)
}

func (a *agenda) init(clock *Clock) {
	a.clock, a.rescan = clock, make(chan struct{}, 1)
}

// add puts something off.
func (a *agenda) add(at time.Time, do func(now time.Time)) {
	a.mu.Lock()
	a.count++
	heap.Push(&a.tasks, task{at, a.count, do})
	a.mu.Unlock()
	signal(a.rescan)
}

// doDue does everything that is due, in order.
func (a *agenda) doDue() {
	a.doing.Lock()
	defer a.doing.Unlock()
	for {
		now := a.clock.Now()
		a.mu.Lock()
		if len(a.tasks) == 0 || a.tasks[0].at.After(now) {
			a.mu.Unlock()
			return
		}
		t := heap.Pop(&a.tasks).(task)
		a.mu.Unlock()
		t.do(t.at)
	}
}

// run does tasks as they become due, until ctx ends.
func (a *agenda) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		moved := a.clock.nextMove() // taken before looking, so that no move is missed
		a.doDue()
		var fire <-chan time.Time
		a.mu.Lock()
		if len(a.tasks) > 0 {
			if wait, runs := a.clock.until(a.tasks[0].at); runs {
				timer.Reset(max(wait, time.Millisecond))
				fire = timer.C
			}
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-fire:
		case <-moved:
		case <-a.rescan:
		}
	}
}

// byTime is a heap of tasks by their time.
type byTime []task

func (h byTime) Len() int { return len(h) }
func (h byTime) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].n < h[j].n
}
func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(x any)   { *h = append(*h, x.(task)) }
func (h *byTime) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = task{}
	*h = old[:len(old)-1]
	return t
}

// dayOf numbers the days of Viet Nam, monthOf its months.
func dayOf(at time.Time) int { return int((at.Unix() + 7*60*60) / (24 * 60 * 60)) }

func monthOf(at time.Time) int {
	year, month, _ := at.In(vietnam).Date()
	return year*12 + int(month)
}

// night reports whether nothing is pushed at a time, and when that ends.
func night(at time.Time) (ends time.Time, dark bool) {
	there := at.In(vietnam)
	year, month, day := there.Date()
	switch hour := there.Hour(); {
	case hour < nightUntil:
	case hour >= nightFrom:
		day++
	default:
		return at, false
	}
	return time.Date(year, month, day, nightUntil, 0, 0, 0, vietnam), true
}

// tally counts within a day or month.
type tally struct{ Period, N int }

// left is how many of most are left in a period; any number when most is negative.
func (t *tally) left(period, most int) int {
	if t.Period != period {
		*t = tally{Period: period}
	}
	if most < 0 {
		return 1
	}
	return most - t.N
}
