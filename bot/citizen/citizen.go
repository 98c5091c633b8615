// Package citizen keeps what is known of people: language, consents, the name
// and phone they stated. Names and phones are sealed, and found through keyed
// hashes. It also erases: what is left of somebody is a keyed hash with a time,
// so that events signed before it are dropped.
package citizen

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
)

// Store owns the tables citizen, consent and tombstone.
type Store struct {
	pool *pgxpool.Pool
	keys *seal.Keyring
}

// NewStore returns a store.
func NewStore(pool *pgxpool.Pool, keys *seal.Keyring) *Store { return &Store{pool: pool, keys: keys} }

// Hash is the keyed hash that stands for a citizen in logs, tombstones and
// counters.
func (s *Store) Hash(id bot.CitizenID) []byte { return s.keys.Hash("citizen", id.OA, id.User) }

// QueueLoad adds to batch the statement that reads profiles. The callback gets
// those who are known when the batch is read.
func (s *Store) QueueLoad(batch *pgx.Batch, who []bot.CitizenID, done func([]bot.Citizen)) {
	oas, users := split(who)
	batch.Queue(`
SELECT c.oa_id, c.citizen, c.language, c.following, c.created_at, c.name, c.phone
FROM unnest($1::text[], $2::text[]) AS w (o, u)
JOIN citizen c ON c.oa_id = w.o AND c.citizen = w.u`, oas, users).Query(func(rows pgx.Rows) error {
		var found []bot.Citizen
		for rows.Next() {
			var c bot.Citizen
			var name, phone []byte
			if err := rows.Scan(&c.ID.OA, &c.ID.User, &c.Language, &c.Following, &c.CreatedAt, &name, &phone); err != nil {
				return err
			}
			c.Name, c.Phone = s.open("name", name), s.open("phone", phone)
			found = append(found, c)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		done(found)
		return nil
	})
}

// open reads a sealed column; what does not open counts as not given.
func (s *Store) open(purpose string, sealed []byte) string {
	if sealed == nil {
		return ""
	}
	plain, err := s.keys.Open(purpose, sealed)
	if err != nil {
		return ""
	}
	return string(plain)
}

// Erased tells which of who were erased, and when.
func (s *Store) Erased(ctx context.Context, who []bot.CitizenID) (map[bot.CitizenID]time.Time, error) {
	hashes := make([][]byte, len(who))
	byHash := make(map[string]bot.CitizenID, len(who))
	for i, id := range who {
		hashes[i] = s.Hash(id)
		byHash[string(hashes[i])] = id
	}
	rows, err := s.pool.Query(ctx, `SELECT key, erased_at FROM tombstone WHERE key = ANY ($1)`, hashes)
	if err != nil {
		return nil, fmt.Errorf("look for tombstones: %w", err)
	}
	erased := map[bot.CitizenID]time.Time{}
	var key []byte
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&key, &at}, func() error {
		erased[byHash[string(key)]] = at
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for tombstones: %w", err)
	}
	return erased, nil
}

// QueueCreate adds to batch the statement that makes first-time citizens known.
func (s *Store) QueueCreate(batch *pgx.Batch, who []bot.Citizen) {
	ids := make([]bot.CitizenID, len(who))
	langs, at := make([]string, len(who)), make([]time.Time, len(who))
	for i, c := range who {
		ids[i], langs[i], at[i] = c.ID, c.Language, c.CreatedAt
	}
	oas, users := split(ids)
	batch.Queue(`
INSERT INTO citizen (oa_id, citizen, language, created_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT DO NOTHING`, oas, users, langs, at)
}

// Apply carries out the effects of a shared commit. Erase is not among them:
// the runtime turns it alone and calls EraseCitizen.
func (s *Store) Apply(ctx context.Context, tx pgx.Tx, effects []bot.Applied) error {
	batch := &pgx.Batch{}
	for _, a := range effects {
		oa, user := a.Citizen.OA, a.Citizen.User
		switch e := a.Effect.(type) {
		case SetLanguage:
			batch.Queue(`UPDATE citizen SET language = $3 WHERE oa_id = $1 AND citizen = $2`, oa, user, e.Lang)
		case SetFollowing:
			batch.Queue(`
UPDATE citizen SET following = $3, unfollowed_at = CASE WHEN $3 THEN NULL ELSE $4::timestamptz END
WHERE oa_id = $1 AND citizen = $2`, oa, user, e.Following, a.At)
		case SetContact:
			batch.Queue(`
UPDATE citizen SET name = $3, phone = $4, phone_hash = $5,
       phone_proven_at = CASE WHEN phone_hash = $5 THEN phone_proven_at END
WHERE oa_id = $1 AND citizen = $2`,
				oa, user, s.seal("name", e.Name), s.seal("phone", e.Phone), s.phoneHash(e.Phone))
		case ClearContact:
			batch.Queue(`
UPDATE citizen SET name = NULL, phone = NULL, phone_hash = NULL, phone_proven_at = NULL
WHERE oa_id = $1 AND citizen = $2`, oa, user)
		case ProvePhone:
			batch.Queue(`
UPDATE citizen SET phone_proven_at = $3 WHERE oa_id = $1 AND citizen = $2 AND phone IS NOT NULL`, oa, user, a.At)
		case GiveConsent:
			batch.Queue(`
INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING`, oa, user, e.Purpose, e.TextVersion, e.Channel, a.At)
		case WithdrawConsent:
			batch.Queue(`
UPDATE consent SET withdrawn_at = $4 WHERE oa_id = $1 AND citizen = $2 AND purpose = $3 AND withdrawn_at IS NULL`,
				oa, user, e.Purpose, a.At)
		case WithdrawNotices:
			batch.Queue(`
UPDATE consent SET withdrawn_at = $3 WHERE oa_id = $1 AND citizen = $2 AND withdrawn_at IS NULL
AND (purpose = ANY ($4) OR starts_with(purpose, $5))`,
				oa, user, a.At, []string{PurposeCallback, PurposeFollow}, topicPrefix)
		case WithdrawAll:
			batch.Queue(`UPDATE consent SET withdrawn_at = $3 WHERE oa_id = $1 AND citizen = $2 AND withdrawn_at IS NULL`,
				oa, user, a.At)
		default:
			return fmt.Errorf("citizen: unknown effect %T", e)
		}
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("apply %d effects on citizens: %w", len(effects), err)
	}
	return nil
}

func (s *Store) seal(purpose, value string) []byte {
	if value == "" {
		return nil
	}
	return s.keys.Seal(purpose, []byte(value))
}

func (s *Store) phoneHash(phone string) []byte {
	if phone == "" {
		return nil
	}
	return s.keys.Hash("phone", phone)
}

// EraseCitizen removes the profile and the consents, and leaves a tombstone.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID, at time.Time) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM citizen WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	batch.Queue(`DELETE FROM consent WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	batch.Queue(`
INSERT INTO tombstone (key, erased_at) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET erased_at = greatest(tombstone.erased_at, EXCLUDED.erased_at)`, s.Hash(who), at)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase citizen: %w", err)
	}
	return nil
}

// Consent is one giving of consent, and its withdrawal if there was one.
type Consent struct {
	Purpose     string
	TextVersion string
	Channel     string
	GivenAt     time.Time
	WithdrawnAt time.Time // zero while it stands
}

// Overview is what the channel keeps of a person, for that person's eyes.
type Overview struct {
	Name        string
	MaskedPhone string
	Language    string
	Since       time.Time
	Consents    []Consent // newest first
}

// Overview reads what is kept here of a person.
func (s *Store) Overview(ctx context.Context, who bot.CitizenID) (Overview, error) {
	var o Overview
	var name, phone []byte
	err := s.pool.QueryRow(ctx, `
SELECT language, created_at, name, phone FROM citizen WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User).
		Scan(&o.Language, &o.Since, &name, &phone)
	if err == pgx.ErrNoRows {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("read profile: %w", err)
	}
	o.Name, o.MaskedPhone = s.open("name", name), MaskPhone(s.open("phone", phone))
	rows, err := s.pool.Query(ctx, `
SELECT purpose, text_version, channel, given_at, coalesce(withdrawn_at, '0001-01-01T00:00:00Z')
FROM consent WHERE oa_id = $1 AND citizen = $2 ORDER BY given_at DESC`, who.OA, who.User)
	if err != nil {
		return o, fmt.Errorf("read consents: %w", err)
	}
	if o.Consents, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Consent]); err != nil {
		return o, fmt.Errorf("read consents: %w", err)
	}
	return o, nil
}

// MaskPhone shows the last four digits: "•••• 0001".
func MaskPhone(phone string) string {
	if len(phone) < 4 {
		return ""
	}
	return "•••• " + phone[len(phone)-4:]
}

// NormalPhone brings a Vietnamese number to the form 84…; ok is false when it
// is none.
func NormalPhone(raw string) (phone string, ok bool) {
	var digits strings.Builder
	for _, r := range raw {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case strings.ContainsRune("+ .-()", r):
		default:
			return "", false
		}
	}
	phone = digits.String()
	for _, prefix := range []string{"840", "0"} { // +84 (0)91…, 091…
		if rest, found := strings.CutPrefix(phone, prefix); found {
			phone = "84" + rest
			break
		}
	}
	if !strings.HasPrefix(phone, "84") || len(phone) < 11 || len(phone) > 12 {
		return "", false
	}
	return phone, true
}

func split(who []bot.CitizenID) (oas, users []string) {
	oas, users = make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	return oas, users
}

// EraseAgain erases those whom a restored database knows again: wanted maps the
// keyed hash of a citizen to the time of their erasure. What they wrote since
// then is theirs and stays with those who were created later.
func (s *Store) EraseAgain(ctx context.Context, wanted map[string]time.Time,
	erase func(ctx context.Context, tx pgx.Tx, who bot.CitizenID, at time.Time) error) (n int, err error) {
	if len(wanted) == 0 {
		return 0, nil
	}
	var keys [][]byte
	var times []time.Time
	for key, at := range wanted {
		keys, times = append(keys, []byte(key)), append(times, at)
	}
	_, err = s.pool.Exec(ctx, `
INSERT INTO tombstone (key, erased_at) SELECT * FROM unnest($1::bytea[], $2::timestamptz[])
ON CONFLICT (key) DO UPDATE SET erased_at = greatest(tombstone.erased_at, EXCLUDED.erased_at)`, keys, times)
	if err != nil {
		return 0, fmt.Errorf("set tombstones: %w", err)
	}
	after := bot.CitizenID{}
	for {
		rows, err := s.pool.Query(ctx, `
SELECT oa_id, citizen, created_at FROM citizen WHERE (oa_id, citizen) > ($1, $2)
ORDER BY oa_id, citizen LIMIT 5000`, after.OA, after.User)
		if err != nil {
			return n, fmt.Errorf("walk through citizens: %w", err)
		}
		type known struct {
			OA, User string
			Created  time.Time
		}
		page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[known])
		if err != nil {
			return n, fmt.Errorf("walk through citizens: %w", err)
		}
		for _, k := range page {
			after = bot.CitizenID{OA: k.OA, User: k.User}
			at, gone := wanted[string(s.Hash(after))]
			if !gone || k.Created.After(at) {
				continue
			}
			err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return erase(ctx, tx, after, at) })
			if err != nil {
				return n, fmt.Errorf("erase again: %w", err)
			}
			n++
		}
		if len(page) == 0 {
			return n, nil
		}
	}
}
