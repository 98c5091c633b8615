package dossier

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	claimMost   = 64              // looks of one claim
	lookLease   = 2 * time.Minute // longer than the looks of one claim take
	stretchEach = 10 * time.Minute
)

// rhythm is how many looks a minute allows: a few at once, then one each gap, so
// that no sliding minute passes more than perMinute.
func rhythm(perMinute int) (burst int, gap time.Duration) {
	burst = max(1, perMinute/10)
	if burst == 1 {
		return 1, time.Minute / time.Duration(perMinute)
	}
	return burst, time.Minute / time.Duration(perMinute-burst)
}

// claimed is a dossier whose look is in hand.
type claimed struct {
	hash        []byte
	code        Code
	since       time.Time
	fingerprint []byte
	state       *told
	changedAt   *time.Time
	hinted      bool
	hintFor     *time.Time
	remindAt    *time.Time
	dueTold     time.Time
	lateTold    time.Time
	missing     *time.Time
	endedAt     *time.Time
	tries       int
	lease       time.Time // names this claim: a hint that comes meanwhile replaces it
}

// reminded reports whether something is to be told by now though nothing changed.
func (c *claimed) reminded(now time.Time) bool { return c.remindAt != nil && !c.remindAt.After(now) }

// pace is how looks are spread, as of a claim.
type pace struct {
	listed  bool
	stretch float64
}

// claim takes the dossiers to look at now, as many as the rate allows: hinted
// ones first, then those with something to be told by now, then the rest, each
// the longest due first. They are put off, so that no other instance takes them
// meanwhile. Those that nobody follows any more leave.
func (s *Store) claim(ctx context.Context, perMinute int, now time.Time) (list []claimed, p pace, err error) {
	now = now.Truncate(time.Microsecond)
	burst, gap := rhythm(perMinute)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var next time.Time
		// Instances take turns here, for as long as a claim takes.
		err := tx.QueryRow(ctx, `SELECT next_at, listed, stretch FROM dossier_watch_pace FOR UPDATE`).Scan(&next, &p.listed, &p.stretch)
		if err != nil {
			return err
		}
		next = later(next, now.Add(-time.Duration(burst)*gap))
		room := min(int(now.Sub(next)/gap), claimMost)
		if room <= 0 {
			return nil
		}
		if list, err = s.takeDue(ctx, tx, room, now); err != nil || len(list) == 0 {
			return err
		}
		if list, err = s.leave(ctx, tx, list); err != nil || len(list) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE dossier_watch_pace SET next_at = $1`, next.Add(time.Duration(len(list))*gap))
		return err
	})
	if err != nil {
		return nil, p, fmt.Errorf("claim watched dossiers: %w", err)
	}
	return list, p, nil
}

const takeDueSQL = `
	WITH hinted AS (
		SELECT code_hash, 0 AS class, hint_at AS at FROM dossier_watch
		WHERE hint_at <= $1 ORDER BY hint_at LIMIT 64),
	reminded AS (
		SELECT code_hash, 1 AS class, remind_at AS at FROM dossier_watch
		WHERE remind_at <= $1 AND hint_at IS NULL ORDER BY remind_at LIMIT 64),
	looked AS (
		SELECT code_hash, 2 AS class, look_at AS at FROM dossier_watch
		WHERE look_at <= $1 AND hint_at IS NULL ORDER BY look_at LIMIT 64),
	picked AS (
		SELECT code_hash, min(class) AS class, min(at) AS at
		FROM (SELECT * FROM hinted UNION ALL SELECT * FROM reminded UNION ALL SELECT * FROM looked) u
		GROUP BY code_hash ORDER BY 2, 3 LIMIT $2),
	due AS (
		SELECT w.code_hash, p.class FROM picked p JOIN dossier_watch w ON w.code_hash = p.code_hash
		FOR UPDATE OF w SKIP LOCKED)
	UPDATE dossier_watch w SET hint_at = $1::timestamptz + $3::interval
	FROM due d
	WHERE w.code_hash = d.code_hash
	RETURNING w.code_hash, w.code, w.since, w.fingerprint, w.state, w.changed_at, d.class = 0, w.hint_for, w.remind_at,
	          coalesce(w.due_told, '0001-01-01T00:00:00Z'), coalesce(w.late_told, '0001-01-01T00:00:00Z'),
	          w.missing_since, w.ended_at, w.tries, w.hint_at`

// takeDue is served by the partial indexes dossier_watch_hint, _remind and _look:
// each is read from its beginning. Its limits are written out (claimMost), for a
// planner that does not know them reads the whole table where many are due.
func (s *Store) takeDue(ctx context.Context, tx pgx.Tx, room int, now time.Time) ([]claimed, error) {
	rows, err := tx.Query(ctx, takeDueSQL, now, room, lookLease)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (claimed, error) {
		var c claimed
		var code, state []byte
		err := row.Scan(&c.hash, &code, &c.since, &c.fingerprint, &state, &c.changedAt, &c.hinted, &c.hintFor, &c.remindAt,
			&c.dueTold, &c.lateTold, &c.missing, &c.endedAt, &c.tries, &c.lease)
		if err != nil {
			return c, err
		}
		// A row that cannot be opened must not hold up the others: without its state
		// it is looked at as for the first time, without its code not at all.
		if c.code, err = s.openCode(code); err != nil {
			slog.ErrorContext(ctx, "watched dossier unreadable", "err", err)
		} else if c.state, err = s.openTold(state); err != nil {
			slog.ErrorContext(ctx, "told state unreadable", "err", err)
		}
		return c, nil
	})
	return slices.DeleteFunc(list, func(c claimed) bool { return c.code == "" }), err
}

const leaveSQL = `
	DELETE FROM dossier_watch w
	WHERE w.code_hash = ANY ($1)
	  AND NOT EXISTS (SELECT FROM dossier_kept k WHERE k.code_hash = w.code_hash AND k.follow IS NOT NULL)
	RETURNING w.code_hash`

// leave deletes, of rows locked by the transaction, those nobody follows any
// more, and returns the others. A follow that is not committed yet waits for the
// lock (see queueFollows) and makes the row anew.
func (s *Store) leave(ctx context.Context, tx pgx.Tx, list []claimed) ([]claimed, error) {
	hashes := make([][]byte, len(list))
	for i, c := range list {
		hashes[i] = c.hash
	}
	rows, err := tx.Query(ctx, leaveSQL, hashes)
	if err != nil {
		return nil, err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil || len(gone) == 0 {
		return list, err
	}
	left := map[string]bool{}
	for _, hash := range gone {
		left[string(hash)] = true
	}
	kept := list[:0]
	for _, c := range list {
		if !left[string(c.hash)] {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// purgeWatch lets the rows leave that nobody follows any more and that no look has
// come upon yet.
func (s *Store) purgeWatch(ctx context.Context) (deleted int64, err error) {
	after := []byte{}
	for {
		n := 0
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `
				SELECT code_hash FROM dossier_watch w
				WHERE code_hash > $1
				  AND NOT EXISTS (SELECT FROM dossier_kept k WHERE k.code_hash = w.code_hash AND k.follow IS NOT NULL)
				ORDER BY code_hash LIMIT $2 FOR UPDATE`, after, purgeSlice)
			if err != nil {
				return err
			}
			hashes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
			if n = len(hashes); err != nil || n == 0 {
				return err
			}
			after = hashes[n-1]
			list := make([]claimed, n)
			for i, hash := range hashes {
				list[i].hash = hash
			}
			left, err := s.leave(ctx, tx, list)
			deleted += int64(n - len(left))
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("purge watch: %w", err)
		}
		if n < purgeSlice {
			return deleted, nil
		}
	}
}

// spread sees to it, once in a while, that what dossiers ask for fits the rate:
// where it does not, all of them are looked at more rarely by the same factor.
func (s *Store) spread(ctx context.Context, perMinute int, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE dossier_watch_pace
		SET stretched_at = $1::timestamptz,
		    stretch = greatest(1, (SELECT coalesce(sum(60.0 / every_s), 0) FROM dossier_watch WHERE ended_at IS NULL) / $3)
		WHERE stretched_at <= $1::timestamptz - $2::interval`, now, stretchEach, perMinute)
	if err != nil {
		return fmt.Errorf("spread looks: %w", err)
	}
	return nil
}
