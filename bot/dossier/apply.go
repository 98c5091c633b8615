package dossier

import (
	"context"
	"fmt"
	"time"

	"congdanso/bot"

	"github.com/jackc/pgx/v5"
)

// Apply writes the effects of many turns in the caller's transaction, a handful
// of statements whatever their number. Effects of other features are refused.
func (s *Store) Apply(ctx context.Context, tx pgx.Tx, applied []bot.Applied) error {
	b := s.gather()
	for _, a := range applied {
		if err := b.add(a); err != nil {
			return err
		}
	}
	return b.write(ctx, tx)
}

// place is one citizen's place for one code.
type place struct {
	who  bot.CitizenID
	code Code
}

// batch is what many effects come to: for one citizen and code the last word
// counts.
type batch struct {
	s         *Store
	dropAll   map[bot.CitizenID]bool
	cancelAll map[bot.CitizenID]bool
	keep      map[place]*time.Time // nil: drop
	callback  map[place]*time.Time // nil: cancel
	grants    []bot.Applied

	unfollowAll map[bot.CitizenID]bool
	follow      map[place]*time.Time // nil: unfollow
	ratings     []bot.Applied
}

func (s *Store) gather() *batch {
	return &batch{
		s: s, dropAll: map[bot.CitizenID]bool{}, cancelAll: map[bot.CitizenID]bool{},
		keep: map[place]*time.Time{}, callback: map[place]*time.Time{},
		unfollowAll: map[bot.CitizenID]bool{}, follow: map[place]*time.Time{},
	}
}

func (b *batch) add(a bot.Applied) error {
	who := a.Citizen
	switch e := a.Effect.(type) {
	case Keep:
		b.keep[place{who, e.Code}] = &a.At
	case Follow:
		b.keep[place{who, e.Code}] = &a.At
		b.follow[place{who, e.Code}] = &a.At
	case Unfollow:
		b.follow[place{who, e.Code}] = nil
	case UnfollowAll:
		b.unfollowAll[who] = true
		forget(b.follow, who)
	case Rate:
		b.ratings = append(b.ratings, a)
	case Drop:
		b.keep[place{who, e.Code}] = nil
		delete(b.follow, place{who, e.Code})
	case DropAll:
		b.dropAll[who] = true
		forget(b.keep, who)
		forget(b.follow, who)
	case GrantProof:
		b.grants = append(b.grants, a)
	case AskCallback:
		b.callback[place{who, e.Code}] = &a.At
	case CancelCallback:
		b.callback[place{who, e.Code}] = nil
	case CancelCallbacks:
		b.cancelAll[who] = true
		forget(b.callback, who)
	default:
		return fmt.Errorf("apply dossier effect: %T is none", a.Effect)
	}
	return nil
}

func forget(m map[place]*time.Time, who bot.CitizenID) {
	for p := range m {
		if p.who == who {
			delete(m, p)
		}
	}
}

func (b *batch) write(ctx context.Context, tx pgx.Tx) error {
	q := &pgx.Batch{}
	if len(b.dropAll) > 0 {
		oas, citizens := people(b.dropAll)
		q.Queue(`
			WITH gone AS (
				DELETE FROM dossier_kept k USING unnest($1::text[], $2::text[]) AS w(oa_id, citizen)
				WHERE k.oa_id = w.oa_id AND k.citizen = w.citizen
				RETURNING k.oa_id, k.citizen, k.code_hash)
			`+shortenProofs, oas, citizens, ProofShort)
	}
	if c := b.columns(b.keep, false); len(c.oas) > 0 {
		q.Queue(`
			WITH gone AS (
				DELETE FROM dossier_kept k USING unnest($1::text[], $2::text[], $4::bytea[]) AS w(oa_id, citizen, code_hash)
				WHERE k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.code_hash = w.code_hash
				RETURNING k.oa_id, k.citizen, k.code_hash)
			`+shortenProofs, c.oas, c.citizens, ProofShort, c.hashes)
	}
	if c := b.columns(b.keep, true); len(c.oas) > 0 {
		q.Queue(`
			INSERT INTO dossier_kept (oa_id, citizen, code_hash, code, kept_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::timestamptz[])
			ON CONFLICT DO NOTHING`, c.oas, c.citizens, c.hashes, c.sealed, c.times)
		// A proof that still stands now holds for 30 days; one that has run out
		// stays so.
		q.Queue(`
			UPDATE dossier_proof p SET expires_at = p.granted_at + $5::interval
			FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[]) AS w(oa_id, citizen, code_hash, at)
			WHERE p.oa_id = w.oa_id AND p.citizen = w.citizen AND p.code_hash = w.code_hash AND p.expires_at > w.at`,
			c.oas, c.citizens, c.hashes, c.times, ProofKept)
	}
	b.queueFollows(q)
	if len(b.grants) > 0 {
		b.queueGrants(q)
	}
	if len(b.cancelAll) > 0 {
		oas, citizens := people(b.cancelAll)
		q.Queue(`
			DELETE FROM dossier_callback c USING unnest($1::text[], $2::text[]) AS w(oa_id, citizen)
			WHERE c.oa_id = w.oa_id AND c.citizen = w.citizen`, oas, citizens)
	}
	if c := b.columns(b.callback, false); len(c.oas) > 0 {
		q.Queue(`
			DELETE FROM dossier_callback c USING unnest($1::text[], $2::text[], $3::bytea[]) AS w(oa_id, citizen, code_hash)
			WHERE c.oa_id = w.oa_id AND c.citizen = w.citizen AND c.code_hash = w.code_hash`, c.oas, c.citizens, c.hashes)
	}
	if c := b.columns(b.callback, true); len(c.oas) > 0 {
		q.Queue(`
			INSERT INTO dossier_callback (oa_id, citizen, code_hash, code, asked_at, due_at)
			SELECT oa_id, citizen, code_hash, code, at, at + $6::interval
			FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::timestamptz[]) AS w(oa_id, citizen, code_hash, code, at)
			ON CONFLICT (oa_id, citizen, code_hash)
			DO UPDATE SET asked_at = excluded.asked_at, due_at = excluded.due_at, tries = 0`,
			c.oas, c.citizens, c.hashes, c.sealed, c.times, callbackFirst)
	}
	if q.Len() > 0 {
		if err := tx.SendBatch(ctx, q).Close(); err != nil {
			return fmt.Errorf("apply dossier effects: %w", err)
		}
	}
	return b.rate(ctx, tx)
}

// shortenProofs ends the long proofs of dossiers no longer kept.
const shortenProofs = `
	UPDATE dossier_proof p SET expires_at = least(p.expires_at, p.granted_at + $3::interval)
	FROM gone g
	WHERE p.oa_id = g.oa_id AND p.citizen = g.citizen AND p.code_hash = g.code_hash`

// queueGrants makes proofs out of the right guesses of the same events. An event
// without one grants nothing, whatever a flow or a payload says.
func (b *batch) queueGrants(q *pgx.Batch) {
	var oas, citizens []string
	var codes, people, events [][]byte
	var times []time.Time
	for _, a := range b.grants {
		oas = append(oas, a.Citizen.OA)
		citizens = append(citizens, a.Citizen.User)
		codes = append(codes, b.s.codeHash(a.Effect.(GrantProof).Code))
		people = append(people, b.s.citizenHash(a.Citizen))
		events = append(events, b.s.eventHash(a.EventID))
		times = append(times, a.At)
	}
	q.Queue(`
		INSERT INTO dossier_proof (oa_id, citizen, code_hash, dossier_hash, granted_at, expires_at)
		SELECT DISTINCT ON (w.oa_id, w.citizen, w.code_hash)
		       w.oa_id, w.citizen, w.code_hash, g.dossier_hash, w.at,
		       w.at + CASE WHEN k.code_hash IS NULL THEN $7::interval ELSE $8::interval END
		FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::timestamptz[])
		     AS w(oa_id, citizen, code_hash, citizen_hash, event_hash, at)
		JOIN dossier_guess g ON g.code_hash = w.code_hash AND g.citizen_hash = w.citizen_hash
		     AND g.event_hash = w.event_hash AND g.dossier_hash IS NOT NULL
		LEFT JOIN dossier_kept k ON k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.code_hash = w.code_hash
		ORDER BY w.oa_id, w.citizen, w.code_hash, w.at DESC
		ON CONFLICT (oa_id, citizen, code_hash) DO UPDATE
		SET dossier_hash = excluded.dossier_hash, granted_at = excluded.granted_at, expires_at = excluded.expires_at`,
		oas, citizens, codes, people, events, times, ProofShort, ProofKept)
}

// columns are rows turned on their side, for unnest.
type columns struct {
	oas, citizens  []string
	hashes, sealed [][]byte
	times          []time.Time
}

// columns takes the places to be set, or those to be unset.
func (b *batch) columns(m map[place]*time.Time, set bool) (c columns) {
	for p, at := range m {
		if (at != nil) != set {
			continue
		}
		c.oas = append(c.oas, p.who.OA)
		c.citizens = append(c.citizens, p.who.User)
		c.hashes = append(c.hashes, b.s.codeHash(p.code))
		if set {
			c.sealed = append(c.sealed, b.s.sealCode(p.code))
			c.times = append(c.times, *at)
		}
	}
	return c
}

func people(m map[bot.CitizenID]bool) (oas, citizens []string) {
	for who := range m {
		oas = append(oas, who.OA)
		citizens = append(citizens, who.User)
	}
	return oas, citizens
}
