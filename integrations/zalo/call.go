package zalo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"congdanso/bot/delivery"
)

// maxAnswer is more than any answer of these calls has.
const maxAnswer = 1 << 20

// request is one call to be made.
type request struct {
	path    string
	host    host
	query   string // of a GET: its one parameter, JSON
	flat    string // of a GET that takes plain parameters instead, encoded
	body    []byte // of a POST
	changes bool   // does something at Zalo, so that being cut off is ambiguous
}

// call makes a request and decodes the answer into out. A token that Zalo refuses
// is replaced once.
func (c *Client) call(ctx context.Context, r request, out outcome) *delivery.Refusal {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	token, err := c.opt.Tokens.Token(ctx)
	if err != nil {
		return noToken(err)
	}
	ref := c.once(ctx, r, token, out)
	if ref == nil || !tokenRefused(ref.Code) {
		return ref
	}
	token, err = c.opt.Tokens.Renew(ctx, token)
	if err != nil {
		return noToken(err)
	}
	return c.once(ctx, r, token, out)
}

// noToken is the fate of calls while there is no token: nothing was sent.
func noToken(err error) *delivery.Refusal {
	return &delivery.Refusal{Class: delivery.ClassNotSent, Err: fmt.Errorf("no access token: %w", err), RetryAfter: tokenWait}
}

// once makes a request with one token.
func (c *Client) once(ctx context.Context, r request, token string, out outcome) *delivery.Refusal {
	res, wrote, err := c.roundTrip(ctx, r, token)
	if err != nil {
		return c.broken(r, wrote, err)
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	_, err = buf.ReadFrom(io.LimitReader(res.Body, maxAnswer))
	res.Body.Close()
	if err != nil {
		return c.broken(r, true, err)
	}
	if r.host != hostPhone { // a channel of its own, with other limits
		c.hearLimit(res.Header)
	}
	if res.StatusCode == http.StatusTooManyRequests {
		// Zalo answers 200 and -32; this is somebody in between who did not let it through.
		c.throttled(r.host)
		return &delivery.Refusal{Class: delivery.ClassNotSent, Err: errors.New(res.Status), RetryAfter: retryAfter(res.Header)}
	}
	if res.StatusCode >= 500 {
		return c.broken(r, true, fmt.Errorf("%s", res.Status))
	}
	code, err := decode(buf.Bytes(), out)
	switch {
	case errors.Is(err, errGarbage) || (err == nil && code == 0 && res.StatusCode >= 300):
		return c.broken(r, true, fmt.Errorf("%s: %w", res.Status, errGarbage))
	case err != nil && !r.changes: // taken, but not to be understood: for a reading that is a failure
		return &delivery.Refusal{Class: delivery.ClassWait, Err: err}
	case code == 0:
		return nil
	}
	ref, known := refusal(r.host, code, out.words())
	if !known && c.opt.OnUnknownCode != nil {
		c.opt.OnUnknownCode(code)
	}
	if code == codeThrottled {
		c.throttled(r.host)
	}
	return ref
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// broken is a call that the wire ended. A reading can be repeated at will; what
// changes something is ambiguous once a byte of it has left.
func (c *Client) broken(r request, wrote bool, err error) *delivery.Refusal {
	class := delivery.ClassNotSent
	switch {
	case wrote && r.changes:
		class = delivery.ClassAmbiguous
	case wrote:
		class = delivery.ClassWait
	}
	return &delivery.Refusal{Class: class, Err: err}
}

// roundTrip sends the request and waits for the head of the answer. On an error
// it says whether a byte of the request may have left this machine.
func (c *Client) roundTrip(ctx context.Context, r request, token string) (res *http.Response, wrote bool, err error) {
	header := http.Header{"access_token": {token}, "User-Agent": userAgent}
	if len(c.proof.secret) > 0 {
		header["appsecret_proof"] = []string{c.proof.of(token)}
	}
	req := http.Request{Method: http.MethodGet, URL: c.urls[r.path], Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if r.body != nil {
		header["Content-Type"] = jsonType
		req.Method = http.MethodPost
		req.ContentLength = int64(len(r.body))
		req.Body = io.NopCloser(bytes.NewReader(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
	} else if r.query != "" || r.flat != "" {
		u := *req.URL
		if u.RawQuery = r.flat; r.query != "" {
			u.RawQuery = "data=" + url.QueryEscape(r.query)
		}
		req.URL = &u
	}
	ctx, track := follow(ctx)
	res, err = c.rt.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, track.stop(), err
	}
	return res, true, nil
}

var (
	jsonType  = []string{"application/json"}
	userAgent = []string{"congdanso"}
)

func (c *Client) throttled(h host) {
	if c.opt.OnThrottled != nil && h != hostPhone {
		c.opt.OnThrottled()
	}
}

// hearLimit passes on what the answer says of the rate.
func (c *Client) hearLimit(h http.Header) {
	if c.opt.OnLimit == nil {
		return
	}
	limit, err := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	if err != nil || limit <= 0 {
		return
	}
	remain, err := strconv.Atoi(h.Get("X-RateLimit-Remain"))
	if err != nil || remain < 0 {
		remain = -1
	}
	c.opt.OnLimit(limit, remain)
}

// retryAfter reads a Retry-After in seconds.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s <= 0 {
		return throttledFor
	}
	return time.Duration(min(s, 3600)) * time.Second
}

// proofs makes appsecret_proof, hex(HMAC-SHA256(app secret, access token)), and
// remembers the last one.
type proofs struct {
	secret []byte
	last   atomic.Pointer[[2]string] // token, proof
}

func (p *proofs) of(token string) string {
	if last := p.last.Load(); last != nil && last[0] == token {
		return last[1]
	}
	mac := hmac.New(sha256.New, p.secret)
	mac.Write([]byte(token))
	proof := hex.EncodeToString(mac.Sum(nil))
	p.last.Store(&[2]string{token, proof})
	return proof
}
