package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

const (
	// TextsKept is how long message texts are kept.
	TextsKept = 90 * 24 * time.Hour
	// ReceiptsKept is how long echoes and receipts are kept.
	ReceiptsKept = 14 * 24 * time.Hour
)

// Tidy makes the partitions of history and receipts ahead, and drops those older
// than TextsKept and ReceiptsKept. A partition holds a week.
func (o *Outbox) Tidy(ctx context.Context, now time.Time) error {
	_, err := o.pool.Exec(ctx, `SELECT make_delivery_partitions($1::date), drop_delivery_partitions($2::date, $3::date)`,
		now.UTC(), now.Add(-TextsKept).UTC(), now.Add(-ReceiptsKept).UTC())
	if err != nil {
		return fmt.Errorf("tidy history: %w", err)
	}
	return nil
}

// EraseCitizen removes what was not delivered to a citizen, and what was said,
// inside the transaction of their erasure. What is in memory is not sent any
// more: its mark finds no row.
func (o *Outbox) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	o.notes.forget(who)
	for _, table := range []string{"outbox", "history", "receipt"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User); err != nil {
			return fmt.Errorf("erase from %s: %w", table, err)
		}
	}
	return nil
}

// Said is one message of a citizen's history.
type Said struct {
	At       time.Time
	Outgoing bool
	Text     string // long numbers masked
	Outcome  string // of what we sent: sent, failed, dropped, unknown
}

// History returns the latest messages with a citizen, the newest first, decided
// before the given time; zero means now.
func (o *Outbox) History(ctx context.Context, who bot.CitizenID, before time.Time, limit int) ([]Said, error) {
	if before.IsZero() {
		before = o.opt.Now().Add(time.Hour)
	}
	rows, err := o.pool.Query(ctx, `
SELECT at, outgoing, coalesce(outcome, ''), body FROM history
WHERE oa_id = $1 AND citizen = $2 AND at < $3 AND kind = 'message'
ORDER BY at DESC LIMIT $4`, who.OA, who.User, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Said, error) {
		var s Said
		var sealed []byte
		if err := row.Scan(&s.At, &s.Outgoing, &s.Outcome, &sealed); err != nil || sealed == nil {
			return s, err
		}
		plain, err := o.keys.Open(historyPurpose, sealed)
		s.Text = string(plain)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return list, nil
}
