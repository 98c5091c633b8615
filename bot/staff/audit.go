package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// auditLock is the advisory lock under which the chain grows: "audit" in ASCII.
const auditLock int64 = 0x6175646974

// done is the result of an act that has nothing else to say.
const done = "done"

// Entry is one act.
type Entry struct {
	Actor  Actor
	Action string         // a feature's word and a verb: "broadcast.approve"
	Object string         // what it was done to, by kind and id: "broadcast:17"
	Agency string         // in whose name, when in any
	Result string         // empty means done
	Detail map[string]any // what helps to understand it; never a resident's data
}

// Record is an entry as it is kept.
type Record struct {
	Seq    int64
	At     time.Time
	Actor  string
	Action string
	Object string
	Agency string
	Result string
	Detail string // JSON
	IP     string // empty for acts at the machine
	Prev   []byte
	Hash   []byte
}

// Audit adds an entry to the chain, in the transaction of the act it tells of: both
// are there or neither. It must be the transaction's last statement, or nearly:
// from here to the commit everybody else's audit waits. tx must be of READ
// COMMITTED, and must not wait afterwards for a row somebody else may hold.
//
// Times never run backwards along the chain, whatever the instances' clocks say,
// so that the oldest months can be dropped without leaving a gap.
func (s *Store) Audit(ctx context.Context, tx pgx.Tx, e Entry) error {
	if e.Actor.ID == "" || e.Action == "" {
		return errors.New("audit: an entry needs an actor and an action")
	}
	if e.Result == "" {
		e.Result = done
	}
	if e.Detail == nil {
		e.Detail = map[string]any{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("audit %s: encode its detail: %w", e.Action, err)
	}
	r := Record{Actor: e.Actor.ID, Action: e.Action, Object: e.Object, Agency: e.Agency, Result: e.Result, IP: e.Actor.IP}
	var last time.Time
	var sound bool
	// The lock comes by itself, before a statement about the table is even parsed:
	// the next one sees what the lock's last holder wrote, and whoever waits here
	// stands in no way of a partition being dropped (see Tidy).
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, auditLock); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	// By the primary keys of the partitions, read backwards. The detail is hashed as
	// Postgres writes it.
	err = tx.QueryRow(ctx, `
SELECT coalesce(a.seq, 0), coalesce(a.hash, ''), coalesce(a.at, '0001-01-01T00:00:00Z'), d.detail::jsonb::text,
       current_setting('transaction_isolation') = 'read committed'
FROM (SELECT $1::text) d (detail) LEFT JOIN (SELECT seq, hash, at FROM audit ORDER BY seq DESC LIMIT 1) a ON true`,
		string(detail)).Scan(&r.Seq, &r.Prev, &last, &r.Detail, &sound)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	if !sound {
		return fmt.Errorf("audit %s: the transaction does not see the newest entry", e.Action)
	}
	r.Seq++
	r.At = s.now().UTC().Truncate(time.Microsecond)
	if r.At.Before(last) {
		r.At = last
	}
	r.Hash = r.sum()
	_, err = tx.Exec(ctx, `
INSERT INTO audit (seq, at, actor, action, object, agency, result, detail, ip, prev, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, nullif($9, ''), $10, $11)`,
		r.Seq, r.At, r.Actor, r.Action, r.Object, r.Agency, r.Result, r.Detail, r.IP, r.Prev, r.Hash)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

// Filter narrows a list of entries; what is empty does not narrow.
type Filter struct {
	Actor    string
	Action   string // the whole word, or a feature: "broadcast." is all it did
	Object   string
	Agency   string
	From, To time.Time // from From, before To
}

// Page is a part of a list: what comes before the entry with the number Before
// (zero: the newest), at most Size entries.
type Page struct {
	Before int64
	Size   int
}

const selectAudit = `
SELECT seq, at, actor, action, object, agency, result, detail::text, coalesce(ip, ''), prev, hash FROM audit`

// Entries lists entries, the newest first. The next page is what comes before the
// last one's Seq.
func (s *Store) Entries(ctx context.Context, f Filter, p Page) ([]Record, error) {
	where, args := []string{"true"}, []any{p.Size}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	for column, value := range map[string]string{"actor": f.Actor, "object": f.Object, "agency": f.Agency} {
		if value != "" {
			and(column+" = $%d", value)
		}
	}
	if strings.HasSuffix(f.Action, ".") {
		and("starts_with(action, $%d)", f.Action)
	} else if f.Action != "" {
		and("action = $%d", f.Action)
	}
	if !f.From.IsZero() {
		and("at >= $%d", f.From)
	}
	if !f.To.IsZero() {
		and("at < $%d", f.To)
	}
	if p.Before != 0 {
		and("seq < $%d", p.Before)
	}
	// One object's entries come by the index audit_object, others by the primary key.
	list, err := s.records(ctx, selectAudit+` WHERE `+strings.Join(where, " AND ")+` ORDER BY seq DESC LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return list, nil
}

func (s *Store) records(ctx context.Context, sql string, args ...any) ([]Record, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Record])
}
