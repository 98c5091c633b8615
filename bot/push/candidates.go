package push

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// candidateSQL reads pushes chosen by the inner statement, with what decides about
// them; every join is by a primary key. push_person is empty until the first push
// goes: a join planned then would read all of it later, a lateral one never does.
const candidateSQL = `
SELECT p.oa_id, p.citizen, p.source, p.kind, p.class, p.tried, p.digest, p.expires_at, p.body,
       c.citizen IS NOT NULL, coalesce(c.language, 'vi'), c.name, c.phone, c.phone_proven_at IS NOT NULL, v.interacted_at,
       CASE WHEN h.day = $1 THEN h.pushes ELSE 0 END, CASE WHEN h.day = $1 THEN h.urgent ELSE 0 END,
       h.stopped_at IS NOT NULL, h.paused_until, h.quiet_from, h.quiet_to, h.digest_at, h.daily_most
FROM (%s) p
LEFT JOIN citizen c ON c.oa_id = p.oa_id AND c.citizen = p.citizen
LEFT JOIN conversation v ON v.oa_id = p.oa_id AND v.citizen = p.citizen
LEFT JOIN LATERAL (SELECT * FROM push_person h WHERE h.oa_id = p.oa_id AND h.citizen = p.citizen OFFSET 0) h ON true
ORDER BY %s`

const pushColumns = `oa_id, citizen, source, kind, class, tried, digest, expires_at, body, due_at`

var (
	// By the index push_run.
	copiesSQL = fmt.Sprintf(candidateSQL, `
    SELECT `+pushColumns+` FROM push
    WHERE source = $2 AND kind = 'broadcast' AND state = 'pending' AND NOT digest AND (oa_id, citizen) > ($3, $4) AND due_at <= $5
    ORDER BY source, oa_id, citizen LIMIT $6`, `p.oa_id, p.citizen`)
	// By the index push_due.
	noticesSQL = fmt.Sprintf(candidateSQL, `
    SELECT `+pushColumns+` FROM push
    WHERE oa_id = $2 AND class = $3 AND kind <> 'broadcast' AND state = 'pending' AND NOT digest AND due_at <= $4
    ORDER BY oa_id, class, due_at, citizen, source LIMIT $5`, `p.due_at, p.citizen, p.source`)
	// By the index push_digest.
	digestsSQL = fmt.Sprintf(candidateSQL, `
    SELECT `+pushColumns+` FROM push
    WHERE oa_id = $2 AND digest AND state = 'pending' AND due_at <= $3 AND (kind <> 'broadcast' OR source = ANY ($5))
    ORDER BY oa_id, due_at, citizen LIMIT $4`, `p.due_at, p.citizen, p.source`)
)

func (s *Store) copies(ctx context.Context, run int64, after bot.CitizenID, now time.Time, n int) ([]*candidate, error) {
	return s.candidates(ctx, copiesSQL, dayOf(now), run, after.OA, after.User, now, n)
}

func (s *Store) notices(ctx context.Context, oa string, class Class, now time.Time, n int) ([]*candidate, error) {
	return s.candidates(ctx, noticesSQL, dayOf(now), oa, int16(class), now, n)
}

// digests chooses parts of digests; of broadcasts only those of the given runs.
func (s *Store) digests(ctx context.Context, oa string, runs []int64, now time.Time, n int) ([]*candidate, error) {
	return s.candidates(ctx, digestsSQL, dayOf(now), oa, now, n, runs)
}

func (s *Store) candidates(ctx context.Context, sql string, args ...any) ([]*candidate, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("look for pushes: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*candidate, error) {
		c := &candidate{digestAt: -1}
		var body, name, phone []byte
		var interacted, paused *time.Time
		var from, to, digest, most *int16
		var pushes, urgent *int
		err := row.Scan(&c.who.OA, &c.who.User, &c.source, &c.kind, &c.class, &c.tried, &c.digest, &c.expires, &body,
			&c.known, &c.language, &name, &phone, &c.proven, &interacted, &pushes, &urgent,
			&c.stopped, &paused, &from, &to, &digest, &most)
		if err != nil {
			return nil, err
		}
		c.name = s.name(name)
		if phone != nil && c.proven {
			if plain, err := s.keys.Open("phone", phone); err == nil { // as in bot/citizen
				c.phone = string(plain)
			}
		}
		if interacted != nil {
			c.interacted = *interacted
		}
		if pushes != nil && urgent != nil {
			c.pushes, c.urgent = *pushes, *urgent
		}
		if paused != nil {
			c.pausedUntil = *paused
		}
		if from != nil && to != nil {
			c.quietFrom, c.quietTo = int(*from), int(*to)
		}
		if digest != nil {
			c.digestAt = int(*digest)
		}
		if most != nil {
			c.dailyMost = int(*most)
		}
		if c.kind == KindBroadcast {
			return c, nil
		}
		content, err := s.open(body)
		if err != nil {
			slog.Error("a notice does not open", "kind", c.kind)
		}
		c.content = &content
		return c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for pushes: %w", err)
	}
	return list, nil
}
