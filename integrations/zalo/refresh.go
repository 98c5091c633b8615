package zalo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fetch gets a token that is enough, from the store or from Zalo. It has its own
// time, for callers come and go.
func (t *Tokens) fetch(enough func(*known) bool, used string) (access string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout+settling+grantTimeout)
	defer cancel()
	k, err := t.read(ctx)
	if err != nil {
		return "", err
	}
	if enough(k) {
		return k.access, nil
	}
	if err := t.hopeless(k, used); err != nil {
		return "", err
	}
	lock, err := t.store.lock(ctx)
	if err != nil {
		return "", err
	}
	defer lock.close()
	for {
		// Whoever held the lock may have done the work.
		row, err := lock.load(ctx)
		if err != nil {
			return "", err
		}
		k := t.take(row)
		if enough(k) {
			return k.access, nil
		}
		if err := t.hopeless(k, used); err != nil {
			return "", err
		}
		if row.intentBy != "" && row.intentBy != t.me && row.intentAge < settling {
			// Another instance asked a moment ago and lost the lock with its connection.
			// It may still be about to store what it got.
			select {
			case <-time.After(min(settling-row.intentAge, time.Second)):
				continue
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		err = t.refresh(ctx, lock, row)
		if errors.Is(err, errReplaced) {
			continue
		}
		t.tired(row.generation, used, err)
		if err != nil {
			t.drop(used)
			return "", err
		}
		return t.now.Load().access, nil
	}
}

// read takes over what is stored.
func (t *Tokens) read(ctx context.Context) (*known, error) {
	row, err := t.store.read(ctx)
	if err != nil {
		return nil, err
	}
	return t.take(row), nil
}

func (t *Tokens) take(r *row) *known {
	k := r.known()
	if now := t.now.Load(); now.refused && now.generation == k.generation && k.dead != nil {
		k.access, k.refused = "", true
	}
	t.now.Store(k)
	return k
}

// hopeless says why no new pair is asked for now: the grant is dead, the last
// attempt failed a moment ago, or Zalo refused a pair that is quite new.
func (t *Tokens) hopeless(k *known, used string) error {
	if k.dead != nil {
		t.drop(used)
		return k.dead
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opt.Now()
	if t.rest.err != nil && t.rest.generation == k.generation && now.Before(t.rest.until) {
		return t.rest.err
	}
	if used != "" && k.access == used && now.Sub(t.rest.refused) < refusedEvery {
		return errRefusedAgain
	}
	return nil
}

var errRefusedAgain = errors.New("zalo refuses a token that replaced a refused one a moment ago")

// tired notes how an attempt for a generation ended.
func (t *Tokens) tired(generation int64, used string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.rest
	if err == nil {
		r.err, r.wait = nil, 0
		if used != "" {
			r.refused = t.opt.Now()
		}
		return
	}
	if r.generation != generation {
		r.wait = 0
	}
	r.wait = min(max(2*r.wait, backoffFrom), backoffTo)
	r.err, r.generation, r.until = err, generation, t.opt.Now().Add(r.wait)
}

// drop forgets an access token that Zalo refuses while the grant is dead, so that
// no further call is spent on it.
func (t *Tokens) drop(used string) {
	k := t.now.Load()
	if used != "" && k.dead != nil && k.access == used {
		gone := *k
		gone.access, gone.refused = "", true
		t.now.Store(&gone)
	}
}

// refresh trades the stored refresh token for a new pair. The caller holds the lock.
func (t *Tokens) refresh(ctx context.Context, lock *lock, row *row) error {
	log := t.opt.Logger.With("oa_id", t.opt.OAID, "generation", row.generation)
	if row.intentBy != "" && row.intentBy != t.me {
		// Nobody knows whether Zalo took the refresh token. It may still be good.
		log.Error("zalo token refresh was begun and its outcome never stored; trying the old refresh token", "began", row.intentAt)
		if t.opt.OnLost != nil {
			t.opt.OnLost(row.intentAt)
		}
	}
	if err := lock.intend(ctx, row, t.me); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	got, err := refreshCall(call, t.opt.Transport, t.opt.OAuthURL, t.opt.AppID, t.opt.AppSecret, row.refresh)
	if err == nil {
		if got.refresh == "" {
			got.refresh = row.refresh
		}
		return t.keep(ctx, lock, row, got, t.opt.Now().UTC())
	}
	err = fmt.Errorf("refresh zalo token: %w", err)
	grant, refused := errors.AsType[*GrantError](err)
	switch {
	case refused && grant.Dead():
		return t.bury(ctx, lock, row, grant, err)
	case !errors.Is(err, errUncertain):
		// Certainly not taken: nothing is outstanding.
		if recalled := lock.recall(ctx, row); recalled != nil {
			return fmt.Errorf("%w (and the intent still stands: %w)", err, recalled)
		}
	}
	return err
}

// bury notes that the grant is dead and has the operators told.
func (t *Tokens) bury(ctx context.Context, lock *lock, row *row, grant *GrantError, err error) error {
	first, noted := lock.die(ctx, row, grant, t.opt.Now().UTC())
	if noted != nil {
		return fmt.Errorf("%w (and not noted: %w)", err, noted)
	}
	after, noted := lock.load(ctx)
	if noted != nil {
		return fmt.Errorf("%w (and not read again: %w)", err, noted)
	}
	t.take(after)
	if first {
		t.opt.Logger.Error("zalo refuses the refresh token; a new ZALO_REFRESH_TOKEN is needed",
			"oa_id", t.opt.OAID, "code", grant.Code, "name", grant.Name)
		if t.opt.OnDead != nil {
			t.opt.OnDead(grant)
		}
	}
	return err
}

// keep stores a new pair, and only then lets it be used. It is the only copy in
// the world, so a database that is away is waited for.
func (t *Tokens) keep(ctx context.Context, lock *lock, row *row, got pair, at time.Time) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		k, err := lock.keep(ctx, row, got, at)
		if err == nil {
			t.now.Store(k)
			return nil
		}
		if errors.Is(err, errReplaced) {
			return err
		}
		t.opt.Logger.Error("new zalo token pair not stored yet; trying again", "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("new zalo token pair lost: %w", err)
		}
		lock.reconnect(ctx) // an error shows at the next attempt
	}
}
