package dossier

import (
	"context"
	"fmt"
	"time"

	"congdanso/bot"

	"github.com/jackc/pgx/v5"
)

// standing is how a citizen stands to a code.
type standing struct {
	Misses      int        // unknown codes of the last ten minutes, this one left out
	LastAnswer  *time.Time // newest counted answer, this one left out
	DossierHash []byte     // of the proof that stands; nil when none does
	Kept        bool
	Followed    bool
}

// asked is who asks about which code: what standing is read for.
type asked struct {
	who     bot.CitizenID
	code    []byte // hashes
	citizen []byte
	miss    []byte
	answer  *standing
}

const standingSQL = `
SELECT w.n, m.misses, m.last_answer, p.dossier_hash, k.code_hash IS NOT NULL AS kept, k.follow IS NOT NULL AS followed
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[]) WITH ORDINALITY AS w (oa_id, citizen, code, hash, miss, n)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE unknown) AS misses, max(missed_at) AS last_answer
    FROM dossier_miss d
    WHERE d.citizen_hash = w.hash AND d.miss_hash <> w.miss AND d.missed_at > $7
) m
LEFT JOIN dossier_proof p ON p.oa_id = w.oa_id AND p.citizen = w.citizen AND p.code_hash = w.code AND p.expires_at > $6
LEFT JOIN dossier_kept k ON k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.code_hash = w.code`

// standing tells how a citizen stands to a code. Under load many are read by one
// statement (see Service.Run); now is then the batch's.
func (s *Store) standing(ctx context.Context, who bot.CitizenID, eventID string, code Code, now time.Time) (standing, error) {
	var st standing
	a := asked{who: who, code: s.codeHash(code), citizen: s.citizenHash(who), miss: s.missHash(eventID, code), answer: &st}
	var err error
	if s.shared.Load() {
		err = s.standings.Do(ctx, a)
	} else {
		err = s.readStandings(ctx, []asked{a}, now)
	}
	if err != nil {
		return standing{}, fmt.Errorf("read standing: %w", err)
	}
	return st, nil
}

// shareStandings reads the standings of turns that run together, until ctx ends.
func (s *Store) shareStandings(ctx context.Context) {
	s.shared.Store(true)
	defer s.shared.Store(false)
	s.standings.Run(ctx)
}

func (s *Store) standingsBatch(ctx context.Context, batch []asked) []error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := s.readStandings(ctx, batch, s.now())
	if err == nil {
		return nil
	}
	errs := make([]error, len(batch))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func (s *Store) readStandings(ctx context.Context, batch []asked, now time.Time) error {
	n := len(batch)
	oas, users := make([]string, n), make([]string, n)
	codes, citizens, misses := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, a := range batch {
		oas[i], users[i], codes[i], citizens[i], misses[i] = a.who.OA, a.who.User, a.code, a.citizen, a.miss
	}
	rows, err := s.pool.Query(ctx, standingSQL, oas, users, codes, citizens, misses, now, now.Add(-missWindow))
	if err != nil {
		return err
	}
	var at int64
	var st standing
	_, err = pgx.ForEachRow(rows, []any{&at, &st.Misses, &st.LastAnswer, &st.DossierHash, &st.Kept, &st.Followed}, func() error {
		*batch[at-1].answer = st
		st = standing{}
		return nil
	})
	return err
}
