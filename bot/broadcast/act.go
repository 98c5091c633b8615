package broadcast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/staff"
)

// rule says where an act may begin and who may do it: who holds one of the roles
// in the broadcast's agency and, where it says so, operators at the machine.
type rule struct {
	from      []State
	roles     []staff.Role
	operators bool
}

var (
	editors   = []staff.Role{staff.Editor}
	approvers = []staff.Role{staff.Approver}
	both      = []staff.Role{staff.Editor, staff.Approver}
)

// rules are the acts there are, by the word the audit has for them.
var rules = map[string]rule{
	"edit":      {from: []State{Draft, Submitted, Approved, Scheduled, Paused}, roles: editors},
	"submit":    {from: []State{Draft}, roles: editors},
	"send_back": {from: []State{Submitted, Approved, Scheduled, Paused}, roles: approvers},
	"approve":   {from: []State{Submitted}, roles: approvers},
	"pause":     {from: []State{Approved, Scheduled, Running}, roles: both, operators: true},
	"resume":    {from: []State{Paused}, roles: approvers, operators: true},
	"cancel":    {from: []State{Draft, Submitted, Approved, Scheduled, Running, Paused}, roles: both, operators: true},
	"go":        {from: []State{Running}, roles: approvers},
	"correct":   {from: []State{Running, Scheduled, Paused, Done, Cancelled}, roles: editors},
	"resend":    {from: []State{Running, Scheduled, Paused, Done}, roles: approvers}, // of a paused one, when it is resumed
}

// request is an act somebody asks for.
type request struct {
	name    string // of its rule
	actor   staff.Actor
	id      int64
	version int64 // what the actor looked at; 0: whichever
	now     time.Time
}

// act carries out an act in one transaction: the broadcast is locked, the actor's
// role and the broadcast's state are looked at, do changes it, and the audit tells.
// What do returns is the audit's detail.
func (s *Store) act(ctx context.Context, r request, do func(tx pgx.Tx, b *Broadcast) (map[string]any, error)) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		b, err := s.admit(ctx, tx, r)
		if err != nil {
			return err
		}
		agency := b.Agency
		detail, err := do(tx, &b)
		if err != nil {
			return err
		}
		b.Version++
		if err := b.save(ctx, tx, r.now); err != nil {
			return err
		}
		return s.audit(ctx, tx, r.actor, r.name, r.id, agency, detail)
	})
	return told(r.name, err)
}

// admit locks the broadcast of a request and refuses what may not be done to it:
// first by whom, then to what was looked at, then in this state.
func (s *Store) admit(ctx context.Context, tx pgx.Tx, r request) (Broadcast, error) {
	b, err := lock(ctx, tx, r.id)
	if err != nil {
		return b, err
	}
	if err := s.permit(ctx, tx, rules[r.name], r.actor, b.Agency); err != nil {
		return b, err
	}
	if r.version != 0 && r.version != b.Version {
		return b, ErrStale
	}
	if !slices.Contains(rules[r.name].from, b.State) {
		return b, refuse("state", "State", b.State)
	}
	return b, nil
}

// look reads the broadcast of a request that would be admitted now, for what has
// to be worked out before the act's transaction.
func (s *Store) look(ctx context.Context, r request) (b Broadcast, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		b, err = s.admit(ctx, tx, r)
		return err
	})
	return b, told(r.name, err)
}

// told leaves errors for people as they are, and says of others what was being done.
func told(act string, err error) error {
	var refused *Refused
	var forbidden *staff.Forbidden
	if err == nil || errors.As(err, &refused) || errors.As(err, &forbidden) ||
		errors.Is(err, ErrStale) || errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("broadcast %s: %w", act, err)
}

// permit returns nil when the actor may do what the rule is about in agency, at
// this moment.
func (s *Store) permit(ctx context.Context, tx pgx.Tx, r rule, actor staff.Actor, agency string) error {
	if actor.IsOperator() && r.operators {
		return nil
	}
	var err error
	for _, role := range r.roles {
		var forbidden *staff.Forbidden
		if err = s.Staff.Require(ctx, tx, actor, role, agency); err == nil || !errors.As(err, &forbidden) {
			return err
		}
	}
	return err
}

func (s *Store) audit(ctx context.Context, tx pgx.Tx, actor staff.Actor, act string, id int64, agency string, detail map[string]any) error {
	return s.Staff.Audit(ctx, tx, staff.Entry{
		Actor: actor, Action: "broadcast." + act, Object: fmt.Sprintf("broadcast:%d", id), Agency: agency, Detail: detail,
	})
}

// save writes what an act changed.
func (b *Broadcast) save(ctx context.Context, tx pgx.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `
UPDATE broadcast SET authors = $2, state = $3, version = $4, definition = $5, note = nullif($6, ''),
    approved_at = $7, approved_until = $8, changed_at = $9
WHERE id = $1`, b.ID, b.Authors, b.State, b.Version, b.Definition, b.Note,
		orNull(b.ApprovedAt), orNull(b.ApprovedUntil), now)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
