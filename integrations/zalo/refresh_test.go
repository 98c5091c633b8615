package zalo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/seal"
	"congdanso/integrations/zalo/zalosim"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A crash between Zalo's answer and our commit loses the pair.
func TestCrashBetweenIntentAndStore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		usedUp bool // Zalo had taken the refresh token
	}{"zalo never saw it": {false}, "zalo had answered": {true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, zalosim.Options{})
			seed := c.sim.RefreshToken()
			mustToken(t, c.instance(seed))
			ctx := context.Background()
			// What a crashed instance leaves behind.
			if _, err := c.pool.Exec(ctx, `UPDATE zalo_token SET intent_at = now() - interval '1 minute', intent_by = 'crashed'`); err != nil {
				t.Fatal(err)
			}
			if tt.usedUp {
				c.sim.RevokeGrants()
			}
			c.sim.Clock().Advance(21 * time.Hour)
			tokens := c.instance(seed)
			err := tokens.keepFresh(ctx)
			if c.lost.Load() != 1 {
				t.Errorf("%d reports of the lost refresh, want one", c.lost.Load())
			}
			if tt.usedUp {
				if grantOf(err) == nil || c.dead.Load() != 1 {
					t.Errorf("error %v, %d alarms; want a dead grant", err, c.dead.Load())
				}
			} else {
				if err != nil || c.dead.Load() != 0 {
					t.Errorf("error %v, %d alarms; want the old refresh token to work", err, c.dead.Load())
				}
				c.works(mustToken(t, tokens))
			}
			if n := c.sim.CallCount(zalosim.PathToken); n != 2 {
				t.Errorf("%d token calls, want the seed's and one more try", n)
			}
			var open bool
			if err := c.pool.QueryRow(ctx, `SELECT intent_at IS NOT NULL FROM zalo_token`).Scan(&open); err != nil || open {
				t.Errorf("an intent still stands: %v %v", open, err)
			}
		})
	}
}

// An instance that lost its lock but not its life may still store its pair: the
// others wait for it instead of trying the used refresh token.
func TestAFreshIntentIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	ctx := context.Background()
	slow := c.instance(c.sim.RefreshToken())
	mustToken(t, slow)
	c.sim.Clock().Advance(21 * time.Hour)

	held, err := slow.store.lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	row, err := held.load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.intend(ctx, row, slow.me); err != nil {
		t.Fatal(err)
	}
	got, err := refreshCall(ctx, slow.opt.Transport, c.url, zalosim.ExampleAppID, zalosim.ExampleAppSecret, row.refresh)
	if err != nil {
		t.Fatal(err)
	}
	held.close() // its connection breaks before it has stored the pair

	other := c.instance("")
	done := make(chan error)
	go func() { done <- other.keepFresh(ctx) }()
	waitForLock(t, c.pool)
	again, err := (&store{pool: c.pool, ring: seal.ForTest(), app: slow.store.app, oa: slow.store.oa}).read(ctx)
	if err != nil || again.intentBy != slow.me {
		t.Fatalf("intent %q, %v", again.intentBy, err)
	}
	if err := c.pool.QueryRow(ctx, `
		UPDATE zalo_token
		SET access_token = $1, refresh_token = $2, generation = generation + 1, refreshed_at = $3, expires_at = $4,
		    intent_at = NULL, intent_by = NULL
		RETURNING true`,
		seal.ForTest().Seal(sealAccess, []byte(got.access)), seal.ForTest().Seal(sealRefresh, []byte(got.refresh)),
		c.sim.Clock().Now(), c.sim.Clock().Now().Add(got.life)).Scan(new(bool)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the instance that waited: %v", err)
	}
	if tok := mustToken(t, other); tok != got.access || c.dead.Load() != 0 {
		t.Errorf("token %q, %d alarms; want the pair that was stored late", tok, c.dead.Load())
	}
	if n := c.sim.CallCount(zalosim.PathToken); n != 2 {
		t.Errorf("%d token calls, want two", n)
	}
}

// waitForLock waits until somebody holds the session lock of a chain.
func waitForLock(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		var held bool
		if err := pool.QueryRow(context.Background(), `
			SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			               WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database())`).Scan(&held); err != nil {
			t.Fatal(err)
		}
		if held {
			return
		}
	}
	t.Fatal("nobody took the lock")
}

// A token call that was cut off is tried again; what Zalo took is lost.
func TestTokenCallCutOff(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault zalosim.Fault
		fine  bool // at the second attempt
		noted bool // the intent stands in between
	}{
		"cut before":   {zalosim.Fault{CutBefore: true}, true, true},
		"cut after":    {zalosim.Fault{CutAfter: true}, false, true},
		"5xx":          {zalosim.Fault{Status: 502}, true, true},
		"wrong secret": {zalosim.Fault{Body: `{"error":-14004,"error_name":"Invalid secret key."}`}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, zalosim.Options{})
			tokens := c.instance(c.sim.RefreshToken())
			tt.fault.Path = zalosim.PathToken
			c.sim.Fault(tt.fault)
			ctx := context.Background()
			if _, err := tokens.Token(ctx); err == nil {
				t.Fatal("the call that was cut off gave a token")
			}
			var stands bool
			if err := c.pool.QueryRow(ctx, `SELECT intent_at IS NOT NULL FROM zalo_token`).Scan(&stands); err != nil || stands != tt.noted {
				t.Errorf("intent stands: %v %v, want %v", stands, err, tt.noted)
			}
			if _, err := tokens.Token(ctx); err == nil || c.sim.CallCount(zalosim.PathToken) != 1 {
				t.Errorf("a second call followed at once (%v)", err)
			}
			c.sim.Clock().Advance(backoffFrom)
			tok, err := tokens.Token(ctx)
			if tt.fine {
				if err != nil {
					t.Fatalf("second attempt: %v", err)
				}
				c.works(tok)
			} else if grantOf(err) == nil || c.dead.Load() != 1 {
				t.Errorf("second attempt: %v, %d alarms; want a dead grant", err, c.dead.Load())
			}
			if c.lost.Load() != 0 {
				t.Error("an instance's own attempt was reported as a crash")
			}
		})
	}
}

// Nothing listens: nothing is outstanding, and nothing is dead.
func TestTokenCallNeverLeft(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tokens.opt.OAuthURL = gone.URL
	if _, err := tokens.Token(context.Background()); err == nil || isUncertain(err) {
		t.Errorf("error %v, want one that says it never left", err)
	}
	var stands bool
	if err := c.pool.QueryRow(context.Background(), `SELECT intent_at IS NOT NULL FROM zalo_token`).Scan(&stands); err != nil || stands {
		t.Errorf("an intent stands: %v %v", stands, err)
	}
}

// Zalo that refuses every token does not cost a refresh a call.
func TestRefusedAgainAndAgain(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	c.sim.SendText(lan, "chào")
	tokens := c.instance(c.sim.RefreshToken())
	client, err := New(Options{APIURL: c.url, OAID: zalosim.ExampleOAID, Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	c.sim.Fault(zalosim.Fault{Code: -216, Times: -1})
	for range 5 {
		_, err := client.Send(context.Background(), toLan, bot.Message{Text: "x"})
		ref, ok := errors.AsType[*delivery.Refusal](err)
		if !ok || ref.Class != delivery.ClassNotSent {
			t.Fatalf("send: %v, want not_sent", err)
		}
	}
	if n := c.sim.Refreshes(); n != 2 {
		t.Errorf("%d refreshes, want the first and one more", n)
	}
	c.sim.ClearFaults()
	if _, err := client.Send(context.Background(), toLan, bot.Message{Text: "x"}); err != nil {
		t.Errorf("after Zalo came to its senses: %v", err)
	}
}

// A caller who gives up does not stop a refresh that has begun.
func TestRefreshOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	f := c.sim.Fault(zalosim.Fault{Path: zalosim.PathToken, Hang: true, Taken: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := tokens.Token(ctx)
		done <- err
	}()
	<-f.Struck()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	f.Release()
	tokens.land()
	c.works(mustToken(t, tokens))
	if n := c.sim.CallCount(zalosim.PathToken); n != 1 {
		t.Errorf("%d token calls, want the one", n)
	}
}

func TestRunKeepsFreshAndLands(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	f := c.sim.Fault(zalosim.Fault{Path: zalosim.PathToken, Hang: true, Taken: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- tokens.Run(ctx) }()
	<-f.Struck()
	cancel()
	select {
	case err := <-done:
		t.Fatalf("Run returned %v with a refresh in the air", err)
	default:
	}
	f.Release()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if tokens.TokenAge() != 0 || mustToken(t, tokens) == "" || c.sim.Refreshes() != 1 {
		t.Errorf("age %s, %d refreshes", tokens.TokenAge(), c.sim.Refreshes())
	}
}

// The pair is stored although the connection breaks at that moment.
func TestStoreSurvivesABrokenConnection(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	f := c.sim.Fault(zalosim.Fault{Path: zalosim.PathToken, Hang: true, Taken: true})
	ctx := context.Background()
	done := make(chan error)
	go func() {
		_, err := tokens.Token(ctx)
		done <- err
	}()
	<-f.Struck()
	var ended int
	if err := c.pool.QueryRow(ctx, `
		SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'congdanso token'`).Scan(&ended); err != nil || ended != 1 {
		t.Fatalf("%d connections ended, %v", ended, err)
	}
	f.Release()
	if err := <-done; err != nil {
		t.Fatalf("token: %v", err)
	}
	c.works(mustToken(t, c.instance("")))
	if n := c.sim.CallCount(zalosim.PathToken); n != 1 {
		t.Errorf("%d token calls, want one", n)
	}
}

func BenchmarkToken(b *testing.B) {
	c := newChain(b, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	mustToken(b, tokens)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Token(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// Whoever does not hold the session lock waits for it, and then finds the work done.
func TestTheLockKeepsOthersOut(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	ctx := context.Background()
	seed := c.sim.RefreshToken()
	f := c.sim.Fault(zalosim.Fault{Path: zalosim.PathToken, Hang: true, Taken: true})
	a, b := c.instance(seed), c.instance(seed)
	done := make(chan error, 2)
	go func() { done <- a.keepFresh(ctx) }()
	<-f.Struck()
	go func() { done <- b.keepFresh(ctx) }()
	for waiting := false; !waiting; {
		if err := c.pool.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM pg_stat_activity
			               WHERE datname = current_database() AND application_name = 'congdanso token'
			                 AND wait_event_type = 'Lock' AND wait_event = 'advisory')`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	f.Release()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := c.sim.CallCount(zalosim.PathToken); n != 1 || mustToken(t, a) != mustToken(t, b) {
		t.Errorf("%d token calls, want one and the same token on both", n)
	}
}
