// Package delivery keeps what was decided to be sent until its fate is known,
// and sends it.
//
// It promises four things. What a turn's transaction enqueued survives a crash.
// A reply is sent at least once and doubled only where nobody can know whether
// it arrived; a notice or broadcast is sent at most once. Replies of one citizen
// go in their order, as do notices and broadcasts; one call a citizen is in the
// air. And every call has taken its place in the one rate limit of the account.
//
// A row's life: pending (anybody may take it), claimed (an instance has it in
// memory, under a lease), sending (the call may be under way: committed before
// the call begins), then gone from the outbox and written to history. What
// happens to a row that an instance left in sending, or whose call was cut off,
// is in recover.go: it is unknown, its echo is looked for, and a reply is sent
// once more. Held rows were set aside after a restore.
//
// Replies take a short cut, and so do pushes (reserve.go). Prepare reserves a place
// in the air and a slot of the rate limit before the turn's transaction begins; the
// row is then inserted as sending by that transaction itself, and Hand starts the
// call without another statement. At any moment no more rows of an instance are in sending
// than it has places (see Options.Places), so that a crash leaves no more than
// that many in doubt.
package delivery

import (
	"context"
	"time"

	"congdanso/bot"
)

// Priority says who goes first when there are more calls than slots.
type Priority int8

// Priorities, the most urgent first.
const (
	Reply     Priority = iota // to somebody waiting, and the calls it causes
	Urgent                    // notices and broadcasts that cannot wait
	Notice                    // what somebody asked to be told
	Broadcast                 // what staff send to many
	Upkeep                    // reconciling, profiles, quotas
	priorities
)

// Priorities is how many priorities there are.
const Priorities = int(priorities)

var priorityNames = [priorities]string{"reply", "urgent", "notice", "broadcast", "upkeep"}

// String is the priority's name in metrics and logs.
func (p Priority) String() string {
	if p < 0 || p >= priorities {
		return "unknown"
	}
	return priorityNames[p]
}

// Limiter gives out slots of the account's rate limit, over all instances.
// Waiting costs no slot. A slot is meant to be used within half a second.
type Limiter interface {
	// Try asks for up to n slots without waiting. It returns how many were
	// given and, when fewer than n, after how long to ask again.
	Try(ctx context.Context, p Priority, n int) (got int, again time.Duration)
	// Take waits for one slot. The error is ctx's.
	Take(ctx context.Context, p Priority) error
	// Throttled tells that Zalo refused a call for its rate all the same.
	Throttled()
}

// Item is something to be delivered: a message, a template or a call.
type Item struct {
	To       bot.CitizenID
	Priority Priority
	Message  *bot.Message
	Template *bot.Template
	Call     *bot.Call
	// Refs are what a push is sent for, and Rung the rung of the ladder it goes by:
	// the ledger's own numbers and words (see Ledger). A push that Zalo refuses for
	// good, or that is too late, leaves the outbox and is the ledger's again.
	Refs []int64
	Rung string
	// NotAfter, when set, is the last moment at which its call may begin.
	NotAfter time.Time
	// NotBefore delays it; zero means now.
	NotBefore time.Time
	// ExpiresAt is when it is dropped undelivered; zero means half an hour from
	// now for a reply, a day for the rest.
	ExpiresAt time.Time
	// InReplyAt is the signed time of the citizen's last interaction, from which
	// Zalo's window of seven days runs; zero when it is not known.
	InReplyAt time.Time
	// EventID ties the lines of the log from the webhook to Zalo's answer: the
	// short hash of the event that caused this, if one did. It is not stored, so
	// what another instance takes over is logged without it.
	EventID string
	// NoHistory leaves no trace of it in the history: the receipt of an erasure.
	NoHistory bool

	ticket *ticket
}

// Kinds of rows: a message, a template, or a call's own kind. Only calls can be made
// twice without harm.
const (
	kindMessage  = "message"
	kindTemplate = "template"
)

func (it *Item) kind() string {
	switch {
	case it.Call != nil:
		return string(it.Call.Kind)
	case it.Template != nil:
		return kindTemplate
	}
	return kindMessage
}

func (it *Item) contents() (n int) {
	for _, given := range []bool{it.Message != nil, it.Template != nil, it.Call != nil} {
		if given {
			n++
		}
	}
	return n
}

// window is how long after an interaction Zalo takes a consultation message
// (Zalo: rules of sending).
const window = 7 * 24 * time.Hour

// Alarm is something the operators should know. It names no person.
type Alarm struct {
	Kind  string // "human": a kind of call was refused for good; "unknown": a notice's fate is unknown; "unanswered": pushes rest
	Call  string // the kind of call: message, tag, …
	Code  int    // Zalo's code, if any
	Words string // Zalo's words
}

// Options are the settings of an outbox. Zero values get the defaults.
type Options struct {
	// Instance names this run of this process: never the same again after a
	// restart. Required.
	Instance string
	// Now is the clock (time.Now).
	Now func() time.Time
	// Places is how many calls may be in the air at once (64).
	Places int
	// Lease is how long an instance may hold a row (10 s), by Postgres's clock.
	Lease time.Duration
	// CallLimit bounds a call (8 s). It must be shorter than Lease: a call is not
	// begun unless it would end within the lease.
	CallLimit time.Duration
	// EchoWait is how long an unknown reply waits for its echo (5 s).
	EchoWait time.Duration
	// BlockFor is how long a refused reply holds up later ones (30 s).
	BlockFor time.Duration
	// ReplyLife is after how long an undelivered reply is dropped (30 min).
	ReplyLife time.Duration
	// Poll is how often the table is looked at for what nobody holds (1 s).
	Poll time.Duration
	// Backoff is the first pause after a refusal that may pass (500 ms); it
	// doubles with each try.
	Backoff time.Duration
	// HumanPause is how long a kind of call rests after Zalo refused it for a
	// reason that a person has to remove (5 min).
	HumanPause time.Duration
	// Crowded is the age of a waiting reply from which menus, fallbacks and
	// outdated answers are dropped (10 s).
	Crowded time.Duration
	// Paused starts without sending; see Pause.
	Paused bool
	// Alarm is told what the operators should know. It must not block.
	Alarm func(Alarm)
	// Ledger keeps the books of pushes; nil where none are sent.
	Ledger Ledger
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Places == 0 {
		o.Places = 64
	}
	set(&o.Lease, 10*time.Second)
	set(&o.CallLimit, 8*time.Second)
	set(&o.EchoWait, 5*time.Second)
	set(&o.BlockFor, 30*time.Second)
	set(&o.ReplyLife, 30*time.Minute)
	set(&o.Poll, time.Second)
	set(&o.Backoff, 500*time.Millisecond)
	set(&o.HumanPause, 5*time.Minute)
	set(&o.Crowded, 10*time.Second)
	if o.Alarm == nil {
		o.Alarm = func(Alarm) {}
	}
	return o
}
