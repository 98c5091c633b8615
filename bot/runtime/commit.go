package runtime

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/inbox"
)

// unit is what commits as a whole: one turn, or the turns of one citizen that
// are answered together.
type unit struct {
	claim  *inbox.Claim
	events []inbox.Turned
	// last gives the claim back with this commit.
	last    bool
	created *bot.Citizen // set when this unit makes the citizen known
	rec     record
	items   []delivery.Item
	history []delivery.Incoming
	effects []bot.Applied
	alerts  []bot.Alert
	erase   *citizen.Erase
	at      time.Time
	// alone keeps the unit out of shared commits: its event was in hand when an
	// instance died, or several events must commit together or not at all.
	alone bool

	outcome inbox.Outcome
}

// errNotAllFresh rolls back a unit of several events one of which was turned
// before, or is gone: they are then turned one by one.
var errNotAllFresh = errors.New("not every event of the unit is fresh")

// commitAll commits units in one transaction. When that fails for a reason that
// lies in one of them, each is committed by itself, so that only what fails
// alone is charged.
func (r *Runtime) commitAll(ctx context.Context, units []*unit) []error {
	var shared []*unit
	errs := make([]error, len(units))
	place := make([]int, 0, len(units))
	for i, u := range units {
		if u.alone || u.erase != nil {
			errs[i] = r.commitTx(ctx, []*unit{u})
			continue
		}
		shared, place = append(shared, u), append(place, i)
	}
	if len(shared) == 0 {
		return errs
	}
	err := r.commitTx(ctx, shared)
	switch {
	case err == nil:
	case len(shared) == 1 || infrastructure(err):
		for _, i := range place {
			errs[i] = err
		}
	default:
		for j, i := range place {
			errs[i] = r.commitTx(ctx, shared[j:j+1])
		}
	}
	return errs
}

func (r *Runtime) commitTx(ctx context.Context, units []*unit) error {
	ctx, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	r.prepare(ctx, units)
	var fresh []*unit
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		var err error
		if fresh, err = r.settle(ctx, tx, units); err != nil || len(fresh) == 0 {
			return err
		}
		if fresh[0].erase != nil {
			return r.writeErasure(ctx, tx, fresh[0])
		}
		return r.write(ctx, tx, fresh)
	})
	if err != nil {
		fresh = nil
	}
	for _, u := range units {
		if !slices.Contains(fresh, u) {
			r.outbox.Withdraw(u.items)
		}
	}
	if err != nil {
		return fmt.Errorf("commit %d turns: %w", len(units), err)
	}
	for _, u := range fresh {
		if u.erase != nil {
			// Read back by `congdanso resume --erased` after a restore.
			slog.Info("citizen_erased", "citizen", hex.EncodeToString(r.citizens.Hash(u.claim.Who)), "at", u.at.Format(time.RFC3339Nano))
		}
		r.outbox.Hand(u.items)
	}
	return nil
}

// prepare lets delivery reserve what it can for the units' replies, so that the
// commit itself can mark them as being sent.
func (r *Runtime) prepare(ctx context.Context, units []*unit) {
	var items []delivery.Item
	for _, u := range units {
		for _, it := range u.items { // afresh: a unit may be committed a second time, alone
			items = append(items, delivery.Item{To: it.To, Priority: it.Priority, Message: it.Message, Call: it.Call,
				NotBefore: it.NotBefore, ExpiresAt: it.ExpiresAt, InReplyAt: it.InReplyAt, NoHistory: it.NoHistory, EventID: it.EventID})
		}
	}
	r.outbox.Prepare(ctx, items)
	for _, u := range units {
		u.items, items = items[:len(u.items):len(u.items)], items[len(u.items):]
	}
}

// settle removes the units' events and returns the units that may write.
func (r *Runtime) settle(ctx context.Context, tx pgx.Tx, units []*unit) ([]*unit, error) {
	var turned []inbox.Turned
	for _, u := range units {
		for i := range u.events {
			u.events[i].Last = u.last
		}
		turned = append(turned, u.events...)
	}
	outcomes, err := r.inbox.Settle(ctx, tx, turned)
	if err != nil {
		return nil, err
	}
	var fresh []*unit
	for _, u := range units {
		mine := outcomes[:len(u.events)]
		outcomes = outcomes[len(u.events):]
		u.outcome = mine[0]
		for _, o := range mine {
			if len(mine) > 1 && o != inbox.Fresh {
				return nil, errNotAllFresh
			}
		}
		if u.outcome == inbox.Fresh {
			fresh = append(fresh, u)
		}
	}
	return fresh, nil
}

// write stores what the units decided.
func (r *Runtime) write(ctx context.Context, tx pgx.Tx, units []*unit) error {
	batch := &pgx.Batch{}
	var created []bot.Citizen
	who, records := make([]bot.CitizenID, 0, len(units)), make([]record, 0, len(units))
	var items []delivery.Item
	var history []delivery.Incoming
	effects := map[string][]bot.Applied{}
	var alerts []bot.Alert
	for _, u := range units {
		if u.created != nil {
			created = append(created, *u.created)
		}
		if !u.claim.Who.IsZero() { // events about the account itself have no conversation
			who, records = append(who, u.claim.Who), append(records, u.rec)
		}
		items = append(items, u.items...)
		history = append(history, u.history...)
		alerts = append(alerts, u.alerts...)
		for _, a := range u.effects {
			effects[a.Effect.Feature()] = append(effects[a.Effect.Feature()], a)
		}
	}
	if len(created) > 0 {
		r.citizens.QueueCreate(batch, created)
	}
	if err := r.convs.queueSave(batch, who, records); err != nil {
		return err
	}
	r.outbox.QueueIncoming(batch, history)
	if err := r.outbox.QueueEnqueue(batch, items); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write turns: %w", err)
	}
	for name, list := range effects {
		f := r.features[name]
		if f == nil {
			return fmt.Errorf("no feature %q applies effects", name)
		}
		if err := f.Apply(ctx, tx, list); err != nil {
			return err
		}
	}
	if len(alerts) > 0 {
		return r.alerter.Alert(ctx, tx, alerts)
	}
	return nil
}

// writeErasure removes everything of the citizen; the receipt is the last send.
func (r *Runtime) writeErasure(ctx context.Context, tx pgx.Tx, u *unit) error {
	for _, e := range r.erasers {
		if err := e.EraseCitizen(ctx, tx, u.claim.Who); err != nil {
			return err
		}
	}
	if err := r.convs.EraseCitizen(ctx, tx, u.claim.Who); err != nil {
		return err
	}
	if err := r.citizens.EraseCitizen(ctx, tx, u.claim.Who, u.at); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	if err := r.outbox.QueueEnqueue(batch, u.items); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write erasure: %w", err)
	}
	return nil
}

// infrastructure reports whether err says that something around us is away, or
// that we were held up ourselves, and not that the turn is at fault: then nobody
// is charged a try. Whatever is no word of Postgres's about the statement counts:
// a broken connection, a time that ran out.
func infrastructure(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code[:2] {
		case "08", "40", "53", "55", "57", "58":
			return true
		}
		return pgErr.Code == idleInTransaction
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// idleInTransaction is Postgres's code for a transaction it ended because nothing
// came for too long: this process stood still.
const idleInTransaction = "25P03"
