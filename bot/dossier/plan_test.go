package dossier

import (
	"strings"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

// With a great many dossiers watched, most of them overdue for a look, the
// statements that run all day long look at those they are about, and at no others.
func TestPlansOnManyFollowed(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
INSERT INTO dossier_watch (code_hash, code, since, look_at, hint_at, remind_at, alias_hash)
SELECT sha256(i::text::bytea), '\x00', now(), now() + (i % 86400 - 60000) * interval '1 second',
       CASE WHEN i % 500 = 0 THEN now() END, now() + (i % 86400 - 6000) * interval '1 second',
       CASE WHEN i % 10 = 0 THEN sha256((-i)::text::bytea) END
FROM generate_series(1, 100000) i;
INSERT INTO dossier_kept (oa_id, citizen, code_hash, code, kept_at, follow)
SELECT '1', i::text, sha256(i::text::bytea), '\x00', now(), now() FROM generate_series(1, 100000) i;
INSERT INTO citizen (oa_id, citizen, language, created_at) SELECT '1', i::text, 'vi', now() FROM generate_series(1, 100000) i;
ANALYZE dossier_watch; ANALYZE dossier_kept; ANALYZE citizen`)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	list := make([]settled, claimMost)
	for i := range list {
		list[i] = settled{hash: []byte{byte(i)}, lease: now, lookAt: now}
	}
	hashes := make([][]byte, 100)
	times := make([]*time.Time, 100)
	for i := range hashes {
		hashes[i], times[i] = []byte{byte(i)}, &now
	}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"claim":     {takeDueSQL, []any{now, 6, lookLease}},
		"leave":     {leaveSQL, []any{hashes}},
		"hint":      {hintSQL, []any{hashes, times, now, &now}},
		"settle":    {settleSQL, columnsOf(list, now)},
		"followers": {followersSQL, []any{hashes[0], hashes[0], "", "", now, "vi", followersSlice}},
	} {
		// The generic plan is the one a prepared statement ends up with.
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			var lines []string
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SELECT set_config('plan_cache_mode', $1, true)`, mode); err != nil {
					return err
				}
				rows, err := tx.Query(t.Context(), `EXPLAIN `+q.sql, q.args...)
				if err != nil {
					return err
				}
				lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			plan := strings.Join(lines, "\n")
			for _, table := range []string{"dossier_watch", "dossier_kept", "citizen"} {
				if strings.Contains(plan, "Seq Scan on "+table) {
					t.Errorf("%s (%s) reads all of %s:\n%s", name, mode, table, plan)
				}
			}
		}
	}
}
