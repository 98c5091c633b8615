package dossier

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"congdanso/bot"
	"congdanso/bot/group"
	"congdanso/bot/seal"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How long a second factor that was right holds.
const (
	ProofKept  = 30 * 24 * time.Hour // for a dossier the citizen keeps
	ProofShort = 30 * time.Minute
)

// How long rows stay that nothing refers to any more; see Purge.
const (
	guessesStay = 48 * time.Hour // longer than any lock or day of counting
	missesStay  = time.Hour
	knownStay   = 90 * 24 * time.Hour
)

// maxKeptShown bounds what Kept lists.
const maxKeptShown = 100

// Store owns the tables dossier_*: what citizens keep, proofs, guesses, last
// known states and promises. Codes rest sealed or as keyed hashes.
type Store struct {
	pool *pgxpool.Pool
	ring *seal.Keyring
	now  func() time.Time

	standings *group.Group[asked]
	shared    atomic.Bool // standings runs
}

// NewStore returns a store on pool, sealing with ring.
func NewStore(pool *pgxpool.Pool, ring *seal.Keyring) *Store {
	s := &Store{pool: pool, ring: ring, now: time.Now}
	s.standings = group.New(1, 256, s.standingsBatch)
	return s
}

// Purposes that hashes and sealed values are bound to.
const (
	purposeCode  = "dossier.code"
	purposeKnown = "dossier.known"
)

func (s *Store) codeHash(c Code) []byte { return s.ring.Hash(purposeCode, string(c)) }

func (s *Store) citizenHash(who bot.CitizenID) []byte {
	return s.ring.Hash("dossier.citizen", who.OA, who.User)
}

func (s *Store) eventHash(id string) []byte { return s.ring.Hash("dossier.event", id) }

func (s *Store) missHash(eventID string, c Code) []byte {
	return s.ring.Hash("dossier.miss", eventID, string(c))
}

func (s *Store) guessHash(eventID string, c Code, digits string) []byte {
	return s.ring.Hash("dossier.guess", eventID, string(c), digits)
}

func (s *Store) dossierHash(id string) []byte { return s.ring.Hash("dossier.id", id) }

func (s *Store) sealCode(c Code) []byte { return s.ring.Seal(purposeCode, []byte(c)) }

func (s *Store) openCode(sealed []byte) (Code, error) {
	plain, err := s.ring.Open(purposeCode, sealed)
	return Code(plain), err
}

// kept lists what a citizen keeps with the last known state of each.
func (s *Store) kept(ctx context.Context, who bot.CitizenID, now time.Time) ([]Kept, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT k.code, k.kept_at, p.code_hash IS NOT NULL, k.follow IS NOT NULL, coalesce(k.told_at, '0001-01-01T00:00:00Z'),
		       r.code_hash IS NOT NULL, n.public, n.seen_at
		FROM dossier_kept k
		LEFT JOIN dossier_proof p ON p.oa_id = k.oa_id AND p.citizen = k.citizen AND p.code_hash = k.code_hash AND p.expires_at > $3
		LEFT JOIN rating_given r ON r.oa_id = k.oa_id AND r.citizen = k.citizen AND r.code_hash = k.code_hash
		LEFT JOIN dossier_known n ON n.code_hash = k.code_hash
		WHERE k.oa_id = $1 AND k.citizen = $2
		ORDER BY k.kept_at DESC, k.code_hash
		LIMIT $4`, who.OA, who.User, now, maxKeptShown)
	if err != nil {
		return nil, fmt.Errorf("list kept dossiers: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Kept, error) {
		var k Kept
		var code, public []byte
		var seen *time.Time
		if err := row.Scan(&code, &k.At, &k.Proven, &k.Followed, &k.ToldAt, &k.Rated, &public, &seen); err != nil {
			return k, err
		}
		var err error
		if k.Code, err = s.openCode(code); err != nil {
			return k, err
		}
		if public != nil {
			v, err := s.openKnown(public, *seen)
			if err != nil {
				return k, err
			}
			v.Kept, v.Followed, v.Proven = true, k.Followed, k.Proven
			k.Last = &v
		}
		return k, nil
	})
}

// seen is a public state on its way to dossier_known.
type seen struct {
	code   Code
	public Public
	at     time.Time
}

// remember writes last known states, the newest of each code.
func (s *Store) remember(ctx context.Context, states []seen) error {
	newest := map[Code]seen{}
	for _, st := range states {
		if have, ok := newest[st.code]; !ok || st.at.After(have.at) {
			newest[st.code] = st
		}
	}
	var hashes, publics [][]byte
	var times []time.Time
	for _, st := range newest {
		raw, err := json.Marshal(st.public)
		if err != nil {
			return fmt.Errorf("encode known state: %w", err)
		}
		hashes = append(hashes, s.codeHash(st.code))
		publics = append(publics, s.ring.Seal(purposeKnown, raw))
		times = append(times, st.at)
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO dossier_known (code_hash, public, seen_at)
		SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS w(code_hash, public, seen_at)
		ORDER BY code_hash
		ON CONFLICT (code_hash) DO UPDATE SET public = excluded.public, seen_at = excluded.seen_at
		WHERE dossier_known.seen_at < excluded.seen_at`, hashes, publics, times)
	if err != nil {
		return fmt.Errorf("remember known states: %w", err)
	}
	return nil
}

// known returns the last known state of a code, or nil.
func (s *Store) known(ctx context.Context, code Code) (*View, error) {
	var public []byte
	var seen time.Time
	err := s.pool.QueryRow(ctx, `SELECT public, seen_at FROM dossier_known WHERE code_hash = $1`, s.codeHash(code)).
		Scan(&public, &seen)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read known state: %w", err)
	}
	v, err := s.openKnown(public, seen)
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func (s *Store) openKnown(sealed []byte, seenAt time.Time) (View, error) {
	v := View{SeenAt: seenAt, Stale: true}
	raw, err := s.ring.Open(purposeKnown, sealed)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(raw, &v.Public); err != nil {
		return v, fmt.Errorf("decode known state: %w", err)
	}
	return v, nil
}

// Summary counts the dossiers a citizen keeps and the promises open to them, for
// the screen of what is stored.
func (s *Store) Summary(ctx context.Context, who bot.CitizenID) (kept, promised int, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM dossier_kept WHERE oa_id = $1 AND citizen = $2),
		       (SELECT count(*) FROM dossier_callback WHERE oa_id = $1 AND citizen = $2)`, who.OA, who.User).
		Scan(&kept, &promised)
	if err != nil {
		return 0, 0, fmt.Errorf("count kept dossiers: %w", err)
	}
	return kept, promised, nil
}

// EraseCitizen deletes, in the caller's transaction, all that is stored of a
// citizen here. Guess counters stay until their own end: they hold hashes only.
// Ratings stay: nothing leads from them to anybody.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	for _, table := range []string{"dossier_kept", "dossier_proof", "dossier_callback", "rating_given"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User); err != nil {
			return fmt.Errorf("erase %s: %w", table, err)
		}
	}
	return nil
}

// purgeSlice bounds the rows one statement of Purge deletes.
const purgeSlice = 5000

// Purge deletes what has run out: guesses after two days, counted look-ups after
// an hour, proofs at their end, states nobody has looked at for 90 days, ratings
// after two years and who gave them after one, and dossiers that nobody follows
// any more from the watch. Promises end in RunDue. It works in slices and may be
// stopped at any point.
func (s *Store) Purge(ctx context.Context, now time.Time) (deleted int64, err error) {
	for _, job := range []struct {
		table, column string
		before        time.Time
	}{
		{"dossier_guess", "guessed_at", now.Add(-guessesStay)},
		{"dossier_miss", "missed_at", now.Add(-missesStay)},
		{"dossier_proof", "expires_at", now},
		{"dossier_known", "seen_at", now.Add(-knownStay)},
		{"rating", "period", Period(now).AddDate(0, -ratingsStay, 0)},
		{"rating_comment", "period", Period(now).AddDate(0, -ratingsStay, 0)},
		{"rating_given", "period", Period(now).AddDate(0, -givenStay, 0)},
	} {
		for {
			tag, err := s.pool.Exec(ctx, fmt.Sprintf(`
				DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(
					SELECT ctid FROM %[1]s WHERE %[2]s <= $1 LIMIT $2))`, job.table, job.column),
				job.before, purgeSlice)
			if err != nil {
				return deleted, fmt.Errorf("purge %s: %w", job.table, err)
			}
			deleted += tag.RowsAffected()
			if tag.RowsAffected() < purgeSlice {
				break
			}
		}
	}
	n, err := s.purgeWatch(ctx)
	return deleted + n, err
}

// lockKey makes the key of an advisory lock from a hash. Two hashes that share
// it only wait for each other.
func lockKey(hash []byte) int64 { return int64(binary.BigEndian.Uint64(hash)) }
