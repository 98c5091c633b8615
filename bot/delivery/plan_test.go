package delivery

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var fullScan = regexp.MustCompile(`Seq Scan on (\S+).*cost=[\d.]+\.\.([\d.]+)`)

// With a great many rows waiting, the statements on a message's way look at
// those they are about, and at no others.
func TestPlansOnALongQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	_, err := r.pool.Exec(ctx, `
INSERT INTO outbox (oa_id, citizen, id, priority, kind, state, due_at, created_at, expires_at, body)
SELECT '1', (i % 60000)::text, i, i % 4, 'message', 'pending', now() + (i % 7200 - 600) * interval '1 second', now(), now() + interval '1 day', '\x00'
FROM generate_series(1, 200000) i;
INSERT INTO history (oa_id, citizen, at, outgoing, kind, msg_id) SELECT '1', (i % 60000)::text, now() - (i % 86400) * interval '1 second', true, 'message', i::text
FROM generate_series(1, 200000) i;
INSERT INTO receipt (oa_id, citizen, at, kind, msg_id) SELECT '1', (i % 60000)::text, now() - (i % 86400) * interval '1 second', 'seen', i::text
FROM generate_series(1, 200000) i;
ANALYZE outbox; ANALYZE history; ANALYZE receipt`)
	if err != nil {
		t.Fatal(err)
	}
	n := 64
	oas, users, ids, tries := make([]string, n), make([]string, n), make([]int64, n), make([]int16, n)
	texts, times, bools, ints, bytes := make([]*string, n), make([]time.Time, n), make([]bool, n), make([]*int32, n), make([][]byte, n)
	outcomes, slots, prios := make([]string, n), make([]int32, n), make([]int16, n)
	for i := range n {
		oas[i], users[i], ids[i], slots[i], times[i], bytes[i] = "1", string(rune('0'+i%10)), int64(i), int32(i+1), time.Now(), []byte{0}
	}
	lease := time.Second
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"claim":   {claimSQL, []any{int16(0), 64, "x", lease, lease, lease}},
		"overdue": {overdueSQL, nil},
		"mark":    {markSQL, []any{"x", lease, oas, users, ids}},
		"leave":   {leaveSQL, []any{"x", oas, users, ids, tries, times, texts, outcomes, ints, texts, bytes}},
		"stay": {staySQL, []any{"x", lease, lease, lease, oas, users, ids, tries, outcomes, texts, bools, bools, make([]*time.Time, n),
			make([]time.Duration, n)}},
		"enqueue": {enqueueSQL, []any{"x", lease, oas, users, prios, outcomes, bools, bools, slots, times, times, times, times, texts, texts, texts, bytes}},
		"echo":    {echoSQL, []any{oas, users, bytes, times, bools}},
	} {
		// The generic plan is the one a prepared statement ends up with.
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			var lines []string
			err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `SELECT set_config('congdanso.free', '{}', true), set_config('plan_cache_mode', $1, true)`, mode); err != nil {
					return err
				}
				rows, err := tx.Query(ctx, `EXPLAIN `+q.sql, q.args...)
				if err != nil {
					return err
				}
				lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, line := range lines {
				if m := fullScan.FindStringSubmatch(line); m != nil {
					if cost, err := strconv.ParseFloat(m[2], 64); err != nil || cost > 20 { // an empty partition costs nothing
						t.Errorf("%s (%s) reads all of %s:\n%s", name, mode, m[1], strings.Join(lines, "\n"))
					}
				}
			}
		}
	}
}
