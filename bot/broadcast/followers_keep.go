package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/unit"
)

// done reports whether a slice was kept already.
func (im *Importer) done(ctx context.Context, s slice) (done bool, err error) {
	err = im.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM follower_import_slice WHERE oa_id = $1 AND slice = $2)`,
		im.OAID, s.key()).Scan(&done)
	if err != nil {
		return false, fmt.Errorf("look how far the import is: %w", err)
	}
	return done, nil
}

type counts struct{ found, made, missed int64 }

// keep makes the people of a slice known and notes it as done, together.
func (im *Importer) keep(ctx context.Context, s slice, ids []string, missed int) error {
	var c counts
	if s.tag == "" {
		c.missed = int64(missed)
	}
	now := im.Now().UTC()
	err := pgx.BeginFunc(ctx, im.Pool, func(tx pgx.Tx) error {
		for from := 0; from < len(ids); from += listBatch {
			part := ids[from:min(from+listBatch, len(ids))]
			made, err := im.know(ctx, tx, s, part, now)
			if err != nil {
				return err
			}
			c.made += made
		}
		if s.tag == "" && !s.from.IsZero() {
			c.found = int64(len(ids))
		}
		return im.noteIn(ctx, tx, s, c)
	})
	if err != nil {
		return fmt.Errorf("keep imported followers: %w", err)
	}
	return im.tell(ctx)
}

// know makes people known who are not, and never whom the channel erased. Who is
// known stays as they are.
func (im *Importer) know(ctx context.Context, tx pgx.Tx, s slice, ids []string, now time.Time) (made int64, err error) {
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		hashes[i] = im.Citizens.Hash(bot.CitizenID{OA: im.OAID, User: id})
	}
	tag, err := tx.Exec(ctx, `
INSERT INTO citizen (oa_id, citizen, language, following, created_at)
SELECT $1, w.citizen, $4, true, $5 FROM unnest($2::text[], $3::bytea[]) AS w (citizen, hash)
WHERE NOT EXISTS (SELECT FROM tombstone t WHERE t.key = w.hash)
ORDER BY w.citizen
ON CONFLICT DO NOTHING`, im.OAID, ids, hashes, bot.Vietnamese, now)
	if err != nil {
		return 0, err
	}
	if s.tag != "" {
		_, err = tx.Exec(ctx, `
INSERT INTO citizen_tag (oa_id, citizen, tag, seen_at)
SELECT c.oa_id, c.citizen, $3, $4 FROM citizen c WHERE c.oa_id = $1 AND c.citizen = ANY ($2::text[])
ON CONFLICT (oa_id, citizen, tag) DO UPDATE SET seen_at = EXCLUDED.seen_at`, im.OAID, ids, s.tag, now)
		if err != nil {
			return 0, err
		}
	}
	if !s.single() || s.from.IsZero() {
		return tag.RowsAffected(), nil
	}
	// The day's first moment is the earliest at which they can have interacted: what
	// is reckoned from it never claims a window that has closed. It is the last event
	// we know of, so later ones are in order after it. Who has a row was heard here.
	first := time.Date(s.from.Year(), s.from.Month(), s.from.Day(), 0, 0, 0, 0, unit.Zone).UTC()
	_, err = tx.Exec(ctx, `
INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at)
SELECT c.oa_id, c.citizen, $3, $3 FROM citizen c WHERE c.oa_id = $1 AND c.citizen = ANY ($2::text[])
ORDER BY c.citizen
ON CONFLICT DO NOTHING`, im.OAID, ids, first)
	return tag.RowsAffected(), err
}

// note notes a slice as done.
func (im *Importer) note(ctx context.Context, s slice, c counts) error {
	return pgx.BeginFunc(ctx, im.Pool, func(tx pgx.Tx) error { return im.noteIn(ctx, tx, s, c) })
}

func (im *Importer) noteIn(ctx context.Context, tx pgx.Tx, s slice, c counts) error {
	_, err := tx.Exec(ctx, `
WITH fresh AS (INSERT INTO follower_import_slice (oa_id, slice) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1)
UPDATE follower_import SET found = found + $3, made = made + $4, missed = missed + $5
WHERE oa_id = $1 AND EXISTS (SELECT FROM fresh)`, im.OAID, s.key(), c.found, c.made, c.missed)
	if err != nil {
		return fmt.Errorf("note how far the import is: %w", err)
	}
	return nil
}

func (im *Importer) tell(ctx context.Context) error {
	if im.Progress == nil {
		return nil
	}
	n, err := im.sofar(ctx, nil)
	if err == nil {
		im.Progress(n)
	}
	return err
}
