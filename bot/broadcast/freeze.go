package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// freezeWithin is how long after its latest start a run that was launched in time
// may still be made ready. What an outage held up for longer is missed.
const freezeWithin = 15 * time.Minute

// advance makes a launched run ready: slice by slice its audience becomes copies,
// then count and cost are held against what was approved. It ends when the run
// goes, asks, or is held by somebody else. A run that asks for too long is missed.
func (s *Store) advance(ctx context.Context, run int64, now time.Time) error {
	for more := true; more; {
		var err error
		if more, err = s.step(ctx, run, now); err != nil {
			return fmt.Errorf("freeze run %d: %w", run, err)
		}
	}
	r, err := readRun(ctx, s.Pool, `id = $1`, run)
	if err != nil || r == nil {
		return err
	}
	switch {
	case (r.State == RunFreezing || r.State == RunAsking) && now.After(r.LatestAt.Add(freezeWithin)):
		return s.missLate(ctx, r, now)
	case r.State == RunFreezing && r.Whole:
		return s.weigh(ctx, *r, now)
	}
	return nil
}

// step freezes one slice in a transaction of its own, and says whether there is
// more. The slice and the place up to which the audience was read commit together:
// wherever it stops, it goes on from exactly there. The lock on the run keeps other
// instances, and whoever pauses or cancels, out of the slice.
func (s *Store) step(ctx context.Context, run int64, now time.Time) (more bool, err error) {
	r, err := readRun(ctx, s.Pool, `id = $1 AND state = 'freezing' AND NOT whole`, run)
	if err != nil || r == nil || now.After(r.LatestAt.Add(freezeWithin)) {
		return false, err
	}
	upto, last, err := s.sliceEnd(ctx, r.OA, r.Cursor, s.slice)
	if err != nil {
		return false, err
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		r, err := readRun(ctx, tx, `id = $1 AND state = 'freezing' AND NOT whole AND cursor = $2 FOR UPDATE SKIP LOCKED`, run, r.Cursor)
		if err != nil || r == nil {
			return err // somebody else is at it, or held it
		}
		b := Broadcast{ID: r.Broadcast, OA: r.OA, Definition: *r.Definition}
		sql, args, err := s.selectAudience(b, audienceQuery{oa: r.OA, after: r.Cursor, upto: upto, at: r.FrozenAt})
		if err != nil {
			return err
		}
		if _, _, err := s.Push.Freeze(ctx, tx, r.push(), r.FrozenAt, sql, args...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE broadcast_run SET cursor = $2, whole = $3 WHERE id = $1`, run, upto, last)
		more = err == nil && !last
		return err
	})
	return more, err
}

// weigh lets a frozen run go if it is what was approved: not a tenth more people,
// nor a tenth dearer. Otherwise it asks.
func (s *Store) weigh(ctx context.Context, r Run, now time.Time) error {
	books, err := s.Push.Books(ctx, r.ID)
	if err != nil {
		return err
	}
	recipients := books.Audience - books.Skipped
	n, err := s.count(ctx, Broadcast{ID: r.Broadcast, OA: r.OA, Definition: *r.Definition}, r.FrozenAt)
	if err != nil {
		return err
	}
	cause := ""
	switch {
	case tenthAbove(recipients, r.ApprovedRecipients):
		cause = causeRecipients
	case tenthAbove(n.Cost, r.ApprovedCost):
		cause = causeCost
	}
	err = s.commit(ctx, func(tx *deed) error {
		b, err := lock(ctx, tx, r.Broadcast)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
UPDATE broadcast_run SET recipients = $2, cost = $3, cause = nullif($4, ''), cleared = $4 = '',
    state = CASE WHEN $4 = '' THEN 'running' ELSE 'asking' END
WHERE id = $1 AND state = 'freezing' AND whole`, r.ID, recipients, n.Cost, cause)
		if err != nil || tag.RowsAffected() == 0 {
			return err // somebody else weighed it, or held it
		}
		act := "start"
		if cause != "" {
			act = "ask"
			tx.alarm("broadcast.alert.asking", "ID", b.ID, "Approved", r.ApprovedRecipients, "Recipients", recipients,
				"ApprovedCost", r.ApprovedCost, "Cost", n.Cost)
		}
		return s.audit(ctx, tx, system, act, b.ID, b.Agency, map[string]any{
			"run": r.ID, "recipients": recipients, "cost": n.Cost, "cause": cause})
	})
	if err != nil {
		return fmt.Errorf("weigh run %d: %w", r.ID, err)
	}
	return nil
}

// tenthAbove reports whether n is more than a tenth above approved.
func tenthAbove(n, approved int64) bool { return n*10 > approved*11 }

// missLate ends a run that was launched and not made ready in time.
func (s *Store) missLate(ctx context.Context, r *Run, now time.Time) error {
	err := s.commit(ctx, func(tx *deed) error {
		b, err := held(ctx, tx, r.Broadcast)
		if err != nil || b == nil {
			return err
		}
		still, err := readRun(ctx, tx, `id = $1 AND state IN ('freezing', 'asking') FOR UPDATE`, r.ID)
		if err != nil || still == nil {
			return err
		}
		return s.miss(ctx, tx, b, still, now)
	})
	if err != nil {
		return fmt.Errorf("miss run %d: %w", r.ID, err)
	}
	return nil
}
