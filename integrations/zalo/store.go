package zalo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"congdanso/bot/seal"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Purposes under which tokens are sealed and seeds hashed.
const (
	sealAccess  = "zalo access token"
	sealRefresh = "zalo refresh token"
	hashSeed    = "zalo seed"
)

// storeStep ends any one statement on the table.
const storeStep = 5 * time.Second

// store is the table zalo_token for one app and account.
type store struct {
	pool    *pgxpool.Pool
	ring    *seal.Keyring
	app, oa string
	seed    string
	adopted atomic.Bool // the seed has been looked at
}

func newStore(pool *pgxpool.Pool, ring *seal.Keyring, opt TokenOptions) *store {
	return &store{pool: pool, ring: ring, app: opt.AppID, oa: opt.OAID, seed: opt.Seed}
}

// row is the stored chain, opened.
type row struct {
	generation int64
	access     string
	refresh    string
	refreshed  time.Time
	expires    time.Time
	intentAt   time.Time
	intentAge  time.Duration // by Postgres's clock
	intentBy   string        // empty: no intent
	deadAt     time.Time
	dead       *GrantError
}

func (r *row) known() *known {
	return &known{access: r.access, generation: r.generation, expires: r.expires, refreshed: r.refreshed, dead: r.dead, deadAt: r.deadAt}
}

// querier is a pool or a connection.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// read returns the stored chain. The first time it lets the seed open one.
func (s *store) read(ctx context.Context) (*row, error) {
	if !s.adopted.Load() {
		if err := s.adopt(ctx); err != nil {
			return nil, fmt.Errorf("open chain of zalo tokens: %w", err)
		}
		s.adopted.Store(true)
	}
	return s.load(ctx, s.pool)
}

func (s *store) load(ctx context.Context, db querier) (*row, error) {
	var (
		r                  row
		access, refresh    []byte
		refreshed, expires pgtype.Timestamptz
		intentAt, deadAt   pgtype.Timestamptz
		intentAge          pgtype.Float8
		intentBy, deadName pgtype.Text
		deadCode           pgtype.Int4
	)
	ctx, cancel := context.WithTimeout(ctx, storeStep)
	defer cancel()
	err := db.QueryRow(ctx, `
		SELECT generation, access_token, refresh_token, refreshed_at, expires_at,
		       intent_at, extract(epoch FROM clock_timestamp() - intent_at)::float8, intent_by,
		       dead_at, dead_code, dead_name
		FROM zalo_token
		WHERE app_id = $1 AND oa_id = $2`, s.app, s.oa).
		Scan(&r.generation, &access, &refresh, &refreshed, &expires,
			&intentAt, &intentAge, &intentBy, &deadAt, &deadCode, &deadName)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoGrant
	}
	if err != nil {
		return nil, fmt.Errorf("read zalo token: %w", err)
	}
	if access != nil {
		plain, err := s.ring.Open(sealAccess, access)
		if err != nil {
			return nil, fmt.Errorf("open zalo token: %w", err)
		}
		r.access = string(plain)
	}
	plain, err := s.ring.Open(sealRefresh, refresh)
	if err != nil {
		return nil, fmt.Errorf("open zalo token: %w", err)
	}
	r.refresh = string(plain)
	r.refreshed, r.expires = refreshed.Time, expires.Time
	if intentAt.Valid {
		r.intentAt, r.intentBy = intentAt.Time, intentBy.String
		r.intentAge = time.Duration(intentAge.Float64 * float64(time.Second))
	}
	if deadAt.Valid {
		r.deadAt, r.dead = deadAt.Time, &GrantError{Code: int(deadCode.Int32), Name: deadName.String}
	}
	return &r, nil
}

// adopt opens a chain with the seed, unless the seed opened the stored chain or
// an earlier one: an instance started again with last month's settings must not
// replace a living chain by a used token.
func (s *store) adopt(ctx context.Context) error {
	if s.seed == "" {
		return nil
	}
	hash := s.ring.Hash(hashSeed, s.app, s.oa, s.seed)
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		made, err := tx.Exec(ctx, `
			INSERT INTO zalo_token (app_id, oa_id, seed_hash, refresh_token)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, s.app, s.oa, hash, s.ring.Seal(sealRefresh, []byte(s.seed)))
		if err != nil || made.RowsAffected() == 1 {
			return err
		}
		var opened []byte
		var spent [][]byte
		err = tx.QueryRow(ctx, `
			SELECT seed_hash, spent_seeds
			FROM zalo_token
			WHERE app_id = $1 AND oa_id = $2
			FOR UPDATE`, s.app, s.oa).Scan(&opened, &spent)
		if err != nil {
			return err
		}
		if bytes.Equal(opened, hash) {
			return nil
		}
		for _, old := range spent {
			if bytes.Equal(old, hash) {
				return nil
			}
		}
		// A seed counts as spent once a refresh with it was so much as begun.
		_, err = tx.Exec(ctx, `
			UPDATE zalo_token
			SET spent_seeds = CASE WHEN refreshed_at IS NULL AND intent_at IS NULL AND dead_at IS NULL
			                       THEN spent_seeds ELSE spent_seeds || seed_hash END,
			    seed_hash = $3, refresh_token = $4, access_token = NULL,
			    generation = generation + 1, refreshed_at = NULL, expires_at = NULL,
			    intent_at = NULL, intent_by = NULL, dead_at = NULL, dead_code = NULL, dead_name = NULL
			WHERE app_id = $1 AND oa_id = $2`, s.app, s.oa, hash, s.ring.Seal(sealRefresh, []byte(s.seed)))
		return err
	})
}

// errReplaced means that a new seed opened another chain meanwhile.
var errReplaced = errors.New("the chain of zalo tokens was replaced meanwhile")

// lock is a connection of its own that holds the session lock of the chain. It
// cannot be a connection of the pool: the pool may be exhausted by those who wait
// for the token.
type lock struct {
	*store
	conn *pgx.Conn
}

// lock waits for the chain's session lock.
func (s *store) lock(ctx context.Context) (*lock, error) {
	l := &lock{store: s}
	if err := l.connect(ctx); err != nil {
		return nil, fmt.Errorf("lock zalo token: %w", err)
	}
	return l, nil
}

func (l *lock) connect(ctx context.Context) error {
	cfg := l.pool.Config().ConnConfig
	cfg.RuntimeParams["application_name"] = "congdanso token"
	cfg.RuntimeParams["statement_timeout"] = "0" // waiting for the lock takes as long as it takes
	cfg.RuntimeParams["synchronous_commit"] = "on"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "zalo token\x00%s\x00%s", l.app, l.oa)
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(h.Sum64())); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return err
	}
	l.conn = conn
	return nil
}

// reconnect takes a new connection, and the lock again, where the old one broke.
func (l *lock) reconnect(ctx context.Context) {
	if !l.conn.IsClosed() {
		if err := l.conn.Ping(ctx); err == nil {
			return
		}
	}
	l.close()
	if err := l.connect(ctx); err != nil {
		return // the closed connection stays, and says so when it is used
	}
}

// close gives the lock up.
func (l *lock) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.conn.Close(ctx) // the server lets go of the lock whatever comes of it
}

func (l *lock) load(ctx context.Context) (*row, error) { return l.store.load(ctx, l.conn) }

// exec changes the chain while it is still the generation that row was.
func (l *lock) exec(ctx context.Context, sql string, r *row, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, storeStep)
	defer cancel()
	done, err := l.conn.Exec(ctx, sql, append([]any{l.app, l.oa, r.generation}, args...)...)
	if err != nil {
		return err
	}
	if done.RowsAffected() == 0 {
		return errReplaced
	}
	return nil
}

// intend writes down that a refresh is about to be asked for.
func (l *lock) intend(ctx context.Context, r *row, me string) error {
	err := l.exec(ctx, `
		UPDATE zalo_token
		SET intent_at = clock_timestamp(), intent_by = $4
		WHERE app_id = $1 AND oa_id = $2 AND generation = $3`, r, me)
	if err != nil {
		return fmt.Errorf("note refresh of zalo token: %w", err)
	}
	return nil
}

// recall takes an intent back.
func (l *lock) recall(ctx context.Context, r *row) error {
	return l.exec(ctx, `
		UPDATE zalo_token
		SET intent_at = NULL, intent_by = NULL
		WHERE app_id = $1 AND oa_id = $2 AND generation = $3`, r)
}

// keep stores a new pair. It wins over a death noted meanwhile by an instance
// that tried the same refresh token later.
func (l *lock) keep(ctx context.Context, r *row, got pair, at time.Time) (*known, error) {
	expires := at.Add(got.life)
	err := l.exec(ctx, `
		UPDATE zalo_token
		SET access_token = $4, refresh_token = $5, refreshed_at = $6, expires_at = $7,
		    generation = generation + 1, intent_at = NULL, intent_by = NULL,
		    dead_at = NULL, dead_code = NULL, dead_name = NULL
		WHERE app_id = $1 AND oa_id = $2 AND generation = $3`, r,
		l.ring.Seal(sealAccess, []byte(got.access)), l.ring.Seal(sealRefresh, []byte(got.refresh)), at, expires)
	if err != nil {
		return nil, fmt.Errorf("store zalo token: %w", err)
	}
	return &known{access: got.access, generation: r.generation + 1, expires: expires, refreshed: at}, nil
}

// die notes that Zalo refuses the grant; first is true for whoever notes it.
func (l *lock) die(ctx context.Context, r *row, grant *GrantError, at time.Time) (first bool, err error) {
	err = l.exec(ctx, `
		UPDATE zalo_token
		SET dead_at = $4, dead_code = $5, dead_name = $6, intent_at = NULL, intent_by = NULL
		WHERE app_id = $1 AND oa_id = $2 AND generation = $3 AND dead_at IS NULL`, r,
		at, grant.Code, grant.Name)
	if errors.Is(err, errReplaced) {
		return false, nil
	}
	return err == nil, err
}
