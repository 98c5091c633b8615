package dossier

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookers    = 8                // look-ups at a time
	lookSilent = 3                // unanswered ones, after which the rest of a claim is not asked
	lookFirst  = time.Minute      // first retry of what could not be asked
	lookMax    = 15 * time.Minute // longest wait between retries
	lagFirst   = 30 * time.Second // first retry of what is behind its own list of changes
	lagTries   = 6
	pushAgain  = 2 * time.Minute     // a push that showed nothing new is looked at once more
	notFound   = 24 * time.Hour      // a dossier that is missing is looked for patiently, then rarely
	goneAfter  = 30 * 24 * time.Hour // and then no more
	wholeTries = 3                   // after which what can be read has to do
)

// outcome is what one look came to.
type outcome struct {
	claimed
	answered bool // the procedure system answered
	found    bool
	record   Record
	detail   *Detail // nil: nothing has changed since the last look
	err      error
}

// Look looks at the dossiers whose time has come, and tells followers what is
// new. It returns how many it looked at; where there are more than the rate
// allows, they wait. Meant to be called every few seconds by every instance.
func (w *Watch) Look(ctx context.Context, now time.Time) (looked int, err error) {
	for {
		list, p, err := w.store.claim(ctx, looksPerMinute.Of(w.values()), now)
		if err != nil || len(list) == 0 {
			return looked, err
		}
		results := w.lookAll(ctx, list, now)
		if ctx.Err() != nil {
			return looked, ctx.Err() // the lease runs out, and they are looked at again
		}
		looked += len(list)
		var quiet []settled
		var errs []error
		for _, r := range results {
			s, err := w.conclude(ctx, r, p, now)
			if err != nil {
				errs = append(errs, err)
			}
			if s != nil {
				quiet = append(quiet, *s)
			}
		}
		if err := w.store.settle(ctx, quiet, now); err != nil {
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			return looked, err
		}
	}
}

// lookAll asks for all dossiers of a claim, a few at a time. While the system
// does not answer, the rest is not asked.
func (w *Watch) lookAll(ctx context.Context, list []claimed, now time.Time) []outcome {
	results := make([]outcome, len(list))
	var next, silent atomic.Int64
	var wg sync.WaitGroup
	for range min(lookers, len(list)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				if silent.Load() >= lookSilent {
					results[i] = outcome{claimed: list[i], err: &Unavailable{Err: errors.New("not asked: the system does not answer")}}
					continue
				}
				results[i] = w.look(ctx, list[i], now)
				if results[i].answered {
					silent.Store(0)
				} else {
					silent.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return results
}

// look asks for one dossier: for what is public, and, unless nothing has changed
// and nothing is to be told, for requests and fees.
func (w *Watch) look(ctx context.Context, c claimed, now time.Time) outcome {
	o := outcome{claimed: c}
	if c.endedAt != nil {
		o.answered = true
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, w.service.budget)
	defer cancel()
	if c.fingerprint == nil {
		if o.state, o.err = w.shown(ctx, c); o.err != nil {
			return o
		}
	}
	records, seenAt, err := w.service.fresh(ctx, c.code)
	switch {
	case errors.Is(err, ErrNotFound):
		o.answered = true
		return o
	case err != nil:
		o.err = err
		return o
	}
	o.answered, o.found, o.record = true, true, records[0]
	p := &o.record.Public
	if c.state != nil && !c.hinted && !c.reminded(now) && !p.UpdatedAt.IsZero() && c.changedAt != nil &&
		p.UpdatedAt.Equal(*c.changedAt) && p.Status == c.state.Public.Status && p.DueAt.Equal(c.state.Public.DueAt) {
		return o
	}
	d := w.service.detail(ctx, c.code, o.record, seenAt)
	if (!d.Complete || !d.FeesKnown) && c.tries < wholeTries {
		o.answered = false
		o.err = &Unavailable{Err: errors.New("steps, requests or fees could not be read")}
		return o
	}
	o.detail = &d
	return o
}

// shown is what whoever began to follow was shown then, as far as it can be told
// from the last known state; nil where it cannot. Of that only the status counts:
// lists and details may hold different dates.
func (w *Watch) shown(ctx context.Context, c claimed) (*told, error) {
	last, err := w.store.known(ctx, c.code)
	if err != nil || last == nil || last.SeenAt.Before(c.since.Add(-2*w.service.answers.ttl)) || last.Status.Ended() {
		return nil, err
	}
	return &told{Public: last.Public}, nil
}

// conclude decides what follows from a look. What is told is written at once, in
// a transaction of its own; the rest is returned, to be written together.
func (w *Watch) conclude(ctx context.Context, o outcome, p pace, now time.Time) (*settled, error) {
	s := &settled{
		hash: o.hash, lease: o.lease, changedAt: o.changedAt, lookAt: now.Add(around(everyFar)), every: everyFar,
		remindAt: o.remindAt, dueTold: known(o.dueTold), lateTold: known(o.lateTold),
	}
	if o.state != nil {
		s.every = o.state.every(now, p.listed)
	}
	switch {
	case o.endedAt != nil:
		return nil, w.askRating(ctx, o.claimed, now)
	case !o.answered:
		s.tries, s.lastError, s.hintFor = o.tries+1, "unavailable", o.hintFor
		s.again(now.Add(around(backoff(lookFirst, lookMax, o.tries))), o.hinted || o.reminded(now))
		return s, nil
	case !o.found:
		return w.missing(ctx, o, s, now)
	}
	s.looked = true
	if at := o.record.UpdatedAt; !at.IsZero() {
		s.changedAt = &at
	}
	s.alias = w.store.alias(o.code, &o.record.Public)
	state := o.state
	kind := ""
	if o.detail != nil {
		before := o.state
		if o.fingerprint == nil {
			before = nil
		}
		fresh := toldOf(o.detail, before)
		state = &fresh
		switch {
		case o.state == nil: // whoever follows has just seen it
		case o.fingerprint == nil:
			if o.state.Public.Status != fresh.Public.Status { // it changed meanwhile
				seen := fresh
				seen.Public.Status = o.state.Public.Status
				o.state, kind = &seen, kindOf(&seen, state, now)
			}
		case !bytes.Equal(w.store.fingerprint(o.code, state), o.fingerprint):
			kind = kindOf(o.state, state, now)
		default:
			kind = state.reminder(o.dueTold, o.lateTold, now)
		}
		due, late := state.settled(o.dueTold, o.lateTold, now)
		s.dueTold, s.lateTold = known(due), known(late)
	}
	s.every = state.every(now, p.listed)
	s.lookAt = now.Add(around(time.Duration(float64(s.every) * p.stretch)))
	s.remindAt = known(state.remindAt(value(s.dueTold), value(s.lateTold), now))
	switch behind := o.hintFor != nil && !o.record.UpdatedAt.IsZero() && o.record.UpdatedAt.Before(*o.hintFor); {
	case behind && o.tries < lagTries:
		s.tries, s.hintFor = o.tries+1, o.hintFor
		s.again(now.Add(backoff(lagFirst, lookMax, o.tries)), true)
	case o.hinted && o.hintFor == nil && o.fingerprint != nil && kind == "" && s.lookAt.After(now.Add(pushAgain)):
		s.lookAt = now.Add(pushAgain)
	}
	if o.detail == nil || o.state != nil && o.fingerprint != nil && kind == "" {
		return s, nil
	}
	return nil, w.tell(ctx, o, s, state, kind, now)
}

// missing is patient with a dossier that is not found: a replica may lag.
func (w *Watch) missing(ctx context.Context, o outcome, s *settled, now time.Time) (*settled, error) {
	s.looked, s.lastError, s.missing = true, "not_found", o.missing
	if s.missing == nil {
		s.missing = &now
	}
	switch since := now.Sub(*s.missing); {
	case since < notFound:
		s.tries, s.hintFor = o.tries+1, o.hintFor
		s.again(now.Add(around(backoff(lookFirst, lookMax, o.tries))), o.hinted || o.reminded(now))
	case since > goneAfter:
		return nil, w.store.end(ctx, o.hash)
	default:
		s.remindAt = nil // nobody knows what became of it: nothing is told
	}
	return s, nil
}

// backoff doubles first with each try, up to most.
func backoff(first, most time.Duration, tries int) time.Duration {
	return min(first<<min(tries, 10), most)
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// alias is the hash of the dossier's other code, by which hints may name it.
func (s *Store) alias(code Code, p *Public) []byte {
	for _, other := range []Code{p.Code, p.NationCode} {
		if other != "" && !strings.EqualFold(string(other), string(code)) {
			return s.codeHash(other)
		}
	}
	return nil
}
