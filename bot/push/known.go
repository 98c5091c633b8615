package push

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// known is what decides besides the pushes themselves: read anew twice a second, for
// operators and Zalo change it while pushes go.
type known struct {
	Tariff
	read time.Time
	runs []Run
	shut map[shutKey]string // rungs that are closed, and why
	left map[Rung]int64     // messages left in the budget; absent: no budget
}

type shutKey struct{ rung, what string }

// learn reads anew what is older than knownFor.
func (f *Feeder) learn(ctx context.Context, now time.Time) error {
	k := &f.known
	if now.Sub(k.read) < knownFor && !now.Before(k.read) {
		return nil
	}
	runs, err := f.runs.Active(ctx, now)
	if err != nil {
		return fmt.Errorf("list active broadcasts: %w", err)
	}
	fresh := known{read: now, shut: map[shutKey]string{}, left: map[Rung]int64{}}
	for _, r := range runs {
		if r.OA == f.oa {
			fresh.runs = append(fresh.runs, r)
		}
	}
	if fresh.Tariff, err = f.store.Tariff(ctx, f.oa, f.settings()); err != nil {
		return err
	}
	if err := f.store.closures(ctx, f.oa, now, fresh.shut); err != nil {
		return err
	}
	if err := f.store.budgets(ctx, f.oa, now, fresh.settings, fresh.left); err != nil {
		return err
	}
	for _, l := range f.lines { // decided, and not in the tables yet
		fresh.spend(l.ready)
	}
	*k = fresh
	return nil
}

func (k *known) run(id int64) *Run {
	for i := range k.runs {
		if k.runs[i].ID == id {
			return &k.runs[i]
		}
	}
	return nil
}

// active are the numbers of the runs that may go.
func (k *known) active() []int64 {
	ids := make([]int64, len(k.runs))
	for i, r := range k.runs {
		ids[i] = r.ID
	}
	return ids
}

// env is what a batch is decided with.
func (k *known) env(s *Store, oa string, now time.Time, run *Run) env {
	return env{
		now: now, settings: k.settings, anyHour: run != nil && run.AnyHour,
		closed: func(r Rung, use string) string { return k.closed(s, oa, now, r, use) },
		fits: func(c *Content, _ Rung) bool {
			_, ok := k.fill(c)
			return ok
		},
	}
}

// closed says why a rung is closed for everybody.
func (k *known) closed(s *Store, oa string, now time.Time, r Rung, use string) string {
	what := []string{""}
	if use != "" {
		what = append(what, k.settings.TemplateID(use))
	}
	for _, w := range what {
		cause := cmp.Or(k.shut[shutKey{string(r), w}], s.closedNow(shutRung{oa, string(r), w}, now))
		if cause != "" {
			return reasonOf(cause)
		}
	}
	if left, limited := k.left[r]; limited && left <= 0 {
		return ReasonBudget
	}
	return ""
}

func reasonOf(cause string) string {
	if cause == ReasonQuota {
		return ReasonQuota
	}
	return ReasonOff
}

// fill finds the registered template for a content and its values.
func (k *known) fill(c *Content) (t filled, ok bool) {
	if c == nil || c.Template == "" {
		return t, false
	}
	described, ok := k.Tariff.Template(c.Template)
	if !ok {
		return t, false
	}
	data, ok := described.fill(c.Params)
	return filled{described, data}, ok
}

// filled is a template with its values.
type filled struct {
	Template
	data map[string]string
}

// spend takes decided messages off the budgets.
func (k *known) spend(sends []sending) {
	for _, s := range sends {
		if left, limited := k.left[s.rung]; limited {
			k.left[s.rung] = left - 1
		}
	}
}

// Closure is a rung that Zalo closed for everybody.
type Closure struct {
	Rung     Rung
	Template string // Zalo's id, where only that is closed
	Until    time.Time
	Cause    string // ReasonQuota or CauseTemplate
}

// CauseTemplate closes a template's rung: a person has to set the template right at
// Zalo.
const CauseTemplate = "template"

// Closures lists the rungs that are closed at a moment.
func (s *Store) Closures(ctx context.Context, oa string, now time.Time) ([]Closure, error) {
	rows, err := s.pool.Query(ctx, `
SELECT rung, what, until, cause FROM push_rung WHERE oa_id = $1 AND until > $2 ORDER BY rung, what`, oa, now)
	if err != nil {
		return nil, fmt.Errorf("read closed rungs: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Closure])
	if err != nil {
		return nil, fmt.Errorf("read closed rungs: %w", err)
	}
	return list, nil
}

// closures are the rungs that are closed, and why.
func (s *Store) closures(ctx context.Context, oa string, now time.Time, into map[shutKey]string) error {
	list, err := s.Closures(ctx, oa, now)
	if err != nil {
		return err
	}
	for _, c := range list {
		into[shutKey{string(c.Rung), c.Template}] = c.Cause
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for by, until := range s.shut {
		if !now.Before(until.until) {
			delete(s.shut, by)
		}
	}
	return nil
}

// closedNow says why a rung was closed a moment ago, by an answer to this process;
// empty: it was not.
func (s *Store) closedNow(by shutRung, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until, ok := s.shut[by]; ok && now.Before(until.until) {
		return until.cause
	}
	return ""
}

// budgets are the messages left of each rung that has a budget, the lower of the
// day's and the month's.
func (s *Store) budgets(ctx context.Context, oa string, now time.Time, set Settings, into map[Rung]int64) error {
	today := dayOf(now)
	first := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	rows, err := s.pool.Query(ctx, `
SELECT rung, coalesce(sum(used) FILTER (WHERE day = $3), 0)::bigint, sum(used)::bigint FROM push_budget
WHERE oa_id = $1 AND day >= $2 AND day <= $3 GROUP BY rung`, oa, first, today)
	if err != nil {
		return fmt.Errorf("read budgets: %w", err)
	}
	for _, r := range ladder {
		if day, month, ok := set.Budget(r); ok {
			into[r] = min(day, month)
		}
	}
	var rung Rung
	var ofDay, ofMonth int64
	_, err = pgx.ForEachRow(rows, []any{&rung, &ofDay, &ofMonth}, func() error {
		if day, month, ok := set.Budget(rung); ok {
			into[rung] = min(day-ofDay, month-ofMonth)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read budgets: %w", err)
	}
	return nil
}
