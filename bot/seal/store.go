package seal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrWrongKey means that neither DATA_KEY nor DATA_KEY_OLD opens the table of
// keys: the settings do not belong to this database.
var ErrWrongKey = errors.New("DATA_KEY does not open this database's keys")

// ParseKey reads DATA_KEY: 32 bytes in base64.
func ParseKey(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("%d bytes, want %d", len(key), KeySize)
	}
	return key, nil
}

// keyLock is the advisory lock under which keys are made and rewrapped.
const keyLock = 0x6b657972696e67 // "keyring"

// Load reads the keys of the database, unwrapping them with wrap or, for rows
// not yet rewrapped, with old (nil when nothing is being rotated). Rows under
// old are rewrapped with wrap on the way. An empty table gets its first keys.
// Instances that start together agree, for all of it happens under one lock.
func Load(ctx context.Context, pool *pgxpool.Pool, wrap, old []byte) (*Keyring, error) {
	var ring *Keyring
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(keyLock)); err != nil {
			return err
		}
		rows, err := loadRows(ctx, tx)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if rows, err = firstKeys(ctx, tx, wrap); err != nil {
				return err
			}
		}
		ring, err = open(ctx, tx, rows, wrap, old)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load data keys: %w", err)
	}
	return ring, nil
}

// OldKeyNeeded reports whether any key is still wrapped by something other than
// wrap, so that DATA_KEY_OLD must stay.
func OldKeyNeeded(ctx context.Context, pool *pgxpool.Pool, wrap []byte) (bool, error) {
	var n int
	err := pool.QueryRow(ctx, `SELECT count(*) FROM data_key WHERE wrapped_by <> $1`, fingerprint(wrap)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("count keys under the old key: %w", err)
	}
	return n > 0, nil
}

type row struct {
	ID        int32
	Purpose   string
	Wrapped   []byte
	WrappedBy []byte
}

func loadRows(ctx context.Context, tx pgx.Tx) ([]row, error) {
	rows, err := tx.Query(ctx, `SELECT id, purpose, wrapped, wrapped_by FROM data_key ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[row])
}

func firstKeys(ctx context.Context, tx pgx.Tx, wrap []byte) ([]row, error) {
	for _, purpose := range []string{"data", "hash"} {
		key := make([]byte, KeySize)
		rand.Read(key)
		wrapped, err := wrapKey(wrap, purpose, key)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `INSERT INTO data_key (purpose, wrapped, wrapped_by) VALUES ($1, $2, $3)`,
			purpose, wrapped, fingerprint(wrap))
		if err != nil {
			return nil, fmt.Errorf("store first %s key: %w", purpose, err)
		}
	}
	return loadRows(ctx, tx)
}

func open(ctx context.Context, tx pgx.Tx, rows []row, wrap, old []byte) (*Keyring, error) {
	data := map[uint32][]byte{}
	var current uint32
	var hashKey []byte
	for _, r := range rows {
		key, err := unwrapKey(wrap, r.Purpose, r.Wrapped)
		if err != nil && old != nil {
			if key, err = unwrapKey(old, r.Purpose, r.Wrapped); err == nil {
				err = rewrap(ctx, tx, r, wrap, key)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", r.ID, err)
		}
		switch r.Purpose {
		case "data":
			data[uint32(r.ID)] = key
			current = uint32(r.ID)
		case "hash":
			hashKey = key
		}
	}
	if hashKey == nil || current == 0 {
		return nil, errors.New("table data_key lacks a data key or a hash key")
	}
	return newKeyring(current, data, hashKey)
}

func rewrap(ctx context.Context, tx pgx.Tx, r row, wrap, key []byte) error {
	wrapped, err := wrapKey(wrap, r.Purpose, key)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE data_key SET wrapped = $2, wrapped_by = $3 WHERE id = $1`, r.ID, wrapped, fingerprint(wrap))
	return err
}

func wrapKey(wrap []byte, purpose string, key []byte) ([]byte, error) {
	aead, err := newAEAD(wrap)
	if err != nil {
		return nil, fmt.Errorf("wrapping key: %w", err)
	}
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, key, []byte("data_key/"+purpose)), nil
}

func unwrapKey(wrap []byte, purpose string, wrapped []byte) ([]byte, error) {
	aead, err := newAEAD(wrap)
	if err != nil {
		return nil, fmt.Errorf("wrapping key: %w", err)
	}
	if len(wrapped) < nonceSize {
		return nil, ErrWrongKey
	}
	key, err := aead.Open(nil, wrapped[:nonceSize], wrapped[nonceSize:], []byte("data_key/"+purpose))
	if err != nil {
		return nil, ErrWrongKey
	}
	return key, nil
}

// fingerprint names a wrapping key without telling it.
func fingerprint(wrap []byte) []byte {
	sum := sha256.Sum256(append([]byte("congdanso data key "), wrap...))
	return sum[:8]
}
