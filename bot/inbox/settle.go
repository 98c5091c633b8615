package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// Turned is an event whose turn is about to commit.
type Turned struct {
	Claim    *Claim
	Key      []byte
	SignedAt time.Time
	// Last gives the claim back with this commit; else its lease is renewed.
	Last bool
}

// Outcome says what became of a turned event in the commit.
type Outcome int

// Outcomes of Settle.
const (
	Lost  Outcome = iota // the claim had lapsed or the event was gone: this turn falls out
	Again                // the event had been turned before: its effects are dropped
	Fresh                // go on: write what the turn decided
)

const settleSQL = `
WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::date[], $6::bool[])
        AS w (oa_id, citizen, token, key, day, last)
), held AS (
    DELETE FROM inbox_claim c USING w
    WHERE w.last AND c.oa_id = w.oa_id AND c.citizen = w.citizen AND c.token = w.token
    RETURNING w.oa_id, w.citizen
), kept AS (
    UPDATE inbox_claim c SET expires_at = now() + $7 FROM w
    WHERE NOT w.last AND c.oa_id = w.oa_id AND c.citizen = w.citizen AND c.token = w.token
    RETURNING w.oa_id, w.citizen
), gone AS (
    DELETE FROM inbox i USING w, (SELECT * FROM held UNION ALL SELECT * FROM kept) h
    WHERE i.oa_id = w.oa_id AND i.citizen = w.citizen AND i.key = w.key
      AND h.oa_id = w.oa_id AND h.citizen = w.citizen
    RETURNING w.key, w.day
), fresh AS (
    INSERT INTO turned_event (day, key) SELECT day, key FROM gone
    ON CONFLICT DO NOTHING RETURNING key
)
SELECT gone.key, EXISTS (SELECT 1 FROM fresh WHERE fresh.key = gone.key) FROM gone`

// Settle removes turned events from the inbox inside the transaction of their
// commit, where their claims' tokens still hold, and remembers their
// identities. The outcomes are in the order of turned: only what is Fresh may
// write anything. Claims are locked in key order, as everywhere, so that instances
// cannot wait for each other in a circle.
func (in *Inbox) Settle(ctx context.Context, tx pgx.Tx, turned []Turned) ([]Outcome, error) {
	n := len(turned)
	oas, users := make([]string, n), make([]string, n)
	tokens, keys := make([]int64, n), make([][]byte, n)
	days, last := make([]time.Time, n), make([]bool, n)
	place := make(map[string]int, n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareIDs(turned[a].Claim.Who, turned[b].Claim.Who) })
	for i, j := range order {
		t := turned[j]
		oas[i], users[i], tokens[i], keys[i] = t.Claim.Who.OA, t.Claim.Who.User, t.Claim.Token, t.Key
		days[i], last[i] = t.SignedAt.UTC(), t.Last
		place[string(t.Key)] = j
	}
	rows, err := tx.Query(ctx, settleSQL, oas, users, tokens, keys, days, last, Lease)
	if err != nil {
		return nil, fmt.Errorf("settle %d events: %w", n, err)
	}
	outcomes := make([]Outcome, n)
	var key []byte
	var fresh bool
	_, err = pgx.ForEachRow(rows, []any{&key, &fresh}, func() error {
		i := place[string(key)]
		outcomes[i] = Again
		if fresh {
			outcomes[i] = Fresh
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("settle %d events: %w", n, err)
	}
	return outcomes, nil
}

// Die moves an event to the dead letters inside a transaction, where the
// claim's token still holds, and gives the claim back when last is true. It
// reports whether the event was there to move.
func (in *Inbox) Die(ctx context.Context, tx pgx.Tx, c *Claim, w Waiting, cause string, now time.Time, last bool) (bool, error) {
	outcomes, err := in.Settle(ctx, tx, []Turned{{Claim: c, Key: w.Key, SignedAt: w.SignedAt, Last: last}})
	if err != nil || outcomes[0] != Fresh {
		return false, err
	}
	_, err = tx.Exec(ctx, `
INSERT INTO dead_letter (oa_id, citizen, key, cause, signed_at, died_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		c.Who.OA, c.Who.User, w.Key, clean(cause), w.SignedAt, now, in.keys.Seal(bodyPurpose, w.Raw))
	if err != nil {
		return false, fmt.Errorf("bury event: %w", err)
	}
	return true, nil
}

// EraseCitizen removes what waits of a citizen, and their dead letters.
func (in *Inbox) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	for _, table := range []string{"inbox", "dead_letter"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User); err != nil {
			return fmt.Errorf("erase from %s: %w", table, err)
		}
	}
	return nil
}

// Oldest is the age of the oldest event that waits, zero when none does.
func (in *Inbox) Oldest(ctx context.Context) (time.Duration, error) {
	var seconds float64
	err := in.pool.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0) FROM inbox`).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("age of the inbox: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// Tidy makes the partitions of turned events ahead and drops those whose time
// is over.
func (in *Inbox) Tidy(ctx context.Context, now time.Time) error {
	_, err := in.pool.Exec(ctx, `SELECT make_turned_event_partitions($1::date), drop_turned_event_partitions($2::date)`,
		now.UTC(), now.Add(-keepFor).UTC())
	if err != nil {
		return fmt.Errorf("tidy turned events: %w", err)
	}
	return nil
}

// Drop removes events unturned (their person was erased since), and gives the
// claim back when last is true.
func (in *Inbox) Drop(ctx context.Context, c *Claim, keys [][]byte, last bool) error {
	return pgx.BeginFunc(ctx, in.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
DELETE FROM inbox i USING inbox_claim c
WHERE i.oa_id = $1 AND i.citizen = $2 AND i.key = ANY ($3)
  AND c.oa_id = $1 AND c.citizen = $2 AND c.token = $4`, c.Who.OA, c.Who.User, keys, c.Token)
		if err != nil {
			return fmt.Errorf("drop events: %w", err)
		}
		if last {
			_, err = tx.Exec(ctx, `DELETE FROM inbox_claim WHERE oa_id = $1 AND citizen = $2 AND token = $3`, c.Who.OA, c.Who.User, c.Token)
			if err != nil {
				return fmt.Errorf("release claim: %w", err)
			}
		}
		return nil
	})
}
