package staff_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/bot/seal"
	"congdanso/bot/staff"
	"congdanso/integrations/postgres/pgtest"
)

// audits writes entries, each in a transaction of its own, an hour after the other.
func (f fixture) audits(entries ...staff.Entry) {
	f.t.Helper()
	for _, e := range entries {
		at := f.clock.Load().Add(time.Hour)
		f.clock.Store(&at)
		f.must(pgx.BeginFunc(f.t.Context(), f.pool, func(tx pgx.Tx) error { return f.Audit(f.t.Context(), tx, e) }))
	}
}

func (f fixture) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.pool.Exec(f.t.Context(), sql, args...); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// verify tells how many entries fit, and what the first one that does not suffers from.
func (f fixture) verify() (rows int, broken string) {
	f.t.Helper()
	rows, err := f.Verify(f.t.Context())
	var b *staff.Broken
	if errors.As(err, &b) {
		return rows, b.Error()
	}
	f.must(err)
	return rows, ""
}

// strange are entries whose details Postgres writes in its own way.
var strange = []staff.Entry{
	{Actor: atShell, Action: "test.plain"},
	{Actor: staff.Actor{ID: "x", IP: "2001:db8::1"}, Action: "test.full", Object: "thing:1", Agency: "mau", Result: "refused",
		Detail: map[string]any{"z": 1, "aa": 1.50, "b": []any{nil, true, 1e21, "dấu \" \\ \n <&>"}, "nested": map[string]any{"y": "", "x": -0.5}}},
	{Actor: atShell, Action: "test.numbers", Detail: map[string]any{"max": uint64(1<<64 - 1), "tiny": 1e-9, "int": int64(-5)}},
}

func TestChainHoldsAndTellsWhereItWasAltered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.audits(strange...)
	f.audits(staff.Entry{Actor: atShell, Action: "test.last"})
	rows, broken := f.verify()
	head, ok, err := f.Head(t.Context())
	if broken != "" || err != nil || !ok || int64(rows) != head.Seq || head.Action != "test.last" || rows < 10 {
		t.Fatalf("%d rows, head %d %s, %q, %v", rows, head.Seq, head.Action, broken, err)
	}
	f.exec(`CREATE TABLE sound AS TABLE audit`)
	for _, c := range []struct{ what, sql, want string }{
		{"an actor", `UPDATE audit SET actor = 'y' WHERE seq = 3`, "entry 3: it was altered"},
		{"an empty field", `UPDATE audit SET ip = '10.0.0.9' WHERE seq = 1`, "entry 1: it was altered"},
		{"words moved between fields", `UPDATE audit SET action = action || object, object = '' WHERE seq = 3`, "entry 3: it was altered"},
		{"a detail", `UPDATE audit SET detail = detail || '{"z": 2}' WHERE action = 'test.full'`,
			fmt.Sprintf("entry %d: it was altered", head.Seq-2)},
		{"a time", `UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 2`, "entry 2: it was altered"},
		{"one left out", `DELETE FROM audit WHERE seq = 4`, "entry 5: the entry before it has the number 3"},
		{"one put in", `
INSERT INTO audit SELECT seq + 1000, at, actor, action, object, agency, result, detail, ip, prev, hash FROM audit WHERE seq = 2`,
			fmt.Sprintf("entry 1002: the entry before it has the number %d", head.Seq)},
		{"one left out and the gap closed", fmt.Sprintf(`DELETE FROM audit WHERE seq = %d; UPDATE audit SET seq = %[1]d WHERE seq = %[2]d`,
			head.Seq-1, head.Seq), fmt.Sprintf("entry %d: it was not written after the entry before it", head.Seq-1)},
		{"two exchanged", `UPDATE audit SET seq = 0 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 0`,
			"entry 3: it was not written after the entry before it"},
		{"the oldest kept", `UPDATE audit SET result = 'refused' WHERE seq = 1`, "entry 1: it was altered"},
	} {
		f.exec(c.sql)
		if _, broken := f.verify(); !strings.Contains(broken, c.want) {
			t.Errorf("%s: %q, want %q", c.what, broken, c.want)
		}
		f.exec(`DELETE FROM audit`)
		f.exec(`INSERT INTO audit TABLE sound`)
	}
	if rows, broken := f.verify(); broken != "" || int64(rows) != head.Seq {
		t.Fatalf("put right: %d rows, %q", rows, broken)
	}
	// An entry whose hash was made to fit no longer fits the one after it.
	f.exec(`UPDATE audit SET hash = sha256('x') WHERE seq = 2`)
	if rows, broken := f.verify(); rows != 1 || !strings.Contains(broken, "entry 2: it was altered") {
		t.Errorf("a hash altered: %d rows, %q", rows, broken)
	}
}

// The oldest months may be gone: the chain is followed from the oldest entry kept.
func TestChainBeginsAtTheOldestKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.audits(strange...)
	whole, _ := f.verify()
	f.exec(`DELETE FROM audit WHERE seq <= 3`)
	if rows, broken := f.verify(); broken != "" || rows != whole-3 {
		t.Errorf("%d of %d rows, %q", rows, whole, broken)
	}
	f.audits(strange...)
	if rows, broken := f.verify(); broken != "" || rows != whole {
		t.Errorf("and on: %d rows, %q; want %d", rows, broken, whole)
	}
}

func TestLongChainIsReadPageByPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	short, _ := f.verify()
	const more = 1010 // two pages, and some
	f.must(pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
		for range more {
			if err := f.Audit(t.Context(), tx, staff.Entry{Actor: atShell, Action: "test.long"}); err != nil {
				return err
			}
		}
		return nil
	}))
	if rows, broken := f.verify(); broken != "" || rows != short+more {
		t.Errorf("%d rows, %q; want %d", rows, broken, short+more)
	}
	for _, end := range []int{1001, 1000, 501, 500} { // where pages meet, from behind
		f.exec(`DELETE FROM audit WHERE seq = $1`, end)
		if rows, broken := f.verify(); rows != end-1 || broken == "" {
			t.Errorf("without entry %d: %d rows fit, %q", end, rows, broken)
		}
	}
}

func TestChainGrowsInOneLineUnderACrowd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before, _ := f.verify()
	var crowd sync.WaitGroup
	for i := range 8 {
		s := staff.NewStore(f.pool, seal.ForTest(), func() time.Time { return monday.Add(-time.Duration(i) * time.Minute) }) // clocks differ
		crowd.Go(func() {
			for n := range 20 {
				err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
					for range n%3 + 1 { // several in one transaction, some of it undone
						if err := s.Audit(t.Context(), tx, staff.Entry{Actor: atShell, Action: "test.crowd"}); err != nil {
							return err
						}
					}
					if n%5 == 4 {
						return errUndone
					}
					return nil
				})
				if err != nil && !errors.Is(err, errUndone) {
					t.Error(err)
				}
			}
		})
	}
	crowd.Wait()
	want := before
	for n := range 20 {
		if n%5 != 4 {
			want += 8 * (n%3 + 1)
		}
	}
	if rows, broken := f.verify(); broken != "" || rows != want {
		t.Errorf("%d rows, %q; want %d", rows, broken, want)
	}
}

var errUndone = errors.New("undone")

func TestAuditRefusesWhatCannotStand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	for what, e := range map[string]staff.Entry{
		"no actor":      {Action: "test.x"},
		"no action":     {Actor: atShell},
		"strange value": {Actor: atShell, Action: "test.x", Detail: map[string]any{"f": func() {}}},
		"a NUL":         {Actor: atShell, Action: "test.x", Detail: map[string]any{"s": "\x00"}},
	} {
		if err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error { return f.Audit(ctx, tx, e) }); err == nil {
			t.Errorf("%s is written down", what)
		}
	}
	// A transaction that sees an old state would write a second entry of the same number.
	err := pgx.BeginTxFunc(ctx, f.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		return f.Audit(ctx, tx, staff.Entry{Actor: atShell, Action: "test.x"})
	})
	if err == nil || !strings.Contains(err.Error(), "does not see the newest entry") {
		t.Errorf("in a repeatable read: %v", err)
	}
	if got, err := f.Entries(ctx, staff.Filter{Action: "test."}, staff.Page{Size: 10}); err != nil || len(got) != 0 {
		t.Errorf("%d entries, %v; want none", len(got), err)
	}
}

func TestEntriesArePagedAndNarrowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	other := staff.Actor{ID: "x", IP: "10.1.1.1"}
	for i := range 7 {
		f.audits(staff.Entry{Actor: atShell, Action: "broadcast.pause", Object: "broadcast:1", Agency: "mau", Detail: map[string]any{"n": i}},
			staff.Entry{Actor: other, Action: "broadcast.cancel", Object: "broadcast:2", Agency: "health", Result: "refused"},
			staff.Entry{Actor: other, Action: "broadcaster", Object: "thing"})
	}
	count := func(filter staff.Filter) (n int) {
		t.Helper()
		before := int64(0)
		for {
			page, err := f.Entries(ctx, filter, staff.Page{Before: before, Size: 3})
			f.must(err)
			for _, r := range page {
				if before != 0 && r.Seq >= before {
					t.Fatalf("%d comes after %d", r.Seq, before)
				}
				before = r.Seq
			}
			if n += len(page); len(page) < 3 {
				return n
			}
		}
	}
	for _, c := range []struct {
		filter staff.Filter
		want   int
	}{
		{staff.Filter{Action: "broadcast."}, 14},
		{staff.Filter{Action: "broadcast.pause"}, 7},
		{staff.Filter{Object: "broadcast:2"}, 7},
		{staff.Filter{Actor: "x"}, 14},
		{staff.Filter{Actor: "x", Agency: "health"}, 7},
		{staff.Filter{Agency: "mau", Object: "broadcast:2"}, 0},
		{staff.Filter{From: monday.Add(90 * time.Minute)}, 20},
		{staff.Filter{From: monday.Add(2 * time.Hour), To: monday.Add(4 * time.Hour)}, 2},
		{staff.Filter{Actor: "' OR true --"}, 0},
	} {
		if n := count(c.filter); n != c.want {
			t.Errorf("%+v: %d entries, want %d", c.filter, n, c.want)
		}
	}
	got, err := f.Entries(ctx, staff.Filter{Object: "broadcast:2"}, staff.Page{Size: 1})
	f.must(err)
	r := got[0]
	r.Seq, r.Prev, r.Hash = 0, nil, nil
	want := staff.Record{At: monday.Add(20 * time.Hour), Actor: "x", Action: "broadcast.cancel", Object: "broadcast:2", Agency: "health",
		Result: "refused", Detail: "{}", IP: "10.1.1.1"}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

// months are the audit's partitions.
func (f fixture) months() (names []string) {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), `
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit'::regclass AND c.relname <> 'audit_default' ORDER BY 1`)
	f.must(err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	return names
}

// Months are dropped twelve months after they ended by Postgres's clock, and no
// earlier, whatever day and whatever hour the program believes it is.
func TestMonthsAreKeptTwelveMonths(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.exec(`DELETE FROM audit`)
	var thisMonth time.Time
	f.must(f.pool.QueryRow(ctx, `SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`).Scan(&thisMonth))
	name := func(ago int) string { return "audit_" + thisMonth.AddDate(0, -ago, 0).Format("200601") }
	// An entry in the middle of each of these months, the oldest first.
	for _, ago := range []int{15, 14, 13, 12, 1, 0} {
		at := thisMonth.AddDate(0, -ago, 14)
		if ago != 15 { // that one lies in the default partition
			f.exec(`SELECT make_audit_partitions($1)`, at)
		}
		f.clock.Store(&at)
		f.must(pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
			return f.Audit(ctx, tx, staff.Entry{Actor: atShell, Action: "test.month", Object: fmt.Sprint(ago)})
		}))
	}
	for _, kept := range []int{14, 13, 12, 1, 0} {
		var where string
		f.must(f.pool.QueryRow(ctx, `SELECT tableoid::regclass::text FROM audit WHERE object = $1`, fmt.Sprint(kept)).Scan(&where))
		if where != name(kept) {
			t.Fatalf("the entry of %d months ago lies in %s, not in %s", kept, where, name(kept))
		}
	}
	if rows, broken := f.verify(); rows != 6 || broken != "" {
		t.Fatalf("%d rows, %q", rows, broken)
	}
	f.exec(`SELECT drop_audit_partitions('2000-01-01')`)
	if rows, _ := f.verify(); rows != 6 {
		t.Errorf("asked for what is before 2000, %d of 6 rows are left", rows)
	}
	// A program whose clock is ten years ahead drops no more than what is due.
	f.must(f.Tidy(ctx, thisMonth.AddDate(10, 0, 0)))
	months := strings.Join(f.months(), " ")
	for ago, want := range map[int]bool{14: false, 13: false, 12: true, 1: true, 0: true} {
		if strings.Contains(months, name(ago)) != want {
			t.Errorf("%s is there: %v, want %v: %s", name(ago), !want, want, months)
		}
	}
	head, _, err := f.Head(ctx)
	f.must(err)
	if head.Action != "audit.drop" || head.Actor != "system" {
		t.Errorf("newest entry: %+v; want the dropping", head)
	}
	// 12, 1, 0 and the dropping.
	if rows, broken := f.verify(); rows != 4 || broken != "" {
		t.Errorf("%d rows, %q; want 4 that fit", rows, broken)
	}
	f.exec(`SELECT drop_audit_partitions('infinity')`)
	f.must(f.Tidy(ctx, thisMonth))
	if rows, broken := f.verify(); rows != 4 || broken != "" {
		t.Errorf("after more of it %d rows, %q; want the same 4", rows, broken)
	}
	if months := strings.Join(f.months(), " "); !strings.Contains(months, name(-2)) {
		t.Errorf("no partition made ahead: %s", months)
	}
}

func TestTidyBesideACrowdOfActs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := staff.NewStore(pool, seal.ForTest(), time.Now)
	var crowd sync.WaitGroup
	for range 6 {
		crowd.Go(func() {
			for range 20 {
				if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
					return s.Audit(t.Context(), tx, staff.Entry{Actor: atShell, Action: "test.act"})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		old := time.Now().AddDate(-2-i, 0, 0)
		if _, err := pool.Exec(t.Context(), `SELECT make_audit_partitions($1)`, old); err != nil {
			t.Error(err)
		}
		if err := s.Tidy(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
	}
	crowd.Wait()
	if rows, err := s.Verify(t.Context()); err != nil || rows != 125 {
		t.Errorf("%d rows, %v; want 120 acts and 5 droppings", rows, err)
	}
}
