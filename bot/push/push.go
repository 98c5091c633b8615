// Package push sends what the channel says of its own accord: a notice somebody
// asked for, and each recipient's copy of a broadcast. Both are pushes: one row a
// person, sent at most once, whose end is always known or said to be unknown.
//
// It decides whether, when and how: the ladder of rungs (free within 48 hours,
// from the package within seven days, an approved template by user id or by phone,
// held until the person writes), budgets, night and quiet hours, digests, ceilings,
// and stops. It never decides what is said: notices bring their content, and
// broadcasts render their copies when asked (Runs).
//
// A push is pending until the feeder hands it to delivery, in the transaction that
// makes it queued; what becomes of the message settles the push in the transaction
// that settles the message. So the books balance at every moment.
package push

import (
	"context"
	"time"

	"congdanso/bot"
)

// Feature is the key of this package's effects.
const Feature = "push"

// Class says which push goes first.
type Class int8

// Classes, the most urgent first.
const (
	Urgent     Class = 1 // a storm, a flood: over quiet hours, digests and a person's own number
	Notice     Class = 2 // what somebody asked to be told
	Correction Class = 3 // of a broadcast that was wrong
	Broadcast  Class = 4
)

// KindBroadcast is the kind of a copy of a broadcast. Notices have kinds of their own.
const KindBroadcast = "broadcast"

// Content is what a push says.
type Content struct {
	Message bot.Message `json:"message"` // its choices stand alone: words and payloads, no numbers
	// Template names the registered template ("dossier", "bulletin") that says it
	// where no message may go, and Params its values by our names; empty: none.
	Template string            `json:"template,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
}

// Told is one notice to one person, on its way into the table.
type Told struct {
	To    bot.CitizenID
	Kind  string // "dossier.changed", …: public, told in figures
	Class Class
	// Key is the notice's identity: a second one with an equal key is dropped. It
	// is hashed before it rests.
	Key string
	// About is what it is about (a dossier's code), hashed before it rests: a newer
	// notice about the same thing takes the place of one that still waits.
	About     string
	Content   Content
	NotBefore time.Time // zero: now
	ExpiresAt time.Time // zero: three days from now
}

// Run is one run of a broadcast whose copies may be fed.
type Run struct {
	ID        int64 // from the sequence push_source
	OA        string
	Class     Class
	ExpiresAt time.Time
	// Template is the registered template its copies may go by; empty: none.
	Template string
	// AnyHour lets copies go at night: urgent runs only.
	AnyHour bool
}

// Person is who a copy is rendered for.
type Person struct {
	ID       bot.CitizenID
	Language string
	Name     string // as stated; empty: not known
}

// Runs is the broadcasts' side: which runs may go, and what their copies say.
type Runs interface {
	// Active lists the runs whose copies may go now, in the order in which they go.
	Active(ctx context.Context, now time.Time) ([]Run, error)
	// Render says what the copies of a run say to people, one content each.
	Render(ctx context.Context, run int64, people []Person) ([]Content, error)
	// Stop ends the feeding of a run for a cause a person has to see to ("quota",
	// "budget"): it is paused.
	Stop(ctx context.Context, run int64, cause string) error
	// Finish is told that no copy of the run is pending or queued any more.
	Finish(ctx context.Context, run int64, now time.Time) error
}

// The effects a turn can have here. Each is harmless when repeated.
type (
	// Stop ends everything the channel sends by itself, at once: what waits is
	// skipped, and nothing new is sent until Resume.
	Stop struct{}
	// Resume lets pushes go again after Stop or Pause.
	Resume struct{}
	// Pause lets nothing but urgent pushes go before Until.
	Pause struct{ Until time.Time }
	// SetQuiet sets the person's quiet hours, in minutes of the local day (22:00 is
	// 1320); equal ends mean none.
	SetQuiet struct{ From, To int }
	// SetDigest has notices gathered and told once a day at a minute of the local
	// day; -1 means at once.
	SetDigest struct{ At int }
	// SetDaily sets the most pushes a day the person wants; 0 means no number of their own.
	SetDaily struct{ Most int }
	// Drop skips notices that wait: those about About, or, where that is empty, those
	// whose kind begins with Kind.
	Drop struct{ About, Kind string }
	// Read marks held pushes as told by the turn's own reply.
	Read struct{ Sources []int64 }
)

// Feature says that this package applies these effects.
func (Stop) Feature() string      { return Feature }
func (Resume) Feature() string    { return Feature }
func (Pause) Feature() string     { return Feature }
func (SetQuiet) Feature() string  { return Feature }
func (SetDigest) Feature() string { return Feature }
func (SetDaily) Feature() string  { return Feature }
func (Drop) Feature() string      { return Feature }
func (Read) Feature() string      { return Feature }

// Preferences is how a person may be written to, for their own eyes.
type Preferences struct {
	StoppedAt   time.Time // zero: not stopped
	PausedUntil time.Time // zero: not paused
	QuietFrom   int       // minutes of the local day; equal ends: none
	QuietTo     int
	DigestAt    int // minute of the local day; -1: at once
	DailyMost   int // 0: no number of their own
	Held        int // pushes that wait for a word
}

// HeldPush is a push that waits to be read, for the dialogue that reads it out.
type HeldPush struct {
	Source    int64
	Kind      string
	MadeAt    time.Time
	ExpiresAt time.Time
	Message   bot.Message
}
