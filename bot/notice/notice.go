// Package notice keeps what people asked to be told: topics, and the communes
// whose news they want.
//
// It owns who wants what, and nothing else. When and how somebody may be written
// to is bot/push's; consent, which every topic needs, is bot/citizen's; what the
// topics are called stands in the content. A topic that left the content stays
// here until its people end it, and reaches nobody new.
package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
)

// Feature is the key of this package's effects.
const Feature = "notice"

// MaxAreas is how many communes one person may choose.
const MaxAreas = 10

// The effects a turn can have here; Store.Apply writes them in the turn's
// transaction. Each is harmless when repeated. Consent to a topic is given and
// withdrawn beside them, by effects of bot/citizen.
type (
	// Subscribe asks for a topic; Unsubscribe ends it, and UnsubscribeAll every one.
	Subscribe      struct{ Topic string }
	Unsubscribe    struct{ Topic string }
	UnsubscribeAll struct{}
	// AddArea adds a commune, by today's code; RemoveArea takes it away, and
	// ClearAreas all of them.
	AddArea    struct{ Code string }
	RemoveArea struct{ Code string }
	ClearAreas struct{}
)

// Feature says that this package applies these effects.
func (Subscribe) Feature() string      { return Feature }
func (Unsubscribe) Feature() string    { return Feature }
func (UnsubscribeAll) Feature() string { return Feature }
func (AddArea) Feature() string        { return Feature }
func (RemoveArea) Feature() string     { return Feature }
func (ClearAreas) Feature() string     { return Feature }

// Store owns the tables notice_subscription and notice_area.
type Store struct{ pool *pgxpool.Pool }

// NewStore returns a store.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Subscription is one topic somebody asked for.
type Subscription struct {
	Topic string
	Since time.Time
}

// Overview is what a person asked to be told.
type Overview struct {
	Topics []Subscription // oldest first
	Areas  []string       // codes of communes, in the order in which they were chosen
}

// Has reports whether a topic was asked for.
func (o Overview) Has(topic string) bool {
	for _, s := range o.Topics {
		if s.Topic == topic {
			return true
		}
	}
	return false
}

// Overview reads what a person asked to be told.
func (s *Store) Overview(ctx context.Context, who bot.CitizenID) (Overview, error) {
	var o Overview
	batch := &pgx.Batch{}
	batch.Queue(`
SELECT topic, since FROM notice_subscription WHERE oa_id = $1 AND citizen = $2 ORDER BY since, topic`,
		who.OA, who.User).Query(func(rows pgx.Rows) (err error) {
		o.Topics, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Subscription])
		return err
	})
	batch.Queue(`
SELECT code FROM notice_area WHERE oa_id = $1 AND citizen = $2 ORDER BY since, code`,
		who.OA, who.User).Query(func(rows pgx.Rows) (err error) {
		o.Areas, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Overview{}, fmt.Errorf("read what somebody asked to be told: %w", err)
	}
	return o, nil
}

// EraseCitizen removes what a person asked for.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM notice_subscription WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	batch.Queue(`DELETE FROM notice_area WHERE oa_id = $1 AND citizen = $2`, who.OA, who.User)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase what somebody asked to be told: %w", err)
	}
	return nil
}
