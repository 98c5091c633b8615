package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/integrations/postgres/pgtest"
)

func TestMain(m *testing.M) {
	var log io.Writer = io.Discard
	if os.Getenv("LOG") != "" {
		log = os.Stderr
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	os.Exit(m.Run())
}

const testOA = "3612345678901234567"

func person(n int) bot.CitizenID {
	return bot.CitizenID{OA: testOA, User: fmt.Sprint(2512345678900000000 + n)}
}

// call is one that reached the fake Zalo.
type call struct {
	who      bot.CitizenID
	text     string
	template *bot.Template
}

// fakeZalo records calls and answers as answer says.
type fakeZalo struct {
	mu     sync.Mutex
	calls  []call
	answer func(call) error
}

func (z *fakeZalo) took(c call) (delivery.Receipt, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.answer != nil {
		if err := z.answer(c); err != nil {
			return delivery.Receipt{}, err
		}
	}
	z.calls = append(z.calls, c)
	return delivery.Receipt{MsgID: fmt.Sprint("m", len(z.calls)), At: time.Now()}, nil
}

func (z *fakeZalo) Send(_ context.Context, to bot.CitizenID, m bot.Message) (delivery.Receipt, error) {
	return z.took(call{who: to, text: m.Text})
}

func (z *fakeZalo) Template(_ context.Context, to bot.CitizenID, t bot.Template) (delivery.Receipt, error) {
	return z.took(call{who: to, template: &t})
}

func (z *fakeZalo) Do(context.Context, bot.CitizenID, bot.Call) error {
	return errors.New("no calls here")
}

func (z *fakeZalo) all() []call {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]call(nil), z.calls...)
}

// texts is what a person was sent.
func (z *fakeZalo) texts(who bot.CitizenID) (list []string) {
	for _, c := range z.all() {
		switch {
		case c.who != who:
		case c.template != nil:
			list = append(list, "template "+c.template.ID+" "+c.template.Phone)
		default:
			list = append(list, c.text)
		}
	}
	return list
}

type openLimiter struct{}

func (openLimiter) Try(_ context.Context, _ delivery.Priority, n int) (int, time.Duration) {
	return n, 0
}
func (openLimiter) Take(context.Context, delivery.Priority) error { return nil }
func (openLimiter) Throttled()                                    {}

// fakeRuns are broadcasts whose copies say the person's name.
type fakeRuns struct {
	mu       sync.Mutex
	active   []Run
	stopped  map[int64]string
	finished map[int64]bool
	template string
}

func (r *fakeRuns) Active(context.Context, time.Time) ([]Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Run(nil), r.active...), nil
}

func (r *fakeRuns) Render(_ context.Context, run int64, people []Person) ([]Content, error) {
	out := make([]Content, len(people))
	for i, p := range people {
		out[i] = Content{Message: bot.Message{Text: fmt.Sprintf("run for %s%s", p.Name, p.ID.User[15:])}, Template: r.template,
			Params: map[string]string{"title": "storm", "agency": "A", "link": "L"}}
	}
	return out, nil
}

func (r *fakeRuns) Stop(_ context.Context, run int64, cause string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped[run] = cause
	r.active = nil
	return nil
}

func (r *fakeRuns) Finish(_ context.Context, run int64, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished[run] = true
	return nil
}

// pause takes the active runs away; resume brings them back.
func (r *fakeRuns) pause() []Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.active
	r.active = nil
	return was
}

func (r *fakeRuns) resume(runs []Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = runs
}

func (r *fakeRuns) is(run int64) (finished bool, stopped string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finished[run], r.stopped[run]
}

type plainTexts struct{}

func (plainTexts) Text(_, key string, data map[string]any) string {
	return fmt.Sprint(key, data["Count"])
}
func (plainTexts) Moment(string, time.Time, time.Time) string { return "" }
func (plainTexts) Day(string, time.Time) string               { return "" }

// rig is a database with a feeder and a delivery whose clock the test moves.
type rig struct {
	t     testing.TB
	pool  *pgxpool.Pool
	store *Store
	zalo  *fakeZalo
	runs  *fakeRuns
	out   *delivery.Outbox
	feed  *Feeder

	mu     sync.Mutex
	shift  time.Duration
	alarms []string
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().UTC().Add(r.shift)
}

// settled waits until nothing is in the feeder's hands nor in the air: a clock that
// jumps by hours makes every lease of this process end.
func (r *rig) settled() {
	r.t.Helper()
	eventually(r.t, "nothing is in the air", func() bool {
		r.feed.mu.Lock()
		inHand := len(r.feed.inHand)
		r.feed.mu.Unlock()
		return inHand == 0 && r.rows("state = 'queued'")["queued"] == 0
	})
}

// at moves the clock to the next hh:mm of the local day.
func (r *rig) at(minute int) {
	r.t.Helper()
	r.settled()
	r.mu.Lock()
	now := time.Now().UTC().Add(r.shift)
	r.shift += next(now, minute).Sub(now)
	r.mu.Unlock()
	r.fresh()
}

// later moves the clock.
func (r *rig) later(d time.Duration) {
	r.t.Helper()
	r.settled()
	r.mu.Lock()
	r.shift += d
	r.mu.Unlock()
	r.fresh()
}

// fresh lets the feeder look at everything anew.
func (r *rig) fresh() {
	r.feed.forget()
	r.feed.rouse()
	r.store.Wake()
}

// newRig starts at noon, with the given settings (name, value pairs).
func newRig(t testing.TB, set ...string) *rig {
	r := &rig{t: t, pool: pgtest.New(t), zalo: &fakeZalo{}, runs: &fakeRuns{stopped: map[int64]string{}, finished: map[int64]bool{}}}
	r.shift = next(time.Now().UTC(), 12*60).Sub(time.Now().UTC())
	settings := setting.NewStore(r.pool)
	for i := 0; i < len(set); i += 2 {
		if err := settings.Set(context.Background(), "test", set[i], set[i+1], nil); err != nil {
			t.Fatal(err)
		}
	}
	values, err := settings.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r.store = NewStore(r.pool, seal.ForTest())
	r.out = delivery.New(delivery.Options{
		Instance: "one", Now: r.now, Poll: 20 * time.Millisecond, Backoff: 10 * time.Millisecond, Ledger: r.store,
	}, r.pool, seal.ForTest(), r.zalo, openLimiter{})
	r.feed = r.feeder("one", values)
	return r
}

func (r *rig) feeder(instance string, v setting.Values) *Feeder {
	return NewFeeder(r.store, Options{Pool: r.pool, Outbox: r.out, Runs: r.runs, Settings: func() setting.Values { return v },
		Texts: plainTexts{}, OA: testOA, Instance: instance, Now: r.now, Alarm: func(reason string) {
			r.mu.Lock()
			r.alarms = append(r.alarms, reason)
			r.mu.Unlock()
		}})
}

// start runs delivery and feeder until the test ends.
func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = r.out.Run(ctx) })
	done.Go(func() { _ = r.feed.Run(ctx) })
	r.t.Cleanup(func() { cancel(); done.Wait() })
	return r
}

// people makes profiles whose last interaction was that long ago (negative: none).
func (r *rig) people(from, to int, ago time.Duration) {
	r.t.Helper()
	var interacted *time.Time
	if ago >= 0 {
		at := r.now().Add(-ago)
		interacted = &at
	}
	for n := from; n < to; n++ {
		who := person(n)
		r.exec(`INSERT INTO citizen (oa_id, citizen, created_at) VALUES ($1, $2, $3)`, who.OA, who.User, r.now())
		r.exec(`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at) VALUES ($1, $2, $3, $4)`, who.OA, who.User, r.now(), interacted)
	}
}

// phone gives somebody a number that stands on a dossier.
func (r *rig) phone(n int, number string) {
	r.exec(`UPDATE citizen SET phone = $2, phone_proven_at = now() WHERE citizen = $1`, person(n).User, seal.ForTest().Seal("phone", []byte(number)))
}

// template registers one at Zalo, as CheckTemplates would have found it.
func (r *rig) registered(id string) {
	r.exec(`INSERT INTO push_template (oa_id, template_id, params, price_user, price_phone, status, checked_at)
		VALUES ($1, $2, '[{"name":"title","required":true,"max":20}]', 210, 330, 'ENABLE', now())`, testOA, id)
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.pool.Exec(context.Background(), sql, args...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// run freezes a run over everybody and lets it go.
func (r *rig) run(class Class) int64 {
	r.t.Helper()
	var run Run
	r.tx(func(tx pgx.Tx) error {
		id, err := r.store.NewSource(context.Background(), tx)
		if err != nil {
			return err
		}
		run = Run{ID: id, OA: testOA, Class: class, ExpiresAt: r.now().Add(48 * time.Hour)}
		_, _, err = r.store.Freeze(context.Background(), tx, run, r.now(), `SELECT oa_id, citizen, NULL::text AS skip FROM citizen WHERE oa_id = $1`, testOA)
		return err
	})
	r.runs.mu.Lock()
	r.runs.active = append(r.runs.active, run)
	r.runs.mu.Unlock()
	r.fresh()
	return run.ID
}

func (r *rig) tx(do func(tx pgx.Tx) error) {
	r.t.Helper()
	if err := pgx.BeginFunc(context.Background(), r.pool, do); err != nil {
		r.t.Fatal(err)
	}
}

// tell makes notices.
func (r *rig) tell(told ...Told) {
	r.t.Helper()
	r.tx(func(tx pgx.Tx) error { return r.store.Add(context.Background(), tx, told, r.now()) })
	r.fresh()
}

func notice(n int, key, text string) Told {
	return Told{To: person(n), Kind: "test.notice", Class: Notice, Key: key, Content: Content{Message: bot.Message{Text: text}}}
}

// do applies effects as a turn of a person would.
func (r *rig) do(n int, effects ...bot.Effect) {
	r.t.Helper()
	r.tx(func(tx pgx.Tx) error {
		var list []bot.Applied
		for _, e := range effects {
			list = append(list, bot.Applied{Citizen: person(n), At: r.now(), Effect: e})
		}
		return r.store.Apply(context.Background(), tx, list)
	})
	r.fresh()
}

// books checks that the books of a run balance and equal its rows, and returns them.
func (r *rig) books(run int64) Books {
	r.t.Helper()
	b, err := r.store.Books(context.Background(), run)
	if err != nil {
		r.t.Fatal(err)
	}
	if sum := b.Pending + b.Sent + b.Failed + b.Held + b.Skipped + b.Unknown; sum != b.Audience {
		r.t.Fatalf("the books do not balance: %d of %d", sum, b.Audience)
	}
	return b
}

// rows counts pushes by state.
func (r *rig) rows(where string, args ...any) map[string]int64 {
	r.t.Helper()
	rows, err := r.pool.Query(context.Background(), `SELECT state || coalesce(' ' || reason, ''), count(*) FROM push WHERE `+where+` GROUP BY 1`, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	counts := map[string]int64{}
	var state string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error { counts[state] = n; return nil }); err != nil {
		r.t.Fatal(err)
	}
	return counts
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// withPhone are settings under which templates go by phone.
func withPhone(t testing.TB) Settings {
	t.Helper()
	store := setting.NewStore(pgtest.New(t))
	if err := store.Set(context.Background(), "test", "rung.phone", "on", nil); err != nil {
		t.Fatal(err)
	}
	values, err := store.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return NewSettings(values)
}
