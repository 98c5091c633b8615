package broadcast

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/push"
	"congdanso/bot/staff"
)

// Pause holds a broadcast: no copy of it is handed on, and no run begins, until it
// is resumed. What is in the air ends as it ends.
func (s *Store) Pause(ctx context.Context, actor staff.Actor, id int64, now time.Time) error {
	return s.act(ctx, request{name: "pause", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		return nil, b.pause(ctx, tx, causeStaff)
	})
}

func (b *Broadcast) pause(ctx context.Context, tx pgx.Tx, cause string) error {
	_, err := tx.Exec(ctx, `
UPDATE broadcast_run SET state = 'paused', cause = $2
WHERE broadcast = $1 AND state IN ('freezing', 'asking', 'running')`, b.ID, cause)
	if err != nil {
		return fmt.Errorf("pause run: %w", err)
	}
	b.State = Paused
	return nil
}

// Resume lets a paused broadcast go on from exactly where it stood.
func (s *Store) Resume(ctx context.Context, actor staff.Actor, id int64, now time.Time) error {
	return s.act(ctx, request{name: "resume", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		live, err := liveRun(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if live == nil {
			next, err := readRun(ctx, tx, `broadcast = $1 AND state = 'scheduled' ORDER BY at LIMIT 1`, id)
			if b.State = Approved; next != nil {
				b.State = Scheduled
			}
			return nil, err
		}
		_, err = tx.Exec(ctx, `
UPDATE broadcast_run SET cause = NULL,
    state = CASE WHEN cleared THEN 'running' ELSE 'freezing' END
WHERE id = $1`, live.ID)
		if err != nil {
			return nil, fmt.Errorf("resume run: %w", err)
		}
		b.State = Running
		return map[string]any{"run": live.ID}, nil
	})
}

// Cancel ends a broadcast for good: before it began nothing of it happens, and in
// its middle whoever has not been written to is skipped.
func (s *Store) Cancel(ctx context.Context, actor staff.Actor, id int64, now time.Time) error {
	err := s.act(ctx, request{name: "cancel", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		b.State = Cancelled
		if err := cancelRuns(ctx, tx, id, causeStaff, now); err != nil {
			return nil, err
		}
		return nil, s.listDone(ctx, tx, b, now)
	})
	if err != nil {
		return err
	}
	return s.sweep(ctx, now)
}

// cancelRuns ends the runs of a broadcast that have not ended. Their copies are
// swept afterwards, a slice a transaction; none of them goes any more, for the
// feeder asks which runs are active.
func cancelRuns(ctx context.Context, tx pgx.Tx, id int64, cause string, now time.Time) error {
	_, err := tx.Exec(ctx, `
UPDATE broadcast_run SET state = 'cancelled', cause = $2, ended_at = $3, sweep = started_at IS NOT NULL
WHERE broadcast = $1 AND state IN ('scheduled', 'freezing', 'asking', 'running', 'paused')`, id, cause, now)
	if err != nil {
		return fmt.Errorf("cancel runs: %w", err)
	}
	return nil
}

// sweep skips the copies that still wait of runs that were ended early.
func (s *Store) sweep(ctx context.Context, now time.Time) error {
	// By broadcast_run_sweep.
	return s.each(ctx, `SELECT id FROM broadcast_run WHERE sweep ORDER BY id`, func(run int64) error {
		for more := true; more; {
			err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
				r, err := readRun(ctx, tx, `id = $1 AND sweep FOR UPDATE SKIP LOCKED`, run)
				if more = r != nil; err != nil || r == nil {
					return err
				}
				reason := push.ReasonCancelled
				if r.State == RunMissed {
					reason = causeLate
				}
				n, err := s.Push.Cancel(ctx, tx, run, reason, now)
				if err != nil || n > 0 {
					return err
				}
				more = false
				_, err = tx.Exec(ctx, `UPDATE broadcast_run SET sweep = false WHERE id = $1`, run)
				return err
			})
			if err != nil {
				return fmt.Errorf("skip the rest of run %d: %w", run, err)
			}
		}
		return nil
	})
}

// Go lets a run that asks go on: its count or cost is above what was approved, and
// an approver takes that upon themselves.
func (s *Store) Go(ctx context.Context, actor staff.Actor, id int64, now time.Time) error {
	return s.act(ctx, request{name: "go", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		live, err := liveRun(ctx, tx, id)
		switch {
		case err != nil:
			return nil, err
		case live == nil || live.State != RunAsking:
			return nil, refuse("not_asking")
		case slices.Contains(b.Authors, actor.ID):
			return nil, refuse("author")
		case now.After(live.LatestAt):
			return nil, refuse("late")
		}
		_, err = tx.Exec(ctx, `UPDATE broadcast_run SET state = 'running', cleared = true, cause = NULL WHERE id = $1`, live.ID)
		if err != nil {
			return nil, fmt.Errorf("let run go: %w", err)
		}
		return map[string]any{"run": live.ID, "recipients": live.Recipients, "cost": live.Cost}, nil
	})
}
