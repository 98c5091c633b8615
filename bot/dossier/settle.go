package dossier

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// settled is what is written of a dossier that was looked at.
type settled struct {
	hash      []byte
	lease     time.Time
	alias     []byte
	changedAt *time.Time
	looked    bool // the system answered
	lookAt    time.Time
	every     time.Duration
	hintAt    *time.Time // nil: no hint is left
	hintFor   *time.Time
	remindAt  *time.Time
	dueTold   *time.Time
	lateTold  *time.Time
	missing   *time.Time
	tries     int
	lastError string
}

// again puts the next look at a time, before the ordinary ones where it is urgent.
func (s *settled) again(at time.Time, urgent bool) {
	if urgent {
		s.hintAt = &at
	} else {
		s.lookAt = at
	}
}

// settle writes what quiet looks came to, in one statement. A hint that came
// meanwhile stays.
func (s *Store) settle(ctx context.Context, list []settled, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, settleSQL, columnsOf(list, now)...)
	if err != nil {
		return fmt.Errorf("settle looks: %w", err)
	}
	return nil
}

const settleSQL = `
	UPDATE dossier_watch w
	SET alias_hash = coalesce(n.alias, w.alias_hash), changed_at = n.changed_at,
	    looked_at = CASE WHEN n.looked THEN $16 ELSE w.looked_at END,
	    look_at = n.look_at, every_s = n.every_s,
	    hint_at = CASE WHEN w.hint_at = n.lease THEN n.hint_at ELSE w.hint_at END,
	    hint_for = CASE WHEN w.hint_at = n.lease THEN n.hint_for ELSE w.hint_for END,
	    remind_at = n.remind_at, due_told = n.due_told, late_told = n.late_told,
	    missing_since = n.missing, tries = n.tries, last_error = nullif(n.last_error, '')
	FROM unnest($1::bytea[], $2::timestamptz[], $3::bytea[], $4::timestamptz[], $5::boolean[], $6::timestamptz[], $7::integer[],
	            $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
	            $14::smallint[], $15::text[])
	     AS n(code_hash, lease, alias, changed_at, looked, look_at, every_s, hint_at, hint_for, remind_at, due_told, late_told,
	          missing, tries, last_error)
	WHERE w.code_hash = n.code_hash`

// columnsOf turns what is settled on its side, for settleSQL.
func columnsOf(list []settled, now time.Time) []any {
	n := len(list)
	hashes, aliases := make([][]byte, n), make([][]byte, n)
	leases, lookAt := make([]time.Time, n), make([]time.Time, n)
	changed, hintAt, hintFor, remind := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	due, late, missing := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	looked := make([]bool, n)
	every := make([]int32, n)
	tries := make([]int16, n)
	errs := make([]string, n)
	for i, s := range list {
		hashes[i], leases[i], aliases[i], changed[i], looked[i], lookAt[i] = s.hash, s.lease, s.alias, s.changedAt, s.looked, s.lookAt
		every[i] = int32(s.every / time.Second)
		hintAt[i], hintFor[i], remind[i], due[i], late[i], missing[i] = s.hintAt, s.hintFor, s.remindAt, s.dueTold, s.lateTold, s.missing
		tries[i], errs[i] = int16(min(s.tries, 1000)), s.lastError
	}
	return []any{hashes, leases, aliases, changed, looked, lookAt, every, hintAt, hintFor, remind, due, late, missing, tries, errs, now}
}

// end takes a dossier out of the watch, and its followers' wish with it.
func (s *Store) end(ctx context.Context, hash []byte) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.endIn(ctx, tx, hash) })
}

func (s *Store) endIn(ctx context.Context, tx pgx.Tx, hash []byte) error {
	for _, statement := range []string{
		`DELETE FROM dossier_watch WHERE code_hash = $1`,
		`UPDATE dossier_kept SET follow = NULL WHERE code_hash = $1 AND follow IS NOT NULL`,
	} {
		if _, err := tx.Exec(ctx, statement, hash); err != nil {
			return fmt.Errorf("end watching: %w", err)
		}
	}
	return nil
}
