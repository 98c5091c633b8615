// Package alert tells the operators by mail what a person has to look at: an
// asked-for officer, a dead grant of tokens, a dossier somebody guesses at. An
// alert names no resident. Alerts of the same kind that come close together go
// out as one mail, so that a rush does not fill a mailbox.
package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
)

// Mailer sends a mail to the operators.
type Mailer interface {
	Send(ctx context.Context, subject, body string) error
}

// Store owns the table alert.
type Store struct {
	pool *pgxpool.Pool
	off  bool
}

// NewStore returns a store. Without mail (off) alerts are logged, not stored.
func NewStore(pool *pgxpool.Pool, off bool) *Store { return &Store{pool: pool, off: off} }

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Alert stores alerts in the transaction of the turn that raised them.
func (s *Store) Alert(ctx context.Context, tx pgx.Tx, alerts []bot.Alert) error {
	return s.add(ctx, tx, alerts)
}

// Raise stores one alert by itself.
func (s *Store) Raise(ctx context.Context, a bot.Alert) error {
	return s.add(ctx, s.pool, []bot.Alert{a})
}

func (s *Store) add(ctx context.Context, db execer, alerts []bot.Alert) error {
	keys, data := make([]string, len(alerts)), make([]string, len(alerts))
	for i, a := range alerts {
		slog.Warn("alert", "alert", a.Key)
		raw, err := json.Marshal(a.Data)
		if err != nil {
			return fmt.Errorf("encode alert %s: %w", a.Key, err)
		}
		keys[i], data[i] = a.Key, string(raw)
	}
	if s.off {
		return nil
	}
	_, err := db.Exec(ctx, `INSERT INTO alert (key, data) SELECT k, d::jsonb FROM unnest($1::text[], $2::text[]) AS a (k, d)`, keys, data)
	if err != nil {
		return fmt.Errorf("store alerts: %w", err)
	}
	return nil
}

// Mail sends what waits, one mail a kind, in the operators' language. What could
// not be sent stays for the next time.
func (s *Store) Mail(ctx context.Context, mailer Mailer, texts bot.Texts, lang string) error {
	type kind struct {
		Key   string
		Count int
		Since time.Time
		Last  int64
		Data  map[string]any
	}
	rows, err := s.pool.Query(ctx, `
SELECT key, count(*), min(raised_at), max(id), (array_agg(data ORDER BY id DESC))[1] FROM alert GROUP BY key ORDER BY min(id)`)
	if err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	kinds, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kind])
	if err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	for _, k := range kinds {
		subject := texts.Text(lang, k.Key+".subject", k.Data)
		body := texts.Text(lang, k.Key+".body", k.Data) + "\n\n" + texts.Text(lang, "runtime.alert_times",
			bot.Pairs("Times", k.Count, "Since", texts.Moment(lang, k.Since, time.Now())))
		if err := mailer.Send(ctx, subject, body); err != nil {
			return fmt.Errorf("mail alert %s: %w", k.Key, err)
		}
		if _, err := s.pool.Exec(ctx, `DELETE FROM alert WHERE key = $1 AND id <= $2`, k.Key, k.Last); err != nil {
			return fmt.Errorf("settle alert %s: %w", k.Key, err)
		}
	}
	return nil
}
