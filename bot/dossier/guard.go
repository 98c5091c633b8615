package dossier

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"congdanso/bot"

	"github.com/jackc/pgx/v5"
)

// The guard. Codes can be guessed and four digits have ten thousand values, so:
// five wrong guesses lock a dossier for that citizen for an hour, thirty in a day
// from everybody close its second factor until midnight, and who asks for more
// than ten unknown codes in ten minutes gets one answer a minute.
const (
	guessesEach = 5
	guessLock   = time.Hour
	guessSeries = 24 * time.Hour // a wrong guess older than this no longer counts towards the five
	guessesAll  = 30
	missesFree  = 10
	missWindow  = 10 * time.Minute
	missPause   = time.Minute
)

// guess is a guess that was written down.
type guess struct {
	hash     []byte
	citizenN int // wrong guesses in a row of this citizen, this one included
	codeN    int // wrong guesses of everybody today, this one included
	at       time.Time
}

// refusal is what a wrong guess is answered with.
func (g guess) refusal() error {
	switch {
	case g.codeN >= guessesAll:
		return &Closed{Until: midnight(g.at), Alert: true}
	case g.citizenN >= guessesEach:
		return &Locked{Until: g.at.Add(guessLock)}
	}
	return &Wrong{Left: guessesEach - g.citizenN}
}

// midnight is the end of t's day where the people live.
func midnight(t time.Time) time.Time {
	y, m, d := t.In(Local).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, Local)
}

// open says whether another guess is allowed: *Closed, *Locked, or nil and the
// counts so far. It runs alone as a cheap first look, and again under the lock.
func (s *Store) open(ctx context.Context, q querier, codeHash, citizenHash []byte, now time.Time) (inRow, today int, err error) {
	var last *int
	var lastAt *time.Time
	err = q.QueryRow(ctx, `
		SELECT a.n, l.citizen_n, l.guessed_at
		FROM (SELECT count(*) AS n FROM dossier_guess
		      WHERE code_hash = $1 AND guessed_at >= $3 AND dossier_hash IS NULL) a
		LEFT JOIN (SELECT citizen_n, guessed_at FROM dossier_guess
		      WHERE code_hash = $1 AND citizen_hash = $2 AND NOT cleared AND guessed_at > $4
		      ORDER BY guessed_at DESC, citizen_n DESC LIMIT 1) l ON true`,
		codeHash, citizenHash, midnight(now).AddDate(0, 0, -1), now.Add(-guessSeries)).Scan(&today, &last, &lastAt)
	if err != nil {
		return 0, 0, fmt.Errorf("count guesses: %w", err)
	}
	if today >= guessesAll {
		return 0, 0, &Closed{Until: midnight(now)}
	}
	if last == nil {
		return 0, today, nil
	}
	if *last >= guessesEach {
		if until := lastAt.Add(guessLock); now.Before(until) {
			return 0, 0, &Locked{Until: until}
		}
		return 0, today, nil
	}
	return *last, today, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// guess writes a guess down before anybody compares its digits, counting it as
// wrong, under a lock on the code, so that no number of instances lets one more
// through. The same guess of the same event is written once and returns the
// same counts. Refused guesses (*Locked, *Closed) are not written.
func (s *Store) guess(ctx context.Context, who bot.CitizenID, eventID string, code Code, digits string, now time.Time) (guess, error) {
	codeHash, citizenHash := s.codeHash(code), s.citizenHash(who)
	g := guess{hash: s.guessHash(eventID, code, digits), at: now}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, lockKey(codeHash)); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			SELECT citizen_n, code_n, guessed_at FROM dossier_guess
			WHERE code_hash = $1 AND guess_hash = $2`, codeHash, g.hash).Scan(&g.citizenN, &g.codeN, &g.at)
		if err == nil || !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		inRow, today, err := s.open(ctx, tx, codeHash, citizenHash, now)
		if err != nil {
			return err
		}
		g.citizenN, g.codeN = inRow+1, today+1
		_, err = tx.Exec(ctx, `
			INSERT INTO dossier_guess (code_hash, citizen_hash, event_hash, guess_hash, guessed_at, citizen_n, code_n)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			codeHash, citizenHash, s.eventHash(eventID), g.hash, now, g.citizenN, g.codeN)
		return err
	})
	var locked *Locked
	var closed *Closed
	switch {
	case err == nil:
		return g, nil
	case errors.As(err, &locked), errors.As(err, &closed):
		return guess{}, err
	}
	return guess{}, fmt.Errorf("write guess: %w", err)
}

// written reports whether this very guess was written before.
func (s *Store) written(ctx context.Context, eventID string, code Code, digits string) (bool, error) {
	var known bool
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM dossier_guess WHERE code_hash = $1 AND guess_hash = $2)`,
		s.codeHash(code), s.guessHash(eventID, code, digits)).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look for guess: %w", err)
	}
	return known, nil
}

// right marks a guess as right, for which dossier, and clears the citizen's
// count.
func (s *Store) right(ctx context.Context, who bot.CitizenID, code Code, g guess, dossierID string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE dossier_guess
		SET cleared = true,
		    dossier_hash = CASE WHEN guess_hash = $3 THEN $4 ELSE dossier_hash END
		WHERE code_hash = $1 AND citizen_hash = $2 AND (NOT cleared OR guess_hash = $3)`,
		s.codeHash(code), s.citizenHash(who), g.hash, s.dossierHash(dossierID))
	if err != nil {
		return fmt.Errorf("mark guess right: %w", err)
	}
	return nil
}

// matches reports whether digits equal any factor, looking at all of them in
// the same time whatever the outcome.
func matches(factors []string, digits string) bool {
	found := 0
	for _, f := range factors {
		found |= subtle.ConstantTimeCompare([]byte(f), []byte(digits))
	}
	return found == 1 && len(digits) == 4
}

// pause returns until when the citizen's look-ups wait, or zero.
func (st standing) pause(now time.Time) time.Time {
	if !st.slow() || st.LastAnswer == nil {
		return time.Time{}
	}
	if until := st.LastAnswer.Add(missPause); now.Before(until) {
		return until
	}
	return time.Time{}
}

func (st standing) slow() bool { return st.Misses > missesFree }

// answered counts an answer against the citizen: an unknown code, or (unknown
// false) a known one while they are slowed down. It returns *Throttled when
// answers given meanwhile leave no room for this one. The same code in the same event counts once.
func (s *Store) answered(ctx context.Context, who bot.CitizenID, eventID string, code Code, unknown bool, now time.Time) error {
	citizenHash, key := s.citizenHash(who), s.missHash(eventID, code)
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, lockKey(citizenHash)); err != nil {
			return fmt.Errorf("lock look-ups: %w", err)
		}
		var st standing
		var counted bool
		err := tx.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE unknown AND miss_hash <> $2),
			       max(missed_at) FILTER (WHERE miss_hash <> $2),
			       coalesce(bool_or(miss_hash = $2), false)
			FROM dossier_miss WHERE citizen_hash = $1 AND missed_at > $3`,
			citizenHash, key, now.Add(-missWindow)).Scan(&st.Misses, &st.LastAnswer, &counted)
		if err != nil {
			return fmt.Errorf("count look-ups: %w", err)
		}
		if counted {
			return nil
		}
		if until := st.pause(now); !until.IsZero() {
			return &Throttled{Until: until}
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO dossier_miss (citizen_hash, miss_hash, missed_at, unknown) VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, citizenHash, key, now, unknown)
		if err != nil {
			return fmt.Errorf("count look-up: %w", err)
		}
		return nil
	})
}
