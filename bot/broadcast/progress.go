package broadcast

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot/push"
)

const (
	// progressFor is how long figures are given out before they are read again, however
	// often they are asked for.
	progressFor = 5 * time.Second
	// progressWithin bounds how long whoever asks waits for Postgres.
	progressWithin = 2 * time.Second
)

var copiesDesc = prometheus.NewDesc("congdanso_broadcast_copies",
	"Copies of runs that have begun and not ended, by state as in the books: sent, failed, held, skipped, unknown, pending.",
	[]string{"run", "state"}, nil)

// Progress tells operators how the runs go that have begun and not ended. It reads
// the books when it is asked, so that nothing is counted while nobody looks.
type Progress struct {
	store *Store
	now   func() time.Time

	mu    sync.Mutex
	read  time.Time
	books map[int64]push.Books // by run
}

// NewProgress returns a collector.
func NewProgress(s *Store, now func() time.Time) *Progress { return &Progress{store: s, now: now} }

// Describe implements prometheus.Collector.
func (p *Progress) Describe(ch chan<- *prometheus.Desc) { ch <- copiesDesc }

// Collect implements prometheus.Collector. Figures that cannot be read are left out:
// old ones would look like a run that stands still.
func (p *Progress) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), progressWithin)
	defer cancel()
	books, err := p.figures(ctx)
	if err != nil {
		slog.Warn("the progress of broadcasts is not known", "error", err)
		return
	}
	for run, b := range books {
		for state, n := range map[string]int64{
			"sent": b.Sent, "failed": b.Failed, "held": b.Held, "skipped": b.Skipped, "unknown": b.Unknown, "pending": b.Pending,
		} {
			ch <- prometheus.MustNewConstMetric(copiesDesc, prometheus.GaugeValue, float64(n), strconv.FormatInt(run, 10), state)
		}
	}
}

func (p *Progress) figures(ctx context.Context) (map[int64]push.Books, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.books != nil && now.Sub(p.read) < progressFor && !now.Before(p.read) {
		return p.books, nil
	}
	// By broadcast_run_live.
	rows, err := p.store.Pool.Query(ctx, `
SELECT id FROM broadcast_run WHERE kind = 'personal' AND state IN ('freezing', 'asking', 'running', 'paused')`)
	if err != nil {
		return nil, fmt.Errorf("list runs that go: %w", err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list runs that go: %w", err)
	}
	fresh := make(map[int64]push.Books, len(runs))
	for _, run := range runs {
		if fresh[run], err = p.store.Push.Books(ctx, run); err != nil {
			return nil, err
		}
	}
	p.read, p.books = now, fresh
	return fresh, nil
}
