package push

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// Held lists the pushes that wait for a person's word, the oldest first. Copies of
// broadcasts are rendered by runs.
func (s *Store) held(ctx context.Context, runs Runs, who bot.CitizenID, now time.Time, most int) ([]HeldPush, error) {
	rows, err := s.pool.Query(ctx, `
SELECT p.source, p.kind, p.made_at, p.expires_at, p.body, coalesce(c.language, 'vi'), c.name
FROM push p LEFT JOIN citizen c ON c.oa_id = p.oa_id AND c.citizen = p.citizen
WHERE p.oa_id = $1 AND p.citizen = $2 AND p.state = 'held' AND p.expires_at > $3
ORDER BY p.made_at, p.source LIMIT $4`, who.OA, who.User, now, most)
	if err != nil {
		return nil, fmt.Errorf("list what waits: %w", err)
	}
	type row struct {
		HeldPush
		body, name []byte
		lang       string
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (h row, err error) {
		err = r.Scan(&h.Source, &h.Kind, &h.MadeAt, &h.ExpiresAt, &h.body, &h.lang, &h.name)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("list what waits: %w", err)
	}
	var out []HeldPush
	for _, h := range list {
		var c Content
		if h.Kind == KindBroadcast {
			contents, err := runs.Render(ctx, h.Source, []Person{{ID: who, Language: h.lang, Name: s.name(h.name)}})
			if err != nil {
				return nil, fmt.Errorf("render what waits: %w", err)
			}
			c = contents[0]
		} else if c, err = s.open(h.body); err != nil {
			slog.Error("a notice that waits does not open", "kind", h.Kind)
			continue
		}
		h.Message = c.Message
		out = append(out, h.HeldPush)
	}
	return out, nil
}

// Reader reads what waits for a person; it knows how copies of broadcasts are
// rendered.
type Reader struct {
	*Store
	Runs Runs
}

// Held lists the pushes that wait for a person's word, the oldest first.
func (r Reader) Held(ctx context.Context, who bot.CitizenID, now time.Time, most int) ([]HeldPush, error) {
	return r.held(ctx, r.Runs, who, now, most)
}

// name opens a stored name; what does not open counts as not given.
func (s *Store) name(sealed []byte) string {
	if sealed == nil {
		return ""
	}
	plain, err := s.keys.Open("name", sealed) // as in bot/citizen
	if err != nil {
		return ""
	}
	return string(plain)
}

// QueueWaiting adds to batch the statement that tells of whom how many pushes wait
// for a word; whom nothing waits for is left out.
func (s *Store) QueueWaiting(batch *pgx.Batch, who []bot.CitizenID, done func(map[bot.CitizenID]int)) {
	oas, users := split(who)
	batch.Queue(`
SELECT w.o, w.u, h.held FROM unnest($1::text[], $2::text[]) AS w (o, u)
CROSS JOIN LATERAL (SELECT held FROM push_person h WHERE h.oa_id = w.o AND h.citizen = w.u AND held > 0 OFFSET 0) h`, oas, users).Query(func(rows pgx.Rows) error {
		waiting := map[bot.CitizenID]int{}
		var id bot.CitizenID
		var n int
		_, err := pgx.ForEachRow(rows, []any{&id.OA, &id.User, &n}, func() error {
			waiting[id] = n
			return nil
		})
		done(waiting)
		return err
	})
}
