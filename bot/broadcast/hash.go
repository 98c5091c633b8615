package broadcast

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// canonical brings a definition to the form in which it is stored, hashed and
// compared: times in UTC and to the second, so that reading it back gives the same.
func (d Definition) canonical() Definition {
	d.Schedule.At = wholeSecond(d.Schedule.At)
	d.Body.Source.Date = wholeSecond(d.Body.Source.Date)
	return d
}

func wholeSecond(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// hash is what an approval is bound to: SHA-256 over the definition as JSON (fields
// in the order of the type, keys of maps sorted) and the uploaded list's digest.
func (s *Store) hash(ctx context.Context, tx pgx.Tx, d Definition) ([]byte, error) {
	var list []byte
	if d.Audience.List != 0 {
		var err error
		if list, err = s.listDigest(ctx, tx, d.Audience.List); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(struct {
		Definition Definition `json:"definition"`
		List       []byte     `json:"list"`
	}{d.canonical(), list})
	if err != nil {
		return nil, fmt.Errorf("hash a broadcast: %w", err)
	}
	sum := sha256.Sum256(raw)
	return sum[:], nil
}
