package staff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditKept is how long the audit is kept, counted from the end of a month. The
// database's function refuses to drop earlier, whoever asks.
const AuditKept = 12 // months

// sum is SHA-256 over all of r but its hash, each part with its length before it.
func (r Record) sum() []byte {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	part(binary.BigEndian.AppendUint64(nil, uint64(r.Seq)))
	part(binary.BigEndian.AppendUint64(nil, uint64(r.At.UnixMicro())))
	for _, s := range []string{r.Actor, r.Action, r.Object, r.Agency, r.Result, r.Detail, r.IP} {
		part([]byte(s))
	}
	part(r.Prev)
	return h.Sum(nil)
}

// Broken is returned by Verify for the first entry that does not fit.
type Broken struct {
	Seq int64
	Why string
}

// Error tells where the chain breaks, and how.
func (e *Broken) Error() string { return fmt.Sprintf("the audit breaks at entry %d: %s", e.Seq, e.Why) }

// verifyPage is how many entries Verify reads at once.
const verifyPage = 500

// Verify follows the chain from the oldest entry kept to the newest, and tells how
// many entries fit; the error is *Broken where one does not. Whoever owns the
// database could write a whole chain anew: compare the newest entry's hash with
// the one that Tidy wrote to the log.
func (s *Store) Verify(ctx context.Context) (rows int, err error) {
	var last *Record
	for {
		var after int64 // numbers begin with 1
		if last != nil {
			after = last.Seq
		}
		page, err := s.records(ctx, selectAudit+` WHERE seq > $1 ORDER BY seq LIMIT $2`, after, verifyPage)
		if err != nil {
			return rows, fmt.Errorf("verify the audit: %w", err)
		}
		for _, r := range page {
			if broken := r.follows(last); broken != nil {
				return rows, broken
			}
			rows++
			last = &r
		}
		if len(page) < verifyPage {
			return rows, nil
		}
	}
}

// follows tells what is wrong with r after last, which is nil for the oldest entry.
func (r Record) follows(last *Record) error {
	switch {
	case last != nil && r.Seq != last.Seq+1:
		return &Broken{r.Seq, fmt.Sprintf("the entry before it has the number %d", last.Seq)}
	case last != nil && !bytes.Equal(r.Prev, last.Hash):
		return &Broken{r.Seq, "it was not written after the entry before it"}
	case last != nil && r.At.Before(last.At):
		return &Broken{r.Seq, "it is older than the entry before it"}
	case !bytes.Equal(r.Hash, r.sum()):
		return &Broken{r.Seq, "it was altered"}
	}
	return nil
}

// Head is the newest entry; ok is false while there is none.
func (s *Store) Head(ctx context.Context) (r Record, ok bool, err error) {
	list, err := s.Entries(ctx, Filter{}, Page{Size: 1})
	if err != nil || len(list) == 0 {
		return Record{}, false, err
	}
	return list[0], true, nil
}

// tidier does what the calendar asks.
var tidier = Actor{ID: "system"}

// Tidy makes the audit's partitions ahead, a month each, drops those that ended
// AuditKept months ago, which is audited itself, and writes the newest entry's
// number and hash to the log, where no owner of the database can alter them.
func (s *Store) Tidy(ctx context.Context, now time.Time) error {
	err := s.inTx(ctx, "tidy the audit", func(tx pgx.Tx) error {
		// First, for dropping waits for everybody who reads or writes the table.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, auditLock); err != nil {
			return err
		}
		var dropped int
		err := tx.QueryRow(ctx, `SELECT drop_audit_partitions($2) FROM make_audit_partitions($1)`,
			now.UTC(), now.UTC().AddDate(0, -AuditKept, 0)).Scan(&dropped)
		if err != nil || dropped == 0 {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: tidier, Action: "audit.drop", Object: "audit", Detail: map[string]any{"months": dropped}})
	})
	if err != nil {
		return err
	}
	head, ok, err := s.Head(ctx)
	if ok {
		slog.Info("audit_head", "seq", head.Seq, "hash", fmt.Sprintf("%x", head.Hash))
	}
	return err
}
