package inbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// Lease is how long a claim stands without renewal, by Postgres's clock.
const Lease = 10 * time.Second

// Waiting is an event that waits to be turned.
type Waiting struct {
	Key        []byte
	SignedAt   time.Time
	AcceptedAt time.Time
	Tries      int  // how often its turn failed, or was cut off by a crash
	Ours       bool // a promise of our own (bot.Due)
	Raw        []byte
	// Event is the event as the door decoded it, when it was accepted by this
	// process a moment ago; else Raw has to be decoded.
	Event *bot.Event
}

// Claim is the right to turn one citizen's waiting events, until the lease ends
// or the turn's commit gives it back.
type Claim struct {
	Who   bot.CitizenID
	Token int64
	// Again is true when somebody else held the claim and let it lapse: a crash,
	// or a pause longer than the lease. The first event is then turned alone.
	Again  bool
	Events []Waiting // by signed time
}

const claimSQL = `
INSERT INTO inbox_claim AS c (oa_id, citizen, token, expires_at)
SELECT o, u, $3, now() + $4 FROM unnest($1::text[], $2::text[]) AS w (o, u)
ON CONFLICT (oa_id, citizen) DO UPDATE
    SET token = EXCLUDED.token, expires_at = EXCLUDED.expires_at, resting = false, rested = c.resting
    WHERE c.expires_at < clock_timestamp()
RETURNING oa_id, citizen, xmax <> 0 AND NOT rested`

// mostEvents is how many waiting events of one citizen a claim reads. More wait
// for the next claim.
const mostEvents = 32

const eventsSQL = `
SELECT w.o, w.u, i.key, i.signed_at, i.accepted_at, i.tries, i.ours, i.body
FROM unnest($1::text[], $2::text[]) AS w (o, u)
JOIN inbox_claim c ON c.oa_id = w.o AND c.citizen = w.u AND c.token = $3
CROSS JOIN LATERAL (
    SELECT * FROM inbox WHERE oa_id = w.o AND citizen = w.u
    ORDER BY signed_at, accepted_at, key LIMIT $4
) i
ORDER BY w.o, w.u, i.signed_at, i.accepted_at, i.key`

// QueueClaim adds to batch the statements that claim citizens, in key order,
// and read their events. The callback gets the claims that were had when the
// batch is read; citizens claimed elsewhere are left out.
//
// A claim may commit asynchronously: what a crash of Postgres forgets, no
// commit of a turn finds.
func (in *Inbox) QueueClaim(batch *pgx.Batch, who []bot.CitizenID, done func([]*Claim)) {
	oas, users := split(who)
	token := rand.Int64()
	claims := make(map[bot.CitizenID]*Claim, len(who))
	var order []*Claim
	batch.Queue(claimSQL, oas, users, token, Lease).Query(func(rows pgx.Rows) error {
		var c Claim
		_, err := pgx.ForEachRow(rows, []any{&c.Who.OA, &c.Who.User, &c.Again}, func() error {
			claim := c
			claim.Token = token
			claims[claim.Who] = &claim
			order = append(order, &claim)
			return nil
		})
		return err
	})
	batch.Queue(eventsSQL, oas, users, token, mostEvents).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id bot.CitizenID
			var w Waiting
			var sealed []byte
			if err := rows.Scan(&id.OA, &id.User, &w.Key, &w.SignedAt, &w.AcceptedAt, &w.Tries, &w.Ours, &sealed); err != nil {
				return err
			}
			raw, err := in.keys.Open(bodyPurpose, sealed)
			if err != nil {
				raw = nil // the turn buries what cannot be opened
			}
			w.Raw = raw
			if ev, ok := in.recent.take(w.Key); ok && ev.Citizen == id && ev.AcceptedAt.Equal(w.AcceptedAt) {
				w.Event = &ev
			}
			if c := claims[id]; c != nil {
				c.Events = append(c.Events, w)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		done(order)
		return nil
	})
}

func split(who []bot.CitizenID) (oas, users []string) {
	oas, users = make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	return oas, users
}

// Renew extends claims in hand. It returns nothing: whoever lost a claim finds
// out at the commit.
func (in *Inbox) Renew(ctx context.Context, claims []*Claim) error {
	oas, users, tokens := arrays(claims)
	_, err := in.pool.Exec(ctx, `
UPDATE inbox_claim c SET expires_at = now() + $4
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS w (o, u, t)
WHERE c.oa_id = w.o AND c.citizen = w.u AND c.token = w.t`, oas, users, tokens, Lease)
	if err != nil {
		return fmt.Errorf("renew %d claims: %w", len(claims), err)
	}
	return nil
}

// Rest gives a claim back and keeps everybody from taking it for a while.
func (in *Inbox) Rest(ctx context.Context, c *Claim, pause time.Duration) error {
	_, err := in.pool.Exec(ctx, `
UPDATE inbox_claim SET expires_at = now() + $4, resting = true
WHERE oa_id = $1 AND citizen = $2 AND token = $3`, c.Who.OA, c.Who.User, c.Token, pause)
	if err != nil {
		return fmt.Errorf("rest claim: %w", err)
	}
	return nil
}

// Release gives claims back unturned.
func (in *Inbox) Release(ctx context.Context, claims []*Claim) error {
	oas, users, tokens := arrays(claims)
	_, err := in.pool.Exec(ctx, `
DELETE FROM inbox_claim c USING unnest($1::text[], $2::text[], $3::bigint[]) AS w (o, u, t)
WHERE c.oa_id = w.o AND c.citizen = w.u AND c.token = w.t`, oas, users, tokens)
	if err != nil {
		return fmt.Errorf("release %d claims: %w", len(claims), err)
	}
	return nil
}

// arrays are the parameters of a statement over claims. They stand in key order,
// so that the rows are locked in key order whoever locks them.
func arrays(claims []*Claim) (oas, users []string, tokens []int64) {
	claims = slices.SortedFunc(slices.Values(claims), func(a, b *Claim) int { return compareIDs(a.Who, b.Who) })
	for _, c := range claims {
		oas, users, tokens = append(oas, c.Who.OA), append(users, c.Who.User), append(tokens, c.Token)
	}
	return oas, users, tokens
}

// Charge notes that the turn of an event failed, or was cut off.
func (in *Inbox) Charge(ctx context.Context, who bot.CitizenID, key []byte) error {
	_, err := in.pool.Exec(ctx, `
UPDATE inbox SET tries = tries + 1 WHERE oa_id = $1 AND citizen = $2 AND key = $3`, who.OA, who.User, key)
	if err != nil {
		return fmt.Errorf("charge a try: %w", err)
	}
	return nil
}

// unclaimedSQL walks the primary key from one citizen to the next, so that its
// cost is the citizens looked at, not the events that wait.
const unclaimedSQL = `
WITH RECURSIVE next AS (
    (SELECT oa_id, citizen FROM inbox WHERE (oa_id, citizen) > ($1, $2) ORDER BY oa_id, citizen LIMIT 1)
    UNION ALL
    SELECT f.oa_id, f.citizen FROM next n CROSS JOIN LATERAL (
        SELECT i.oa_id, i.citizen FROM inbox i WHERE (i.oa_id, i.citizen) > (n.oa_id, n.citizen)
        ORDER BY i.oa_id, i.citizen LIMIT 1) f
)
SELECT n.oa_id, n.citizen,
       NOT EXISTS (SELECT 1 FROM inbox_claim c WHERE c.oa_id = n.oa_id AND c.citizen = n.citizen AND c.expires_at >= now())
FROM next n LIMIT $3`

// Unclaimed lists citizens whose events wait and whom nobody has claimed, going
// on after the given one. It looks at up to most citizens; next is where to go
// on, zero when the end was reached.
func (in *Inbox) Unclaimed(ctx context.Context, after bot.CitizenID, most int) (who []bot.CitizenID, next bot.CitizenID, err error) {
	rows, err := in.pool.Query(ctx, unclaimedSQL, after.OA, after.User, most)
	if err != nil {
		return nil, next, fmt.Errorf("look for waiting events: %w", err)
	}
	var id bot.CitizenID
	var free bool
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&id.OA, &id.User, &free}, func() error {
		if n++; free {
			who = append(who, id)
		}
		next = id
		return nil
	})
	if err != nil {
		return nil, bot.CitizenID{}, fmt.Errorf("look for waiting events: %w", err)
	}
	if n < most {
		next = bot.CitizenID{}
	}
	return who, next, nil
}
