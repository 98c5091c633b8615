package zalo

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"congdanso/bot/seal"

	"github.com/jackc/pgx/v5/pgxpool"
)

// TokenOptions are the settings of the chain of tokens of one account.
type TokenOptions struct {
	AppID     string
	AppSecret string
	OAID      string
	OAuthURL  string // default DefaultOAuthURL
	// Seed is the refresh token of the settings (ZALO_REFRESH_TOKEN). It opens a
	// chain where it is not the one that opened the stored chain; else, or when it
	// is empty, the stored pair counts.
	Seed string

	// OnDead hears, once and on one instance, that Zalo refuses the grant: an
	// administrator must open a new one. It runs on the renewal's own goroutine,
	// and callers wait for it.
	OnDead func(*GrantError)
	// OnLost hears that a refresh was begun at that time and its outcome never
	// stored: an instance crashed in between. The old refresh token is tried once more.
	OnLost func(began time.Time)

	Now       func() time.Time  // default time.Now
	Transport http.RoundTripper // default NewTransport()
	Logger    *slog.Logger      // default slog.Default()
}

// Times of the chain of tokens.
const (
	// freshFor is the part of an access token's life after which a new pair is
	// fetched: at 20 of its 25 hours.
	freshFor = 0.8
	// tokenWait is how long calls wait that found no token.
	tokenWait = 15 * time.Second
	// checkEvery is how often the stored pair is looked at in the background.
	checkEvery = 30 * time.Second
	// backoffFrom and backoffTo space out token calls that fail.
	backoffFrom, backoffTo = 5 * time.Second, 5 * time.Minute
	// refusedEvery is how often at most a pair is replaced because Zalo refused it,
	// so that a fault at Zalo does not spend a refresh on every call.
	refusedEvery = time.Minute
	// settling is how long another instance may take from its intent to its
	// result; one that lost its connection meanwhile is waited for so long.
	settling = 12 * time.Second
	// grantTimeout ends a token call, storeTimeout the attempts to store its result.
	grantTimeout, storeTimeout = 10 * time.Second, 10 * time.Minute
)

// ErrNoGrant means that there is no chain of tokens: nothing is stored, and no
// ZALO_REFRESH_TOKEN is set.
var ErrNoGrant = errors.New("no ZALO_REFRESH_TOKEN was ever given")

// Tokens keeps the access token of one account fresh, for all instances on one
// database. Refresh tokens work once and Zalo gives no second chance, so a refresh
// runs under a session lock of Postgres, commits its intent before the call, and
// stores the new pair, sealed, before anybody uses it.
type Tokens struct {
	opt   TokenOptions
	store *store
	me    string // this process, in intents

	now atomic.Pointer[known]

	mu     sync.Mutex
	flight *flight // the renewal under way, if any
	rest   rest
}

// rest keeps failed token calls apart.
type rest struct {
	err        error // why the last one failed
	generation int64 // of the pair it failed for; another may be tried at once
	until      time.Time
	wait       time.Duration
	refused    time.Time // when a pair was last replaced because Zalo refused it
}

var _ TokenSource = (*Tokens)(nil)

// known is what this process knows of the chain.
type known struct {
	access     string // empty: none that works
	generation int64
	expires    time.Time
	refreshed  time.Time
	dead       *GrantError
	deadAt     time.Time
	refused    bool // access was dropped: Zalo refuses it, and the grant is dead
}

func (k *known) good(now time.Time) bool { return k.access != "" && now.Before(k.expires) }

// due reports whether it is time for a new pair.
func (k *known) due(now time.Time) bool {
	life := k.expires.Sub(k.refreshed)
	return k.access == "" || !now.Before(k.refreshed.Add(time.Duration(freshFor*float64(life))))
}

// NewTokens returns the chain of tokens of one account. It does not touch the
// database yet.
func NewTokens(pool *pgxpool.Pool, ring *seal.Keyring, opt TokenOptions) *Tokens {
	opt.OAuthURL = strings.TrimRight(cmp.Or(opt.OAuthURL, DefaultOAuthURL), "/")
	opt.Logger = cmp.Or(opt.Logger, slog.Default())
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Transport == nil {
		opt.Transport = NewTransport()
	}
	me := make([]byte, 8)
	rand.Read(me)
	t := &Tokens{opt: opt, store: newStore(pool, ring, opt), me: hex.EncodeToString(me)}
	t.now.Store(&known{})
	return t
}

// Token returns the access token, from memory while it has not expired.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	if k := t.now.Load(); k.good(t.opt.Now()) {
		return k.access, nil
	}
	return t.Renew(ctx, "")
}

// Renew returns a token other than used, which Zalo has refused: the stored one,
// when another instance has been faster, else one from a new pair. Calls that come
// together share the work; it goes on when ctx ends, for a refresh that has begun
// must be stored. The error wraps a *GrantError when Zalo refuses the grant.
func (t *Tokens) Renew(ctx context.Context, used string) (string, error) {
	return t.renew(ctx, func(k *known) bool { return k.good(t.opt.Now()) && k.access != used }, used)
}

func (t *Tokens) renew(ctx context.Context, enough func(*known) bool, used string) (string, error) {
	for {
		if k := t.now.Load(); enough(k) {
			return k.access, nil
		}
		f, mine := t.board(enough, used)
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if f.err != nil {
			return "", f.err
		}
		if mine {
			return f.access, nil
		}
		// Somebody else's renewal may have ended with the very token we hold.
	}
}

// flight is one renewal that several callers wait for.
type flight struct {
	done   chan struct{}
	access string
	err    error
}

// board joins the renewal under way or starts one.
func (t *Tokens) board(enough func(*known) bool, used string) (f *flight, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flight != nil {
		return t.flight, false
	}
	f = &flight{done: make(chan struct{})}
	t.flight = f
	go func() {
		f.access, f.err = t.fetch(enough, used)
		t.mu.Lock()
		t.flight = nil
		t.mu.Unlock()
		close(f.done)
	}()
	return f, true
}

// Run keeps the token fresh until ctx ends, and then waits for a refresh under
// way. It returns nil.
func (t *Tokens) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		if err := t.keepFresh(ctx); err != nil && ctx.Err() == nil {
			t.opt.Logger.Warn("zalo token not renewed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.land()
			return nil
		}
	}
}

// keepFresh takes over what other instances have stored and renews a pair that is due.
func (t *Tokens) keepFresh(ctx context.Context) error {
	k, err := t.read(ctx)
	if err != nil {
		return err
	}
	now := t.opt.Now()
	if !k.due(now) || k.dead != nil {
		return nil
	}
	_, err = t.renew(ctx, func(k *known) bool { return !k.due(t.opt.Now()) }, "")
	return err
}

// land waits for a renewal under way.
func (t *Tokens) land() {
	t.mu.Lock()
	f := t.flight
	t.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f.done:
	case <-time.After(settling):
	}
}

// TokenAge is the time since the pair was issued; zero when there is none.
func (t *Tokens) TokenAge() time.Duration {
	k := t.now.Load()
	if k.refreshed.IsZero() {
		return 0
	}
	return t.opt.Now().Sub(k.refreshed)
}

// Dead returns since when Zalo has refused the grant, and how; nil while it is
// alive. Calls go on with the access token while it lasts.
func (t *Tokens) Dead() (since time.Time, err *GrantError) {
	k := t.now.Load()
	return k.deadAt, k.dead
}
