package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"congdanso/bot"
)

// settlement is what became of a job, on its way into the tables.
type settlement struct {
	job     *job
	verdict verdict
}

// dataError is Postgres's refusal of what stands in a row: repeating it is no use.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

// Whoever holds a row settles it: the instance that began the call with that
// number. That a message was sent is true whoever holds the row meanwhile, unless
// another call of it is in the air. Relies on the primary key of outbox.
const leaveSQL = `
WITH w AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::timestamptz[], $7::text[], $8::text[],
                         $9::int[], $10::text[], $11::bytea[])
        AS w (oa_id, citizen, id, tries, at, msg_id, outcome, code, cause, body)
), gone AS (
    DELETE FROM outbox o USING w
    WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id
      AND (o.instance = $1 AND o.tries = w.tries OR w.outcome = 'sent' AND o.state <> 'sending')
    RETURNING w.*, o.priority, o.kind, o.secret
)
INSERT INTO history (oa_id, citizen, at, outgoing, priority, kind, msg_id, outcome, code, cause, body)
SELECT oa_id, citizen, at, true, priority, kind, msg_id, outcome, code, cause, body FROM gone WHERE NOT secret`

const staySQL = `
UPDATE outbox o
SET state = w.state, instance = NULL, cause = w.cause, unsure = o.unsure + w.unsure::int,
    due_at = CASE WHEN w.state <> 'unknown' THEN least(coalesce(w.due, clock_timestamp() + w.after), o.expires_at)
                  WHEN o.priority <> 0 AND w.cause = 'reported' THEN clock_timestamp() + $4::interval
                  ELSE clock_timestamp() + w.after END,
    echo_until = CASE WHEN w.unsure THEN clock_timestamp() + $2::interval ELSE o.echo_until END,
    blocks_until = CASE WHEN w.block THEN coalesce(o.blocks_until, clock_timestamp() + $3::interval) ELSE o.blocks_until END
FROM unnest($5::text[], $6::text[], $7::bigint[], $8::smallint[], $9::text[], $10::text[], $11::bool[], $12::bool[],
            $13::timestamptz[], $14::interval[])
     AS w (oa_id, citizen, id, tries, state, cause, unsure, block, due, after)
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id AND o.instance = $1 AND o.tries = w.tries`

// settleBatch writes what became of jobs, in one transaction. When that fails
// through what stands in one of them, they are written one by one.
func (o *Outbox) settleBatch(ctx context.Context, all []settlement) []error {
	ctx, cancel := context.WithTimeout(ctx, o.opt.Lease)
	defer cancel()
	err := o.settleAll(ctx, all)
	if err == nil {
		for _, s := range all {
			o.settled(s)
		}
		return nil
	}
	errs := make([]error, len(all))
	for i := range all {
		errs[i] = err
		if !faultOfData(err) {
			continue
		}
		if errs[i] = o.settleAll(ctx, all[i:i+1]); errs[i] == nil {
			o.settled(all[i])
		} else if faultOfData(errs[i]) {
			errs[i] = &dataError{errs[i]}
		}
	}
	return errs
}

func (o *Outbox) settleAll(ctx context.Context, all []settlement) error {
	batch := &pgx.Batch{}
	o.queueLeave(batch, all)
	o.queueStay(batch, all)
	o.queueBooks(batch, all)
	var err error
	switch batch.Len() {
	case 0:
		return nil
	case 1: // alone it needs no second round trip
		q := batch.QueuedQueries[0]
		_, err = o.pool.Exec(ctx, q.SQL, q.Arguments...)
	default:
		err = o.pool.SendBatch(ctx, batch).Close()
	}
	if err != nil {
		return fmt.Errorf("settle %d deliveries: %w", len(all), err)
	}
	return nil
}

func (o *Outbox) queueLeave(batch *pgx.Batch, all []settlement) {
	var oas, users, outcomes []string
	var msgIDs, causes []*string
	var ids []int64
	var tries []int16
	var codes []*int32
	var ats []time.Time
	var bodies [][]byte
	for _, s := range all {
		j, v := s.job, s.verdict
		if v.state != "" {
			continue
		}
		at := v.at
		if at.IsZero() {
			at = o.opt.Now()
		}
		oas, users, ids, tries = append(oas, j.who.OA), append(users, j.who.User), append(ids, j.id), append(tries, j.tries)
		ats, msgIDs, outcomes = append(ats, at), append(msgIDs, optional(clean(v.msgID))), append(outcomes, v.outcome)
		causes, bodies = append(causes, optional(v.cause)), append(bodies, o.historyBody(j))
		if v.code != 0 {
			code := int32(v.code)
			codes = append(codes, &code)
		} else {
			codes = append(codes, nil)
		}
	}
	if len(ids) > 0 {
		batch.Queue(leaveSQL, o.opt.Instance, oas, users, ids, tries, ats, msgIDs, outcomes, codes, causes, bodies)
	}
}

func (o *Outbox) queueStay(batch *pgx.Batch, all []settlement) {
	var oas, users, states []string
	var causes []*string
	var ids []int64
	var tries []int16
	var unsure, block []bool
	var dues []*time.Time
	var afters []time.Duration
	for _, s := range all {
		j, v := s.job, s.verdict
		if v.state == "" {
			continue
		}
		oas, users, ids, tries = append(oas, j.who.OA), append(users, j.who.User), append(ids, j.id), append(tries, j.tries)
		states, causes = append(states, v.state), append(causes, optional(v.cause))
		unsure, block, afters = append(unsure, v.unsure), append(block, v.block), append(afters, v.after)
		if v.due.IsZero() {
			dues = append(dues, nil)
		} else {
			dues = append(dues, &v.due)
		}
	}
	if len(ids) > 0 {
		batch.Queue(staySQL, o.opt.Instance, o.opt.EchoWait, o.opt.BlockFor, unknownKept,
			oas, users, ids, tries, states, causes, unsure, block, dues, afters)
	}
}

// settled does what follows once it is written down.
func (o *Outbox) settled(s settlement) {
	j, v := s.job, s.verdict
	o.meter.settled(j, v, o.opt.Now())
	switch {
	case v.state == stateUnknown && v.cause != causeReported || v.state == statePending && v.after < o.opt.Poll && v.after > 0:
		time.AfterFunc(v.after, o.lookNow)
	case v.state == statePending && v.after == 0:
		o.lookNow()
	}
}

// reportUnknown: only a person may have such a message sent again.
func (o *Outbox) reportUnknown(j *job) {
	slog.Error("nobody knows whether a message arrived; it is not sent again", "class", j.priority.String(), "message_id", j.id)
	o.opt.Alarm(Alarm{Kind: "unknown", Call: j.kind})
}

// historyBody is what the history keeps of a message: its text, long numbers
// masked, sealed.
func (o *Outbox) historyBody(j *job) []byte {
	if j.msg == nil || j.secret {
		return nil // of a template it keeps when and by which rung it went, no values
	}
	text := j.msg.Text
	if f := j.msg.AskContact; f != nil {
		text = strings.TrimSpace(text + "\n" + f.Title + "\n" + f.Subtitle)
	}
	return o.keys.Seal(historyPurpose, []byte(Mask(text)))
}

// Incoming is something a citizen (or the staff, in Zalo's own tools) wrote.
type Incoming struct {
	From  bot.CitizenID
	At    time.Time // signed time
	MsgID string
	Text  string
}

// QueueIncoming adds to batch the statement that writes what came in to the
// history, long numbers masked, sealed.
func (o *Outbox) QueueIncoming(batch *pgx.Batch, in []Incoming) {
	if len(in) == 0 {
		return
	}
	n := len(in)
	oas, users, msgIDs := make([]string, n), make([]string, n), make([]*string, n)
	ats, bodies := make([]time.Time, n), make([][]byte, n)
	for i, row := range in {
		oas[i], users[i], msgIDs[i] = row.From.OA, row.From.User, optional(clean(row.MsgID))
		ats[i], bodies[i] = row.At, o.keys.Seal(historyPurpose, []byte(Mask(row.Text)))
	}
	batch.Queue(`
INSERT INTO history (oa_id, citizen, at, outgoing, kind, msg_id, body)
SELECT w.o, w.u, w.at, false, 'message', w.m, w.b
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bytea[]) AS w (o, u, at, m, b)`,
		oas, users, ats, msgIDs, bodies)
}

// InsertIncoming writes what came in to the history inside tx; see QueueIncoming.
func (o *Outbox) InsertIncoming(ctx context.Context, tx pgx.Tx, in []Incoming) error {
	batch := &pgx.Batch{}
	if o.QueueIncoming(batch, in); batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write %d incoming messages to history: %w", len(in), err)
	}
	return nil
}

// faultOfData reports whether err is Postgres's refusal of what was in a row
// (classes 22 and 23).
func faultOfData(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (strings.HasPrefix(pgErr.Code, "22") || strings.HasPrefix(pgErr.Code, "23"))
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
