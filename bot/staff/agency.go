package staff

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Levels of agencies.
const (
	LevelProvince   = "province"
	LevelDepartment = "department"
	LevelCommune    = "commune"
)

// Agency is an office, and a scope of roles.
type Agency struct {
	ID       string
	NameVi   string
	NameEn   string
	Level    string
	Unit     string // code of the administrative unit it serves; may be empty
	Superior string // the agency above it; empty at the top
}

const selectAgency = `SELECT id, name_vi, name_en, level, coalesce(unit, ''), coalesce(superior, '') FROM agency`

// PutAgency makes an agency, or changes the one of that id. It takes an operator,
// or an administrator of the agency above it; where it moves, of both. At the top
// only operators make agencies.
func (s *Store) PutAgency(ctx context.Context, by Actor, a Agency) error {
	return s.inTx(ctx, "put agency "+a.ID, func(tx pgx.Tx) error {
		// Moves that cross each other could close a circle: one at a time.
		if _, err := tx.Exec(ctx, `LOCK TABLE agency IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if strings.TrimSpace(a.ID) == "" || strings.TrimSpace(a.NameVi) == "" || strings.TrimSpace(a.NameEn) == "" {
			return fmt.Errorf("%w: it needs an id, and a name in both languages", ErrAgencyInvalid)
		}
		var old *string
		err := tx.QueryRow(ctx, `SELECT coalesce(superior, '') FROM agency WHERE id = $1`, a.ID).Scan(&old)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := s.mayPut(ctx, tx, by, a, old); err != nil {
			return err
		}
		var circle bool
		if err := tx.QueryRow(ctx, above+`SELECT EXISTS (SELECT FROM above WHERE id = $2)`, a.Superior, a.ID).Scan(&circle); err != nil {
			return err
		}
		if circle || a.Superior == a.ID {
			return fmt.Errorf("%w: it would be above itself", ErrAgencyInvalid)
		}
		_, err = tx.Exec(ctx, `
INSERT INTO agency (id, name_vi, name_en, level, unit, superior)
VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''))
ON CONFLICT (id) DO UPDATE SET name_vi = EXCLUDED.name_vi, name_en = EXCLUDED.name_en, level = EXCLUDED.level,
    unit = EXCLUDED.unit, superior = EXCLUDED.superior`, a.ID, a.NameVi, a.NameEn, a.Level, a.Unit, a.Superior)
		if err != nil {
			return told(err)
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: "agency.put", Object: "agency:" + a.ID, Agency: a.ID, Detail: map[string]any{
			"name": a.NameVi, "level": a.Level, "unit": a.Unit, "superior": a.Superior}})
	})
}

// mayPut tells whether by may put a where old is the agency above it so far; nil
// when it is new.
func (s *Store) mayPut(ctx context.Context, tx pgx.Tx, by Actor, a Agency, old *string) error {
	if by.IsOperator() {
		return nil
	}
	scopes := []string{a.Superior}
	if old != nil {
		scopes = append(scopes, *old)
	}
	for _, scope := range scopes {
		if scope == "" && old != nil && *old == a.Superior {
			scope = a.ID // the top stays the top
		}
		if err := s.Require(ctx, tx, by, Administrator, scope); err != nil {
			return err
		}
	}
	return nil
}

// Agency reads one agency; ErrAgency when there is none.
func (s *Store) Agency(ctx context.Context, id string) (Agency, error) {
	list, err := s.agencies(ctx, selectAgency+` WHERE id = $1`, id)
	if err == nil && len(list) == 0 {
		err = ErrAgency
	}
	if err != nil {
		return Agency{}, fmt.Errorf("read agency %q: %w", id, err)
	}
	return list[0], nil
}

// Agencies reads all agencies, by their ids: a few hundred.
func (s *Store) Agencies(ctx context.Context) ([]Agency, error) {
	list, err := s.agencies(ctx, selectAgency+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read agencies: %w", err)
	}
	return list, nil
}

func (s *Store) agencies(ctx context.Context, sql string, args ...any) ([]Agency, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Agency])
}
