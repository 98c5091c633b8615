package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/staff"
)

// Defaults of what is drafted from another broadcast.
const (
	correctionLate = 12 * time.Hour
	correctionLife = 3 * 24 * time.Hour
)

// Copy drafts a broadcast like another one, without its time.
func (s *Store) Copy(ctx context.Context, actor staff.Actor, id int64, now time.Time) (fresh int64, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		b, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.permit(ctx, tx, rule{roles: editors}, actor, b.Agency); err != nil {
			return err
		}
		d := b.Definition
		d.Corrects, d.Audience.SentBy, d.Schedule.At = 0, nil, time.Time{}
		if fresh, err = insert(ctx, tx, actor, b.OA, d, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, actor, "copy", fresh, d.Agency, map[string]any{"of": id})
	})
	return fresh, told("copy", err)
}

// Correct drafts the correction of a broadcast: it goes, as soon as it is approved
// and ahead of other broadcasts, to exactly those who were sent the wrong one or
// may have been. What still goes of the wrong one is paused at once.
func (s *Store) Correct(ctx context.Context, actor staff.Actor, id int64, now time.Time) (fresh int64, err error) {
	err = s.act(ctx, request{name: "correct", actor: actor, id: id, now: now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		if b.Kind != Personal {
			return nil, refuse("correct_article")
		}
		// The wrong text may have gone in several runs of a recurring broadcast.
		rows, err := tx.Query(ctx, `
SELECT id FROM broadcast_run WHERE broadcast = $1 AND started_at IS NOT NULL AND definition->'body' = (
    SELECT definition->'body' FROM broadcast_run WHERE broadcast = $1 AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT 1)
ORDER BY id`, id)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		runs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		if len(runs) == 0 {
			return nil, refuse("nothing_sent")
		}
		if b.State == Running || b.State == Scheduled {
			if err := b.pause(ctx, tx, causeCorrected); err != nil {
				return nil, err
			}
		}
		d := b.Definition
		d.Title = s.Texts.Text(bot.Vietnamese, "broadcast.correction_title", bot.Pairs("Title", b.Title))
		d.Corrects, d.Audience = id, Audience{SentBy: runs}
		d.Schedule = Schedule{LatestStart: correctionLate}
		d.ExpiresAfter = correctionLife
		fresh, err = insert(ctx, tx, actor, b.OA, d, now)
		return map[string]any{"correction": fresh}, err
	})
	return fresh, err
}
