package broadcast

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/unit"
)

// articleTime is when an article for target can go, at a moment or after it: at an
// hour at which Zalo takes it, and on a day on which its followers may have one.
// Where it has to wait, cause says why.
func (s *Store) articleTime(ctx context.Context, oa string, run int64, target Target, at time.Time) (goes time.Time, cause string, err error) {
	local := at.In(unit.Zone)
	if h := local.Hour(); h < firstHour || h >= lastHour {
		return nextHour(local, firstHour), causeArticleNight, nil
	}
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, local.Location())
	month := time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, local.Location())
	// By article_run_called.
	rows, err := s.Pool.Query(ctx, `
SELECT target, called_at FROM article_run
WHERE oa_id = $1 AND called_at >= $2 AND run <> $3 AND state IN ('sending', 'sent', 'unknown')`, oa, month, run)
	if err != nil {
		return at, "", fmt.Errorf("count articles: %w", err)
	}
	today, inMonth := 0, 0
	var other Target
	var called time.Time
	_, err = pgx.ForEachRow(rows, []any{&other, &called}, func() error {
		if other.meets(target) {
			inMonth++
			if !called.Before(day) {
				today++
			}
		}
		other = Target{}
		return nil
	})
	switch {
	case err != nil:
		return at, "", fmt.Errorf("count articles: %w", err)
	case inMonth >= articlePerMonth.Of(s.Values()):
		return nextHour(month.AddDate(0, 1, 0), firstHour), causeArticleMonth, nil
	case today > 0:
		return nextHour(day.AddDate(0, 0, 1), firstHour), causeArticleDay, nil
	}
	return at, "", nil
}

// moderation is how long Zalo looks at an article before it goes out.
func (s *Store) moderation() time.Duration {
	return time.Duration(articleModeration.Of(s.Values())) * time.Minute
}

// meets reports whether somebody may belong to both.
func (t Target) meets(o Target) bool {
	share := func(a, b []int) bool {
		return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(n int) bool { return slices.Contains(b, n) })
	}
	return share(t.Ages, o.Ages) && share(t.Cities, o.Cities) && (t.Gender == 0 || o.Gender == 0 || t.Gender == o.Gender)
}

// nextHour is the next time, from local on, at which a full hour begins.
func nextHour(local time.Time, hour int) time.Time {
	next := time.Date(local.Year(), local.Month(), local.Day(), hour, 0, 0, 0, local.Location())
	if next.Before(local) {
		next = next.AddDate(0, 0, 1)
	}
	return next
}
