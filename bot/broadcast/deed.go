package broadcast

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// deed is a transaction with what the operators are told once it has committed.
// What was rolled back is told to nobody, and its next try tells it once.
type deed struct {
	pgx.Tx
	told []alarm
}

type alarm struct {
	key   string
	pairs []any
}

// alarm notes what the operators are told after the commit.
func (d *deed) alarm(key string, pairs ...any) { d.told = append(d.told, alarm{key, pairs}) }

// commit does something in a transaction, and then tells the operators about it.
func (s *Store) commit(ctx context.Context, do func(tx *deed) error) error {
	var d deed
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		d.Tx = tx
		return do(&d)
	})
	if err != nil {
		return err
	}
	for _, a := range d.told {
		s.Alarm(a.key, a.pairs...)
	}
	return nil
}
