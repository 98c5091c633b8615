package broadcast

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

// BenchmarkFreeze freezes an audience of a million into copies, on a Postgres that
// syncs to disk, as a launch does; and tells the oldest transaction seen meanwhile,
// which is how long vacuum is held back at most.
func BenchmarkFreeze(b *testing.B) {
	const people = 1_000_000
	url := pgtest.Durable(b).URL("")
	newDeskOn(b, pgtest.Open(b, url, postgres.StatementTimeout(5*time.Minute))).crowd(people)
	d := newDeskOn(b, pgtest.Open(b, url, postgres.ByKey()))
	ctx := context.Background()
	def := bulletin()
	var longest atomic.Int64
	for b.Loop() {
		b.StopTimer()
		var id, run int64
		if err := d.Pool.QueryRow(ctx, `
INSERT INTO broadcast (oa_id, authors, state, definition, created_at, changed_at)
VALUES ($1, '{an}', 'running', $2, now(), now()) RETURNING id`, testOA, def).Scan(&id); err != nil {
			b.Fatal(err)
		}
		if err := d.Pool.QueryRow(ctx, `
INSERT INTO broadcast_run (broadcast, oa_id, kind, class, at, latest_at, state, definition, approved_recipients, approved_cost, frozen_at, started_at, expires_at)
VALUES ($1, $2, 'personal', 4, $3, $3::timestamptz + interval '1 hour', 'freezing', $4, 1000000, 1000000000, $3, $3, $3::timestamptz + interval '1 day')
RETURNING id`, id, testOA, noon, def).Scan(&run); err != nil {
			b.Fatal(err)
		}
		watch, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for watch.Err() == nil {
				var ms float64
				err := d.Pool.QueryRow(ctx, `
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000, 0)::float8 FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()`).Scan(&ms)
				if err == nil && int64(ms) > longest.Load() {
					longest.Store(int64(ms))
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-watch.Done():
				}
			}
		}()
		b.StartTimer()
		for more := true; more; {
			var err error
			if more, err = d.step(ctx, run, noon); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		stop()
		<-done
		books, err := d.Push.Books(ctx, run)
		if err != nil || books.Audience != people {
			b.Fatalf("frozen %d of %d (%v)", books.Audience, people, err)
		}
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/million")
	b.ReportMetric(float64(longest.Load()), "longest-transaction-ms")
}
