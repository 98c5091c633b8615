package broadcast

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/seal"
)

const (
	// keptAfterReport is how long a list's numbers stay after the report about them.
	keptAfterReport = 30 * 24 * time.Hour
	// keptUnused is how long they wait for a report: as long as an approval of a
	// recurring broadcast holds, and the time after.
	keptUnused = 90*24*time.Hour + keptAfterReport
	// toldFaults is how many faults are told one by one; all of them are counted.
	toldFaults = 1_000
	// listBatch is how many numbers go into the table at once.
	listBatch = 5_000
	// headRows is how far down headings are looked for.
	headRows = 20
)

// Upload says what a list is, as its uploader declares.
type Upload struct {
	OA     string
	Title  string
	Source string // where the numbers come from
	Basis  string // the legal basis for using them
	By     string // staff account
}

// List is an uploaded list.
type List struct {
	ID         int64
	Title      string
	Source     string
	Basis      string
	Digest     []byte // of its numbers, whatever their order
	People     int    // different numbers
	Duplicates int
	Faults     int
	UploadedBy string
	UploadedAt time.Time
	PurgeAt    time.Time
	PurgedAt   time.Time // zero while its numbers are there
}

// RowFault is what is wrong with one row of a list.
type RowFault struct {
	Row   int    // in the file, from 1
	Value string // masked
	Why   string // the end of a key under broadcast.list.fault
}

// UploadList reads a CSV or Excel file of phone numbers and keeps them, sealed.
// Rows with a fault are left out and told. corrected gets a CSV for Excel, to be
// mended and uploaded again: every row, its number as it was understood or as it
// stood, and what is wrong with it; it is the uploader's own data and kept nowhere.
// A file that cannot be used at all is *Refused.
func (s *Store) UploadList(ctx context.Context, up Upload, file io.ReaderAt, size int64, corrected io.Writer, lang string, now time.Time) (List, []RowFault, error) {
	if strings.TrimSpace(up.Source) == "" || strings.TrimSpace(up.Basis) == "" || strings.TrimSpace(up.Title) == "" {
		return List{}, nil, refuse("list_undeclared")
	}
	rows, err := openSheet(file, size)
	if err != nil {
		return List{}, nil, err
	}
	defer rows.close()
	out := newCorrected(corrected, s.Texts, lang)
	list := List{Title: up.Title, Source: up.Source, Basis: up.Basis, UploadedBy: up.By, UploadedAt: now, PurgeAt: now.Add(keptUnused)}
	var faults []RowFault
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
INSERT INTO broadcast_list (oa_id, title, source, basis, digest, people, duplicates, faults, uploaded_by, uploaded_at, purge_at)
VALUES ($1, $2, $3, $4, '', 0, 0, 0, $5, $6, $7) RETURNING id`,
			up.OA, up.Title, up.Source, up.Basis, up.By, now, list.PurgeAt).Scan(&list.ID)
		if err != nil {
			return fmt.Errorf("keep list: %w", err)
		}
		in := &listWriter{tx: tx, keys: s.Keys, list: list.ID, seen: map[[seal.HashSize]byte]bool{}}
		err = readList(rows, func(row int, value string) error {
			phone, why := readPhone(value)
			if why == "" {
				fresh, err := in.add(ctx, phone)
				if err != nil {
					return err
				}
				if fresh {
					return out.write(row, phone, value, "")
				}
				list.Duplicates++
				why = faultDuplicate
			} else {
				list.Faults++
			}
			if len(faults) < toldFaults {
				faults = append(faults, RowFault{Row: row, Value: maskValue(value), Why: why})
			}
			return out.write(row, phone, value, why)
		})
		if err != nil {
			return err
		}
		if err := in.flush(ctx); err != nil {
			return err
		}
		if list.People = len(in.seen); list.People == 0 {
			return refuse("list_nobody")
		}
		list.Digest = in.digest()
		_, err = tx.Exec(ctx, `UPDATE broadcast_list SET digest = $2, people = $3, duplicates = $4, faults = $5 WHERE id = $1`,
			list.ID, list.Digest, list.People, list.Duplicates, list.Faults)
		if err != nil {
			return fmt.Errorf("keep list: %w", err)
		}
		return out.flush()
	})
	if err != nil {
		return List{}, faults, err
	}
	return list, faults, nil
}

// readList hands on the value in the column of numbers, row by row. Rows that are
// empty altogether are passed over.
func readList(rows source, each func(row int, value string) error) error {
	column, known, looked, n := 0, false, 0, 0
	for {
		cells, row, err := rows.next()
		if errors.Is(err, io.EOF) {
			if !known {
				return refuse("list_column")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue
		}
		if n++; n > MaxListRows {
			return refuse("list_rows", "Most", MaxListRows)
		}
		if !known {
			var head bool
			if column, head, known = phoneColumn(cells); !known {
				if looked++; looked > headRows {
					return refuse("list_column")
				}
				continue // a title above the headings
			}
			if head {
				continue
			}
		}
		value := ""
		if column < len(cells) {
			value = cells[column]
		}
		if err := each(row, value); err != nil {
			return err
		}
	}
}

// listWriter puts numbers into the table, each once. It keeps hashes, not numbers.
type listWriter struct {
	tx     pgx.Tx
	keys   *seal.Keyring
	list   int64
	seen   map[[seal.HashSize]byte]bool
	hashes [][]byte
	sealed [][]byte
}

// add reports whether the number was not there yet.
func (w *listWriter) add(ctx context.Context, phone string) (bool, error) {
	hash := w.keys.Hash("phone", phone)
	key := [seal.HashSize]byte(hash)
	if w.seen[key] {
		return false, nil
	}
	w.seen[key] = true
	w.hashes, w.sealed = append(w.hashes, hash), append(w.sealed, w.keys.Seal("list", []byte(phone)))
	if len(w.hashes) < listBatch {
		return true, nil
	}
	return true, w.flush(ctx)
}

func (w *listWriter) flush(ctx context.Context) error {
	_, err := w.tx.Exec(ctx, `
INSERT INTO broadcast_list_row (list, phone_hash, phone) SELECT $1, * FROM unnest($2::bytea[], $3::bytea[])`,
		w.list, w.hashes, w.sealed)
	if err != nil {
		return fmt.Errorf("keep numbers of a list: %w", err)
	}
	w.hashes, w.sealed = w.hashes[:0], w.sealed[:0]
	return nil
}

// digest is SHA-256 over the hashes in their order.
func (w *listWriter) digest() []byte {
	all := make([][seal.HashSize]byte, 0, len(w.seen))
	for key := range w.seen {
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b [seal.HashSize]byte) int { return bytes.Compare(a[:], b[:]) })
	sum := sha256.New()
	for _, key := range all {
		sum.Write(key[:])
	}
	return sum.Sum(nil)
}

// correctedFile writes the file that is given back.
type correctedFile struct {
	buf   *bufio.Writer
	csv   *csv.Writer
	words func(why string) string
}

func newCorrected(w io.Writer, texts bot.Texts, lang string) *correctedFile {
	buf := bufio.NewWriter(w)
	buf.WriteString("\uFEFF") // or Excel takes UTF-8 for something else; errors stay until flush
	f := &correctedFile{buf: buf, csv: csv.NewWriter(buf)}
	f.words = func(why string) string {
		if why == "" {
			return ""
		}
		return texts.Text(lang, "broadcast.list.fault."+why, nil)
	}
	f.csv.Write([]string{texts.Text(lang, "broadcast.list.head.phone", nil),
		texts.Text(lang, "broadcast.list.head.row", nil), texts.Text(lang, "broadcast.list.head.fault", nil)})
	return f
}

// write adds a row. Blanks in the number keep a spreadsheet from taking it for one.
func (f *correctedFile) write(row int, phone, value, why string) error {
	said := "'" + strings.TrimLeft(plainNumber(value), "=+-@\t")
	if phone != "" {
		national := "0" + phone[2:]
		said = national[:4] + " " + national[4:7] + " " + national[7:]
	}
	return f.csv.Write([]string{said, strconv.Itoa(row), f.words(why)})
}

func (f *correctedFile) flush() error {
	f.csv.Flush()
	if err := errors.Join(f.csv.Error(), f.buf.Flush()); err != nil {
		return fmt.Errorf("write the corrected list: %w", err)
	}
	return nil
}

// ListCount is how many of a list the channel can reach.
type ListCount struct {
	Channel int64 // numbers that somebody on the channel stated
	Proven  int64 // of them, numbers that also stand on a dossier the person opened
	Absent  int64 // numbers nobody on the channel stated
}

// CountList tells who of a list is on the channel.
func (s *Store) CountList(ctx context.Context, oa string, id int64) (ListCount, error) {
	var c ListCount
	// By broadcast_list_row's key and citizen_phone.
	err := s.Pool.QueryRow(ctx, `
SELECT count(*) FILTER (WHERE n > 0), count(*) FILTER (WHERE proven > 0), count(*) FILTER (WHERE n = 0)
FROM (SELECT count(c.citizen) AS n, count(c.phone_proven_at) AS proven
	FROM broadcast_list_row r LEFT JOIN citizen c ON c.phone_hash = r.phone_hash AND c.oa_id = $1
	WHERE r.list = $2 GROUP BY r.phone_hash) x`, oa, id).Scan(&c.Channel, &c.Proven, &c.Absent)
	if err != nil {
		return c, fmt.Errorf("count list %d: %w", id, err)
	}
	return c, nil
}

// GetList reads the head of a list; ErrNotFound where there is none.
func (s *Store) GetList(ctx context.Context, id int64) (List, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT id, title, source, basis, digest, people, duplicates, faults, uploaded_by, uploaded_at, purge_at,
	coalesce(purged_at, '0001-01-01T00:00:00Z')
FROM broadcast_list WHERE id = $1`, id)
	if err != nil {
		return List{}, fmt.Errorf("read list %d: %w", id, err)
	}
	list, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[List])
	if errors.Is(err, pgx.ErrNoRows) {
		return List{}, ErrNotFound
	}
	if err != nil {
		return List{}, fmt.Errorf("read list %d: %w", id, err)
	}
	return list, nil
}

// listThere refuses a list whose numbers are gone: nobody would be in it.
func (s *Store) listThere(ctx context.Context, id int64) error {
	if id == 0 {
		return nil
	}
	list, err := s.GetList(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && !list.PurgedAt.IsZero() {
		return refuse("list_gone")
	}
	return err
}

// listDigest is the digest of a list, in the caller's transaction.
func (s *Store) listDigest(ctx context.Context, tx pgx.Tx, id int64) (digest []byte, err error) {
	err = tx.QueryRow(ctx, `SELECT digest FROM broadcast_list WHERE id = $1`, id).Scan(&digest)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, refuse("list_gone")
	}
	if err != nil {
		return nil, fmt.Errorf("read digest of list %d: %w", id, err)
	}
	return digest, nil
}

// ListReported lets a list's numbers go 30 days after the report of the broadcast
// that used it, in the caller's transaction.
func (s *Store) ListReported(ctx context.Context, tx pgx.Tx, id int64, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE broadcast_list SET purge_at = $2 WHERE id = $1 AND purged_at IS NULL`, id, at.Add(keptAfterReport))
	if err != nil {
		return fmt.Errorf("note the report about list %d: %w", id, err)
	}
	return nil
}

// PurgeLists deletes the numbers of lists that have been kept long enough. What was
// declared about them stays.
func (s *Store) PurgeLists(ctx context.Context, now time.Time) (n int64, err error) {
	tag, err := s.Pool.Exec(ctx, `
WITH due AS (UPDATE broadcast_list SET purged_at = $1 WHERE purge_at <= $1 AND purged_at IS NULL RETURNING id)
DELETE FROM broadcast_list_row WHERE list IN (SELECT id FROM due)`, now)
	if err != nil {
		return 0, fmt.Errorf("purge lists: %w", err)
	}
	return tag.RowsAffected(), nil
}
