package broadcast

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/staff"
)

// recurringHolds is how long the approval of a recurring broadcast holds.
const recurringHolds = 90 * 24 * time.Hour

// Bounds of how long after its start a run's copies may still go.
const (
	shortestLife = time.Hour
	longestLife  = 30 * 24 * time.Hour
)

// void takes a broadcast back to a draft: its approvals and the runs that have not
// begun go.
func (b *Broadcast) void(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM broadcast_approval WHERE broadcast = $1`, b.ID); err != nil {
		return fmt.Errorf("void approvals: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM broadcast_run WHERE broadcast = $1 AND state = 'scheduled'`, b.ID); err != nil {
		return fmt.Errorf("take back runs: %w", err)
	}
	b.State, b.ApprovedAt, b.ApprovedUntil = Draft, time.Time{}, time.Time{}
	return nil
}

// Create drafts a broadcast. It takes an editor of the definition's agency.
func (s *Store) Create(ctx context.Context, actor staff.Actor, oa string, d Definition, now time.Time) (id int64, err error) {
	d.Corrects, d.Audience.SentBy = 0, nil
	d = s.narrowed(d)
	if err := d.checkDraft(); err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := s.permit(ctx, tx, rule{roles: editors}, actor, d.Agency); err != nil {
			return err
		}
		if id, err = insert(ctx, tx, actor, oa, d, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, actor, "create", id, d.Agency, nil)
	})
	return id, told("create", err)
}

func insert(ctx context.Context, tx pgx.Tx, actor staff.Actor, oa string, d Definition, now time.Time) (id int64, err error) {
	err = tx.QueryRow(ctx, `
INSERT INTO broadcast (oa_id, authors, state, definition, corrects, created_at, changed_at)
VALUES ($1, ARRAY[$2], 'draft', $3, nullif($4::bigint, 0), $5, $5) RETURNING id`,
		oa, actor.ID, d.canonical(), d.Corrects, now).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("insert: %w", err)
	}
	return id, nil
}

// narrowed narrows an article to the province where its author did not say to where.
// It stands in the definition, for authors to see, and approvers to approve.
func (s *Store) narrowed(d Definition) Definition {
	if d.Kind == Article && len(d.Target.Cities) == 0 && !d.Target.Everywhere {
		d.Target.Cities = slices.Clone(s.Cities)
	}
	return d
}

// checkDraft refuses what not even a draft may lack.
func (d Definition) checkDraft() error {
	if d.Kind != Personal && d.Kind != Article {
		return refuse("kind")
	}
	if d.Agency == "" {
		return refuse("agency")
	}
	return nil
}

// Edit replaces the definition that stood at version. Whatever was approved of it
// is void, and it is a draft again. Whom a correction goes to cannot be edited.
func (s *Store) Edit(ctx context.Context, actor staff.Actor, id, version int64, d Definition, now time.Time) error {
	d = s.narrowed(d)
	if err := d.checkDraft(); err != nil {
		return err
	}
	return s.act(ctx, request{"edit", actor, id, version, now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		if d.Agency != b.Agency {
			if err := s.permit(ctx, tx, rules["edit"], actor, d.Agency); err != nil {
				return nil, err
			}
		}
		live, err := liveRun(ctx, tx, id)
		if err := cmp.Or(err, refuseLive(live)); err != nil {
			return nil, err
		}
		was := b.State
		if err := b.void(ctx, tx); err != nil {
			return nil, err
		}
		d.Corrects, d.Audience.SentBy = b.Corrects, b.Audience.SentBy
		if d.Corrects != 0 {
			d.Audience = b.Audience
		}
		b.Definition, b.Note = d.canonical(), ""
		if !slices.Contains(b.Authors, actor.ID) {
			b.Authors = append(b.Authors, actor.ID)
		}
		return map[string]any{"was": was}, nil
	})
}

func refuseLive(live *Run) error {
	if live == nil {
		return nil
	}
	return refuse("live")
}

// Submit hands a draft to the approvers. What could not go out as it stands is
// refused with the reason.
func (s *Store) Submit(ctx context.Context, actor staff.Actor, id, version int64, now time.Time) error {
	r := request{"submit", actor, id, version, now}
	b, err := s.look(ctx, r)
	if err != nil {
		return err
	}
	if err := s.check(ctx, b, now); err != nil {
		return err
	}
	return s.act(ctx, r, func(_ pgx.Tx, b *Broadcast) (map[string]any, error) {
		b.State, b.Note = Submitted, ""
		return nil, nil
	})
}

// check refuses what must not go out.
func (s *Store) check(ctx context.Context, b Broadcast, now time.Time) error {
	lawful := b.Purpose == PurposeDuty || b.Purpose == PurposeDisaster
	switch {
	case strings.TrimSpace(b.Title) == "":
		return refuse("title")
	case b.Purpose == "":
		return refuse("purpose")
	case lawful && strings.TrimSpace(b.LegalBasis) == "":
		return refuse("legal_basis")
	case b.Urgent && !lawful:
		return refuse("urgent_purpose")
	case b.Urgent && b.Schedule.Recurring():
		return refuse("urgent_recurring")
	case b.ExpiresAfter < shortestLife || b.ExpiresAfter > longestLife:
		return refuse("expiry", "Least", int(shortestLife.Hours()), "Most", int(longestLife.Hours()/24))
	}
	if err := b.Schedule.check(now); err != nil {
		return err
	}
	if err := s.checkContent(ctx, b, b.start(now)); err != nil {
		return err
	}
	if b.Corrects != 0 {
		wrong, err := s.Get(ctx, b.Corrects)
		if err != nil {
			return err
		}
		if reflect.DeepEqual(wrong.Body, b.Body) {
			return refuse("same_text")
		}
	}
	if b.Kind == Article {
		return nil // everybody who follows: Zalo knows how many
	}
	n, err := s.count(ctx, b, b.start(now))
	if err != nil {
		return err
	}
	if n.Recipients == 0 {
		return refuse("empty", "Audience", n.Audience)
	}
	return nil
}

// SendBack makes a broadcast a draft again, with a word for its author.
func (s *Store) SendBack(ctx context.Context, actor staff.Actor, id, version int64, word string, now time.Time) error {
	if word = strings.TrimSpace(word); word == "" {
		return refuse("word")
	}
	return s.act(ctx, request{"send_back", actor, id, version, now}, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		live, err := liveRun(ctx, tx, id)
		if err := cmp.Or(err, refuseLive(live)); err != nil {
			return nil, err
		}
		was := b.State
		if err := b.void(ctx, tx); err != nil {
			return nil, err
		}
		b.Note = word
		return map[string]any{"was": was, "word": word}, nil
	})
}

// Seen is the plan an approver looked at.
type Seen struct {
	Hash       []byte // Plan.Hash
	Recipients int64
	Cost       int64 // đồng
	// Basis is set by who confirms the legal basis of a duty or a disaster.
	Basis bool
}

// Approve lets a broadcast go, as it was seen: ErrStale where it is no longer that.
// An urgent one takes two approvers. Nobody approves what they wrote at.
func (s *Store) Approve(ctx context.Context, actor staff.Actor, id int64, seen Seen, now time.Time) error {
	r := request{name: "approve", actor: actor, id: id, now: now}
	b, err := s.look(ctx, r)
	if err != nil {
		return err
	}
	// What is approved is what was seen, and no more than there is.
	n, err := s.count(ctx, b, b.start(now))
	if err != nil {
		return err
	}
	seen.Recipients, seen.Cost = min(seen.Recipients, n.Recipients), min(seen.Cost, n.Cost)
	return s.act(ctx, r, func(tx pgx.Tx, b *Broadcast) (map[string]any, error) {
		hash, err := s.hash(ctx, tx, b.Definition)
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(hash, seen.Hash):
			return nil, ErrStale
		case slices.Contains(b.Authors, actor.ID):
			return nil, refuse("author")
		case b.LegalBasis != "" && !seen.Basis:
			return nil, refuse("confirm_basis", "Basis", b.LegalBasis)
		case !b.Schedule.At.IsZero() && now.After(b.Schedule.At.Add(b.Schedule.LatestStart)):
			return nil, refuse("past")
		}
		tag, err := tx.Exec(ctx, `
INSERT INTO broadcast_approval (broadcast, authors, approver, role, hash, recipients, cost, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (broadcast, approver) DO NOTHING`,
			id, b.Authors, actor.ID, staff.Approver, hash, seen.Recipients, seen.Cost, now)
		if err != nil {
			return nil, fmt.Errorf("insert approval: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, refuse("approved_by_you")
		}
		var have int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM broadcast_approval WHERE broadcast = $1`, id).Scan(&have); err != nil {
			return nil, fmt.Errorf("count approvals: %w", err)
		}
		if have >= b.approversNeeded() {
			b.State, b.Note, b.ApprovedAt = Approved, "", now
			if b.Schedule.Recurring() {
				b.ApprovedUntil = now.Add(recurringHolds)
			}
		}
		return map[string]any{"hash": fmt.Sprintf("%x", hash), "recipients": seen.Recipients, "cost": seen.Cost,
			"have": have, "need": b.approversNeeded()}, nil
	})
}

// approversNeeded: an urgent one goes at night and over everybody's own number.
func (b *Broadcast) approversNeeded() int {
	if b.Urgent {
		return 2
	}
	return 1
}

// start is when it goes next, for all we know: now where nothing is said.
func (b *Broadcast) start(now time.Time) time.Time {
	if at := b.Schedule.next(now); !at.IsZero() {
		return at
	}
	return now
}
