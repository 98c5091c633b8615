package delivery

import (
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// Ledger keeps the books of pushes: messages that carry refs. It adds to the batch
// that settles their messages the statements that settle them, so that both commit
// or neither does.
//
// It may hear of one message more than once: that it is unknown, and later what
// became of it. It never hears of one that is tried again.
type Ledger interface {
	QueueSettled(batch *pgx.Batch, list []Settled)
}

// Settled is what became of a push's message.
type Settled struct {
	To   bot.CitizenID
	Refs []int64
	Rung string
	// Template is Zalo's id of the template it went by, if it went by one.
	Template string
	Outcome  string // Sent, Failed, Dropped (it expired, or its hour is over) or Unknown
	Class    Class  // of a failed one: what the refusal asks for
	Code     int    // Zalo's, if it said one
	Cause    string
	MsgID    string
	At       time.Time // when Zalo took it, or it was given up
}

// Outcomes of a settled push.
const (
	Sent    = outcomeSent
	Failed  = outcomeFailed
	Dropped = outcomeDropped
	Unknown = outcomeUnknown
)

// queueBooks adds the ledger's statements for the pushes among all.
func (o *Outbox) queueBooks(batch *pgx.Batch, all []settlement) {
	if o.opt.Ledger == nil {
		return
	}
	var list []Settled
	for _, s := range all {
		j, v := s.job, s.verdict
		if !j.push() {
			continue
		}
		b := Settled{To: j.who, Refs: j.refs, Rung: j.rung, Outcome: v.outcome, Class: v.class, Code: v.code,
			Cause: v.cause, MsgID: clean(v.msgID), At: v.at}
		if j.template != nil {
			b.Template = j.template.ID
		}
		switch v.state {
		case "":
		case stateUnknown:
			if v.cause == causeReported {
				continue // nothing new
			}
			b.Outcome = Unknown
		default:
			continue // tried again
		}
		if b.At.IsZero() {
			b.At = o.opt.Now()
		}
		list = append(list, b)
	}
	if len(list) > 0 {
		o.opt.Ledger.QueueSettled(batch, list)
	}
}
