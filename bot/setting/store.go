package setting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// RefreshEvery is how long a changed setting may be unknown to another instance.
const RefreshEvery = 3 * time.Second

// ErrUnknown is returned for a name that nobody declared.
var ErrUnknown = errors.New("there is no such setting")

// Invalid is returned for a value that a setting may not have.
type Invalid struct {
	Name string
	Why  string // what it must be
}

// Error names the setting and says what its value must be.
func (e *Invalid) Error() string { return fmt.Sprintf("setting %s %s", e.Name, e.Why) }

// Store owns the table setting.
type Store struct {
	pool  *pgxpool.Pool
	last  atomic.Pointer[Values]
	every time.Duration
	once  sync.Once
	known chan struct{} // closed when they were read for the first time
}

// NewStore returns a store, whose values are the defaults until Run or Load.
func NewStore(pool *pgxpool.Pool) *Store {
	s := &Store{pool: pool, every: RefreshEvery, known: make(chan struct{})}
	s.last.Store(&Values{})
	return s
}

// Values is the last snapshot. It never waits.
func (s *Store) Values() Values { return *s.last.Load() }

// Known waits until the settings were read for the first time. Before that the
// defaults stand, under which nothing should happen that cannot be taken back. The
// error is ctx's.
func (s *Store) Known(ctx context.Context) error {
	select {
	case <-s.known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run reads the settings anew every RefreshEvery until ctx ends. While Postgres is
// away the last snapshot stands.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	known := true
	for {
		_, err := s.Load(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && known:
			slog.Warn("settings stay as last read", "error", err)
		case err == nil && !known:
			slog.Info("settings are read again")
		}
		known = err == nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Load reads the settings now, and keeps them as the snapshot. Rows of settings
// that this release does not know, or whose value it does not allow, count as
// not there.
func (s *Store) Load(ctx context.Context) (Values, error) {
	rows, err := s.pool.Query(ctx, `SELECT name, value FROM setting`)
	if err != nil {
		return Values{}, fmt.Errorf("read settings: %w", err)
	}
	given := map[string]any{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		if d, ok := definitions[name]; ok {
			if parsed, err := d.parse(value); err == nil {
				given[name] = parsed
			}
		}
		return nil
	})
	if err != nil {
		return Values{}, fmt.Errorf("read settings: %w", err)
	}
	v := Values{given}
	s.last.Store(&v)
	s.once.Do(func() { close(s.known) })
	return v, nil
}

// Set gives a setting a value, in the name of actor. audit writes down who changed
// what, in the same transaction; where it fails, nothing is changed. It may be nil
// where nobody has to answer for the change. The errors for people are ErrUnknown
// and *Invalid.
func (s *Store) Set(ctx context.Context, actor string, name, value string,
	audit func(ctx context.Context, tx pgx.Tx, old, new string) error) error {
	d, ok := definitions[name]
	if !ok {
		return fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	parsed, err := d.parse(strings.TrimSpace(value))
	if err != nil {
		return &Invalid{Name: name, Why: err.Error()}
	}
	value = write(parsed)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Somebody who sets the same name at this moment is waited for, so that each
		// change tells rightly what it changed.
		_, err := tx.Exec(ctx, `
INSERT INTO setting (name, value, changed_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, name, d.Default, actor)
		if err != nil {
			return err
		}
		var old string
		if err := tx.QueryRow(ctx, `SELECT value FROM setting WHERE name = $1 FOR UPDATE`, name).Scan(&old); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
UPDATE setting SET value = $2, changed_at = now(), changed_by = $3 WHERE name = $1`, name, value, actor)
		if err != nil || audit == nil {
			return err
		}
		return audit(ctx, tx, old, value)
	})
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	// This instance knows at once; where reading fails, Run comes round to it.
	if _, err := s.Load(ctx); err != nil {
		slog.Warn("settings stay as last read", "error", err)
	}
	return nil
}
