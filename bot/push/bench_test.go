package push_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/redis"
	"congdanso/integrations/zalo"
	"congdanso/integrations/zalo/zalosim"
)

// fanOut is a server's delivery and feeder, with a stand-in for Zalo behind real
// HTTP and a Postgres that syncs to disk.
type fanOut struct {
	b      *testing.B
	pool   *pgxpool.Pool
	store  *push.Store
	out    *delivery.Outbox
	feed   *push.Feeder
	sim    *zalosim.Sim
	runs   *oneRun
	before int64 // accepted before the run
	slots  *watchedLimiter
	echo   func(bot.CitizenID) // called for each accepted message
}

// oneRun is a broadcast that says the same to everybody.
type oneRun struct {
	mu     sync.Mutex
	active []push.Run
	done   chan struct{}
}

func (r *oneRun) Active(context.Context, time.Time) ([]push.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.active), nil
}

func (r *oneRun) Render(_ context.Context, _ int64, people []push.Person) ([]push.Content, error) {
	out := make([]push.Content, len(people))
	for i := range people {
		out[i].Message.Text = "UBND phường Mẫu\n\nMất điện từ 8:00 đến 11:30 thứ Bảy 28/11/2026 tại các tổ 3, 4, 5 để sửa đường dây. " +
			"Nhờ ông/bà chuẩn bị nước, sạc điện thoại.\n\nNguồn: thông báo 214/TB-ĐL ngày 24/11/2026. Hỏi thêm: 1900 0000.\nKhông nhận nữa, nhắn \"dừng tin\"."
	}
	return out, nil
}

func (r *oneRun) Stop(_ context.Context, run int64, cause string) error {
	panic(fmt.Sprintf("run %d stopped: %s", run, cause))
}

func (r *oneRun) Finish(context.Context, int64, time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active != nil {
		close(r.done)
	}
	r.active = nil
	return nil
}

type noTexts struct{}

func (noTexts) Text(_, key string, _ map[string]any) string { return key }
func (noTexts) Moment(string, time.Time, time.Time) string  { return "" }
func (noTexts) Day(string, time.Time) string                { return "" }

func newFanOut(b *testing.B, perMinute, people int) *fanOut {
	b.Helper()
	f := &fanOut{b: b, runs: &oneRun{done: make(chan struct{})}}
	cluster := pgtest.Durable(b)
	f.pool = pgtest.Open(b, cluster.URL(""), postgres.ByKey())
	opt := zalosim.Options{RatePerMinute: -1, OARatePerMinute: -1, NoReceipts: true, NoEchoes: true, KeepLog: -1, KeepMessages: -1}
	opt.OnSend = func(s zalosim.Send) {
		if f.echo != nil {
			f.echo(bot.CitizenID{OA: zalosim.ExampleOAID, User: s.User})
		}
	}
	f.sim = zalosim.New(opt)
	srv := httptest.NewServer(f.sim)
	b.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	keys := seal.ForTest()
	tokens := zalo.NewTokens(f.pool, keys, zalo.TokenOptions{AppID: zalosim.ExampleAppID, AppSecret: zalosim.ExampleAppSecret,
		OAID: zalosim.ExampleOAID, OAuthURL: srv.URL, Seed: f.sim.RefreshToken()})
	shared, err := redis.Open("")
	if err != nil {
		b.Fatal(err)
	}
	limit := shared.Limiter(zalosim.ExampleOAID, perMinute, func() int { return 1 })
	client, err := zalo.New(zalo.Options{APIURL: srv.URL, ZNSURL: srv.URL, OAID: zalosim.ExampleOAID, Tokens: tokens})
	if err != nil {
		b.Fatal(err)
	}
	f.store = push.NewStore(f.pool, keys)
	f.slots = &watchedLimiter{Limiter: limit}
	f.out = delivery.New(delivery.Options{Instance: "bench", Ledger: f.store}, f.pool, keys, client, f.slots)
	f.feed = push.NewFeeder(f.store, push.Options{Pool: f.pool, Outbox: f.out, Runs: f.runs, OA: zalosim.ExampleOAID, Instance: "bench",
		Settings: func() setting.Values { return setting.Values{} }, Texts: noTexts{}, Now: daytime()})
	f.people(people)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{tokens.Run, f.out.Run, f.feed.Run} {
		parts.Go(func() { _ = run(ctx) })
	}
	b.Cleanup(func() { cancel(); parts.Wait() })
	return f
}

// watchedLimiter remembers when slots were given.
type watchedLimiter struct {
	delivery.Limiter
	mu    sync.Mutex
	given []time.Time
}

func (l *watchedLimiter) Try(ctx context.Context, p delivery.Priority, n int) (int, time.Duration) {
	got, again := l.Limiter.Try(ctx, p, n)
	if got > 0 {
		l.mu.Lock()
		l.given = append(l.given, time.Now())
		l.mu.Unlock()
	}
	return got, again
}

// next is when the first slots after at were given.
func (l *watchedLimiter) next(at time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.given, at, func(a, b time.Time) int { return a.Compare(b) })
	if i == len(l.given) {
		return at
	}
	return l.given[i]
}

// daytime is a clock at which pushes go, whatever the hour of the benchmark.
func daytime() func() time.Time {
	shift := time.Duration(0)
	if h := time.Now().In(push.Local).Hour(); h < 7 || h > 20 {
		shift = 12 * time.Hour
	}
	return func() time.Time { return time.Now().Add(shift) }
}

// user is the id of the n-th person.
func user(n int) string { return fmt.Sprint(2512345678900000000 + n) }

// people makes profiles who wrote just now, here and in the stand-in.
func (f *fanOut) people(n int) {
	f.b.Helper()
	var saved bytes.Buffer
	saved.WriteString(`{"Paid":500,"People":[`)
	for i := range n {
		if i > 0 {
			saved.WriteByte(',')
		}
		fmt.Fprintf(&saved, `{"ID":%q,"Follows":true,"Wrote":true,"Interacted":%q,"Place":%d}`, user(i), time.Now().Format(time.RFC3339), i)
	}
	saved.WriteString(`]}`)
	if err := f.sim.Load(&saved); err != nil {
		f.b.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO citizen (oa_id, citizen, created_at, following) SELECT $1, (2512345678900000000 + i)::text, now(), true FROM generate_series(0, $2::int - 1) i`,
		`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at)
		 SELECT $1, (2512345678900000000 + i)::text, now(), now() FROM generate_series(0, $2::int - 1) i`,
	} {
		if _, err := f.pool.Exec(context.Background(), sql, zalosim.ExampleOAID, n); err != nil {
			f.b.Fatal(err)
		}
	}
}

// launch freezes a run over the first n people and lets it go.
func (f *fanOut) launch(n int) push.Run {
	f.b.Helper()
	ctx := context.Background()
	now := time.Now().UTC()
	run := push.Run{OA: zalosim.ExampleOAID, Class: push.Broadcast, ExpiresAt: now.Add(96 * time.Hour)}
	err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) (err error) {
		if run.ID, err = f.store.NewSource(ctx, tx); err != nil {
			return err
		}
		_, _, err = f.store.Freeze(ctx, tx, run, now, `
SELECT oa_id, citizen, NULL::text AS skip FROM citizen WHERE oa_id = $1 ORDER BY oa_id, citizen LIMIT $2`, zalosim.ExampleOAID, n)
		return err
	})
	if err != nil {
		f.b.Fatal(err)
	}
	if _, err := f.pool.Exec(ctx, `VACUUM ANALYZE push, citizen, conversation`); err != nil {
		f.b.Fatal(err)
	}
	f.runs.mu.Lock()
	f.runs.active, f.runs.done = []push.Run{run}, make(chan struct{})
	f.runs.mu.Unlock()
	f.before = f.sim.Accepted()
	f.store.Wake()
	return run
}

// balance checks the books at the end: everybody was sent one.
func (f *fanOut) balance(run push.Run, n int) {
	f.b.Helper()
	books, err := f.store.Books(context.Background(), run.ID)
	if err != nil || books.Sent != int64(n) || books.Audience != int64(n) {
		f.b.Fatalf("books %+v, %v; want %d sent", books, err, n)
	}
	if got := f.sim.Accepted() - f.before; got != int64(n) {
		f.b.Fatalf("the stand-in accepted %d messages for %d people", got, n)
	}
	if _, err := f.pool.Exec(context.Background(), `TRUNCATE push_person`); err != nil { // a new day for everybody
		f.b.Fatal(err)
	}
}

// processor is the processor time of this process so far.
func processor(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// postgres is the processor time of the database's processes so far.
func (f *fanOut) postgres() (sum time.Duration) {
	f.b.Helper()
	var backend int
	if err := f.pool.QueryRow(context.Background(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		f.b.Fatal(err)
	}
	stat := func(pid string) []string {
		raw, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return nil // it has ended
		}
		return strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	}
	ticks := func(field string) time.Duration {
		n, _ := strconv.ParseInt(field, 10, 64)
		return time.Duration(n) * 10 * time.Millisecond
	}
	parent := stat(strconv.Itoa(backend))[1]
	entries, err := os.ReadDir("/proc")
	if err != nil {
		f.b.Fatal(err)
	}
	for _, e := range entries {
		s := stat(e.Name())
		switch {
		case len(s) < 15 || s[1] != parent && e.Name() != parent:
		case e.Name() == parent: // what ended before counts with the parent
			sum += ticks(s[11]) + ticks(s[12]) + ticks(s[13]) + ticks(s[14])
		default:
			sum += ticks(s[11]) + ticks(s[12])
		}
	}
	return sum
}

// BenchmarkFanOut measures a broadcast to people within the free window. "most" is
// without a limit; the others hold a rate and are told by the share of it that was
// used, over the time between the first and the last message.
func BenchmarkFanOut(b *testing.B) {
	b.Run("most", func(b *testing.B) {
		const n = 50_000
		f := newFanOut(b, 100_000_000, n)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for b.Loop() {
			run := f.launch(n)
			start, ours, theirs := time.Now(), processor(b), f.postgres()
			<-f.runs.done
			b.ReportMetric(n/time.Since(start).Seconds(), "msg/s")
			b.ReportMetric(float64((processor(b)-ours).Microseconds())/n, "server+stand-in-cpu-µs/msg")
			b.ReportMetric(float64((f.postgres()-theirs).Microseconds())/n, "postgres-cpu-µs/msg")
			f.balance(run, n)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MiB-grown")
	})
	for _, rate := range []struct {
		name      string
		perMinute int
		people    int
	}{
		{"100-a-minute", 100, 150}, {"2000-a-minute", 2000, 2500}, {"500-a-second", 30_000, 20_000},
	} {
		b.Run(rate.name, func(b *testing.B) {
			f := newFanOut(b, rate.perMinute, rate.people)
			var first, last atomic.Int64
			f.echo = func(bot.CitizenID) {
				now := time.Now().UnixNano()
				first.CompareAndSwap(0, now)
				last.Store(now)
			}
			for b.Loop() {
				run := f.launch(rate.people)
				<-f.runs.done
				f.balance(run, rate.people)
			}
			took := time.Duration(last.Load() - first.Load())
			b.ReportMetric(100*float64(rate.people-1)/took.Minutes()/float64(rate.perMinute), "%-of-rate")
		})
	}
}

// BenchmarkFanOutReply measures replies in the middle of a fan-out at a full rate:
// from their decision to their arrival at the stand-in, and how much of that lies
// beyond the first slot that was given to anybody after the decision.
func BenchmarkFanOutReply(b *testing.B) {
	for _, rate := range []struct {
		name      string
		perMinute int
		people    int
		every     time.Duration
	}{
		{"2000-a-minute", 2000, 1500, 250 * time.Millisecond}, {"500-a-second", 30_000, 15_000, 50 * time.Millisecond},
	} {
		b.Run(rate.name, func(b *testing.B) {
			const askers = 1000
			f := newFanOut(b, rate.perMinute, rate.people+askers)
			arrived := make([]atomic.Int64, askers)
			decided := make([]time.Time, askers)
			f.echo = func(who bot.CitizenID) {
				n, _ := strconv.ParseInt(who.User, 10, 64)
				if i := int(n-2512345678900000000) - rate.people; i >= 0 {
					arrived[i].Store(time.Now().UnixNano())
				}
			}
			asked := 0
			for b.Loop() {
				f.launch(rate.people)
				tick := time.NewTicker(rate.every)
				for going := true; going; {
					select {
					case <-f.runs.done:
						going = false
					case <-tick.C:
						if asked == askers {
							continue
						}
						decided[asked] = time.Now()
						f.reply(user(rate.people + asked))
						asked++
					}
				}
				tick.Stop()
				if _, err := f.pool.Exec(context.Background(), `TRUNCATE push_person`); err != nil {
					b.Fatal(err)
				}
			}
			var whole, beyond []time.Duration
			for i := range asked {
				at := time.Unix(0, arrived[i].Load())
				if arrived[i].Load() == 0 {
					b.Fatalf("reply %d of %d has not arrived", i, asked)
				}
				whole, beyond = append(whole, at.Sub(decided[i])), append(beyond, at.Sub(f.slots.next(decided[i])))
			}
			quantile := func(waits []time.Duration, q float64) float64 {
				slices.Sort(waits)
				return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000
			}
			b.ReportMetric(float64(asked), "replies")
			b.ReportMetric(quantile(whole, 0.5), "p50-ms")
			b.ReportMetric(quantile(whole, 0.99), "p99-ms")
			b.ReportMetric(quantile(beyond, 0.99), "p99-ms-beyond-the-next-slot")
		})
	}
}

// reply answers somebody as a turn's commit does.
func (f *fanOut) reply(user string) {
	f.b.Helper()
	ctx := context.Background()
	items := []delivery.Item{{To: bot.CitizenID{OA: zalosim.ExampleOAID, User: user}, Priority: delivery.Reply,
		Message: &bot.Message{Text: "an answer"}, InReplyAt: time.Now()}}
	f.out.Prepare(ctx, items)
	if err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error { return f.out.Enqueue(ctx, tx, items) }); err != nil {
		f.b.Fatal(err)
	}
	f.out.Hand(items)
}
