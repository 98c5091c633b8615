package delivery

import (
	"context"
	"fmt"
	"time"

	"congdanso/bot"
)

// Zalo is what delivery needs of the account's API. The caller has taken a slot
// of the rate limit before each call.
type Zalo interface {
	// Send sends m as a consultation message. An error is a *Refusal.
	Send(ctx context.Context, to bot.CitizenID, m bot.Message) (Receipt, error)
	// Template sends a template, by the person's id or by their phone. An error is a
	// *Refusal.
	Template(ctx context.Context, to bot.CitizenID, t bot.Template) (Receipt, error)
	// Do carries out a call that is not a message. An error is a *Refusal.
	Do(ctx context.Context, to bot.CitizenID, call bot.Call) error
}

// Receipt is Zalo's word that it took a message.
type Receipt struct {
	MsgID string
	At    time.Time // Zalo's sent_time
}

// Class says what to do about a call that did not succeed.
type Class string

// The classes of the Zalo error tables, and the two that come from the wire.
const (
	// ClassNotSent: provably never left or never taken (no connection, TLS
	// failure, -32, -124, -216, -220 after a refresh): back to pending.
	ClassNotSent Class = "not_sent"
	// ClassAmbiguous: the call was cut off (time-out, reset, 5xx); the message
	// may have been delivered.
	ClassAmbiguous Class = "ambiguous"
	ClassWait      Class = "wait"   // try again later, with backoff
	ClassQuota     Class = "quota"  // try again after the quota's reset
	ClassNight     Class = "night"  // try again from 06:00 GMT+7
	ClassWindow    Class = "window" // outside the 7 days: this channel is closed until they write
	ClassHuman     Class = "human"  // stop this kind of call, alert
	ClassDrop      Class = "drop"   // this recipient or payload, never again
	ClassReupload  Class = "reupload"
)

// Refusal is a call to Zalo that did not succeed.
type Refusal struct {
	Class      Class
	Code       int           // Zalo's error code; 0 when the wire failed
	Message    string        // Zalo's words; never a person's data
	RetryAfter time.Duration // at least this long, when known
	Err        error         // cause on the wire, if any
}

// Error says the code and Zalo's words.
func (r *Refusal) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("zalo %s: %v", r.Class, r.Err)
	}
	return fmt.Sprintf("zalo %s: %d %s", r.Class, r.Code, r.Message)
}

// Unwrap returns the cause on the wire.
func (r *Refusal) Unwrap() error { return r.Err }
