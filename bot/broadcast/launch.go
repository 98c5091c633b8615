package broadcast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/staff"
)

// launch begins a run whose time has come, unless it is too late for it, it is
// held, an earlier run still goes, or what was approved no longer stands.
func (s *Store) launch(ctx context.Context, run int64, now time.Time) error {
	err := s.commit(ctx, func(tx *deed) error {
		var id int64
		err := tx.QueryRow(ctx, `SELECT broadcast FROM broadcast_run WHERE id = $1`, run).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // taken back meanwhile
		}
		if err != nil {
			return err
		}
		b, err := held(ctx, tx, id)
		if err != nil || b == nil {
			return err
		}
		r, err := readRun(ctx, tx, `id = $1 AND state = 'scheduled' FOR UPDATE`, run)
		if err != nil || r == nil {
			return err
		}
		if now.After(r.LatestAt) {
			return s.miss(ctx, tx, b, r, now)
		}
		if b.State == Paused {
			return nil
		}
		if live, err := liveRun(ctx, tx, id); err != nil || live != nil {
			return err
		}
		approved, why, err := s.stands(ctx, tx, b, now)
		if err != nil {
			return err
		}
		if why != "" {
			return s.lapse(ctx, tx, b, why, now)
		}
		return s.begin(ctx, tx, b, r, approved, now)
	})
	if err != nil {
		return fmt.Errorf("launch run %d: %w", run, err)
	}
	return nil
}

// begin launches a run under the definition of this moment.
func (s *Store) begin(ctx context.Context, tx pgx.Tx, b *Broadcast, r *Run, approved Seen, now time.Time) error {
	ended := false
	if b.Corrects != 0 {
		// Nobody is sent the wrong one any more: from here on it is known who was.
		var err error
		if ended, err = endCorrected(ctx, tx, b.Corrects, now); err != nil {
			return err
		}
	}
	state := RunFreezing
	if b.Kind == Article {
		state = RunRunning // it has no copies to freeze
	}
	_, err := tx.Exec(ctx, `
UPDATE broadcast_run SET state = $2, definition = $3, approved_recipients = $4, approved_cost = $5,
    frozen_at = $6, started_at = $6, expires_at = $7, cleared = kind = 'article'
WHERE id = $1`, r.ID, state, b.Definition, approved.Recipients, approved.Cost, now, now.Add(b.ExpiresAfter))
	if err != nil {
		return err
	}
	b.State = Running
	if err := b.save(ctx, tx, now); err != nil {
		return err
	}
	if ended {
		err := s.audit(ctx, tx, system, "cancel", b.Corrects, b.Agency, map[string]any{"cause": causeCorrected, "correction": b.ID})
		if err != nil {
			return err
		}
	}
	return s.audit(ctx, tx, system, "launch", b.ID, b.Agency, map[string]any{"run": r.ID, "at": r.At})
}

// endCorrected cancels what still goes of a broadcast whose correction begins, and
// reports whether there was anything.
func endCorrected(ctx context.Context, tx pgx.Tx, id int64, now time.Time) (bool, error) {
	wrong, err := lock(ctx, tx, id)
	if err != nil {
		return false, err
	}
	switch wrong.State {
	case Done, Missed, Cancelled:
		return false, nil
	}
	if err := cancelRuns(ctx, tx, id, causeCorrected, now); err != nil {
		return false, err
	}
	wrong.State = Cancelled
	return true, wrong.save(ctx, tx, now)
}

// stands tells whether everything a broadcast's approval rests on still does: the
// hash, the number of approvers, their roles at this moment, and its time. Why is
// the key below broadcast.lapsed of what does not.
func (s *Store) stands(ctx context.Context, tx pgx.Tx, b *Broadcast, now time.Time) (approved Seen, why string, err error) {
	if !b.ApprovedUntil.IsZero() && now.After(b.ApprovedUntil) {
		return approved, "approval_ended", nil
	}
	rows, err := tx.Query(ctx, `
SELECT approver, hash, recipients, cost FROM broadcast_approval WHERE broadcast = $1 ORDER BY at`, b.ID)
	if err != nil {
		return approved, "", err
	}
	type approval struct {
		Approver         string
		Hash             []byte
		Recipients, Cost int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[approval])
	if err != nil {
		return approved, "", err
	}
	if len(list) < b.approversNeeded() {
		return approved, "not_approved", nil
	}
	hash, err := s.hash(ctx, tx, b.Definition)
	if err != nil {
		return approved, "", err
	}
	for i, a := range list {
		if !bytes.Equal(a.Hash, hash) {
			return approved, "changed", nil
		}
		err := s.permit(ctx, tx, rules["approve"], staff.Actor{ID: a.Approver}, b.Agency)
		var forbidden *staff.Forbidden
		if errors.As(err, &forbidden) {
			return approved, "approver_withdrawn", nil
		}
		if err != nil {
			return approved, "", err
		}
		// The least that any of them approved is what all of them approved.
		if i == 0 || a.Recipients < approved.Recipients {
			approved.Recipients = a.Recipients
		}
		if i == 0 || a.Cost < approved.Cost {
			approved.Cost = a.Cost
		}
	}
	return approved, "", nil
}

// miss ends a run that was found after its latest start: nothing of it is sent.
func (s *Store) miss(ctx context.Context, tx *deed, b *Broadcast, r *Run, now time.Time) error {
	return s.end(ctx, tx, b, r, RunMissed, causeLate, now)
}

// end ends a run, and with it a broadcast that has no further one.
func (s *Store) end(ctx context.Context, tx *deed, b *Broadcast, r *Run, state RunState, cause string, now time.Time) error {
	_, err := tx.Exec(ctx, `
UPDATE broadcast_run SET state = $2, cause = nullif($3, ''), ended_at = $4, sweep = $2 = 'missed' AND started_at IS NOT NULL
WHERE id = $1`, r.ID, state, cause, now)
	if err != nil {
		return fmt.Errorf("end run: %w", err)
	}
	switch {
	case !b.Schedule.Recurring():
		b.State = Done
		if state == RunMissed {
			b.State = Missed
		}
		if err := s.listDone(ctx, tx, b, now); err != nil {
			return err
		}
	case b.State == Running && r.State != RunScheduled: // one that never began says nothing of one that goes
		b.State = Scheduled
	}
	if err := b.save(ctx, tx, now); err != nil {
		return err
	}
	if state == RunMissed {
		tx.alarm("broadcast.alert.missed", "ID", b.ID, "At", s.Texts.Moment(bot.Vietnamese, r.At, now))
	}
	return s.audit(ctx, tx, system, string(state), b.ID, b.Agency, map[string]any{"run": r.ID, "cause": cause})
}

// listDone lets the uploaded list of a broadcast that has ended go, some time after
// its report can be read.
func (s *Store) listDone(ctx context.Context, tx pgx.Tx, b *Broadcast, now time.Time) error {
	if b.Audience.List == 0 {
		return nil
	}
	return s.ListReported(ctx, tx, b.Audience.List, now)
}
