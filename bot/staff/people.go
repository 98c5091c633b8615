package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const selectPerson = `
SELECT s.id, s.agency, s.name, s.mail, s.active, s.created_at, coalesce(s.locked_at, '0001-01-01T00:00:00Z'),
       coalesce(s.zalo_oa, ''), coalesce(s.zalo_user, '')
FROM staff s`

// Person reads one account; ErrNotFound when there is none.
func (s *Store) Person(ctx context.Context, id string) (Person, error) {
	return s.person(ctx, selectPerson+` WHERE s.id = $1`, id)
}

// ByMail reads the account an address belongs to; ErrNotFound when there is none.
func (s *Store) ByMail(ctx context.Context, mail string) (Person, error) {
	return s.person(ctx, selectPerson+` WHERE s.mail_hash = $1`, s.mailHash(mail))
}

// People reads the accounts that an agency and those below it look after, the
// oldest first.
func (s *Store) People(ctx context.Context, agency string) ([]Person, error) {
	list, err := s.people(ctx, `
WITH RECURSIVE below (id) AS (
    SELECT id FROM agency WHERE id = $1
    UNION
    SELECT a.id FROM agency a JOIN below ON a.superior = below.id
)`+selectPerson+` WHERE s.agency IN (SELECT id FROM below) ORDER BY s.created_at, s.id`, agency)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return list, nil
}

func (s *Store) person(ctx context.Context, sql string, arg any) (Person, error) {
	list, err := s.people(ctx, sql, arg)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Person{}, fmt.Errorf("read account: %w", err)
	}
	return list[0], nil
}

func (s *Store) people(ctx context.Context, sql string, arg any) ([]Person, error) {
	rows, err := s.pool.Query(ctx, sql, arg)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Person, error) {
		var p Person
		var name, mail []byte
		err := row.Scan(&p.ID, &p.Agency, &name, &mail, &p.Active, &p.CreatedAt, &p.LockedAt, &p.Zalo.OA, &p.Zalo.User)
		if err != nil {
			return p, err
		}
		if p.LockedAt.Year() == 1 {
			p.LockedAt = time.Time{}
		}
		if p.Name, err = s.open("staff/name", name); err != nil {
			return p, err
		}
		p.Mail, err = s.open("staff/mail", mail)
		return p, err
	})
}

func (s *Store) open(purpose string, sealed []byte) (string, error) {
	plain, err := s.keys.Open(purpose, sealed)
	return string(plain), err
}
