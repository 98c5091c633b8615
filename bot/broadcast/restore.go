package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// causeRestored: the database was restored or has failed over, and what went out in
// the time that was lost is not known.
const causeRestored = "restored"

// AfterRestore pauses, in a database that was restored, what was going or whose time
// has come: whether it went on, or went out, in the time that was lost is for a
// person to find out. What is still to come stays scheduled. It returns how many
// broadcasts it paused.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) (paused int, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
SELECT `+broadcastColumns+` FROM broadcast b
WHERE state = 'running' OR state IN ('approved', 'scheduled') AND EXISTS (
    SELECT FROM broadcast_run r WHERE r.broadcast = b.id AND r.state = 'scheduled' AND r.at <= $1)
ORDER BY id FOR UPDATE`, now)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, scanBroadcast)
		if err != nil {
			return err
		}
		for _, b := range list {
			if err := b.pause(ctx, tx, causeRestored); err != nil {
				return err
			}
			if err := b.save(ctx, tx, now); err != nil {
				return err
			}
			if err := s.audit(ctx, tx, system, "pause", b.ID, b.Agency, map[string]any{"cause": causeRestored}); err != nil {
				return err
			}
		}
		paused = len(list)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("pause broadcasts after a restore: %w", err)
	}
	return paused, nil
}
