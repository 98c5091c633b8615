package dossier

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"congdanso/bot"

	"github.com/jackc/pgx/v5"
)

// Inbox takes an event of our own in the caller's transaction.
type Inbox interface {
	Put(ctx context.Context, tx pgx.Tx, who bot.CitizenID, id string, due bot.Due) error
}

// Actions of the events that keep a promise. Arg is the code.
const (
	// ActionCallback: the procedure system answers again; look the code up.
	ActionCallback = "callback"
	// ActionGaveUp: it has not answered for a day; say so.
	ActionGaveUp = "callback_gave_up"
)

const (
	callbackFirst  = time.Minute      // first try after the promise
	callbackMax    = 15 * time.Minute // longest wait between tries
	callbackExpiry = 24 * time.Hour   // then the citizen is told that it did not work
	callbackClaim  = 200              // promises of one run
	callbackPatter = 3                // codes in a row without an answer: the system is still down
)

// promise is one citizen waiting for one code.
type promise struct {
	who      bot.CitizenID
	code     Code
	askedAt  time.Time
	codeHash []byte
}

// RunDue tries the promises that are due at now and hands those that can be kept
// to inbox, in the transaction that removes them. It returns how many it handed
// over. Several instances may run it at once; a crash costs a wait, never a
// promise. While the procedure system is down it asks for a few codes only.
func (s *Service) RunDue(ctx context.Context, now time.Time, inbox Inbox) (served int, err error) {
	due, err := s.store.claimDue(ctx, now)
	if err != nil {
		return 0, err
	}
	silent := 0
	for _, group := range byCode(due) {
		ready := group
		action := ActionCallback
		if silent < callbackPatter {
			err = s.tryCode(ctx, group[0].code)
		}
		var away *Unavailable
		switch {
		case errors.As(err, &away):
			silent++
			ready, action = expired(group, now), ActionGaveUp
		case err != nil:
			return served, err
		default:
			silent = 0
		}
		n, err := s.store.fulfil(ctx, ready, action, inbox)
		served += n
		if err != nil {
			return served, err
		}
	}
	return served, nil
}

// tryCode reports whether a look-up would be answered now; an unknown code is an
// answer too.
func (s *Service) tryCode(ctx context.Context, code Code) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	_, err := s.ask(ctx, code, false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// claimDue takes due promises and puts off their next try, so that no other
// instance takes them meanwhile.
func (s *Store) claimDue(ctx context.Context, now time.Time) ([]promise, error) {
	rows, err := s.pool.Query(ctx, `
		UPDATE dossier_callback c
		SET tries = least(c.tries + 1, 100),
		    due_at = $1 + least($2::interval * power(2, least(c.tries, 10)), $3::interval) * (0.8 + 0.4 * random())
		FROM (SELECT oa_id, citizen, code_hash FROM dossier_callback
		      WHERE due_at <= $1
		      ORDER BY due_at
		      LIMIT $4
		      FOR UPDATE SKIP LOCKED) d
		WHERE c.oa_id = d.oa_id AND c.citizen = d.citizen AND c.code_hash = d.code_hash
		RETURNING c.oa_id, c.citizen, c.code, c.asked_at, c.code_hash`,
		now, callbackFirst, callbackMax, callbackClaim)
	if err != nil {
		return nil, fmt.Errorf("claim promises: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (promise, error) {
		var p promise
		var code []byte
		err := row.Scan(&p.who.OA, &p.who.User, &code, &p.askedAt, &p.codeHash)
		if err == nil {
			p.code, err = s.openCode(code)
		}
		return p, err
	})
}

// fulfil removes promises and puts their events, in one transaction.
func (s *Store) fulfil(ctx context.Context, promises []promise, action string, inbox Inbox) (n int, err error) {
	if len(promises) == 0 {
		return 0, nil
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, p := range promises {
			tag, err := tx.Exec(ctx, `
				DELETE FROM dossier_callback
				WHERE oa_id = $1 AND citizen = $2 AND code_hash = $3 AND asked_at = $4`,
				p.who.OA, p.who.User, p.codeHash, p.askedAt)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				continue // taken back, or erased, meanwhile
			}
			due := bot.Due{Flow: Feature, Action: action, Arg: string(p.code)}
			if err := inbox.Put(ctx, tx, p.who, s.promiseID(p), due); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("keep promises: %w", err)
	}
	return n, nil
}

// promiseID is the identity of the event that keeps a promise.
func (s *Store) promiseID(p promise) string {
	h := s.ring.Hash("dossier.callback", p.who.OA, p.who.User, string(p.code), strconv.FormatInt(p.askedAt.UnixMicro(), 10))
	return "dossier.callback:" + hex.EncodeToString(h)
}

func byCode(promises []promise) [][]promise {
	index := map[Code]int{}
	var groups [][]promise
	for _, p := range promises {
		i, ok := index[p.code]
		if !ok {
			i = len(groups)
			index[p.code] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

func expired(promises []promise, now time.Time) (old []promise) {
	for _, p := range promises {
		if now.Sub(p.askedAt) >= callbackExpiry {
			old = append(old, p)
		}
	}
	return old
}
