package zalo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// GrantError is Zalo's refusal of a token call. It comes with HTTP 200, has a name
// and, usually, a number.
type GrantError struct {
	Code int    // -140xx; 0 when Zalo gave only a name
	Name string // Zalo's error_name
}

// codeDeadGrant says that a refresh token was used, expired or revoked. Only an
// administrator of the account can open a new chain.
const codeDeadGrant = -14014

// Error says number and name.
func (e *GrantError) Error() string {
	return fmt.Sprintf("zalo refuses the grant: %d %s", e.Code, e.Name)
}

// Dead reports whether the refresh token will never work again, as opposed to a
// wrong app id or secret, which a setting cures.
func (e *GrantError) Dead() bool {
	return e.Code == codeDeadGrant || (e.Code == 0 && strings.Contains(strings.ToLower(e.Name), "refresh token"))
}

// pair is what a token call gives.
type pair struct {
	access  string
	refresh string // empty: keep the old one
	life    time.Duration
}

// errUncertain is a token call that was cut off: Zalo may have used the refresh
// token up.
var errUncertain = errors.New("zalo's answer to the token call is not known")

// refreshCall trades a refresh token for a new pair. The error is a *GrantError
// when Zalo refused, wraps errUncertain when it may have taken the token, and is
// anything else when the call certainly never left.
func refreshCall(ctx context.Context, rt http.RoundTripper, base, appID, appSecret, refresh string) (pair, error) {
	form := url.Values{"app_id": {appID}, "grant_type": {"refresh_token"}, "refresh_token": {refresh}}.Encode()
	ctx, track := follow(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+pathToken, strings.NewReader(form))
	if err != nil {
		return pair{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header["secret_key"] = []string{appSecret}
	res, err := rt.RoundTrip(req)
	if err != nil {
		if track.stop() {
			return pair{}, fmt.Errorf("%w: %w", errUncertain, err)
		}
		return pair{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return pair{}, fmt.Errorf("%w: %w", errUncertain, err)
	}
	return decodePair(res.StatusCode, body)
}

// decodePair reads the answer to a token call. A new pair is taken from any
// answer that has one: it may be the only copy.
func decodePair(status int, body []byte) (pair, error) {
	var got struct {
		Access  string    `json:"access_token"`
		Refresh string    `json:"refresh_token"`
		Life    number    `json:"expires_in"` // seconds, as a string; numbers were seen too
		Error   errorCode `json:"error"`
		Name    string    `json:"error_name"`
		Words   string    `json:"message"`
	}
	err := json.Unmarshal(bytes.TrimSpace(body), &got)
	if _, typed := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !typed {
		return pair{}, fmt.Errorf("%w: status %d, %d bytes that are no JSON", errUncertain, status, len(body))
	}
	switch {
	case got.Access != "":
		life := time.Duration(got.Life) * time.Second
		if life <= 0 || life > 365*24*time.Hour {
			life = assumedLife
		}
		return pair{access: got.Access, refresh: got.Refresh, life: life}, nil
	case got.Name != "" || got.Error.code != 0:
		name := got.Name
		if name == "" {
			name = got.Words
		}
		return pair{}, &GrantError{Code: int(got.Error.code), Name: clean(name)}
	}
	return pair{}, fmt.Errorf("%w: status %d without token or error", errUncertain, status)
}

// assumedLife is how long an access token lives whose expires_in nobody can read:
// short enough to be true.
const assumedLife = time.Hour
