package push

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

// Apply carries out the effects of a shared commit.
func (s *Store) Apply(ctx context.Context, tx pgx.Tx, applied []bot.Applied) error {
	batch := &pgx.Batch{}
	set := func(a bot.Applied, assign string, args ...any) {
		batch.Queue(`
INSERT INTO push_person (oa_id, citizen) VALUES ($1, $2) ON CONFLICT DO NOTHING`, a.Citizen.OA, a.Citizen.User)
		batch.Queue(`UPDATE push_person SET `+assign+` WHERE oa_id = $1 AND citizen = $2`,
			append([]any{a.Citizen.OA, a.Citizen.User}, args...)...)
	}
	for _, a := range applied {
		switch e := a.Effect.(type) {
		case Stop:
			set(a, `stopped_at = $3`, a.At)
		case Resume:
			set(a, `stopped_at = NULL, paused_until = NULL`)
		case Pause:
			set(a, `paused_until = $3`, e.Until)
		case SetQuiet:
			if e.From == e.To {
				set(a, `quiet_from = NULL, quiet_to = NULL`)
			} else {
				set(a, `quiet_from = $3, quiet_to = $4`, minutes(e.From), minutes(e.To))
			}
		case SetDigest:
			if e.At < 0 {
				set(a, `digest_at = NULL`)
			} else {
				set(a, `digest_at = $3`, minutes(e.At))
			}
		case SetDaily:
			set(a, `daily_most = nullif($3::smallint, 0)`, int16(min(max(e.Most, 0), 1000)))
		case Drop, Read:
		default:
			return fmt.Errorf("push: unknown effect %T", e)
		}
	}
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("apply %d effects on pushes: %w", len(applied), err)
		}
	}
	for _, a := range applied { // in the order decided: who stops after reading has read
		var err error
		switch e := a.Effect.(type) {
		case Stop:
			err = s.stop(ctx, tx, a.Citizen, a.At)
		case Drop:
			err = s.drop(ctx, tx, a.Citizen, e, a.At)
		case Read:
			err = s.read(ctx, tx, a.Citizen, e.Sources, a.At)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func minutes(m int) int16 { return int16(min(max(m, 0), 24*60-1)) }

// endOfPerson ends pushes of one person that have not gone: $1 account, $2 person, $3
// sources (none: all), $4 the states they may be in, $5 state, $6 reason, $7 moment,
// $8 rung. It relies on the primary key.
const endOfPerson = `
WITH old AS (
    SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
    WHERE oa_id = $1 AND citizen = $2 AND ($3::bigint[] IS NULL OR source = ANY ($3)) AND state = ANY ($4)
    FOR UPDATE
), moved AS (
    UPDATE push p SET state = $5, reason = nullif($6, ''), ended_at = $7, rung = nullif($8, ''), cost = 0, unsure = unsure OR $5 = 'unknown', body = NULL
    FROM old o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung,
              CASE o.state WHEN 'queued' THEN 0 ELSE o.cost END AS was_cost, p.state, p.reason, p.rung, p.cost
), waits AS (
    UPDATE push_person h SET held = greatest(0, h.held - m.n)
    FROM (SELECT oa_id, citizen, count(*)::int AS n FROM moved WHERE was = 'held' GROUP BY 1, 2) m
    WHERE h.oa_id = m.oa_id AND h.citizen = m.citizen
), counted AS (` + tallyOf + `$7` + tallyEnd + `)
SELECT count(*) FROM moved`

// stop skips what a person has not been sent yet. What is in the air ends as it ends.
func (s *Store) stop(ctx context.Context, tx pgx.Tx, who bot.CitizenID, at time.Time) error {
	refs, err := delivery.CancelPushes(ctx, tx, who)
	if err != nil {
		return fmt.Errorf("stop pushes: %w", err)
	}
	end := func(sources []int64, states ...string) error {
		_, err := tx.Exec(ctx, endOfPerson, who.OA, who.User, sources, states, "skipped", ReasonStopped, at, "")
		return err
	}
	if err := end(nil, "pending", "held"); err != nil {
		return fmt.Errorf("stop pushes: %w", err)
	}
	if len(refs) > 0 {
		if err := end(refs, "queued"); err != nil {
			return fmt.Errorf("stop pushes: %w", err)
		}
	}
	return nil
}

// drop skips notices that the person does not want to hear of any more.
func (s *Store) drop(ctx context.Context, tx pgx.Tx, who bot.CitizenID, d Drop, at time.Time) error {
	rows, err := tx.Query(ctx, `
SELECT source FROM push
WHERE oa_id = $1 AND citizen = $2 AND kind <> 'broadcast' AND state IN ('pending', 'held')
  AND CASE WHEN $3::bytea IS NOT NULL THEN about = $3 ELSE starts_with(kind, $4) END`, who.OA, who.User, s.aboutHash(d.About), d.Kind)
	if err != nil {
		return fmt.Errorf("drop notices: %w", err)
	}
	sources, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("drop notices: %w", err)
	}
	if len(sources) == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, endOfPerson, who.OA, who.User, sources, []string{"pending", "held"}, "skipped", ReasonWithdrawn, at, "")
	if err != nil {
		return fmt.Errorf("drop notices: %w", err)
	}
	return nil
}

// read marks held pushes as told by the turn's own reply.
func (s *Store) read(ctx context.Context, tx pgx.Tx, who bot.CitizenID, sources []int64, at time.Time) error {
	if len(sources) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, endOfPerson, who.OA, who.User, sources, []string{"held"}, "sent", "", at, string(RungRead))
	if err != nil {
		return fmt.Errorf("mark pushes as read: %w", err)
	}
	return nil
}

// EraseCitizen takes the person out of their pushes, inside the transaction of their
// erasure: the rows stay in the books without them. What had not gone is skipped;
// what was in the air at that moment stays unknown.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	air, err := delivery.SendingRefs(ctx, tx, who)
	if err != nil {
		return fmt.Errorf("erase pushes: %w", err)
	}
	now := time.Now().UTC()
	if len(air) > 0 {
		_, err := tx.Exec(ctx, endOfPerson, who.OA, who.User, air, []string{"queued"}, "unknown", ReasonErased, now, "")
		if err != nil {
			return fmt.Errorf("erase pushes: %w", err)
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(endOfPerson, who.OA, who.User, []int64(nil), []string{"pending", "queued", "held"}, "skipped", ReasonErased, now, "")
	batch.Queue(`DELETE FROM push WHERE oa_id = $1 AND citizen = $2 AND kind <> 'broadcast'`, who.OA, who.User)
	batch.Queue(`
UPDATE push SET citizen = 'erased:' || gen_random_uuid(), msg_id = NULL, key = NULL, about = NULL, body = NULL
WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	batch.Queue(`DELETE FROM push_person WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase pushes: %w", err)
	}
	return nil
}
