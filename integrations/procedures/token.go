package procedures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// defaultLife is how long a token is used whose life is not told.
const defaultLife = time.Minute

// token keeps the access token: renewed in the background when a fifth of its
// life is left, by one caller at a time, and at once when it was refused.
type token struct {
	client *Client
	flight *singleflight.Group

	mu      sync.Mutex
	value   string
	renewAt time.Time // from here on it is renewed while it is still used
	endsAt  time.Time // from here on it is not used
}

// get returns a token that should hold; it waits for one only when there is none.
func (t *token) get(ctx context.Context) (string, error) {
	now := t.client.o.Now()
	t.mu.Lock()
	value, renew, ended := t.value, !now.Before(t.renewAt), !now.Before(t.endsAt)
	t.mu.Unlock()
	if value != "" && !renew {
		return value, nil
	}
	ch := t.flight.DoChan("token", func() (any, error) {
		// Whoever asked first may go; the token is everybody's.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.client.o.CallTimeout)
		defer cancel()
		return t.signIn(ctx)
	})
	if value != "" && !ended {
		return value, nil
	}
	select {
	case r := <-ch:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	case <-ctx.Done():
		return "", unavailable(fmt.Errorf("wait for token: %w", ctx.Err()))
	}
}

// refused forgets a token the system no longer takes, unless it was replaced
// already.
func (t *token) refused(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == value {
		t.value = ""
	}
}

func (t *token) signIn(ctx context.Context) (string, error) {
	o := t.client.o
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.TokenURL, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", fmt.Errorf("make token request: %w", err)
	}
	req.SetBasicAuth(o.ClientID, o.ClientSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	asked := o.Now()
	resp, body, err := t.client.roundTrip(req)
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken flexString `json:"access_token"`
		ExpiresIn   flexString `json:"expires_in"`
		Error       flexString `json:"error"` // OAuth 2.0 (RFC 6749 §5.2); the description is not logged
	}
	decodeErr := json.Unmarshal(body, &answer)
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", unavailable(fmt.Errorf("token: status %d %s", resp.StatusCode, answer.Error.short()))
	case decodeErr != nil || answer.AccessToken == "":
		return "", unavailable(errors.New("token: answer holds none"))
	}
	life := time.Duration(answer.ExpiresIn.number()) * time.Second
	if life <= 0 {
		life = defaultLife
	}
	life = min(life, 24*time.Hour)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value = string(answer.AccessToken)
	t.renewAt = asked.Add(life * 4 / 5)
	t.endsAt = asked.Add(life - min(life/10, 10*time.Second))
	return t.value, nil
}
