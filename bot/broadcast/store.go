package broadcast

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/bot/unit"
)

// Options are what a store works with.
type Options struct {
	Pool  *pgxpool.Pool
	Keys  *seal.Keyring
	Push  *push.Store
	Staff *staff.Store
	Texts bot.Texts
	// Units turns codes of communes, old and new ones, into those of today.
	Units *unit.Units
	// Values are the settings of now: costs and budgets.
	Values func() setting.Values
	// Cities are the province's own in Zalo's list, to which articles are narrowed.
	Cities []int
	// PublicURL is how the world reaches short links.
	PublicURL string
	// Alarm tells the operators by mail, under a content key.
	Alarm func(key string, pairs ...any)
}

// Store owns the tables broadcast, broadcast_*. It is also push.Runs: which copies
// may go, and what they say.
type Store struct {
	Options
	slice int // sliceSize

	mu    sync.Mutex
	ready map[int64]*Rendering // by run
}

// NewStore returns a store.
func NewStore(o Options) *Store {
	return &Store{Options: o, slice: sliceSize, ready: map[int64]*Rendering{}}
}

// broadcastColumns are what scanBroadcast reads.
const broadcastColumns = `id, oa_id, authors, state, version, definition, coalesce(note, ''),
coalesce(approved_at, '0001-01-01T00:00:00Z'), coalesce(approved_until, '0001-01-01T00:00:00Z'), created_at, changed_at`

func scanBroadcast(row pgx.CollectableRow) (Broadcast, error) {
	var b Broadcast
	err := row.Scan(&b.ID, &b.OA, &b.Authors, &b.State, &b.Version, &b.Definition, &b.Note,
		&b.ApprovedAt, &b.ApprovedUntil, &b.CreatedAt, &b.ChangedAt)
	return b, err
}

// Get reads a broadcast.
func (s *Store) Get(ctx context.Context, id int64) (Broadcast, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+broadcastColumns+` FROM broadcast WHERE id = $1`, id)
	return one(rows, err, id)
}

// lock reads a broadcast in the caller's transaction and holds it until the end.
func lock(ctx context.Context, tx pgx.Tx, id int64) (Broadcast, error) {
	rows, err := tx.Query(ctx, `SELECT `+broadcastColumns+` FROM broadcast WHERE id = $1 FOR UPDATE`, id)
	return one(rows, err, id)
}

func one(rows pgx.Rows, err error, id int64) (Broadcast, error) {
	if err != nil {
		return Broadcast{}, fmt.Errorf("read broadcast %d: %w", id, err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBroadcast)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, ErrNotFound
	}
	if err != nil {
		return b, fmt.Errorf("read broadcast %d: %w", id, err)
	}
	return b, nil
}

// List reads broadcasts of an account, the newest first, before an id (0: from the
// newest).
func (s *Store) List(ctx context.Context, oa string, before int64, most int) ([]Broadcast, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT `+broadcastColumns+` FROM broadcast
WHERE oa_id = $1 AND ($2::bigint = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, oa, before, most)
	if err != nil {
		return nil, fmt.Errorf("list broadcasts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanBroadcast)
	if err != nil {
		return nil, fmt.Errorf("list broadcasts: %w", err)
	}
	return list, nil
}
