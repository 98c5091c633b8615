package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// ErrNoDeadLetter: there is no such dead letter, or it cannot be turned because
// nobody could be made out in it.
var ErrNoDeadLetter = errors.New("no dead letter that can be retried")

// DeadLetter is an event that could not be turned. Its body stays sealed.
type DeadLetter struct {
	ID       int64
	Cause    string
	SignedAt time.Time
	DiedAt   time.Time
	Retried  bool
	// Someone is false when the person could not be made out.
	Someone bool
}

// DeadLetters lists the newest dead letters.
func (in *Inbox) DeadLetters(ctx context.Context, most int) ([]DeadLetter, error) {
	rows, err := in.pool.Query(ctx, `
SELECT id, cause, signed_at, died_at, retried_at IS NOT NULL, citizen <> ''
FROM dead_letter ORDER BY died_at DESC, id DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeadLetter])
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return list, nil
}

// Retry puts a dead letter back into the inbox as if it had just been accepted.
// The event's identity is forgotten, so that its turn counts as the first.
func (in *Inbox) Retry(ctx context.Context, id int64, now time.Time) error {
	var who bot.CitizenID
	err := pgx.BeginFunc(ctx, in.pool, func(tx pgx.Tx) error {
		var key []byte
		err := tx.QueryRow(ctx, `
UPDATE dead_letter SET retried_at = $2 WHERE id = $1 AND citizen <> '' AND retried_at IS NULL
RETURNING oa_id, citizen, key`, id, now).Scan(&who.OA, &who.User, &key)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoDeadLetter
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM turned_event WHERE key = $1`, key); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
INSERT INTO inbox (oa_id, citizen, key, signed_at, accepted_at, body)
SELECT oa_id, citizen, key, $2, $2, body FROM dead_letter WHERE id = $1
ON CONFLICT DO NOTHING`, id, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("retry dead letter %d: %w", id, err)
	}
	in.wake([]bot.CitizenID{who})
	return nil
}
