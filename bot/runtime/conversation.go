package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/seal"
)

// record is a row of the table conversation.
type record struct {
	turned     time.Time // signed time of the last turned event
	interacted time.Time // signed time of the last interaction
	quiet      time.Time // staff write with the citizen until then
	waiting    int       // pushes that wait to be read; of another table
	saved
}

// saved is what is sealed in a conversation's state.
type saved struct {
	Conv bot.Conversation `json:"conv"`
	Pace pace             `json:"pace"`
	Last lastText         `json:"last,omitzero"`
	Told toldWaiting      `json:"told,omitzero"`
}

// toldWaiting is when the citizen was told last how much waits to be read.
type toldWaiting struct {
	Count int       `json:"count"`
	At    time.Time `json:"at"`
}

// tellAgain is how long it is not said again that the same number waits.
const tellAgain = 6 * time.Hour

// news reports whether it is worth saying that n wait, and notes that it was said.
func (w *toldWaiting) news(n int, now time.Time) bool {
	if n == 0 || n == w.Count && now.Sub(w.At) < tellAgain {
		return false
	}
	*w = toldWaiting{n, now}
	return true
}

// lastText is the text turned last. The same one again, signed before the answer
// to it was decided, is a nervous finger: nobody can have read that answer.
type lastText struct {
	Hash     []byte    `json:"hash"` // keyed: the words themselves may be a secret
	SignedAt time.Time `json:"signed_at"`
	Decided  time.Time `json:"decided"`
}

// repeats reports whether a text says again what was said last, too soon to be
// meant; if not, it is the last one now.
func (l *lastText) repeats(hash []byte, signedAt, now time.Time) bool {
	if bytes.Equal(hash, l.Hash) && signedAt.Sub(l.SignedAt).Abs() <= sameTap && !signedAt.After(l.Decided) {
		return true
	}
	*l = lastText{Hash: hash, SignedAt: signedAt, Decided: now}
	return false
}

const statePurpose = "conversation"

// conversations reads and writes the table conversation.
type conversations struct{ keys *seal.Keyring }

// queueLoad adds to batch the statement that reads conversations. A state that
// does not open or decode any more yields a fresh one: the person restarts kindly.
func (c conversations) queueLoad(batch *pgx.Batch, who []bot.CitizenID, done func(map[bot.CitizenID]record)) {
	oas, users := split(who)
	batch.Queue(`
SELECT c.oa_id, c.citizen, c.turned_at, c.interacted_at, c.quiet_until, c.state
FROM unnest($1::text[], $2::text[]) AS w (o, u)
JOIN conversation c ON c.oa_id = w.o AND c.citizen = w.u`, oas, users).Query(func(rows pgx.Rows) error {
		found := make(map[bot.CitizenID]record, len(who))
		for rows.Next() {
			var id bot.CitizenID
			var r record
			var interacted, quiet *time.Time
			var sealed []byte
			if err := rows.Scan(&id.OA, &id.User, &r.turned, &interacted, &quiet, &sealed); err != nil {
				return err
			}
			if interacted != nil {
				r.interacted = *interacted
			}
			if quiet != nil {
				r.quiet = *quiet
			}
			if plain, err := c.keys.Open(statePurpose, sealed); err == nil {
				if json.Unmarshal(plain, &r.saved) != nil {
					r.saved = saved{}
				}
			}
			found[id] = r
		}
		if err := rows.Err(); err != nil {
			return err
		}
		done(found)
		return nil
	})
}

// queueSave adds to batch the statement that writes where citizens stand now.
func (c conversations) queueSave(batch *pgx.Batch, who []bot.CitizenID, records []record) error {
	oas, users := split(who)
	turned := make([]time.Time, len(who))
	interacted, quiet := make([]*time.Time, len(who)), make([]*time.Time, len(who))
	states := make([][]byte, len(who))
	for i := range records {
		r := &records[i]
		turned[i] = r.turned
		interacted[i], quiet[i] = orNil(r.interacted), orNil(r.quiet)
		plain, err := json.Marshal(r.saved)
		if err != nil {
			return fmt.Errorf("encode conversation: %w", err)
		}
		states[i] = c.keys.Seal(statePurpose, plain)
	}
	batch.Queue(`
INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at, quiet_until, state)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bytea[])
ON CONFLICT (oa_id, citizen) DO UPDATE
    SET turned_at = EXCLUDED.turned_at, interacted_at = EXCLUDED.interacted_at,
        quiet_until = EXCLUDED.quiet_until, state = EXCLUDED.state`,
		oas, users, turned, interacted, quiet, states)
	return nil
}

// EraseCitizen removes where the citizen stands.
func (c conversations) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM conversation WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User); err != nil {
		return fmt.Errorf("erase conversation: %w", err)
	}
	return nil
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func split(who []bot.CitizenID) (oas, users []string) {
	oas, users = make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	return oas, users
}

// Conversations returns what erases where a citizen stands.
func Conversations(keys *seal.Keyring) Eraser { return conversations{keys} }
