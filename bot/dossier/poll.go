package dossier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	readEach    = 25 * time.Second // how often the list is read, by one instance
	readAgain   = 10 * time.Minute // how often it is tried where there was none
	readOverlap = 10 * time.Minute // read again: clocks differ, and lists lag behind
	readPages   = 1000             // of one reading
)

// Poll reads the list of changes since it was last read, and has the watched
// dossiers on it looked at. Where the system has none, dossiers are looked at one
// by one as their time comes; Poll then only sees to it that this fits the rate.
// It is meant to be called every half minute, by every instance: one reads.
func (w *Watch) Poll(ctx context.Context, now time.Time) (hinted int, err error) {
	values := w.values()
	if err := w.store.spread(ctx, looksPerMinute.Of(values), now); err != nil {
		return 0, err
	}
	if !changesList.Of(values) {
		return 0, w.store.unlisted(ctx, now)
	}
	before, mine, err := w.store.beginReading(ctx, now)
	if err != nil || !mine {
		return 0, err
	}
	since := now.Add(-readOverlap)
	if before != nil {
		since = before.Add(-readOverlap)
	}
	for page, more := 0, true; more && page < readPages; page++ {
		var changes []Change
		changes, more, err = w.changes.Changes(ctx, since, page)
		if errors.Is(err, ErrNoChanges) {
			return hinted, w.store.unlisted(ctx, now)
		}
		if err != nil {
			return hinted, fmt.Errorf("read list of changes: %w", err)
		}
		n, err := w.store.hint(ctx, changes, before, now)
		if hinted += n; err != nil {
			return hinted, err
		}
	}
	return hinted, w.store.endReading(ctx, now)
}

// beginReading tells whether this instance reads the list now, and up to when it
// was read before.
func (s *Store) beginReading(ctx context.Context, now time.Time) (before *time.Time, mine bool, err error) {
	err = s.pool.QueryRow(ctx, `
		UPDATE dossier_watch_pace SET read_at = $1 + $2::interval WHERE read_at <= $1 RETURNING read_to`, now, readEach).Scan(&before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("begin reading the list of changes: %w", err)
	}
	return before, true, nil
}

func (s *Store) endReading(ctx context.Context, now time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE dossier_watch_pace SET read_to = $1, listed = true`, now)
	if err != nil {
		return fmt.Errorf("end reading the list of changes: %w", err)
	}
	return nil
}

// unlisted notes that the list cannot be read. Dossiers that were left to it then
// come up within a day.
func (s *Store) unlisted(ctx context.Context, now time.Time) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var was bool
		err := tx.QueryRow(ctx, `
			UPDATE dossier_watch_pace p SET listed = false, read_at = greatest(p.read_at, $1::timestamptz + $2::interval)
			FROM (SELECT listed AS was FROM dossier_watch_pace FOR UPDATE) o
			RETURNING o.was`, now, readAgain).Scan(&was)
		if err != nil || !was {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE dossier_watch SET look_at = $1::timestamptz + random() * $2::interval
			WHERE look_at > $1::timestamptz + $2::interval`, now, everyFar)
		return err
	})
	if err != nil {
		return fmt.Errorf("do without the list of changes: %w", err)
	}
	return nil
}

const hintSQL = `
	WITH h AS (SELECT hash, max(at) AS at FROM unnest($1::bytea[], $2::timestamptz[]) AS u(hash, at) GROUP BY hash),
	hit AS (
		SELECT code_hash, max(at) AS at FROM (
			SELECT w.code_hash, h.at FROM h JOIN dossier_watch w ON w.code_hash = h.hash
			UNION ALL
			SELECT w.code_hash, h.at FROM h JOIN dossier_watch w ON w.alias_hash = h.hash) both_codes
		GROUP BY code_hash)
	UPDATE dossier_watch w
	SET hint_at = least(w.hint_at, $3), hint_for = greatest(w.hint_for, hit.at)
	FROM hit
	WHERE w.code_hash = hit.code_hash AND w.ended_at IS NULL
	  AND CASE WHEN hit.at IS NULL THEN $4::timestamptz IS NULL OR w.looked_at IS NULL OR w.looked_at < $4
	      ELSE w.looked_at IS NULL OR hit.at > coalesce(w.changed_at, w.looked_at) END`

// hint has watched dossiers looked at before the ordinary ones, by either of
// their codes. A change that the last look has seen already is none; where its
// time is not known, it is one if nobody has looked since then. It is served by
// the primary key and dossier_watch_alias.
func (s *Store) hint(ctx context.Context, changes []Change, since *time.Time, now time.Time) (n int, err error) {
	if len(changes) == 0 {
		return 0, nil
	}
	var hashes [][]byte
	var times []*time.Time
	for _, c := range changes {
		for _, code := range []Code{c.Code, c.NationCode} {
			if code == "" {
				continue
			}
			var at *time.Time
			if !c.UpdatedAt.IsZero() {
				at = &c.UpdatedAt
			}
			hashes, times = append(hashes, s.codeHash(code)), append(times, at)
		}
	}
	tag, err := s.pool.Exec(ctx, hintSQL, hashes, times, now, since)
	if err != nil {
		return 0, fmt.Errorf("hint at changes: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
