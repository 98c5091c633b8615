package procedures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"congdanso/bot/dossier"

	"github.com/sony/gobreaker/v2"
)

// maxBody bounds an answer, in bytes: a dossier with a long history has some
// hundred kilobytes.
const maxBody = 4 << 20

func unavailable(err error) *dossier.Unavailable { return &dossier.Unavailable{Err: err} }

// errToken marks an answer 401: the token is no longer taken.
var errToken = errors.New("token refused (401)")

// statusError is an answer by which the system, or a gateway, refuses.
type statusError int

// Error names the status.
func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// get reads a path, through the breaker, and repeats what failed on the way. The
// error is dossier.ErrNotFound (404) or *dossier.Unavailable.
func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.repeat(ctx, func() ([]byte, error) {
		return c.breaker.Execute(func() ([]byte, error) { return c.authorised(ctx, path, query) })
	})
}

// getBeside is get for what is no look-up: while look-ups rest, so does it, but
// how it fares says nothing about them. Where the system does not have it, or not
// for us, the error is dossier.ErrNoChanges.
func (c *Client) getBeside(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.repeat(ctx, func() ([]byte, error) {
		if c.breaker.State() != gobreaker.StateClosed {
			return nil, gobreaker.ErrOpenState
		}
		body, err := c.authorised(ctx, path, query)
		var refused statusError
		switch errors.As(err, &refused); {
		case errors.Is(err, dossier.ErrNotFound), refused == http.StatusNotFound, refused == http.StatusForbidden,
			refused == http.StatusBadRequest, refused == http.StatusNotImplemented:
			return nil, dossier.ErrNoChanges
		}
		return body, err
	})
}

// repeat asks, and asks again what failed on the way: all calls are reads, so
// that is harmless.
func (c *Client) repeat(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
	for try := 0; ; try++ {
		body, err := ask()
		if err == nil || errors.Is(err, dossier.ErrNotFound) || errors.Is(err, dossier.ErrNoChanges) {
			return body, err
		}
		if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
			return nil, &dossier.Unavailable{Err: err, RetryAfter: breakerRest}
		}
		var away *dossier.Unavailable
		if !errors.As(err, &away) {
			away = unavailable(err)
		}
		// Jitter keeps instances that failed together from returning together.
		wait := time.Duration(1<<try) * (100 + time.Duration(rand.Int64N(150))) * time.Millisecond
		if away.RetryAfter > wait {
			wait = away.RetryAfter
		}
		if try >= c.o.Retries || !pause(ctx, wait) {
			return nil, away
		}
	}
}

// pause waits, unless the deadline would pass before another call could end.
func pause(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait+200*time.Millisecond {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// authorised makes one request; when its token is refused, even though it should
// still hold, it signs in again and makes it once more.
func (c *Client) authorised(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.CallTimeout)
	defer cancel()
	for again := false; ; again = true {
		bearer, err := c.token.get(ctx)
		if err != nil {
			return nil, err
		}
		body, err := c.request(ctx, path, query, bearer)
		if again || !errors.Is(err, errToken) {
			return body, err
		}
		c.token.refused(bearer)
	}
}

func (c *Client) request(ctx context.Context, path string, query url.Values, bearer string) ([]byte, error) {
	target := c.o.URL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	resp, body, err := c.roundTrip(req)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, unavailable(errToken)
	case resp.StatusCode == http.StatusNotFound && isJSON(resp, body):
		return nil, dossier.ErrNotFound
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return nil, &dossier.Unavailable{Err: statusError(resp.StatusCode), RetryAfter: retryAfter(resp, c.o.Now())}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, unavailable(statusError(resp.StatusCode))
	case !isJSON(resp, body):
		return nil, unavailable(fmt.Errorf("status %d, and no JSON", resp.StatusCode))
	}
	return body, nil
}

// roundTrip sends req and reads the whole answer, up to maxBody. Its errors leave
// out the address, which holds the dossier's code.
func (c *Client) roundTrip(req *http.Request) (*http.Response, []byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, nil, unavailable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, nil, unavailable(fmt.Errorf("read answer: %w", err))
	case len(body) > maxBody:
		return nil, nil, unavailable(fmt.Errorf("answer exceeds %d bytes", maxBody))
	}
	return resp, bytes.TrimLeft(body, "\ufeff \t\r\n"), nil
}

// isJSON tells an answer of the system from a gateway's page.
func isJSON(resp *http.Response, body []byte) bool {
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return false
	}
	return !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

// retryAfter reads seconds or a date; at most ten minutes are believed.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	var d time.Duration
	if n, err := strconv.Atoi(value); err == nil {
		d = time.Duration(min(max(n, 0), 3600)) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), 10*time.Minute)
}
