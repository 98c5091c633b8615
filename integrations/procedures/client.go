// Package procedures asks the province's procedure system where a dossier
// stands.
//
// The wire is that of VNPT iGate 2.0 (Keycloak token, Spring slices, names by
// language, dates without a colon in their zone). Such systems are slow, lag
// behind themselves, answer HTML from a gateway, and write one field in three
// ways, so everything read here is optional until proven present: what cannot be
// read is left empty, and an answer that is none is *dossier.Unavailable, never
// "no such dossier". All names of the wire stand in wire.go, all meaning in
// mapping.go.
//
// A Client satisfies dossier.Source; Changes reads what polling needs.
package procedures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"congdanso/bot/dossier"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/singleflight"
)

// Options are what a Client stands on. The first four are required.
type Options struct {
	URL          string // base of the API, without the trailing slash
	TokenURL     string // Keycloak's token endpoint
	ClientID     string
	ClientSecret string

	// Statuses maps the system's names of a status to the national number (1–10);
	// compared without case and accents. StatusIDs is asked only where there is
	// no name.
	Statuses  map[string]int
	StatusIDs map[string]int

	HTTP *http.Client // default: its own, at most 64 connections
	// CallTimeout bounds one request (default 2 s). A request that failed is
	// repeated Retries times (default 1; negative: never), so that a look-up
	// ends within some 4 s.
	CallTimeout time.Duration
	Retries     int
	Now         func() time.Time // default time.Now; decides when a token is renewed
	Log         *slog.Logger     // default slog.Default()
	// OnBreaker, if set, is told each change of the circuit breaker ("closed",
	// "half-open", "open"), for a metric.
	OnBreaker func(state string)
}

// The circuit breaker opens when at least breakerLeast requests within
// breakerWindow were made and more than three in five failed: one citizen whose
// dossier hangs does not cut off the others.
const (
	breakerWindow = 20 * time.Second
	breakerLeast  = 10
	breakerRest   = 10 * time.Second
	breakerProbes = 3
)

const maxConns = 64

// Client is a client of the procedure system, safe for concurrent use.
type Client struct {
	o       Options
	http    *http.Client
	breaker *gobreaker.CircuitBreaker[[]byte]
	mapping mapping
	token   token
}

// New returns a client. It makes no request.
func New(o Options) *Client {
	if o.CallTimeout == 0 {
		o.CallTimeout = 2 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	c := &Client{o: o, http: o.HTTP, mapping: newMapping(o.Statuses, o.StatusIDs)}
	if c.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxConnsPerHost = maxConns
		transport.MaxIdleConnsPerHost = maxConns
		c.http = &http.Client{Transport: transport}
	}
	// A redirect is a gateway's sign-in page; following it would show our token
	// to whoever it points at.
	copied := *c.http
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &copied
	c.breaker = gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{
		Name: "procedures", MaxRequests: breakerProbes, Timeout: breakerRest,
		Interval: breakerWindow, BucketPeriod: breakerWindow / 10,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			return n.Requests >= breakerLeast && n.TotalFailures*5 > n.Requests*3
		},
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, dossier.ErrNotFound) },
		// Who hung up says nothing about the system.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			o.Log.Warn("procedure system breaker", "from", from.String(), "to", to.String())
			if o.OnBreaker != nil {
				o.OnBreaker(to.String())
			}
		},
	})
	c.token = token{client: c, flight: &singleflight.Group{}}
	return c
}

// Breaker returns the state of the circuit breaker: "closed" (all well),
// "half-open" or "open".
func (c *Client) Breaker() string { return c.breaker.State().String() }

// Check asks for a token and an impossible code, for `check --live`.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.Find(ctx, "H00.00-180101-0000")
	if errors.Is(err, dossier.ErrNotFound) {
		return nil
	}
	return err
}

// Find returns the dossiers whose code or national code is code, newest first.
func (c *Client) Find(ctx context.Context, code dossier.Code) ([]dossier.Record, error) {
	body, err := c.get(ctx, "/pa/dossier-search/dvc", url.Values{
		"code": {string(code)}, "page": {"0"}, "size": {"10"}, "spec": {"slice"},
	})
	if err != nil {
		if errors.Is(err, dossier.ErrNotFound) { // a 404 here is a gateway that lost its way
			err = unavailable(errors.New("search answered 404"))
		}
		return nil, err
	}
	found, err := decodeSlice[wireDossier](body)
	if err != nil {
		return nil, unavailable(fmt.Errorf("decode search: %w", err))
	}
	records := c.mapping.records(found, code)
	if len(records) == 0 {
		return nil, dossier.ErrNotFound
	}
	return records, nil
}

// Detail returns the dossier with its steps and requests for papers.
func (c *Client) Detail(ctx context.Context, id string) (dossier.Record, error) {
	body, err := c.get(ctx, "/pa/dossier/"+url.PathEscape(id)+"/--online", nil)
	if err != nil {
		return dossier.Record{}, err
	}
	var w wireDossier
	if err := json.Unmarshal(body, &w); err != nil {
		return dossier.Record{}, unavailable(fmt.Errorf("decode detail: %w", err))
	}
	if string(w.ID) != id { // nobody is shown another's steps
		return dossier.Record{}, unavailable(errors.New("detail is not the dossier asked for"))
	}
	return c.mapping.record(w), nil
}

// Fees returns the dossier's fees.
func (c *Client) Fees(ctx context.Context, id string) ([]dossier.Fee, error) {
	body, err := c.get(ctx, "/pa/dossier-fee/--by-dossiers", url.Values{"dossier-ids": {id}})
	if errors.Is(err, dossier.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fees, err := decodeSlice[wireFee](body)
	if err != nil {
		return nil, unavailable(fmt.Errorf("decode fees: %w", err))
	}
	return c.mapping.fees(fees, id), nil
}
