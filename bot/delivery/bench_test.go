package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
)

// instantZalo takes everything at once.
type instantZalo struct{ wg *sync.WaitGroup }

func (z instantZalo) Send(_ context.Context, _ bot.CitizenID, m bot.Message) (Receipt, error) {
	z.wg.Done()
	return Receipt{MsgID: m.Text}, nil
}
func (z instantZalo) Template(context.Context, bot.CitizenID, bot.Template) (Receipt, error) {
	return Receipt{}, nil
}
func (z instantZalo) Do(context.Context, bot.CitizenID, bot.Call) error { return nil }

// BenchmarkReplies measures replies from their turn's commit to Zalo's answer,
// Postgres syncing to disk: twenty turns share a commit, two commits are under
// way. "short" is the way on which the turn itself marks its replies, "long" the
// one by which everything else goes.
func BenchmarkReplies(b *testing.B) {
	for _, way := range []string{"short", "long"} {
		b.Run(way, func(b *testing.B) {
			pool := pgtest.Open(b, pgtest.Durable(b).URL(""))
			var wg sync.WaitGroup
			opt := Options{Instance: "bench"}
			in := &instance{limiter: &fakeLimiter{}, done: make(chan struct{}), t: b}
			in.Outbox = New(opt, pool, seal.ForTest(), instantZalo{&wg}, in.limiter)
			in.start()
			const shared = 20
			turns := make(chan int, 2)
			var committers sync.WaitGroup
			for range 2 {
				committers.Go(func() {
					for n := range turns {
						items := make([]Item, shared)
						for i := range items {
							items[i] = reply(n*shared+i, fmt.Sprint("reply ", n, i, " and some more words, as answers have them, and a few more"))
						}
						if way == "short" {
							in.Prepare(context.Background(), items)
						}
						err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
							return in.Enqueue(context.Background(), tx, items)
						})
						if err != nil {
							b.Error(err)
						}
						in.Hand(items)
					}
				})
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += shared {
				wg.Add(shared)
				turns <- n / shared
			}
			wg.Wait()
			b.StopTimer()
			close(turns)
			committers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
		})
	}
}
