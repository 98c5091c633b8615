package push

import (
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/delivery"
)

var _ delivery.Ledger = (*Store)(nil)

// fate is what becomes of a push once its message is settled.
type fate struct {
	state  string
	reason string
	tried  int16 // rungs that are closed to it from now on
	due    time.Time
}

// Zalo's codes that concern one person and not the way (Zalo: error tables).
const (
	codeBlocked    = -217 // blocked the account
	codeRestricted = -244 // refuses this kind of message
	codeUserQuota  = -218 // of one recipient, this one and the next two
	codeUserMonth  = -1471
	codeUserDay    = -1472
)

// judge says what becomes of a push. Whatever Zalo refused for good goes back to
// pending with that rung closed, and the feeder climbs on; only somebody who has
// blocked the account is out of reach by every rung.
func judge(d delivery.Settled) fate {
	switch d.Outcome {
	case delivery.Sent:
		return fate{state: "sent"}
	case delivery.Unknown:
		return fate{state: "unknown"}
	case delivery.Dropped:
		return fate{state: "skipped", reason: ReasonExpired}
	}
	rung := Rung(d.Rung)
	again := func(tried int16, due time.Time) fate { return fate{state: "pending", tried: tried, due: due} }
	switch d.Class {
	case delivery.ClassWindow:
		if d.Code == 0 {
			return again(0, d.At) // our own clock: it is decided anew
		}
		return again(RungFree.bit()|RungPackage.bit(), d.At)
	case delivery.ClassQuota:
		switch d.Code {
		case codeUserQuota, codeUserMonth, codeUserDay:
			return again(rung.bit(), d.At)
		}
		return again(0, d.At) // the rung is closed for everybody, see QueueSettled
	case delivery.ClassNight:
		return again(0, next(d.At, 6*60))
	case delivery.ClassHuman:
		return again(rung.bit(), d.At)
	case delivery.ClassDrop:
		if (rung == RungTemplate || rung == RungPhone) && d.Code != codeBlocked && d.Code != codeRestricted {
			return again(rung.bit(), d.At)
		}
	}
	return fate{state: "failed", reason: ReasonRefused}
}

// sentSQL settles pushes that were sent, or whose fate nobody knows: those that are
// queued, or unknown and now known. It relies on the primary key.
const sentSQL = `
WITH moved AS (
    UPDATE push p
    SET state = w.state, msg_id = coalesce(nullif(w.msg_id, ''), p.msg_id), unsure = p.unsure OR w.state = 'unknown',
        ended_at = CASE w.state WHEN 'sent' THEN w.at END, body = CASE w.state WHEN 'sent' THEN NULL ELSE p.body END
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[]) AS w (oa_id, citizen, source, state, msg_id, at)
    WHERE p.oa_id = w.oa_id AND p.citizen = w.citizen AND p.source = w.source
      AND (p.state = 'queued' OR p.state = 'unknown' AND w.state = 'sent')
    RETURNING CASE p.kind WHEN 'broadcast' THEN p.source ELSE 0 END AS source, p.kind, p.state, p.rung, p.cost,
              p.unsure AND p.state = 'sent' AS known_now
)
INSERT INTO push_tally (source, kind, state, rung, day, n, cost)
SELECT m.source, m.kind, d.state, d.rung, ($6[1] AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, sum(d.n), sum(d.cost)
FROM moved m CROSS JOIN LATERAL (VALUES
    (m.state, m.rung, 1, m.cost),
    (CASE WHEN m.known_now THEN 'unknown' ELSE 'pending' END, CASE WHEN m.known_now THEN m.rung ELSE '' END, -1,
     CASE WHEN m.known_now THEN -m.cost ELSE 0 END)) AS d (state, rung, n, cost)
GROUP BY 1, 2, 3, 4`

// unsentSQL settles pushes that were not sent: those that are queued, or unknown and
// now known. They give back their share of the budget and of the person's day.
const unsentSQL = `
WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::timestamptz[], $8::timestamptz[])
        AS w (oa_id, citizen, source, state, reason, tried, due_at, at)
), old AS (
    SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost, p.class, p.fed_at
    FROM push p JOIN w ON w.oa_id = p.oa_id AND w.citizen = p.citizen AND w.source = p.source
    WHERE p.state IN ('queued', 'unknown') AND p.state <> w.state
    FOR UPDATE OF p
), moved AS (
    UPDATE push p
    SET state = w.state, reason = nullif(w.reason, ''), tried = p.tried | w.tried,
        due_at = coalesce(w.due_at, p.due_at),
        ended_at = CASE WHEN w.state IN ('failed', 'skipped') THEN w.at END, cost = 0, rung = NULL,
        body = CASE WHEN w.state IN ('failed', 'skipped') THEN NULL ELSE p.body END
    FROM old o JOIN w ON w.oa_id = o.oa_id AND w.citizen = o.citizen AND w.source = o.source
    WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung,
              CASE o.state WHEN 'queued' THEN 0 ELSE o.cost END AS was_cost,
              p.state, p.reason, p.rung, p.cost, o.class, (o.fed_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date AS day, o.rung AS by, w.at
), refunded AS (
    UPDATE push_budget b SET used = greatest(0, b.used - m.n)
    FROM (SELECT oa_id, by, day, count(*) AS n FROM moved GROUP BY 1, 2, 3) m
    WHERE b.oa_id = m.oa_id AND b.rung = m.by AND b.day = m.day
), uncounted AS (
    UPDATE push_person h SET pushes = greatest(0, h.pushes - m.n), urgent = greatest(0, h.urgent - m.u)
    FROM (SELECT oa_id, citizen, day, count(*) AS n, count(*) FILTER (WHERE class = 1) AS u
          FROM moved GROUP BY 1, 2, 3) m
    WHERE h.oa_id = m.oa_id AND h.citizen = m.citizen AND h.day = m.day
)` + tallyOf + `(SELECT max(at) FROM w)` + tallyEnd

// QueueSettled adds to batch the statements that settle the pushes of settled
// messages; see delivery.Ledger.
func (s *Store) QueueSettled(batch *pgx.Batch, list []delivery.Settled) {
	var sent, unsent settling
	shut := map[shutRung]shutUntil{}
	for _, d := range list {
		f := judge(d)
		if by, until, closes := closure(d); closes {
			shut[by] = until
		}
		if f.state == "sent" || f.state == "unknown" {
			sent.add(d, f)
		} else {
			unsent.add(d, f)
		}
	}
	if len(sent.sources) > 0 {
		batch.Queue(sentSQL, sent.oas, sent.users, sent.sources, sent.states, sent.msgIDs, sent.ats)
	}
	if len(unsent.sources) > 0 {
		batch.Queue(unsentSQL, unsent.oas, unsent.users, unsent.sources, unsent.states, unsent.reasons, unsent.tried, unsent.dues, unsent.ats)
		s.Wake()
	}
	for by, until := range shut {
		queueShut(batch, by, until)
		s.mu.Lock()
		s.shut[by] = until
		s.mu.Unlock()
	}
}

// settling is what statements are given, column by column.
type settling struct {
	oas, users, states, reasons, msgIDs []string
	sources                             []int64
	tried                               []int16
	dues                                []*time.Time
	ats                                 []time.Time
}

func (s *settling) add(d delivery.Settled, f fate) {
	for _, source := range d.Refs {
		s.oas, s.users, s.sources = append(s.oas, d.To.OA), append(s.users, d.To.User), append(s.sources, source)
		s.states, s.reasons, s.tried = append(s.states, f.state), append(s.reasons, f.reason), append(s.tried, f.tried)
		s.msgIDs, s.ats = append(s.msgIDs, d.MsgID), append(s.ats, d.At)
		if f.due.IsZero() {
			s.dues = append(s.dues, nil)
		} else {
			s.dues = append(s.dues, &f.due)
		}
	}
}

// shutRung is a rung that is closed for everybody, or for one template.
type shutRung struct{ oa, rung, what string }

type shutUntil struct {
	until time.Time
	cause string // of a Closure
}

// humanPause is how long a template rests that only a person can set right.
const humanPause = time.Hour

// closure says whether a refusal closes its rung for everybody.
func closure(d delivery.Settled) (by shutRung, until shutUntil, closes bool) {
	if d.Outcome != delivery.Failed {
		return by, until, false
	}
	by = shutRung{oa: d.To.OA, rung: d.Rung}
	switch d.Class {
	case delivery.ClassQuota:
		switch d.Code {
		case codeUserQuota, codeUserMonth, codeUserDay:
			return by, until, false
		}
		return by, shutUntil{next(d.At, 0), ReasonQuota}, true
	case delivery.ClassHuman:
		by.what = d.Template
		return by, shutUntil{d.At.Add(humanPause), CauseTemplate}, true
	}
	return by, until, false
}

func queueShut(batch *pgx.Batch, by shutRung, until shutUntil) {
	batch.Queue(`
INSERT INTO push_rung (oa_id, rung, what, until, cause) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (oa_id, rung, what) DO UPDATE SET until = EXCLUDED.until, cause = EXCLUDED.cause`,
		by.oa, by.rung, by.what, until.until, until.cause)
}
