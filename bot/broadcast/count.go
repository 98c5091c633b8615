package broadcast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// sliceSize is how many citizens one statement looks at while an audience is counted
// or frozen.
const sliceSize = 10_000

// selectAudience writes the SELECT of a part of b's audience; types.go says its
// columns. Codes that name no unit, or a list that is gone, are refused: what is
// left without them would be another audience than the one that was meant.
func (s *Store) selectAudience(b Broadcast, q audienceQuery) (sql string, args []any, err error) {
	include, err := s.present(b.Audience.Include.Units, q.at)
	if err != nil {
		return "", nil, err
	}
	exclude, err := s.present(b.Audience.Exclude.Units, q.at)
	if err != nil {
		return "", nil, err
	}
	sql, args = audienceSQL(b, q, include, exclude)
	return sql, args, nil
}

// present turns codes into those of today's communes.
func (s *Store) present(codes []string, at time.Time) ([]string, error) {
	if len(codes) == 0 {
		return nil, nil
	}
	e := s.Units.Expand(codes, at)
	if len(e.Unknown) > 0 {
		return nil, refuse("unit", "Code", e.Unknown[0])
	}
	return e.Present, nil
}

// sliceEnd finds the last of the next size citizens after one; last is false where
// that is the end of them all. It reads the primary key's index only.
func (s *Store) sliceEnd(ctx context.Context, oa, after string, size int) (upto string, last bool, err error) {
	err = s.Pool.QueryRow(ctx, `
SELECT citizen FROM citizen WHERE oa_id = $1 AND citizen > $2
ORDER BY citizen OFFSET $3 LIMIT 1`, oa, after, size-1).Scan(&upto)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("find the end of a slice: %w", err)
	}
	return upto, false, nil
}

// AudienceCount is how many an audience holds.
type AudienceCount struct {
	Audience int64            // everybody in it, skipped ones included
	Reached  int64            // who would be written to
	Skipped  map[string]int64 // by reason
	Language map[string]int64 // of those who would be written to
}

// Count counts the audience as it would be at a moment, slice by slice, so that no
// statement holds back vacuum. An audience nobody belongs to is refused in words.
func (s *Store) Count(ctx context.Context, b Broadcast, at time.Time) (AudienceCount, error) {
	c := AudienceCount{Skipped: map[string]int64{}, Language: map[string]int64{}}
	err := s.slices(ctx, b, at, `SELECT coalesce(skip, ''), language, count(*) FROM (`, `) a GROUP BY 1, 2`,
		func(row pgx.CollectableRow) error {
			var skip, language string
			var n int64
			if err := row.Scan(&skip, &language, &n); err != nil {
				return err
			}
			c.Audience += n
			if skip != "" {
				c.Skipped[skip] += n
				return nil
			}
			c.Reached += n
			c.Language[language] += n
			return nil
		})
	if err != nil {
		return c, err
	}
	if c.Audience == 0 {
		return c, refuse("nobody")
	}
	return c, nil
}

// LongestNames finds, by language, the name that makes a copy longest among those
// who would be written to; absent where nobody told one.
func (s *Store) LongestNames(ctx context.Context, b Broadcast, at time.Time) (map[string]string, error) {
	longest := map[string]string{}
	err := s.slices(ctx, b, at, `SELECT a.language, n.name FROM (`, `) a
JOIN citizen n ON n.oa_id = a.oa_id AND n.citizen = a.citizen WHERE a.skip IS NULL AND n.name IS NOT NULL`,
		func(row pgx.CollectableRow) error {
			var language string
			var sealed []byte
			if err := row.Scan(&language, &sealed); err != nil {
				return err
			}
			plain, err := s.Keys.Open("name", sealed)
			if err != nil {
				return nil // counts as not told, as everywhere
			}
			if name := CleanName(string(plain)); units(name) > units(longest[language]) {
				longest[language] = name
			}
			return nil
		})
	return longest, err
}

// slices puts an audience's SELECT between two pieces of SQL and hands on the rows,
// one slice of citizens after the other.
func (s *Store) slices(ctx context.Context, b Broadcast, at time.Time, before, behind string, each func(pgx.CollectableRow) error) error {
	if err := s.listThere(ctx, b.Audience.List); err != nil {
		return err
	}
	q := audienceQuery{oa: b.OA, at: at}
	for last := false; !last; q.after = q.upto {
		var err error
		if q.upto, last, err = s.sliceEnd(ctx, b.OA, q.after, s.slice); err != nil {
			return err
		}
		sql, args, err := s.selectAudience(b, q)
		if err != nil {
			return err
		}
		rows, err := s.Pool.Query(ctx, before+sql+behind, args...)
		if err != nil {
			return fmt.Errorf("read an audience: %w", err)
		}
		_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) { return struct{}{}, each(row) })
		if err != nil {
			return fmt.Errorf("read an audience: %w", err)
		}
	}
	return nil
}

// CheckBody looks through a broadcast's text under the longest real values of its
// audience at a moment.
func (s *Store) CheckBody(ctx context.Context, b Broadcast, at time.Time) ([]Fault, error) {
	longest := map[string]string{}
	if b.Kind == Personal && b.Body.personal() {
		var err error
		if longest, err = s.LongestNames(ctx, b, at); err != nil {
			return nil, err
		}
	}
	return CheckBody(s.Texts, b.Definition, longest, s.placeholder), nil
}

// checkContent refuses a body or an audience that must not go out as it stands, at
// the moment at which it would.
func (s *Store) checkContent(ctx context.Context, b Broadcast, at time.Time) error {
	if b.Kind == Personal {
		if _, _, err := s.selectAudience(b, audienceQuery{oa: b.OA, at: at}); err != nil {
			return err
		}
		if err := s.listThere(ctx, b.Audience.List); err != nil {
			return err
		}
	}
	faults, err := s.CheckBody(ctx, b, at)
	if err != nil {
		return err
	}
	if !Broken(faults) {
		return nil
	}
	return &Refused{Why: "content", Faults: faults}
}

// Tester gives the number by which audiences name a person on the channel as a test
// recipient.
func (s *Store) Tester(ctx context.Context, who bot.CitizenID) (number int64, err error) {
	err = s.Pool.QueryRow(ctx, `
INSERT INTO broadcast_tester (oa_id, citizen) SELECT oa_id, citizen FROM citizen WHERE oa_id = $1 AND citizen = $2 FOR KEY SHARE
ON CONFLICT (oa_id, citizen) DO UPDATE SET oa_id = EXCLUDED.oa_id RETURNING id`, who.OA, who.User).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, refuse("tester")
	}
	if err != nil {
		return 0, fmt.Errorf("number a test recipient: %w", err)
	}
	return number, nil
}

// EraseCitizen removes a person's tags, their number from uploaded lists, and who
// they are from the test recipients. It goes before their profile, by which the
// number is found.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	_, err := tx.Exec(ctx, `
WITH tags AS (DELETE FROM citizen_tag WHERE oa_id = $1 AND citizen = $2),
tester AS (DELETE FROM broadcast_tester WHERE oa_id = $1 AND citizen = $2)
DELETE FROM broadcast_list_row r USING citizen c
WHERE c.oa_id = $1 AND c.citizen = $2 AND r.phone_hash = c.phone_hash`, who.OA, who.User)
	if err != nil {
		return fmt.Errorf("erase from audiences: %w", err)
	}
	return nil
}
