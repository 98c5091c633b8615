package delivery

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"congdanso/bot"
)

const (
	// yield is how long a row rests that another row of its citizen keeps from
	// being sent, where that other row is not in our hands.
	yield = 300 * time.Millisecond
	// sayAgain is how long the dispatcher rests after Postgres refused a mark.
	sayAgain = 250 * time.Millisecond
	// stopWithin bounds what is done after the end of Run's context: a call in
	// the air ends, and what became of it is written down.
	stopWithin = 12 * time.Second
)

// air counts the calls under way, and lets none begin once it is closed.
type air struct {
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

func (a *air) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.calls.Add(1)
	return true
}

func (a *air) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.calls.Wait()
}

// Run delivers until ctx ends; then it lets the calls in the air end, writes down
// what became of them, and gives back what it had claimed. It can run once.
func (o *Outbox) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	o.work = work
	var settling sync.WaitGroup
	settleCtx, stopSettling := context.WithCancel(work)
	settling.Go(func() { o.settle.Run(settleCtx) })
	settling.Go(func() { o.books.Run(settleCtx) })

	o.running.Store(true)
	var loops sync.WaitGroup
	loops.Go(func() { o.dispatchLoop(ctx) })
	loops.Go(func() { o.pollLoop(ctx) })
	loops.Go(func() { o.RunNotes(ctx) })
	<-ctx.Done()
	o.running.Store(false)
	giveUp := time.AfterFunc(stopWithin, stop)
	defer giveUp.Stop()
	loops.Wait()
	o.air.close()
	stopSettling()
	settling.Wait()
	if err := o.release(work, o.queue.take(func(*job) bool { return true })); err != nil {
		slog.Error("cannot give back claimed messages", "error", err)
	}
	return nil
}

// dispatchLoop takes what is ready, marks it as sending, and starts the calls.
// Whatever becomes ready while a mark commits shares the next one.
func (o *Outbox) dispatchLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		jobs, wait := o.pick(ctx)
		if len(jobs) > 0 {
			if o.mark(ctx, jobs) {
				continue
			}
			wait = sayAgain
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-o.kick:
		case <-timer.C:
		}
	}
}

// pick takes jobs into the air that have a place and a slot. When there are none
// it says how long to wait at most.
func (o *Outbox) pick(ctx context.Context) (jobs []*job, wait time.Duration) {
	wait = time.Second
	if o.paused.Load() {
		return nil, wait
	}
	waiting, ready := o.queue.counts()
	o.askForMore(waiting)
	total := 0
	for _, n := range ready {
		total += n
	}
	if total == 0 {
		return nil, wait
	}
	allowed, rest := o.health.allow(total)
	if allowed == 0 {
		return nil, max(time.Millisecond, min(rest, wait))
	}
	now := o.opt.Now()
	for p := range priorities {
		if ready[p] == 0 || allowed == 0 {
			continue
		}
		if again := time.Unix(0, o.again[p].Load()).Sub(now); again > 0 {
			wait = min(wait, again)
			continue
		}
		others := p == Reply && total > ready[Reply]
		n := o.places.take(min(allowed, ready[p]), others)
		candidates := o.sort(o.queue.pop(p, n), now)
		got := 0
		if len(candidates) > 0 {
			var again time.Duration
			if got, again = o.limiter.Try(ctx, p, len(candidates)); got < len(candidates) {
				again = max(again, time.Millisecond)
				o.again[p].Store(now.Add(again).UnixNano())
				wait = min(wait, again)
			}
		}
		taken := o.opt.Now()
		for _, j := range candidates[:got] {
			j.slotAt = taken
		}
		o.queue.putBack(candidates[got:])
		o.places.give(n - got)
		allowed -= got
		jobs = append(jobs, candidates[:got]...)
	}
	if len(jobs) == 0 {
		o.health.untried()
	}
	return jobs, wait
}

// sort writes down the jobs that are not to be sent any more, which takes no
// place, and returns the rest.
func (o *Outbox) sort(jobs []*job, now time.Time) []*job {
	keep := jobs[:0]
	for _, j := range jobs {
		v, send := o.review(j, now)
		if send {
			keep = append(keep, j)
			continue
		}
		if !o.air.enter() {
			o.queue.land(j)
			continue
		}
		go func() {
			defer o.air.calls.Done()
			o.finish(j, v)
		}()
	}
	return keep
}

// review looks at a job before its call.
func (o *Outbox) review(j *job, now time.Time) (v verdict, send bool) {
	switch until := o.health.resting(j.kind); {
	case !now.Before(j.expires):
		return verdict{outcome: outcomeDropped, cause: causeExpired}, false
	case o.crowded(j, now):
		return verdict{outcome: outcomeDropped, cause: causeCrowded}, false
	case !j.window.IsZero() && !now.Before(j.window):
		return tooLate(verdict{}), false
	case !until.IsZero() && j.push() && j.kind == kindTemplate:
		return verdict{outcome: outcomeFailed, class: ClassHuman, cause: causeResting}, false
	case !until.IsZero():
		return verdict{state: statePending, due: until}, false
	case j.push() && !j.probe:
		if until := o.brake.until(); !until.IsZero() {
			return verdict{state: statePending, due: until.Add(yield)}, false
		}
	}
	return v, true
}

// crowded reports whether a reply gives way because others have waited too long:
// a menu or a fallback, or a status that a newer one has overtaken.
func (o *Outbox) crowded(j *job, now time.Time) bool {
	if j.priority != Reply || j.msg == nil || now.Sub(j.created) < o.opt.Crowded {
		return false
	}
	switch j.msg.Kind {
	case bot.KindMenu, bot.KindFallback:
		return true
	case bot.KindStatus:
		return o.queue.outdated(j)
	}
	return false
}

// launch starts the call of a job that is marked as sending and has a place.
func (o *Outbox) launch(j *job) {
	if !o.air.enter() { // stopped: the lease will end
		o.queue.land(j)
		o.places.give(1)
		return
	}
	go func() {
		defer o.air.calls.Done()
		o.deliver(j)
		o.places.give(1)
		o.nudge()
	}()
}

// deliver calls Zalo and writes down what became of it.
func (o *Outbox) deliver(j *job) {
	if o.beforeCall != nil {
		o.beforeCall(j)
	}
	if !o.mayCall(j) {
		o.health.untried()
		o.finish(j, verdict{state: statePending, due: j.created})
		return
	}
	if j.push() { // it came here without being looked at
		if v, send := o.review(j, o.opt.Now()); !send {
			o.health.untried()
			o.finish(j, v)
			return
		}
	}
	began := o.opt.Now()
	ctx, cancel := context.WithTimeout(o.work, o.opt.CallLimit)
	defer cancel()
	var r Receipt
	var err error
	switch {
	case j.call != nil:
		err = o.zalo.Do(ctx, j.who, *j.call)
	case j.template != nil:
		t := *j.template
		if t.Phone != "" {
			t.TrackingID = trackingID(j)
		}
		r, err = o.zalo.Template(ctx, j.who, t)
	default:
		r, err = o.zalo.Send(ctx, j.who, *j.msg)
	}
	if o.afterCall != nil {
		o.afterCall(j)
	}
	o.meter.called(o.opt.Now().Sub(began))
	v := o.judge(j, r, err)
	if j.push() {
		o.heard(v, began)
	}
	if v.msgID != "" {
		o.notes.claim(v.msgID, j.secret)
	}
	switch {
	case v.throttl:
		o.limiter.Throttled()
		o.health.answered(j.kind, began)
	case v.person:
		if o.health.person(j.kind) {
			slog.Error("zalo refuses a kind of call; somebody has to see to it", "kind", j.kind, "zalo_code", v.code, "words", v.cause)
			o.opt.Alarm(Alarm{Kind: "human", Call: j.kind, Code: v.code, Words: v.cause})
		}
	case v.broken:
		if o.health.failed() {
			slog.Warn("calls to zalo do not get through; trying again one by one", "error", err)
		}
	default:
		o.health.answered(j.kind, began)
	}
	o.finish(j, v)
}

// heard tells the brake how the call of a push ended.
func (o *Outbox) heard(v verdict, began time.Time) {
	switch {
	case v.unsure:
		if o.brake.cutOff(o.opt.Now()) {
			slog.Error("calls of pushes end without an answer; one a minute tries whether Zalo answers again", "cause", v.cause)
			o.opt.Alarm(Alarm{Kind: "unanswered", Call: kindMessage})
		}
	case !v.broken && !v.throttl:
		o.brake.answered(v.outcome == outcomeSent, began)
	}
}

// trackingID is what a template by phone carries, so that its receipt finds its row:
// the person's id and the row's number.
func trackingID(j *job) string { return j.who.User + "-" + strconv.FormatInt(j.id, 36) }

// mayCall reports whether the call of j may still begin: it must end within the
// lease, and its slot must be fresh. A call that is not begun never happened, so
// that its row may go back to pending.
func (o *Outbox) mayCall(j *job) bool {
	fresh := func() bool {
		stopped := j.push() && !j.probe && !o.brake.until().IsZero()
		return !o.paused.Load() && !stopped && o.opt.Now().Before(j.leaseEnd.Add(-o.opt.CallLimit))
	}
	if !fresh() {
		return false
	}
	if o.opt.Now().Sub(j.slotAt) <= slotLife {
		return true
	}
	// The commit took longer than the slot lives.
	ctx, cancel := context.WithDeadline(o.work, j.leaseEnd.Add(-o.opt.CallLimit))
	defer cancel()
	if err := o.limiter.Take(ctx, j.priority); err != nil {
		return false
	}
	return fresh()
}

// finish writes down what became of j, as often as it takes.
func (o *Outbox) finish(j *job, v verdict) {
	settle := o.settle
	if j.push() {
		settle = o.books
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := settle.Do(o.work, settlement{job: j, verdict: v})
		if err == nil {
			break
		}
		var lasting *dataError
		if o.work.Err() != nil || errors.As(err, &lasting) {
			slog.Error("cannot write down what became of a message", "outcome", v.outcome, "error", err)
			break // its lease will end
		}
		select {
		case <-time.After(pause):
		case <-o.work.Done():
		}
	}
	slog.Debug("call settled", "event_id", j.event, "kind", j.kind, "class", j.priority.String(), "outcome", v.outcome, "cause", v.cause, "tries", j.tries)
	o.queue.land(j)
	o.nudge()
}
