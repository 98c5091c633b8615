package dossier_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/procedures"
	"congdanso/integrations/procedures/proceduresim"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// direct carries requests to a handler without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	d.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// counter counts statements; one of a batch counts as one.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}
func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) { c.n.Add(1) }
func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// timed notes how long after its change each notice was made.
type timed struct {
	*push.Store
	changed   map[string]time.Time // by code
	delays    []time.Duration
	reminders int
}

func (n *timed) Add(ctx context.Context, tx pgx.Tx, told []push.Told, now time.Time) error {
	for _, one := range told {
		if at, ok := n.changed[one.About]; ok {
			n.delays = append(n.delays, now.Sub(at))
			delete(n.changed, one.About)
		} else {
			n.reminders++
		}
	}
	return n.Store.Add(ctx, tx, told, now)
}

// listing is a list of changes that can be taken away.
type listing struct {
	*procedures.Client
	none bool
}

func (l *listing) Changes(ctx context.Context, since time.Time, page int) ([]dossier.Change, bool, error) {
	if l.none {
		return nil, false, dossier.ErrNoChanges
	}
	return l.Client.Changes(ctx, since, page)
}

const (
	benchFollowed = 100_000
	benchChanging = benchFollowed / 100 // an hour
)

// BenchmarkWatch follows 100,000 dossiers through a morning with the list of
// changes, and through a day without, at the usual rate, by a clock that moves
// in steps of five seconds: what it costs in requests and statements, and how long after a change
// its notice is made. In the mornings a thirtieth of the dossiers is due tomorrow.
func BenchmarkWatch(b *testing.B) {
	clock := &clock{t: time.Date(2026, 11, 24, 7, 0, 0, 0, dossier.Local)}
	sim := proceduresim.New(proceduresim.Options{Now: clock.now, TokenLife: 1000 * time.Hour})
	codes := sim.Fill(benchFollowed, clock.now())
	config, err := pgxpool.ParseConfig(pgtest.URL(b))
	if err != nil {
		b.Fatal(err)
	}
	statements := &counter{}
	config.ConnConfig.Tracer = statements
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	list := &listing{Client: procedures.New(procedures.Options{
		URL: "http://procedures.test", TokenURL: "http://procedures.test" + proceduresim.TokenPath,
		ClientID: "congdanso", ClientSecret: "secret", HTTP: &http.Client{Transport: direct{sim}}, Now: clock.now, Log: quiet,
		Statuses: map[string]int{"Đang xử lý": 4, "Yêu cầu thực hiện nghĩa vụ tài chính": 6},
	})}
	service := dossier.New(dossier.Options{Pool: pool, Ring: seal.ForTest(), Source: list, Now: clock.now, Log: quiet})
	texts, err := content.Load(content.Files(""), dossier.Local)
	if err != nil {
		b.Fatal(err)
	}
	settings := setting.NewStore(pool)
	rate := func(perMinute string) {
		if err := settings.Set(b.Context(), "operator:bench", "dossier.looks_per_minute", perMinute, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := settings.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	notices := &timed{Store: push.NewStore(pool, seal.ForTest()), changed: map[string]time.Time{}}
	watch := dossier.NewWatch(dossier.WatchOptions{
		Service: service, Changes: list, Notices: notices, Texts: texts, Values: settings.Values, Log: quiet,
	})
	for slice := range slices.Chunk(codes, 5000) {
		var applied []bot.Applied
		for i, code := range slice {
			applied = append(applied, bot.Applied{
				Citizen: bot.CitizenID{OA: "1", User: fmt.Sprintf("%s/%d", code, i)}, At: clock.now(), Effect: dossier.Follow{Code: dossier.Code(code)},
			})
		}
		err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error { return service.Store().Apply(b.Context(), tx, applied) })
		if err != nil {
			b.Fatal(err)
		}
	}
	// pass lets time pass, n dossiers changing an hour, and looks as serve does.
	next, statuses := 0, map[string]int{}
	pass := func(d, step time.Duration, changing int) (looked int) {
		begin := clock.now()
		for clock.now().Sub(begin) < d {
			for n := int(float64(changing) * clock.now().Sub(begin).Hours()); next < n; next++ {
				code := codes[rand.IntN(len(codes))]
				if _, waits := notices.changed[code]; waits {
					continue
				}
				statuses[code] = 10 - max(statuses[code], 4) // 6, then 4, then 6 …
				if err := sim.Set(code, proceduresim.Change{Status: statuses[code]}); err != nil {
					b.Fatal(err)
				}
				notices.changed[code] = clock.now()
			}
			clock.add(step)
			if clock.now().Unix()%30 < int64(step/time.Second) {
				if _, err := watch.Poll(b.Context(), clock.now()); err != nil {
					b.Fatal(err)
				}
			}
			n, err := watch.Look(b.Context(), clock.now())
			if err != nil {
				b.Fatal(err)
			}
			looked += n
			if err := service.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		next = 0
		return looked
	}
	rate("6000")
	first := time.Now()
	if n := pass(30*time.Minute, 6*time.Second, 0); n < benchFollowed {
		b.Fatalf("looked at %d of %d in the first half hour", n, benchFollowed)
	}
	b.Logf("first look at %d dossiers: %s", benchFollowed, time.Since(first).Round(time.Second))
	if _, err := pool.Exec(b.Context(), `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
	rate("60")
	measure := func(name string, hours int, step time.Duration) {
		b.Run(name, func(b *testing.B) {
			requests, queries := sim.Requests(), statements.n.Load()
			notices.delays, notices.reminders = nil, 0
			begin := time.Now()
			looked := pass(time.Duration(hours)*time.Hour, step, benchChanging)
			slices.Sort(notices.delays)
			at := func(share float64) float64 {
				if len(notices.delays) == 0 {
					return 0
				}
				return notices.delays[int(share*float64(len(notices.delays)-1))].Seconds()
			}
			perHour := func(n int64) float64 { return float64(n) / float64(hours) }
			b.ReportMetric(perHour(int64(sim.Requests()-requests)), "requests/h")
			b.ReportMetric(perHour(statements.n.Load()-queries), "statements/h")
			b.ReportMetric(perHour(int64(looked)), "looks/h")
			b.ReportMetric(perHour(int64(len(notices.delays))), "notices/h")
			b.ReportMetric(perHour(int64(notices.reminders)), "reminders/h")
			b.ReportMetric(at(0.5), "p50-delay-s")
			b.ReportMetric(at(0.99), "p99-delay-s")
			b.ReportMetric(float64(len(notices.changed)), "not-yet-told")
			b.ReportMetric(time.Since(begin).Seconds()/float64(hours), "busy-s/h")
			b.ReportMetric(0, "ns/op")
		})
	}
	measure("list", 3, 5*time.Second)
	list.none = true
	measure("one_by_one", 24, 5*time.Second)
}
