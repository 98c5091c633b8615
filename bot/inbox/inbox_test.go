package inbox_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/inbox"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
)

const oa = "3612345678901234567"

type fixture struct {
	*inbox.Inbox
	pool  *pgxpool.Pool
	now   time.Time
	mu    sync.Mutex
	woken []bot.CitizenID
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{pool: pgtest.New(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	f.Inbox = inbox.New(f.pool, seal.ForTest(), func(who []bot.CitizenID) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.woken = append(f.woken, who...)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// text is an event of a citizen, signed so many seconds after the fixture's now.
func (f *fixture) text(user, id string, after time.Duration) bot.Event {
	at := f.now.Add(after)
	return bot.Event{ID: "user_send:" + id, Name: "user_send_text", Citizen: bot.CitizenID{OA: oa, User: user},
		SignedAt: at, AcceptedAt: f.now.Add(time.Minute)}
}

func (f *fixture) accept(t *testing.T, evs ...bot.Event) {
	t.Helper()
	for _, ev := range evs {
		if err := f.Accept(t.Context(), ev, []byte(ev.ID)); err != nil {
			t.Fatalf("accept %s: %v", ev.ID, err)
		}
	}
}

func (f *fixture) claim(t *testing.T, users ...string) []*inbox.Claim {
	t.Helper()
	who := make([]bot.CitizenID, len(users))
	for i, u := range users {
		who[i] = bot.CitizenID{OA: oa, User: u}
	}
	var claims []*inbox.Claim
	batch := &pgx.Batch{}
	f.QueueClaim(batch, who, func(c []*inbox.Claim) { claims = c })
	if err := f.pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatalf("claim: %v", err)
	}
	return claims
}

func (f *fixture) settle(t *testing.T, turned ...inbox.Turned) []inbox.Outcome {
	t.Helper()
	var outcomes []inbox.Outcome
	err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) (err error) {
		outcomes, err = f.Settle(t.Context(), tx, turned)
		return err
	})
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	return outcomes
}

func (f *fixture) count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := f.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func ids(c *inbox.Claim) (list []string) {
	for _, w := range c.Events {
		list = append(list, string(w.Raw))
	}
	return list
}

func TestSameEventIsKeptOnce(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := f.Accept(t.Context(), f.text("1", "a", 0), []byte("body")); err != nil {
				t.Errorf("accept: %v", err)
			}
		})
	}
	wg.Wait()
	if n := f.count(t, "inbox"); n != 1 {
		t.Errorf("%d rows wait, want 1", n)
	}
}

func TestClaimReadsOneCitizensEventsBySignedTime(t *testing.T) {
	f := newFixture(t)
	f.accept(t, f.text("1", "third", 3*time.Second), f.text("2", "other", 0),
		f.text("1", "first", time.Second), f.text("1", "second", 2*time.Second))
	claims := f.claim(t, "1", "3")
	if len(claims) != 2 {
		t.Fatalf("%d claims, want 2", len(claims))
	}
	if got := fmt.Sprint(ids(claims[0])); got != "[user_send:first user_send:second user_send:third]" {
		t.Errorf("events = %s", got)
	}
	if len(claims[1].Events) != 0 {
		t.Errorf("the silent citizen has events: %v", ids(claims[1]))
	}
	if again := f.claim(t, "1", "2"); len(again) != 1 || again[0].Who.User != "2" {
		t.Errorf("a claimed citizen was claimed again: %v", again)
	}
}

func TestTurnedEventHasNoSecondEffect(t *testing.T) {
	f := newFixture(t)
	ev := f.text("1", "a", 0)
	f.accept(t, ev)
	c := f.claim(t, "1")[0]
	if got := f.settle(t, inbox.Turned{Claim: c, Key: c.Events[0].Key, SignedAt: c.Events[0].SignedAt, Last: true}); got[0] != inbox.Fresh {
		t.Fatalf("first settling = %v, want Fresh", got[0])
	}
	f.accept(t, ev) // Zalo repeats itself, hours later
	c = f.claim(t, "1")[0]
	if got := f.settle(t, inbox.Turned{Claim: c, Key: c.Events[0].Key, SignedAt: c.Events[0].SignedAt, Last: true}); got[0] != inbox.Again {
		t.Fatalf("second settling = %v, want Again", got[0])
	}
	if n := f.count(t, "inbox") + f.count(t, "inbox_claim"); n != 0 {
		t.Errorf("%d rows left, want none", n)
	}
}

func TestLapsedClaimCannotSettle(t *testing.T) {
	f := newFixture(t)
	f.accept(t, f.text("1", "a", 0), f.text("2", "b", 0))
	slow := f.claim(t, "1", "2")
	if _, err := f.pool.Exec(t.Context(), `UPDATE inbox_claim SET expires_at = now() - interval '1 second' WHERE citizen = '1'`); err != nil {
		t.Fatal(err)
	}
	taken := f.claim(t, "1")
	if len(taken) != 1 || !taken[0].Again {
		t.Fatalf("takeover = %+v, want one claim marked Again", taken)
	}
	turned := func(c *inbox.Claim) inbox.Turned {
		return inbox.Turned{Claim: c, Key: c.Events[0].Key, SignedAt: c.Events[0].SignedAt, Last: true}
	}
	// The slow instance's shared commit: one turn falls out, the other stands.
	if got := f.settle(t, turned(slow[0]), turned(slow[1])); got[0] != inbox.Lost || got[1] != inbox.Fresh {
		t.Errorf("slow instance = %v, want [Lost Fresh]", got)
	}
	if got := f.settle(t, turned(taken[0])); got[0] != inbox.Fresh {
		t.Errorf("who took over = %v, want Fresh", got)
	}
}

func TestRestingClaimIsNoCrash(t *testing.T) {
	f := newFixture(t)
	f.accept(t, f.text("1", "a", 0))
	c := f.claim(t, "1")[0]
	if err := f.Rest(t.Context(), c, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := f.claim(t, "1"); len(got) != 0 {
		t.Fatal("a resting citizen was claimed")
	}
	if _, err := f.pool.Exec(t.Context(), `UPDATE inbox_claim SET expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if got := f.claim(t, "1"); len(got) != 1 || got[0].Again {
		t.Fatalf("after the rest: %+v, want one claim that is no takeover", got)
	}
}

func TestUnclaimedWalksThroughAllCitizens(t *testing.T) {
	f := newFixture(t)
	for i := range 25 {
		f.accept(t, f.text(fmt.Sprint(100+i), fmt.Sprintf("a%d", i), 0), f.text(fmt.Sprint(100+i), fmt.Sprintf("b%d", i), 0))
	}
	f.claim(t, "103", "117")
	var all []string
	var after bot.CitizenID
	for range 10 {
		who, next, err := f.Unclaimed(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range who {
			all = append(all, id.User)
		}
		if after = next; next.IsZero() {
			break
		}
	}
	if len(all) != 23 {
		t.Errorf("%d citizens found, want the 23 nobody claimed: %v", len(all), all)
	}
}

func TestFaultyRowDoesNotTakeOthersAlong(t *testing.T) {
	f := newFixture(t)
	bad := f.text("1", "bad", 0)
	bad.Citizen.User = "1\x00" // no table takes a NUL byte in text
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			ev := bad
			if i > 0 {
				ev = f.text("2", fmt.Sprint("good", i), 0)
			}
			errs[i] = f.Accept(t.Context(), ev, []byte("{}"))
		})
	}
	wg.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 0) {
			t.Errorf("event %d: %v", i, err)
		}
	}
	if n := f.count(t, "inbox"); n != 7 {
		t.Errorf("%d rows wait, want the 7 sound ones", n)
	}
}

func TestDeadLetterIsRetriedOnce(t *testing.T) {
	f := newFixture(t)
	f.accept(t, f.text("1", "a", 0))
	c := f.claim(t, "1")[0]
	err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
		moved, err := f.Die(t.Context(), tx, c, c.Events[0], "panic: \x00 in the text", f.now, true)
		if err == nil && !moved {
			t.Error("nothing was moved")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := f.DeadLetters(t.Context(), 10)
	if err != nil || len(list) != 1 || list[0].Cause != "panic:  in the text" {
		t.Fatalf("dead letters = %+v, %v", list, err)
	}
	if err := f.Retry(t.Context(), list[0].ID, f.now); err != nil {
		t.Fatal(err)
	}
	c = f.claim(t, "1")[0]
	if len(c.Events) != 1 || string(c.Events[0].Raw) != "user_send:a" {
		t.Fatalf("after the retry: %v", ids(c))
	}
	if got := f.settle(t, inbox.Turned{Claim: c, Key: c.Events[0].Key, SignedAt: c.Events[0].SignedAt, Last: true}); got[0] != inbox.Fresh {
		t.Errorf("retried event = %v, want Fresh", got[0])
	}
	if err := f.Retry(t.Context(), list[0].ID, f.now); err == nil {
		t.Error("a second retry of the same letter went through")
	}
}

func TestBodiesAreSealed(t *testing.T) {
	f := newFixture(t)
	if err := f.Accept(t.Context(), f.text("1", "a", 0), []byte(`{"text":"so dien thoai 0912345678"}`)); err != nil {
		t.Fatal(err)
	}
	var leaks int
	err := f.pool.QueryRow(t.Context(), `SELECT count(*) FROM inbox i WHERE position('0912345678'::bytea in i.body) > 0`).Scan(&leaks)
	if err != nil {
		t.Fatal(err)
	}
	if leaks != 0 {
		t.Error("the body rests in plain text")
	}
}
