// Package inbox keeps every event Zalo delivered until its turn is committed.
//
// It promises three things: what Accept returned nil for survives a crash; the
// same event has one effect; one citizen's waiting events are claimed by one
// instance at a time, in the order of their signed time.
//
// The same event is told apart in two places. While it waits, by the inbox's
// key. Once it was turned, by the table turned_event, which the turn's commit
// fills: so the statement that a webhook waits for touches one narrow table and
// one index, and looks nothing up.
package inbox

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/group"
	"congdanso/bot/seal"
)

// ErrUnavailable means that Postgres cannot be reached: the delivery was not
// kept, and Zalo has to try again.
var ErrUnavailable = errors.New("inbox unavailable")

const (
	// bodyPurpose binds sealed bodies to this table.
	bodyPurpose = "inbox"
	// sharers is how many statements are under way at once. Two: while one
	// waits for its flush, the next gathers and runs.
	sharers = 2
	// mostAtOnce is how many events one statement takes.
	mostAtOnce = 512
	// pause is how long deliveries are refused at once after Postgres could not
	// be reached, before it is tried again.
	pause = 200 * time.Millisecond
	// keepFor is how long a turned event's identity is kept. Zalo's last retry
	// comes within two hours; an event signed longer ago is not taken any more,
	// for whether it was turned can no longer be known.
	keepFor = 8 * 24 * time.Hour
)

// Inbox is the durable queue in front of the turns.
type Inbox struct {
	pool   *pgxpool.Pool
	keys   *seal.Keyring
	group  *group.Group[entry]
	wake   func([]bot.CitizenID)
	closed atomic.Int64 // unix nanoseconds until which Postgres counts as away
	recent recent

	mu      sync.Mutex
	refused time.Time // first delivery refused and not yet written down
}

// entry is an event on its way into the table.
type entry struct {
	who      bot.CitizenID
	key      []byte
	signed   time.Time
	accepted time.Time
	ours     bool
	body     []byte // sealed
}

// New returns an inbox. wake is told whose events have just become durable; it
// must not block.
func New(pool *pgxpool.Pool, keys *seal.Keyring, wake func([]bot.CitizenID)) *Inbox {
	in := &Inbox{pool: pool, keys: keys, wake: wake}
	in.group = group.New(sharers, mostAtOnce, in.insert)
	return in
}

// Run keeps events until ctx ends.
func (in *Inbox) Run(ctx context.Context) error { return in.group.Run(ctx) }

// Accept stores ev with its raw body and returns once it is durable. Calls that
// arrive together share one INSERT. An event that waits already is success, and
// so is one signed so long ago that it cannot be told from a repetition.
func (in *Inbox) Accept(ctx context.Context, ev bot.Event, raw []byte) error {
	if ev.AcceptedAt.Sub(ev.SignedAt) > keepFor-24*time.Hour {
		slog.Warn("event dropped: signed too long ago", "event", ev.Name)
		return nil
	}
	if time.Now().UnixNano() < in.closed.Load() {
		in.noteRefused(ev.AcceptedAt)
		return ErrUnavailable
	}
	key := in.Key(ev.ID)
	if ev.Body != nil { // what was read back from Zalo's chats is decoded from raw
		in.recent.put(key, ev)
	}
	err := in.group.Do(ctx, entry{
		who: ev.Citizen, key: key, signed: ev.SignedAt, accepted: ev.AcceptedAt,
		body: in.keys.Seal(bodyPurpose, raw),
	})
	if err != nil {
		in.recent.take(key)
		in.noteRefused(ev.AcceptedAt)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, group.ErrStopped) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	slog.Debug("event kept", "event_id", ShortID(key), "event", ev.Name, "kept", err == nil)
	return err
}

// ShortID is what logs call an event: the beginning of its key.
func ShortID(key []byte) string { return hex.EncodeToString(key[:min(6, len(key))]) }

// Key is the keyed hash under which an event's identity is kept.
func (in *Inbox) Key(id string) []byte { return in.keys.Hash("event", id) }

const insertSQL = `
INSERT INTO inbox (oa_id, citizen, key, signed_at, accepted_at, ours, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::bool[], $7::bytea[])
ON CONFLICT DO NOTHING`

// insert writes a batch in key order, so that batches of other instances cannot
// wait for each other in a circle. When the statement fails through one row, it
// is repeated row by row.
func (in *Inbox) insert(ctx context.Context, batch []entry) []error {
	ctx, cancel := context.WithTimeout(ctx, 1400*time.Millisecond)
	defer cancel()
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(batch[a], batch[b]) })
	sorted := make([]entry, len(batch))
	for i, j := range order {
		sorted[i] = batch[j]
	}
	err := exec(ctx, in.pool, sorted)
	if err == nil {
		in.closed.Store(0)
		in.wake(citizens(sorted))
		return nil
	}
	errs := make([]error, len(batch))
	if !faultOfData(err) {
		in.closed.Store(time.Now().Add(pause).UnixNano())
		slog.Error("inbox cannot commit", "events", len(batch), "error", err)
		for i := range errs {
			errs[i] = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return errs
	}
	for i := range batch {
		if err := exec(ctx, in.pool, batch[i:i+1]); err != nil {
			errs[i] = fmt.Errorf("accept event: %w", err)
			continue
		}
		in.wake([]bot.CitizenID{batch[i].who})
	}
	return errs
}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func exec(ctx context.Context, db execer, batch []entry) error {
	n := len(batch)
	oas, users := make([]string, n), make([]string, n)
	keys, bodies := make([][]byte, n), make([][]byte, n)
	signed, accepted := make([]time.Time, n), make([]time.Time, n)
	ours := make([]bool, n)
	for i, e := range batch {
		oas[i], users[i], keys[i], bodies[i] = e.who.OA, e.who.User, e.key, e.body
		signed[i], accepted[i], ours[i] = e.signed, e.accepted, e.ours
	}
	_, err := db.Exec(ctx, insertSQL, oas, users, keys, signed, accepted, ours, bodies)
	return err
}

func compare(a, b entry) int {
	return cmp.Or(compareIDs(a.who, b.who), slices.Compare(a.key, b.key))
}

func compareIDs(a, b bot.CitizenID) int {
	return cmp.Or(strings.Compare(a.OA, b.OA), strings.Compare(a.User, b.User))
}

func citizens(batch []entry) []bot.CitizenID {
	who := make([]bot.CitizenID, 0, len(batch))
	for _, e := range batch {
		if len(who) == 0 || who[len(who)-1] != e.who {
			who = append(who, e.who)
		}
	}
	return who
}

// faultOfData reports whether err is Postgres's refusal of what was in a row
// (classes 22 and 23), so that other rows of the statement may be sound.
func faultOfData(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (strings.HasPrefix(pgErr.Code, "22") || strings.HasPrefix(pgErr.Code, "23"))
}

// Bury keeps a verified delivery that cannot be decoded as a dead letter.
func (in *Inbox) Bury(ctx context.Context, oa string, raw []byte, cause string, at time.Time) error {
	_, err := in.pool.Exec(ctx, `
INSERT INTO dead_letter (oa_id, citizen, key, cause, signed_at, died_at, body)
VALUES ($1, '', $2, $3, $4, $4, $5)`,
		oa, in.keys.Hash("event", string(raw)), clean(cause), at, in.keys.Seal(bodyPurpose, raw))
	if err != nil {
		in.noteRefused(at)
		return fmt.Errorf("%w: bury delivery: %w", ErrUnavailable, err)
	}
	return nil
}

// clean makes a cause storable: Postgres takes no NUL bytes in text.
func clean(cause string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(cause, "\x00", ""), "")
}

// Put puts an event of our own into the inbox, inside the transaction that
// settles the promise it fulfils. id tells repetitions apart. The poll finds it.
func (in *Inbox) Put(ctx context.Context, tx pgx.Tx, who bot.CitizenID, id string, due bot.Due) error {
	body, err := json.Marshal(due)
	if err != nil {
		return fmt.Errorf("encode promise: %w", err)
	}
	now := time.Now().UTC()
	err = exec(ctx, tx, []entry{{who: who, key: in.Key(id), signed: now, accepted: now, ours: true,
		body: in.keys.Seal(bodyPurpose, body)}})
	if err != nil {
		return fmt.Errorf("keep promise: %w", err)
	}
	return nil
}
