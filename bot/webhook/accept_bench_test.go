package webhook_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
	"congdanso/bot/inbox"
	"congdanso/bot/seal"
	"congdanso/bot/webhook"
	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

const (
	benchApp    = "1234567890123456789"
	benchOA     = "3612345678901234567"
	benchSecret = "oa-secret-key-EXAMPLE"
	connections = 64
)

// nowhere keeps nothing: the handler with storage left out.
type nowhere struct{}

func (nowhere) Accept(context.Context, bot.Event, []byte) error               { return nil }
func (nowhere) Bury(context.Context, string, []byte, string, time.Time) error { return nil }
func (nowhere) Note(bot.Event)                                                {}

// BenchmarkAccept tells how many deliveries a second become durable, over real
// HTTP on 64 connections with real signatures, Postgres with fsync and
// synchronous_commit on; and the same handler with storage left out, in turns
// with it, so that the ratio tells what durability costs.
func BenchmarkAccept(b *testing.B) {
	durable := pgtest.Durable(b)
	pool, err := postgres.Open(b.Context(), durable.URL(""))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	in := inbox.New(pool, seal.ForTest(), func([]bot.CitizenID) {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { in.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	bodies := sign(b, 4000)
	var kept, bare figures
	for b.Loop() {
		bare.add(load(b, nowhere{}, bodies))
		kept.add(load(b, in, bodies))
		if _, err := pool.Exec(ctx, `TRUNCATE inbox`); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(kept.rate(), "accepts/s")
	b.ReportMetric(float64(kept.quantile(.50).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(kept.quantile(.99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(bare.rate(), "bare/s")
	b.ReportMetric(kept.rate()/bare.rate(), "ratio")
}

type delivery struct {
	body []byte
	mac  string
}

// sign makes deliveries of as many citizens, each signed as Zalo signs.
func sign(b *testing.B, n int) []delivery {
	b.Helper()
	list := make([]delivery, n)
	ts := fmt.Sprint(time.Now().UnixMilli())
	for i := range list {
		body := fmt.Appendf(nil, `{"app_id":%q,"sender":{"id":"25%017d"},"recipient":{"id":%q},"user_id_by_app":"5512345678901234567","event_name":"user_send_text","message":{"text":"tra cứu hồ sơ H42.16-240612-%04d","msg_id":"a1b2c3d4e5%010x"},"timestamp":%q}`,
			benchApp, i, benchOA, i, i, ts)
		sum := sha256.Sum256([]byte(benchApp + string(body) + ts + benchSecret))
		list[i] = delivery{body, "mac=" + hex.EncodeToString(sum[:])}
	}
	return list
}

type figures struct {
	took  time.Duration
	n     int
	waits []time.Duration
}

func (f *figures) add(g figures) {
	f.took += g.took
	f.n += g.n
	f.waits = append(f.waits, g.waits...)
}

func (f *figures) rate() float64 { return float64(f.n) / f.took.Seconds() }

func (f *figures) quantile(q float64) time.Duration {
	slices.Sort(f.waits)
	return f.waits[int(q*float64(len(f.waits)-1))]
}

// load delivers everything once over 64 connections.
func load(b *testing.B, keep webhook.Inbox, list []delivery) figures {
	b.Helper()
	door := webhook.New(webhook.Config{AppID: benchApp, OAID: benchOA, OASecret: benchSecret, AppSecret: "x", Now: time.Now},
		keep, nowhere{}, prometheus.NewRegistry())
	e := echo.New()
	e.POST("/webhooks/zalo", door.Handle)
	srv := httptest.NewServer(e)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var wg sync.WaitGroup
	f := figures{n: len(list), waits: make([]time.Duration, len(list))}
	start := time.Now()
	for range connections {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				req, _ := http.NewRequest(http.MethodPost, srv.URL+"/webhooks/zalo", bytes.NewReader(list[i].body))
				req.Header.Set(webhook.SignatureHeader, list[i].mac)
				began := time.Now()
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				f.waits[i] = time.Since(began)
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
	f.took = time.Since(start)
	return f
}
