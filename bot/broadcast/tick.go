package broadcast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/staff"
)

// system is who acts when a moment has come and nobody has to decide any more.
var system = staff.Actor{ID: "system"}

// mostMade bounds the occurrences made in one go, after a long outage.
const mostMade = 2500

// Tick does what the moment asks for: it makes the occurrences of approved
// broadcasts, launches those whose time has come, says which were missed, and
// freezes audiences. Any number of instances may do so at once; what one of them
// holds the others pass over. What fails holds up nothing else and is tried again
// at the next Tick.
func (s *Store) Tick(ctx context.Context, now time.Time) error {
	return errors.Join(
		s.each(ctx, `
SELECT b.id FROM broadcast b WHERE b.state IN ('approved', 'scheduled')
AND NOT EXISTS (SELECT FROM broadcast_run r WHERE r.broadcast = b.id AND r.state = 'scheduled') ORDER BY b.id`,
			func(id int64) error { return s.schedule(ctx, id, now) }),
		// By broadcast_run_live. What is more urgent goes first.
		s.each(ctx, `SELECT id FROM broadcast_run WHERE state = 'scheduled' AND at <= $1 ORDER BY class, at, id`,
			func(id int64) error { return s.launch(ctx, id, now) }, now),
		// Before anything is frozen: a correction goes to who was sent the wrong one.
		s.sweep(ctx, now),
		s.each(ctx, `SELECT id FROM broadcast_run WHERE state IN ('freezing', 'asking') ORDER BY class, started_at, id`,
			func(id int64) error { return s.advance(ctx, id, now) }),
	)
}

// each calls do for every id the statement names.
func (s *Store) each(ctx context.Context, sql string, do func(id int64) error, args ...any) error {
	rows, err := s.Pool.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("look for broadcasts: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("look for broadcasts: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if err := do(id); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// held reads a broadcast and holds it; nil when somebody else does.
func held(ctx context.Context, tx pgx.Tx, id int64) (*Broadcast, error) {
	rows, err := tx.Query(ctx, `SELECT `+broadcastColumns+` FROM broadcast WHERE id = $1 FOR UPDATE SKIP LOCKED`, id)
	b, err := one(rows, err, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return &b, err
}

// schedule makes the occurrences of a broadcast up to now, and the next one. An
// occurrence follows the last one made, never the clock alone: however the clock
// jumps, none is made twice and none is left out.
func (s *Store) schedule(ctx context.Context, id int64, now time.Time) error {
	err := s.commit(ctx, func(tx *deed) error {
		b, err := held(ctx, tx, id)
		if err != nil || b == nil || b.State != Approved && b.State != Scheduled {
			return err
		}
		from := b.ApprovedAt
		var last *time.Time
		if err := tx.QueryRow(ctx, `SELECT max(at) FROM broadcast_run WHERE broadcast = $1`, id).Scan(&last); err != nil {
			return err
		}
		if last != nil && last.After(from) {
			from = *last
		}
		times := b.occurrences(from, now)
		if len(times) == 0 {
			live, err := liveRun(ctx, tx, id)
			if err != nil || live != nil {
				return err
			}
			return s.lapse(ctx, tx, b, "approval_ended", now)
		}
		// By the unique key of broadcast and time.
		_, err = tx.Exec(ctx, `
INSERT INTO broadcast_run (broadcast, oa_id, kind, class, at, latest_at, state)
SELECT $1, $2, $3, $4, t, t + $5::interval, 'scheduled' FROM unnest($6::timestamptz[]) t
ON CONFLICT (broadcast, at) DO NOTHING`, id, b.OA, b.Kind, b.class(), b.Schedule.LatestStart, times)
		if err != nil {
			return err
		}
		if b.State == Scheduled {
			return nil
		}
		b.State = Scheduled
		if err := b.save(ctx, tx, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, system, "schedule", id, b.Agency, map[string]any{"first": times[0]})
	})
	if err != nil {
		return fmt.Errorf("schedule broadcast %d: %w", id, err)
	}
	return nil
}

// occurrences are the times after from up to now, and the first one after now.
func (b *Broadcast) occurrences(from, now time.Time) []time.Time {
	switch {
	case b.Schedule.Recurring():
	case !b.Schedule.At.IsZero():
		return []time.Time{b.Schedule.At}
	default:
		return []time.Time{b.ApprovedAt}
	}
	var times []time.Time
	for at := b.Schedule.next(from); !at.IsZero() && !at.After(b.ApprovedUntil) && len(times) < mostMade; at = b.Schedule.next(at) {
		times = append(times, at)
		if at.After(now) {
			break
		}
	}
	return times
}

// lapse takes an approved broadcast back to a draft because its approval no longer
// holds, and tells the operators.
func (s *Store) lapse(ctx context.Context, tx *deed, b *Broadcast, why string, now time.Time) error {
	if err := b.void(ctx, tx); err != nil {
		return err
	}
	b.Note = s.Texts.Text(bot.Vietnamese, "broadcast.lapsed."+why, nil)
	b.Version++
	if err := b.save(ctx, tx, now); err != nil {
		return err
	}
	tx.alarm("broadcast.alert.lapsed", "ID", b.ID, "Why", b.Note)
	return s.audit(ctx, tx, system, "lapse", b.ID, b.Agency, map[string]any{"why": why})
}
