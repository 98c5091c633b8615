package zalo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"

	"github.com/jackc/pgx/v5/pgxpool"
)

// chain is a stand-in with a movable clock and a database, for instances that
// share one chain of tokens.
type chain struct {
	t    testing.TB
	sim  *zalosim.Sim
	url  string
	pool *pgxpool.Pool
	dead atomic.Int64
	lost atomic.Int64
}

func newChain(t testing.TB, opt zalosim.Options) *chain {
	t.Helper()
	opt.Clock = zalosim.NewFrozenClock(time.UnixMilli(1795401600000))
	sim := zalosim.New(opt)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); srv.Close() })
	return &chain{t: t, sim: sim, url: srv.URL, pool: pgtest.New(t)}
}

// instance is one process with the chain's tokens.
func (c *chain) instance(seed string) *Tokens {
	return NewTokens(c.pool, seal.ForTest(), TokenOptions{
		AppID: zalosim.ExampleAppID, AppSecret: zalosim.ExampleAppSecret, OAID: zalosim.ExampleOAID,
		OAuthURL: c.url, Seed: seed, Now: c.sim.Clock().Now,
		OnDead: func(*GrantError) { c.dead.Add(1) },
		OnLost: func(time.Time) { c.lost.Add(1) },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// works fails unless tok opens a call at the stand-in.
func (c *chain) works(tok string) {
	c.t.Helper()
	client, err := New(Options{APIURL: c.url, Tokens: FixedToken(tok)})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := client.Account(context.Background()); err != nil {
		c.t.Errorf("the token does not work: %v", err)
	}
}

func mustToken(t testing.TB, tokens *Tokens) string {
	t.Helper()
	tok, err := tokens.Token(context.Background())
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	return tok
}

func TestSeedOpensAChain(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	seed := c.sim.RefreshToken()
	tokens := c.instance(seed)
	tok := mustToken(t, tokens)
	c.works(tok)
	if again := mustToken(t, tokens); again != tok || c.sim.Refreshes() != 1 {
		t.Errorf("second token %q, %d refreshes; want the same from memory", again, c.sim.Refreshes())
	}
	// Another instance with the same settings, and one with none, use what is stored.
	for _, seed := range []string{seed, ""} {
		if other := mustToken(t, c.instance(seed)); other != tok {
			t.Errorf("another instance got %q, want the stored token", other)
		}
	}
	if c.sim.Refreshes() != 1 {
		t.Errorf("%d refreshes, want one", c.sim.Refreshes())
	}
	var access, refresh []byte
	if err := c.pool.QueryRow(context.Background(), `SELECT access_token, refresh_token FROM zalo_token`).Scan(&access, &refresh); err != nil {
		t.Fatal(err)
	}
	if plain, err := seal.ForTest().Open(sealAccess, access); err != nil || string(plain) != tok {
		t.Errorf("stored token %q, %v; want it sealed", plain, err)
	}
}

func TestANewSeedOpensANewChain(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	first, second := c.sim.RefreshToken(), c.sim.RefreshToken()
	a := mustToken(t, c.instance(first))
	b := mustToken(t, c.instance(second))
	if a == b || c.sim.Refreshes() != 2 {
		t.Errorf("the new seed gave %q, %d refreshes", b, c.sim.Refreshes())
	}
	c.works(b)
	// An instance started again with the old settings must not go back.
	if got := mustToken(t, c.instance(first)); got != b || c.dead.Load() != 0 {
		t.Errorf("the spent seed gave %q, dead %d; want the living chain", got, c.dead.Load())
	}
}

func TestNoGrant(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	if _, err := c.instance("").Token(context.Background()); !errors.Is(err, ErrNoGrant) {
		t.Errorf("error %v, want ErrNoGrant", err)
	}
}

func TestRefreshAtTwentyHours(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	ctx := context.Background()
	tick := func() {
		t.Helper()
		if err := tokens.keepFresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	tick()
	if c.sim.Refreshes() != 1 {
		t.Fatalf("%d refreshes after the first look, want one", c.sim.Refreshes())
	}
	c.sim.Clock().Advance(20*time.Hour - time.Second)
	tick()
	if c.sim.Refreshes() != 1 || tokens.TokenAge() != 20*time.Hour-time.Second {
		t.Errorf("%d refreshes before 20 h, age %s", c.sim.Refreshes(), tokens.TokenAge())
	}
	c.sim.Clock().Advance(time.Second)
	tick()
	tick()
	if c.sim.Refreshes() != 2 || tokens.TokenAge() != 0 {
		t.Errorf("%d refreshes at 20 h, age %s; want one more", c.sim.Refreshes(), tokens.TokenAge())
	}
	c.works(mustToken(t, tokens))
	// Nobody kept it fresh: the call that finds it expired does.
	c.sim.Clock().Advance(25 * time.Hour)
	c.works(mustToken(t, tokens))
	if c.sim.Refreshes() != 3 {
		t.Errorf("%d refreshes after it had expired, want one more", c.sim.Refreshes())
	}
}

// What Zalo says of the token's life counts, and a missing refresh token means
// that the old one stays.
func TestLifeAndRefreshTokenAsTold(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{NumericExpiry: true, KeepRefreshToken: true, AccessTokenLife: time.Hour})
	tokens := c.instance(c.sim.RefreshToken())
	for i := range 3 {
		if err := tokens.keepFresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := c.sim.Refreshes(); got != i+1 {
			t.Fatalf("%d refreshes, want %d: one every 48 minutes", got, i+1)
		}
		c.works(mustToken(t, tokens))
		c.sim.Clock().Advance(48 * time.Minute)
	}
}

// Two instances, and many calls on each, meet an expired token in the same
// moment: one refresh call is made.
func TestExpiredInTheSameMoment(t *testing.T) {
	t.Parallel()
	for range 3 {
		c := newChain(t, zalosim.Options{RatePerMinute: -1})
		c.sim.SendText(lan, "chào")
		seed := c.sim.RefreshToken()
		var clients []*Client
		for range 2 {
			tokens := c.instance(seed)
			mustToken(t, tokens)
			client, err := New(Options{APIURL: c.url, OAID: zalosim.ExampleOAID, Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, client)
		}
		c.sim.ExpireAccess() // both hold it in memory and believe it good
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 32 {
			wg.Go(func() {
				<-start
				if _, err := clients[i%2].Send(context.Background(), toLan, bot.Message{Text: "x"}); err != nil {
					t.Errorf("send: %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if got := c.sim.CallCount(zalosim.PathToken); got != 2 {
			t.Errorf("%d token calls, want one for the seed and one for the expired token", got)
		}
		if got := c.sim.Accepted(); got != 32 {
			t.Errorf("%d messages taken, want 32", got)
		}
	}
}

// The same, when the clock says that the token has expired.
func TestExpiredByTheClock(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	seed := c.sim.RefreshToken()
	a, b := c.instance(seed), c.instance(seed)
	mustToken(t, a)
	mustToken(t, b)
	c.sim.Clock().Advance(26 * time.Hour)
	var wg sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		wg.Go(func() {
			tok, err := []*Tokens{a, b}[i%2].Token(context.Background())
			if err != nil {
				t.Error(err)
			}
			got[i] = tok
		})
	}
	wg.Wait()
	for _, tok := range got {
		if tok != got[0] {
			t.Errorf("tokens differ: %q", got)
		}
	}
	c.works(got[0])
	if n := c.sim.CallCount(zalosim.PathToken); n != 2 {
		t.Errorf("%d token calls, want 2", n)
	}
}

func TestADeadGrant(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} { // with and without the number
		c := newChain(t, zalosim.Options{NamedOAuthErrors: named})
		c.sim.SendText(lan, "chào")
		seed := c.sim.RefreshToken()
		a, b := c.instance(seed), c.instance(seed)
		mustToken(t, a)
		mustToken(t, b)
		client, err := New(Options{APIURL: c.url, OAID: zalosim.ExampleOAID, Tokens: a})
		if err != nil {
			t.Fatal(err)
		}
		c.sim.RevokeGrants()
		for range 3 {
			_, err := client.Send(context.Background(), toLan, bot.Message{Text: "x"})
			ref, ok := errors.AsType[*delivery.Refusal](err)
			if !ok || ref.Class != delivery.ClassNotSent || grantOf(err) == nil {
				t.Fatalf("send: %v, want not_sent because of the grant", err)
			}
		}
		if n := c.sim.CallCount(zalosim.PathSend); n != 1 {
			t.Errorf("%d sends were tried with a token that is void, want one", n)
		}
		if n := c.sim.CallCount(zalosim.PathToken); n != 2 {
			t.Errorf("%d token calls, want one for the seed and one that found it dead", n)
		}
		if since, grant := a.Dead(); grant == nil || !grant.Dead() || since.IsZero() {
			t.Errorf("dead since %s: %v", since, grant)
		}
		// The other instance learns of it without a call, and nobody is told twice.
		if _, err := b.Renew(context.Background(), mustToken(t, b)); grantOf(err) == nil {
			t.Errorf("the other instance: %v", err)
		}
		if n := c.sim.CallCount(zalosim.PathToken); n != 2 || c.dead.Load() != 1 {
			t.Errorf("%d token calls, %d alarms; want no more calls and one alarm", n, c.dead.Load())
		}
		// So does one that starts now with the old settings, which stops nothing.
		late := c.instance(seed)
		if err := late.keepFresh(context.Background()); err != nil {
			t.Errorf("keeping a dead grant fresh: %v", err)
		}
		if _, grant := late.Dead(); grant == nil || c.dead.Load() != 1 {
			t.Errorf("after a start: dead %v, %d alarms", grant, c.dead.Load())
		}
		// A new seed on one instance revives all.
		mustToken(t, c.instance(c.sim.RefreshToken()))
		if err := a.keepFresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Send(context.Background(), toLan, bot.Message{Text: "x"}); err != nil {
			t.Errorf("after a new seed: %v", err)
		}
		if _, grant := a.Dead(); grant != nil {
			t.Errorf("still dead after a new seed: %v", grant)
		}
	}
}

// The access token works on while it lasts, although the grant is dead.
func TestADeadGrantKeepsItsAccessToken(t *testing.T) {
	t.Parallel()
	c := newChain(t, zalosim.Options{})
	tokens := c.instance(c.sim.RefreshToken())
	tok := mustToken(t, tokens)
	c.sim.Clock().Advance(21 * time.Hour)
	c.sim.Fault(zalosim.Fault{Path: zalosim.PathToken, Body: `{"error":-14014,"error_name":"Invalid refresh token."}`})
	if err := tokens.keepFresh(context.Background()); grantOf(err) == nil {
		t.Fatalf("keepFresh: %v, want the refusal", err)
	}
	if got := mustToken(t, tokens); got != tok {
		t.Errorf("token %q, want the one that still works", got)
	}
	c.sim.Clock().Advance(5 * time.Hour)
	if _, err := tokens.Token(context.Background()); grantOf(err) == nil {
		t.Errorf("after it expired: %v", err)
	}
}
