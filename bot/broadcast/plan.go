package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/push"
)

// rungHeld counts, among the rungs, those whom no rung reaches: their copies wait
// for their next word.
const rungHeld push.Rung = "held"

// Plan is what would happen if a broadcast went as it stands.
type Plan struct {
	Hash       []byte              // of what was planned; an approval names it
	Audience   int64               // everybody who belongs to it
	Recipients int64               // of them, who are written to
	Rungs      map[push.Rung]int64 // recipients by rung; "held": they hear of it when they next write
	Skipped    map[string]int64    // by reason
	Cost       int64               // đồng

	Start       time.Time // of its next run, as far as known
	Ends        time.Time // when the last copy goes, nights left out
	BeforeNight bool      // ends before the first night
	InTime      int64     // copies that go before the first night and the expiry
	// Over tells by rung how many copies the budget of the first day does not cover.
	Over map[push.Rung]int64
	// Article is how many an article would reach on the first day: all followers. It
	// is told where that is more than InTime; zero: it would not be.
	Article int64
	Next    []time.Time // the next five runs

	// Of an article only: how long Zalo looks at it first, and, where it cannot go at
	// its time, why it begins later.
	Moderation time.Duration
	Waits      string
	Target     Target // who of the recipients Zalo narrows it to, as only Zalo can tell
}

// counted is an audience by rung.
type counted struct {
	Audience   int64
	Recipients int64
	Rungs      map[push.Rung]int64
	Skipped    map[string]int64
	Cost       int64
}

// count counts an audience by rung as the ladder would climb at a moment, slice by
// slice.
func (s *Store) count(ctx context.Context, b Broadcast, at time.Time) (counted, error) {
	values := s.Values()
	set := push.NewSettings(values)
	tariff, err := s.Push.Tariff(ctx, b.OA, values)
	if err != nil {
		return counted{}, fmt.Errorf("read prices: %w", err)
	}
	_, template := tariff.Template(b.Template)
	free := at.Add(-push.FreeWindow).UTC().Format(time.RFC3339Nano)
	open := at.Add(-push.OpenWindow).UTC().Format(time.RFC3339Nano)
	// Only moments and switches of our own stand in the text.
	before := fmt.Sprintf(`SELECT coalesce(a.skip, ''), CASE
	WHEN a.skip IS NOT NULL THEN ''
	WHEN a.interacted_at > '%[1]s' AND %[3]t THEN 'free'
	WHEN a.interacted_at > '%[2]s' AND a.interacted_at <= '%[1]s' AND %[4]t THEN 'package'
	WHEN %[5]t THEN 'template'
	WHEN a.phone_ok AND %[6]t THEN 'phone'
	ELSE 'held' END, count(*) FROM (`, free, open,
		set.On(push.RungFree), set.On(push.RungPackage), template && set.On(push.RungTemplate), template && set.On(push.RungPhone))
	n := counted{Rungs: map[push.Rung]int64{}, Skipped: map[string]int64{}}
	err = s.slices(ctx, b, at, before, `) a GROUP BY 1, 2`, func(row pgx.CollectableRow) error {
		var skip string
		var rung push.Rung
		var k int64
		if err := row.Scan(&skip, &rung, &k); err != nil {
			return err
		}
		n.Audience += k
		if skip != "" {
			n.Skipped[skip] += k
			return nil
		}
		n.Recipients += k
		n.Rungs[rung] += k
		n.Cost += k * int64(tariff.Cost(rung, b.Template))
		return nil
	})
	return n, err
}

// Plan says what would happen if b went as it stands: who is reached how, for how
// much, and how long that takes at a rate of requests a minute.
func (s *Store) Plan(ctx context.Context, b Broadcast, now time.Time, rate int) (Plan, error) {
	p := Plan{Start: b.start(now), Next: b.Schedule.Occurrences(now)}
	err := pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		p.Hash, err = s.hash(ctx, tx, b.Definition)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("plan: %w", err)
	}
	followers, err := s.followers(ctx, b.OA)
	if err != nil {
		return p, err
	}
	if b.Kind == Article {
		if p.Start, p.Waits, err = s.articleTime(ctx, b.OA, 0, b.Target, p.Start); err != nil {
			return p, err
		}
		p.Moderation, p.Target = s.moderation(), b.Target
		p.Audience, p.Recipients, p.InTime, p.Ends, p.BeforeNight = followers, followers, followers, p.Start.Add(p.Moderation), true
		return p, nil
	}
	n, err := s.count(ctx, b, p.Start)
	if err != nil {
		return p, err
	}
	p.Audience, p.Recipients, p.Rungs, p.Skipped, p.Cost = n.Audience, n.Recipients, n.Rungs, n.Skipped, n.Cost
	p.time(b, rate, push.NewSettings(s.Values()))
	if p.Over, err = s.over(ctx, b.OA, n, p.Start); err != nil {
		return p, err
	}
	// A message to some is no matter for everybody.
	if followers > p.InTime && b.Audience.List == 0 && len(b.Audience.SentBy) == 0 && len(b.Audience.Testers) == 0 {
		p.Article = followers
	}
	return p, nil
}

// time works out when the copies go: one request each, by day only unless urgent.
func (p *Plan) time(b Broadcast, rate int, set push.Settings) {
	rate = max(rate, 1)
	from, to := set.Night()
	left := p.Recipients - p.Rungs[rungHeld]
	at := p.Start
	expires := p.Start.Add(b.ExpiresAfter)
	p.BeforeNight = true
	for first := true; ; first = false {
		night := from != to && !b.Urgent
		if night && isNight(at, from, to) {
			at = nextMinute(at, to)
		}
		need := time.Duration(left) * time.Minute / time.Duration(rate)
		dusk := nextMinute(at, from)
		if !night || !at.Add(need).After(dusk) {
			p.Ends = at.Add(need)
			if first {
				p.InTime = min(left, goneBy(at, expires, rate))
			}
			return
		}
		gone := goneBy(at, dusk, rate)
		if first {
			p.BeforeNight, p.InTime = false, min(gone, goneBy(at, expires, rate))
		}
		left -= gone
		at = dusk
	}
}

// goneBy is how many requests go from a moment to another.
func goneBy(from, to time.Time, rate int) int64 {
	if !to.After(from) {
		return 0
	}
	return int64(to.Sub(from).Minutes() * float64(rate))
}

func isNight(at time.Time, from, to int) bool {
	l := at.In(push.Local)
	minute := l.Hour()*60 + l.Minute()
	if from < to {
		return minute >= from && minute < to
	}
	return minute >= from || minute < to
}

// nextMinute is the next moment after t at which the local day has the given minute.
func nextMinute(t time.Time, minute int) time.Time {
	l := t.In(push.Local)
	at := time.Date(l.Year(), l.Month(), l.Day(), minute/60, minute%60, 0, 0, push.Local)
	if !at.After(t) {
		at = at.AddDate(0, 0, 1)
	}
	return at.UTC()
}

func (s *Store) followers(ctx context.Context, oa string) (n int64, err error) {
	if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM citizen WHERE oa_id = $1 AND following`, oa).Scan(&n); err != nil {
		return 0, fmt.Errorf("count followers: %w", err)
	}
	return n, nil
}

// over tells how many copies of each rung the budgets of that day and month do not
// cover, with what has been used of them.
func (s *Store) over(ctx context.Context, oa string, n counted, at time.Time) (map[push.Rung]int64, error) {
	set := push.NewSettings(s.Values())
	day := at.In(push.Local).Format(time.DateOnly)
	rows, err := s.Pool.Query(ctx, `
SELECT rung, coalesce(sum(used) FILTER (WHERE day = $2::date), 0)::bigint, sum(used)::bigint
FROM push_budget WHERE oa_id = $1 AND date_trunc('month', day) = date_trunc('month', $2::date) GROUP BY rung`, oa, day)
	if err != nil {
		return nil, fmt.Errorf("read budgets: %w", err)
	}
	used := map[push.Rung][2]int64{}
	var rung push.Rung
	var today, month int64
	_, err = pgx.ForEachRow(rows, []any{&rung, &today, &month}, func() error {
		used[rung] = [2]int64{today, month}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read budgets: %w", err)
	}
	over := map[push.Rung]int64{}
	for rung, k := range n.Rungs {
		day, month, ok := set.Budget(rung)
		if left := max(0, min(day-used[rung][0], month-used[rung][1])); ok && k > left {
			over[rung] = k - left
		}
	}
	return over, nil
}
