// Package staff says who may do what: accounts, the roles they hold, the offices
// a role holds in, and the audit of everything that was done (audit.go).
//
// A role is held in an agency and holds in every agency below it, so that the
// editor of a department writes for its offices and the editor of a commune for
// that commune alone. No role implies another, except that whoever holds any may
// look. Rights are read where they are used, inside the transaction of the act
// (Require): nothing about them is remembered, and a role withdrawn a minute ago
// is gone.
//
// One person alone cannot make powers. The first administrator is appointed by an
// operator at the machine (Bootstrap), which works only while there is none. The
// roles that let something go out or change rights, approver and administrator,
// take two administrators who agree; an operator stands in for the second while
// there is only one. Whoever leaves is deactivated for good; accounts are never
// deleted, because the audit names them.
//
// Names and addresses of staff are sealed at rest and shown to staff as they are.
package staff

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
)

// Role is what somebody may do in an agency.
type Role string

// The roles there are.
const (
	Viewer        Role = "viewer"        // looks
	Editor        Role = "editor"        // writes what goes to many
	Approver      Role = "approver"      // lets go out what somebody else wrote
	Moderator     Role = "moderator"     // answers one resident
	Organiser     Role = "organiser"     // holds contests
	Administrator Role = "administrator" // looks after accounts, roles and agencies
)

// Roles in the order in which people read them.
var Roles = []Role{Viewer, Editor, Approver, Moderator, Organiser, Administrator}

// twoAgree reports whether giving r takes two administrators.
func (r Role) twoAgree() bool { return r == Approver || r == Administrator }

// operatorPrefix marks actors at the machine. No account's id has a colon.
const operatorPrefix = "operator:"

// Actor is whoever does something.
type Actor struct {
	ID string // of an account, or operator:NAME
	IP string // where the act came from, when it came over the network
}

// Operator is the person at the machine, by the name of their account there.
func Operator(osUser string) Actor { return Actor{ID: operatorPrefix + osUser} }

// IsOperator reports whether the actor is a person at the machine. Operators hold
// no role; which acts are theirs too is for each feature to say.
func (a Actor) IsOperator() bool { return strings.HasPrefix(a.ID, operatorPrefix) }

// Errors that callers tell people about.
var (
	ErrNotFound      = errors.New("there is no such account")
	ErrMailTaken     = errors.New("the address belongs to another account")
	ErrMail          = errors.New("the address is none")
	ErrName          = errors.New("a name is needed")
	ErrNotOperator   = errors.New("this is for an operator at the machine")
	ErrAdministered  = errors.New("there is an administrator already")
	ErrSecondNeeded  = errors.New("a second administrator has to agree")
	ErrRole          = errors.New("there is no such role")
	ErrRoleHeld      = errors.New("the role is held already")
	ErrRoleNotHeld   = errors.New("the role is not held")
	ErrNotActive     = errors.New("the account is locked, or its owner has left")
	ErrAgency        = errors.New("there is no such agency")
	ErrAgencyInvalid = errors.New("the agency cannot be so")
)

// Store owns the tables agency, staff, staff_role and audit.
type Store struct {
	pool *pgxpool.Pool
	keys *seal.Keyring
	now  func() time.Time
}

// NewStore returns a store that takes the time from now.
func NewStore(pool *pgxpool.Pool, keys *seal.Keyring, now func() time.Time) *Store {
	return &Store{pool: pool, keys: keys, now: now}
}

// Account is what an account is opened with.
type Account struct {
	Name   string
	Mail   string
	Agency string // whose administrators look after the account
}

// Person is an account as staff see it.
type Person struct {
	ID string
	Account
	Active    bool // false once they have left
	CreatedAt time.Time
	LockedAt  time.Time     // zero while the account is open
	Zalo      bot.CitizenID // who they are on the channel; zero when not told
}

// Add opens an account without any role. It takes an administrator of its agency.
func (s *Store) Add(ctx context.Context, by Actor, a Account) (id string, err error) {
	err = s.inTx(ctx, "open an account", func(tx pgx.Tx) error {
		if err := s.Require(ctx, tx, by, Administrator, a.Agency); err != nil {
			return err
		}
		id, err = s.insert(ctx, tx, a)
		if err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: "staff.add", Object: "staff:" + id, Agency: a.Agency})
	})
	return id, err
}

// Bootstrap appoints the first administrator: it makes the agency where there is
// none of that id, opens the account, and gives it the role. It takes an operator,
// and refuses with ErrAdministered while any administrator can act. Where the
// address belongs to an account already, that account is unlocked and used.
func (s *Store) Bootstrap(ctx context.Context, operator Actor, top Agency, a Account) (id string, err error) {
	if !operator.IsOperator() {
		return "", fmt.Errorf("appoint the first administrator: %w", ErrNotOperator)
	}
	a.Agency = top.ID
	err = s.inTx(ctx, "appoint the first administrator", func(tx pgx.Tx) error {
		// Two who try at once do so one by one.
		if _, err := tx.Exec(ctx, `LOCK TABLE staff_role IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM staff_role r JOIN staff s ON s.id = r.staff
               WHERE r.role = $1 AND r.withdrawn_at IS NULL AND s.active AND s.locked_at IS NULL)`, Administrator).Scan(&there)
		if err != nil {
			return err
		}
		if there {
			return ErrAdministered
		}
		_, err = tx.Exec(ctx, `
INSERT INTO agency (id, name_vi, name_en, level, unit) VALUES ($1, $2, $3, $4, nullif($5, '')) ON CONFLICT (id) DO NOTHING`,
			top.ID, top.NameVi, top.NameEn, top.Level, top.Unit)
		if err != nil {
			return told(err)
		}
		if id, err = s.reopen(ctx, tx, a); err != nil {
			return err
		}
		// Who was locked has the role already.
		if err := s.give(ctx, tx, grant{staff: id, role: Administrator, agency: top.ID, by: operator}); err != nil && !errors.Is(err, ErrRoleHeld) {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: operator, Action: "staff.bootstrap", Object: "staff:" + id, Agency: top.ID})
	})
	return id, err
}

// reopen unlocks the account that a's address belongs to, or opens one.
func (s *Store) reopen(ctx context.Context, tx pgx.Tx, a Account) (id string, err error) {
	err = tx.QueryRow(ctx, `
UPDATE staff SET locked_at = NULL WHERE mail_hash = $1 AND active RETURNING id`, s.mailHash(a.Mail)).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return s.insert(ctx, tx, a)
	}
	return id, err
}

func (s *Store) insert(ctx context.Context, tx pgx.Tx, a Account) (id string, err error) {
	name, mail := strings.TrimSpace(a.Name), normalMail(a.Mail)
	if name == "" {
		return "", ErrName
	}
	if at := strings.IndexByte(mail, '@'); at < 1 || at == len(mail)-1 || strings.ContainsAny(mail, " \t\r\n<>") {
		return "", ErrMail
	}
	raw := make([]byte, 8)
	rand.Read(raw)
	id = hex.EncodeToString(raw)
	_, err = tx.Exec(ctx, `
INSERT INTO staff (id, agency, name, mail, mail_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, a.Agency, s.keys.Seal("staff/name", []byte(name)), s.keys.Seal("staff/mail", []byte(mail)), s.mailHash(mail), s.now().UTC())
	return id, told(err)
}

func normalMail(mail string) string { return strings.ToLower(strings.TrimSpace(mail)) }

func (s *Store) mailHash(mail string) []byte { return s.keys.Hash("staff/mail", normalMail(mail)) }

// Lock keeps an account from doing anything until it is unlocked.
func (s *Store) Lock(ctx context.Context, by Actor, id string) error {
	return s.change(ctx, by, id, "staff.lock", `UPDATE staff SET locked_at = coalesce(locked_at, $2) WHERE id = $1`, s.now().UTC())
}

// Unlock opens a locked account again.
func (s *Store) Unlock(ctx context.Context, by Actor, id string) error {
	return s.change(ctx, by, id, "staff.unlock", `UPDATE staff SET locked_at = NULL WHERE id = $1`)
}

// Deactivate ends an account whose owner has left, with all its roles.
func (s *Store) Deactivate(ctx context.Context, by Actor, id string) error {
	return s.change(ctx, by, id, "staff.deactivate", `
WITH gone AS (UPDATE staff SET active = false, zalo_oa = NULL, zalo_user = NULL WHERE id = $1 RETURNING id)
UPDATE staff_role r SET withdrawn_at = $2, withdrawn_by = $3 FROM gone WHERE r.staff = gone.id AND r.withdrawn_at IS NULL`,
		s.now().UTC(), by.ID)
}

// change does one statement on an account, whose id is its first argument, in the
// name of an administrator of the account's agency.
func (s *Store) change(ctx context.Context, by Actor, id, action, sql string, args ...any) error {
	return s.inTx(ctx, action, func(tx pgx.Tx) error {
		agency, err := agencyOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Require(ctx, tx, by, Administrator, agency); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sql, append([]any{id}, args...)...); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: action, Object: "staff:" + id, Agency: agency})
	})
}

// SetZalo tells who an account's owner is on the channel, so that they can send
// tests to themselves; the zero CitizenID forgets it. Only the owner may.
func (s *Store) SetZalo(ctx context.Context, by Actor, who bot.CitizenID) error {
	return s.inTx(ctx, "link an account with Zalo", func(tx pgx.Tx) error {
		var agency string
		err := tx.QueryRow(ctx, `
UPDATE staff SET zalo_oa = nullif($2, ''), zalo_user = nullif($3, '')
WHERE id = $1 AND active AND locked_at IS NULL RETURNING agency`, by.ID, who.OA, who.User).Scan(&agency)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotActive
		}
		if err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Actor: by, Action: "staff.zalo", Object: "staff:" + by.ID, Agency: agency})
	})
}

// EraseCitizen forgets which account a citizen belongs to.
func (s *Store) EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error {
	_, err := tx.Exec(ctx, `
UPDATE staff SET zalo_oa = NULL, zalo_user = NULL WHERE zalo_oa = $1 AND zalo_user = $2`, who.OA, who.User)
	if err != nil {
		return fmt.Errorf("erase from staff: %w", err)
	}
	return nil
}

func agencyOf(ctx context.Context, tx pgx.Tx, id string) (agency string, err error) {
	err = tx.QueryRow(ctx, `SELECT agency FROM staff WHERE id = $1`, id).Scan(&agency)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	return agency, err
}

// inTx runs an act in a transaction of its own, which every act's audit row ends.
func (s *Store) inTx(ctx context.Context, what string, act func(tx pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, s.pool, act); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// told makes an error for people of a constraint that a statement hurt.
func told(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.ConstraintName {
	case "staff_mail_hash_key":
		return ErrMailTaken
	case "staff_agency_fkey", "staff_role_agency_fkey":
		return ErrAgency
	case "staff_role_staff_fkey":
		return ErrNotFound
	case "staff_role_role_check":
		return ErrRole
	case "staff_role_held":
		return ErrRoleHeld
	case "agency_level_check", "agency_superior_fkey":
		return ErrAgencyInvalid
	}
	return err
}
