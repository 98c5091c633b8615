package broadcast

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/staff"
)

// unfollowWithin is how soon after a copy an unfollowing counts as caused by it.
const unfollowWithin = 24 * time.Hour

// Report is what became of a broadcast.
type Report struct {
	Broadcast Broadcast
	Runs      []RunReport // the newest first
	Clicks    []Clicks    // of all runs together: links do not tell runs apart
}

// RunReport is what became of a run. Its books balance at every moment.
type RunReport struct {
	Run       Run
	Books     push.Books
	Unfollows int64         // within a day of their copy
	Took      time.Duration // so far, while it goes
}

// Report reads what became of a broadcast, in its last runs.
func (s *Store) Report(ctx context.Context, id int64, runs int, now time.Time) (Report, error) {
	var r Report
	var err error
	if r.Broadcast, err = s.Get(ctx, id); err != nil {
		return r, err
	}
	list, err := s.RunsOf(ctx, id, runs)
	if err != nil {
		return r, err
	}
	for _, run := range list {
		one := RunReport{Run: run}
		if one.Books, err = s.Push.Books(ctx, run.ID); err != nil {
			return r, err
		}
		if !run.StartedAt.IsZero() {
			if one.Unfollows, err = s.unfollows(ctx, run); err != nil {
				return r, err
			}
			one.Took = now.Sub(run.StartedAt)
			if !run.EndedAt.IsZero() {
				one.Took = run.EndedAt.Sub(run.StartedAt)
			}
		}
		r.Runs = append(r.Runs, one)
	}
	r.Clicks, err = s.Clicks(ctx, id)
	return r, err
}

// unfollows counts those who stopped following within a day of their copy. Few
// stop in the days of a run: they are looked for first, their copies by the
// primary key of push.
func (s *Store) unfollows(ctx context.Context, run Run) (n int64, err error) {
	until := run.ExpiresAt.Add(unfollowWithin)
	err = s.Pool.QueryRow(ctx, `
SELECT count(*) FROM citizen c JOIN push p ON p.oa_id = c.oa_id AND p.citizen = c.citizen AND p.source = $2
WHERE c.oa_id = $1 AND c.unfollowed_at BETWEEN $3 AND $4
AND p.state = 'sent' AND c.unfollowed_at BETWEEN p.ended_at AND p.ended_at + $5::interval`,
		run.OA, run.ID, run.StartedAt, until, unfollowWithin).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count unfollowings of run %d: %w", run.ID, err)
	}
	return n, nil
}

// Unknown is a recipient whose copy may or may not have arrived.
type Unknown struct {
	Who    bot.CitizenID // for Resend, never shown
	Masked string
}

// Unknowns lists such recipients of a run, after a person (keyset).
func (s *Store) Unknowns(ctx context.Context, run int64, after bot.CitizenID, most int) ([]Unknown, error) {
	who, err := s.Push.Unknowns(ctx, run, after, most)
	if err != nil {
		return nil, err
	}
	list := make([]Unknown, len(who))
	for i, w := range who {
		list[i] = Unknown{Who: w, Masked: mask(w.User)}
	}
	return list, nil
}

// mask shows the last four digits of an id: enough to tell two rows of a list
// apart, too little to find somebody.
func mask(id string) string {
	if len(id) <= 4 {
		return "••••"
	}
	return "•••• " + id[len(id)-4:]
}

// Resend sends copies of which nobody knows whether they arrived once more, at an
// approver's word: some people may get them twice. An empty who means all of them.
func (s *Store) Resend(ctx context.Context, actor staff.Actor, id, run int64, who []bot.CitizenID, now time.Time) (n int64, err error) {
	err = s.act(ctx, request{name: "resend", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		r, err := readRun(ctx, tx, `id = $1 AND broadcast = $2 FOR UPDATE`, run, id)
		if err != nil {
			return nil, err
		}
		switch {
		case r == nil:
			return nil, ErrNotFound
		case r.State == RunDone && b.State == Paused:
			return nil, refuse("state", "State", b.State)
		case r.State == RunDone:
			// The feeder looks at it again.
			if !now.Before(r.ExpiresAt) {
				return nil, refuse("expired")
			}
			live, err := liveRun(ctx, tx, id)
			if err := cmp.Or(err, refuseLive(live)); err != nil {
				return nil, err
			}
			if _, err := tx.Exec(ctx, `UPDATE broadcast_run SET state = 'running', ended_at = NULL WHERE id = $1`, run); err != nil {
				return nil, fmt.Errorf("open run again: %w", err)
			}
			b.State = Running
		case r.State != RunRunning && r.State != RunPaused:
			return nil, refuse("nothing_sent")
		}
		if n, err = s.Push.Resend(ctx, tx, run, who, now, r.ExpiresAt); err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, refuse("no_unknown")
		}
		return map[string]any{"run": run, "people": n}, nil
	})
	return n, err
}

// Approval is an approval that stands.
type Approval struct {
	Approver   string // staff account
	At         time.Time
	Recipients int64 // of the plan they approved
	Cost       int64
}

// Approvals lists the approvals of a broadcast that stand.
func (s *Store) Approvals(ctx context.Context, id int64) ([]Approval, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT approver, at, recipients, cost FROM broadcast_approval WHERE broadcast = $1 ORDER BY at`, id)
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Approval])
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	return list, nil
}
