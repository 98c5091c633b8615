package staff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Forbidden is returned to an actor who lacks a role.
type Forbidden struct {
	Role   Role
	Agency string
}

// Error names the role and the agency.
func (e *Forbidden) Error() string {
	return fmt.Sprintf("this takes the role %s in agency %q", e.Role, e.Agency)
}

// above is a common table of an agency, its superior, that one's superior, and so
// on; the agency is parameter $1.
const above = `
WITH RECURSIVE above (id, superior) AS (
    SELECT id, superior FROM agency WHERE id = $1
    UNION
    SELECT a.id, a.superior FROM agency a JOIN above ON a.id = above.superior
)`

// Require returns nil when actor holds role in agency at this moment, in the
// agency itself or in one above it, and *Forbidden when not. The rows that give
// the right are locked until tx ends: a withdrawal that has begun is waited for
// and counts, one that comes later waits for tx. Locked and inactive accounts hold
// nothing, nor do operators. tx must be of READ COMMITTED.
func (s *Store) Require(ctx context.Context, tx pgx.Tx, actor Actor, role Role, agency string) error {
	// By the index staff_role_held: a person has a handful of roles.
	tag, err := tx.Exec(ctx, above+`
SELECT FROM staff_role r JOIN staff s ON s.id = r.staff
WHERE r.staff = $2 AND r.withdrawn_at IS NULL AND (r.role = $3 OR $3 = $4)
  AND r.agency IN (SELECT id FROM above) AND s.active AND s.locked_at IS NULL
FOR SHARE OF r, s`, agency, actor.ID, role, Viewer)
	if err != nil {
		return fmt.Errorf("read roles: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return &Forbidden{Role: role, Agency: agency}
	}
	return nil
}

// Grant gives a role in an agency. It takes an administrator of that agency and,
// for an approver or an administrator, second: another administrator who agrees,
// or an operator while there is no other administrator. For the other roles
// second is not looked at. The caller vouches that both acted themselves.
func (s *Store) Grant(ctx context.Context, by, second Actor, staff string, role Role, agency string) error {
	return s.inTx(ctx, "grant a role", func(tx pgx.Tx) error {
		if err := s.Require(ctx, tx, by, Administrator, agency); err != nil {
			return err
		}
		g := grant{staff: staff, role: role, agency: agency, by: by}
		detail := map[string]any{"role": role}
		if role.twoAgree() {
			if err := s.requireSecond(ctx, tx, by, second, agency); err != nil {
				return err
			}
			g.second, detail["second"] = second, second.ID
		}
		if err := s.give(ctx, tx, g); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: "staff.grant", Object: "staff:" + staff, Agency: agency, Detail: detail})
	})
}

// requireSecond returns nil when second may agree to what by does.
func (s *Store) requireSecond(ctx context.Context, tx pgx.Tx, by, second Actor, agency string) error {
	if second.ID == by.ID || second.ID == "" {
		return ErrSecondNeeded
	}
	if !second.IsOperator() {
		return s.Require(ctx, tx, second, Administrator, agency)
	}
	var others bool
	err := tx.QueryRow(ctx, above+`
SELECT EXISTS (SELECT FROM staff_role r JOIN staff s ON s.id = r.staff
               WHERE r.staff <> $2 AND r.role = $3 AND r.withdrawn_at IS NULL
                 AND r.agency IN (SELECT id FROM above) AND s.active AND s.locked_at IS NULL)`,
		agency, by.ID, Administrator).Scan(&others)
	if err != nil {
		return fmt.Errorf("look for another administrator: %w", err)
	}
	if others {
		return ErrSecondNeeded
	}
	return nil
}

// grant is a role to be given.
type grant struct {
	staff, agency string
	role          Role
	by, second    Actor
}

// give stores a role given to an account that can act.
func (s *Store) give(ctx context.Context, tx pgx.Tx, g grant) error {
	var able bool
	err := tx.QueryRow(ctx, `SELECT active AND locked_at IS NULL FROM staff WHERE id = $1 FOR SHARE`, g.staff).Scan(&able)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	if !able {
		return ErrNotActive
	}
	tag, err := tx.Exec(ctx, `
INSERT INTO staff_role (staff, role, agency, granted_by, seconded_by, granted_at)
VALUES ($1, $2, $3, $4, nullif($5, ''), $6)
ON CONFLICT (staff, role, agency) WHERE withdrawn_at IS NULL DO NOTHING`,
		g.staff, g.role, g.agency, g.by.ID, g.second.ID, s.now().UTC())
	if err != nil {
		return told(err)
	}
	if tag.RowsAffected() == 0 {
		return ErrRoleHeld
	}
	return nil
}

// Withdraw takes a role back. It takes an administrator of the agency, waits for
// acts under way that rest on the role, and holds from then on.
func (s *Store) Withdraw(ctx context.Context, by Actor, staff string, role Role, agency string) error {
	return s.inTx(ctx, "withdraw a role", func(tx pgx.Tx) error {
		if err := s.Require(ctx, tx, by, Administrator, agency); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
UPDATE staff_role SET withdrawn_at = $4, withdrawn_by = $5
WHERE staff = $1 AND role = $2 AND agency = $3 AND withdrawn_at IS NULL`, staff, role, agency, s.now().UTC(), by.ID)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrRoleNotHeld
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: "staff.withdraw", Object: "staff:" + staff, Agency: agency,
			Detail: map[string]any{"role": role}})
	})
}

// Holding is a role that an account has in an agency and below it.
type Holding struct {
	Role      Role
	Agency    string
	GrantedBy string
	GrantedAt time.Time
}

// Holdings are the roles an account has now, by agency. What they permit at the
// moment of an act is for Require to say.
func (s *Store) Holdings(ctx context.Context, staff string) ([]Holding, error) {
	rows, err := s.pool.Query(ctx, `
SELECT role, agency, granted_by, granted_at FROM staff_role
WHERE staff = $1 AND withdrawn_at IS NULL ORDER BY agency, role`, staff)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Holding])
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	return list, nil
}
