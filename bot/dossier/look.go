package dossier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
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

// settled is what is written of a dossier that was looked at.
type settled struct {
	hash      []byte
	lease     time.Time
	alias     []byte
	changedAt *time.Time
	looked    bool // the system answered
	lookAt    time.Time
	every     time.Duration
	hintAt    *time.Time // nil: no hint is left
	hintFor   *time.Time
	remindAt  *time.Time
	dueTold   *time.Time
	lateTold  *time.Time
	missing   *time.Time
	tries     int
	lastError string
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
		fresh := toldOf(o.detail, o.state)
		state = &fresh
		switch {
		case o.state == nil: // whoever follows has just seen it
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
	case o.hinted && o.hintFor == nil && o.state != nil && kind == "" && s.lookAt.After(now.Add(pushAgain)):
		s.lookAt = now.Add(pushAgain)
	}
	if o.detail == nil || o.state != nil && kind == "" {
		return s, nil
	}
	return nil, w.tell(ctx, o, s, state, kind, now)
}

// again puts the next look at a time, before the ordinary ones where it is urgent.
func (s *settled) again(at time.Time, urgent bool) {
	if urgent {
		s.hintAt = &at
	} else {
		s.lookAt = at
	}
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

// settle writes what quiet looks came to, in one statement. A hint that came
// meanwhile stays.
func (s *Store) settle(ctx context.Context, list []settled, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, settleSQL, columnsOf(list, now)...)
	if err != nil {
		return fmt.Errorf("settle looks: %w", err)
	}
	return nil
}

const settleSQL = `
	UPDATE dossier_watch w
	SET alias_hash = coalesce(n.alias, w.alias_hash), changed_at = n.changed_at,
	    looked_at = CASE WHEN n.looked THEN $16 ELSE w.looked_at END,
	    look_at = n.look_at, every_s = n.every_s,
	    hint_at = CASE WHEN w.hint_at = n.lease THEN n.hint_at ELSE w.hint_at END,
	    hint_for = CASE WHEN w.hint_at = n.lease THEN n.hint_for ELSE w.hint_for END,
	    remind_at = n.remind_at, due_told = n.due_told, late_told = n.late_told,
	    missing_since = n.missing, tries = n.tries, last_error = nullif(n.last_error, '')
	FROM unnest($1::bytea[], $2::timestamptz[], $3::bytea[], $4::timestamptz[], $5::boolean[], $6::timestamptz[], $7::integer[],
	            $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
	            $14::smallint[], $15::text[])
	     AS n(code_hash, lease, alias, changed_at, looked, look_at, every_s, hint_at, hint_for, remind_at, due_told, late_told,
	          missing, tries, last_error)
	WHERE w.code_hash = n.code_hash`

// columnsOf turns what is settled on its side, for settleSQL.
func columnsOf(list []settled, now time.Time) []any {
	n := len(list)
	hashes, aliases := make([][]byte, n), make([][]byte, n)
	leases, lookAt := make([]time.Time, n), make([]time.Time, n)
	changed, hintAt, hintFor, remind := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	due, late, missing := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	looked := make([]bool, n)
	every := make([]int32, n)
	tries := make([]int16, n)
	errs := make([]string, n)
	for i, s := range list {
		hashes[i], leases[i], aliases[i], changed[i], looked[i], lookAt[i] = s.hash, s.lease, s.alias, s.changedAt, s.looked, s.lookAt
		every[i] = int32(s.every / time.Second)
		hintAt[i], hintFor[i], remind[i], due[i], late[i], missing[i] = s.hintAt, s.hintFor, s.remindAt, s.dueTold, s.lateTold, s.missing
		tries[i], errs[i] = int16(min(s.tries, 1000)), s.lastError
	}
	return []any{hashes, leases, aliases, changed, looked, lookAt, every, hintAt, hintFor, remind, due, late, missing, tries, errs, now}
}

// end takes a dossier out of the watch, and its followers' wish with it.
func (s *Store) end(ctx context.Context, hash []byte) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.endIn(ctx, tx, hash) })
}

func (s *Store) endIn(ctx context.Context, tx pgx.Tx, hash []byte) error {
	for _, statement := range []string{
		`DELETE FROM dossier_watch WHERE code_hash = $1`,
		`UPDATE dossier_kept SET follow = NULL WHERE code_hash = $1 AND follow IS NOT NULL`,
	} {
		if _, err := tx.Exec(ctx, statement, hash); err != nil {
			return fmt.Errorf("end watching: %w", err)
		}
	}
	return nil
}
