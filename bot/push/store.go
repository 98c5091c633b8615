package push

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
)

// Store owns the tables push and push_*.
type Store struct {
	pool *pgxpool.Pool
	keys *seal.Keyring
}

// NewStore returns a store.
func NewStore(pool *pgxpool.Pool, keys *seal.Keyring) *Store { return &Store{pool: pool, keys: keys} }

// Add makes notices, in the caller's transaction. Equal keys are one notice; a
// notice to somebody who stopped everything is skipped as such.
func (s *Store) Add(ctx context.Context, tx pgx.Tx, told []Told, now time.Time) error { return nil }

// Copy is one recipient of a run, as selectSQL of Freeze returns it: columns
// oa_id, citizen, skip (text: why they are not written to, NULL where they are).

// Freeze inserts one slice of a run's copies: what selectSQL returns, in columns
// oa_id, citizen and skip (text; why the person is not written to, NULL where they
// are). It returns how many rows came, skipped ones included. People who have a
// copy already are passed over.
func (s *Store) Freeze(ctx context.Context, tx pgx.Tx, run Run, now time.Time, selectSQL string, args ...any) (n int64, err error) {
	return 0, nil
}

// Preferences reads how a person may be written to.
func (s *Store) Preferences(ctx context.Context, who bot.CitizenID) (Preferences, error) {
	return Preferences{DigestAt: -1}, nil
}

// Held lists the pushes that wait for a person's word, the oldest first.
func (s *Store) Held(ctx context.Context, who bot.CitizenID, now time.Time, most int) ([]HeldPush, error) {
	return nil, nil
}

// Count is a part of the books.
type Count struct {
	State  string // pending (queued included), held, unknown, sent, failed, skipped
	Reason string
	Rung   string
	N      int64
	Cost   int64 // đồng
}

// Books are the counts of a run. They balance: Audience is the sum of the states.
type Books struct {
	Audience  int64
	Pending   int64 // queued, claimed and sending included
	Sent      int64
	Failed    int64
	Held      int64
	Skipped   int64
	Unknown   int64
	Cost      int64
	Delivered int64
	Read      int64
	Counts    []Count // by state, reason and rung
}

// Books reads the books of a run.
func (s *Store) Books(ctx context.Context, run int64) (Books, error) { return Books{}, nil }

// Cancel skips, in the caller's transaction, the copies of a run that have not
// gone yet. What is in the air ends as it ends.
func (s *Store) Cancel(ctx context.Context, tx pgx.Tx, run int64, reason string, now time.Time) (n int64, err error) {
	return 0, nil
}

// Unknowns lists recipients of a run whose copy may or may not have arrived, after
// a person's id (keyset).
func (s *Store) Unknowns(ctx context.Context, run int64, after bot.CitizenID, most int) ([]bot.CitizenID, error) {
	return nil, nil
}

// Resend lets unknown copies of a run be sent once more, in the caller's
// transaction: a person's audited decision. An empty who means all of them.
func (s *Store) Resend(ctx context.Context, tx pgx.Tx, run int64, who []bot.CitizenID, now time.Time) (n int64, err error) {
	return 0, nil
}
