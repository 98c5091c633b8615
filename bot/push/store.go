package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
)

// keep is how long a notice waits to be told when its maker does not say.
const keep = 3 * 24 * time.Hour

// Purposes that hashes and sealed values are bound to.
const (
	purposeBody  = "push"
	purposeKey   = "push.key"
	purposeAbout = "push.about"
)

// Store owns the tables push and push_*.
type Store struct {
	pool *pgxpool.Pool
	keys *seal.Keyring
	wake chan struct{} // something was made that may go

	mu   sync.Mutex
	shut map[shutRung]shutUntil // closed by what this process was answered, ahead of the table
}

// NewStore returns a store.
func NewStore(pool *pgxpool.Pool, keys *seal.Keyring) *Store {
	return &Store{pool: pool, keys: keys, wake: make(chan struct{}, 1), shut: map[shutRung]shutUntil{}}
}

// Wake says that pushes were made, so that the feeder of this process need not
// find them by its poll.
func (s *Store) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// addSQL makes notices. What waits about the same thing gives way to a newer one;
// to somebody who stopped everything a notice is skipped at once, so that it stands
// in the books.
const addSQL = `
WITH w AS (
    SELECT w.*, h.stopped_at IS NOT NULL AS stopped
    FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::bytea[], $6::bytea[], $7::bytea[], $8::timestamptz[], $9::timestamptz[])
        AS w (oa_id, citizen, kind, class, key, about, body, due_at, expires_at)
    LEFT JOIN push_person h ON h.oa_id = w.oa_id AND h.citizen = w.citizen
), made AS (
    INSERT INTO push (oa_id, citizen, source, kind, class, state, reason, due_at, expires_at, made_at, ended_at, key, about, body)
    SELECT oa_id, citizen, nextval('push_source'), kind, class,
           CASE WHEN stopped THEN 'skipped' ELSE 'pending' END, CASE WHEN stopped THEN 'stopped' END,
           due_at, expires_at, $10, CASE WHEN stopped THEN $10::timestamptz END, key, about, CASE WHEN NOT stopped THEN body END
    FROM w
    ON CONFLICT (oa_id, citizen, key) WHERE key IS NOT NULL DO NOTHING
    RETURNING oa_id, citizen, source, kind, state, reason, rung, cost, about
), older AS (
    SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost
    FROM push p JOIN made m ON m.oa_id = p.oa_id AND m.citizen = p.citizen AND m.about = p.about
    WHERE p.state IN ('pending', 'held') AND p.source <> m.source
    FOR UPDATE OF p
), gone AS (
    UPDATE push p SET state = 'skipped', reason = 'superseded', ended_at = $10, body = NULL
    FROM older o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung, o.cost AS was_cost,
              p.state, p.reason, p.rung, p.cost
), waits AS (
    UPDATE push_person h SET held = greatest(0, h.held - g.n)
    FROM (SELECT oa_id, citizen, count(*)::int AS n FROM gone WHERE was = 'held' GROUP BY 1, 2) g
    WHERE h.oa_id = g.oa_id AND h.citizen = g.citizen
), moved AS (
    SELECT source, kind, NULL::text AS was, NULL::text AS was_reason, NULL::text AS was_rung, 0 AS was_cost, state, reason, rung, cost FROM made
    UNION ALL
    SELECT source, kind, was, was_reason, was_rung, was_cost, state, reason, rung, cost FROM gone
)` + tallyOf + `$10` + tallyEnd

// Add makes notices, in the caller's transaction. Equal keys are one notice; a
// notice to somebody who stopped everything is skipped as such. Call Wake once the
// transaction has committed.
func (s *Store) Add(ctx context.Context, tx pgx.Tx, told []Told, now time.Time) error {
	n := len(told)
	if n == 0 {
		return nil
	}
	oas, users, kinds, classes := make([]string, n), make([]string, n), make([]string, n), make([]int16, n)
	keys, abouts, bodies := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	due, ends := make([]time.Time, n), make([]time.Time, n)
	for i, t := range told {
		if t.To.IsZero() || t.Kind == "" || t.Kind == KindBroadcast || t.Class != Urgent && t.Class != Notice {
			return fmt.Errorf("add notice %d: no person, kind or class", i)
		}
		oas[i], users[i], kinds[i], classes[i] = t.To.OA, t.To.User, t.Kind, int16(t.Class)
		if t.Key != "" {
			keys[i] = s.keys.Hash(purposeKey, t.Key)
		}
		abouts[i] = s.aboutHash(t.About)
		plain, err := json.Marshal(t.Content)
		if err != nil {
			return fmt.Errorf("add notice %d: %w", i, err)
		}
		bodies[i] = s.keys.Seal(purposeBody, plain)
		if due[i] = t.NotBefore; due[i].Before(now) {
			due[i] = now
		}
		if ends[i] = t.ExpiresAt; ends[i].IsZero() {
			ends[i] = now.Add(keep)
		}
	}
	if _, err := tx.Exec(ctx, addSQL, oas, users, kinds, classes, keys, abouts, bodies, due, ends, now); err != nil {
		return fmt.Errorf("add %d notices: %w", n, err)
	}
	return nil
}

// Freeze inserts one slice of a run's copies: what selectSQL returns, in columns
// oa_id, citizen and skip (text; why the person is not written to, NULL where they
// are). It returns how many rows came, skipped ones included, and the last person of
// the slice, after whom the next one goes on. People who have a copy already are
// passed over. selectSQL uses the parameters $1… of args.
func (s *Store) Freeze(ctx context.Context, tx pgx.Tx, run Run, now time.Time, selectSQL string, args ...any) (n int64, last bot.CitizenID, err error) {
	a := len(args)
	sql := fmt.Sprintf(`
WITH chosen AS (%[1]s), made AS (
    INSERT INTO push (oa_id, citizen, source, kind, class, state, reason, due_at, expires_at, made_at, ended_at)
    SELECT oa_id, citizen, $%[2]d, 'broadcast', $%[3]d, CASE WHEN skip IS NULL THEN 'pending' ELSE 'skipped' END, skip,
           $%[4]d, $%[5]d, $%[4]d, CASE WHEN skip IS NOT NULL THEN $%[4]d::timestamptz END
    FROM chosen
    ON CONFLICT DO NOTHING
    RETURNING state, reason
), counted AS (
    INSERT INTO push_tally (source, kind, state, reason, rung, day, n)
    SELECT $%[2]d::bigint, 'broadcast', state, coalesce(reason, ''), '', ($%[4]d::timestamptz AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, count(*)
    FROM made GROUP BY 3, 4
)
SELECT count(*), coalesce((array_agg(oa_id ORDER BY oa_id DESC, citizen DESC))[1], ''),
       coalesce((array_agg(citizen ORDER BY oa_id DESC, citizen DESC))[1], '') FROM chosen`,
		selectSQL, a+1, a+2, a+3, a+4)
	args = append(args, run.ID, int16(run.Class), now, run.ExpiresAt)
	if err := tx.QueryRow(ctx, sql, args...).Scan(&n, &last.OA, &last.User); err != nil {
		return 0, last, fmt.Errorf("freeze a slice of run %d: %w", run.ID, err)
	}
	return n, last, nil
}

func (s *Store) aboutHash(about string) []byte {
	if about == "" {
		return nil
	}
	return s.keys.Hash(purposeAbout, about)
}

// NewSource draws the number of a run.
func (s *Store) NewSource(ctx context.Context, tx pgx.Tx) (source int64, err error) {
	if err := tx.QueryRow(ctx, `SELECT nextval('push_source')`).Scan(&source); err != nil {
		return 0, fmt.Errorf("draw a number: %w", err)
	}
	return source, nil
}

// Preferences reads how a person may be written to.
func (s *Store) Preferences(ctx context.Context, who bot.CitizenID) (Preferences, error) {
	p := Preferences{DigestAt: -1}
	var stopped, paused *time.Time
	var from, to, digest, most *int16
	err := s.pool.QueryRow(ctx, `
SELECT stopped_at, paused_until, quiet_from, quiet_to, digest_at, daily_most, held FROM push_person
WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User).Scan(&stopped, &paused, &from, &to, &digest, &most, &p.Held)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read preferences: %w", err)
	}
	if stopped != nil {
		p.StoppedAt = *stopped
	}
	if paused != nil {
		p.PausedUntil = *paused
	}
	if from != nil && to != nil {
		p.QuietFrom, p.QuietTo = int(*from), int(*to)
	}
	if digest != nil {
		p.DigestAt = int(*digest)
	}
	if most != nil {
		p.DailyMost = int(*most)
	}
	return p, nil
}

// open reads a notice's content. What does not open any more is told as such.
func (s *Store) open(sealed []byte) (Content, error) {
	var c Content
	plain, err := s.keys.Open(purposeBody, sealed)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode notice: %w", err)
	}
	return c, nil
}

func split(who []bot.CitizenID) (oas, users []string) {
	oas, users = make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	return oas, users
}
