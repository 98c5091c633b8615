// Package broadcast is how staff reach many people: what is said, to whom, when,
// who wrote it and who approved it, and what became of it.
//
// A broadcast is written by one person and approved by another; an approval is
// bound to a hash of everything that decides what goes to whom, so that any edit
// voids it. When its time comes, a run freezes the audience into copies (one row a
// person, bot/push), checks count and cost against what was approved, and lets the
// copies go. Sending itself is bot/push's: this package never talks to Zalo about
// a person.
//
// It owns the tables broadcast, broadcast_*. Every change of state checks the
// actor's role in the transaction that makes it, and leaves an audit row there.
package broadcast

import "time"

// Kind tells the two kinds of broadcasts apart.
type Kind string

// The kinds.
const (
	Personal Kind = "personal" // our own audience, one copy a person, by the ladder
	Article  Kind = "article"  // Zalo's broadcast of an article to all followers
)

// Purposes that need no consent but a legal basis, which the approver confirms.
// Every other purpose is the key of a topic.
const (
	PurposeDuty     = "duty"
	PurposeDisaster = "disaster"
)

// State is where a broadcast stands.
type State string

// The states of a broadcast.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	Approved  State = "approved"  // by all who must; its runs are not made yet
	Scheduled State = "scheduled" // its next run is known
	Running   State = "running"   // a run is being frozen, asks, or goes
	Paused    State = "paused"
	Done      State = "done"
	Missed    State = "missed" // its only run was found after its latest start
	Cancelled State = "cancelled"
)

// Definition is what an author writes, and what an approval is bound to.
type Definition struct {
	Title   string `json:"title"` // for staff only
	Kind    Kind   `json:"kind"`
	Purpose string `json:"purpose"` // a topic's key, PurposeDuty or PurposeDisaster
	// LegalBasis names the law or decision that allows writing without consent.
	LegalBasis string `json:"legal_basis,omitempty"`
	Agency     string `json:"agency"` // who speaks: decides which staff may act
	Urgent     bool   `json:"urgent,omitempty"`
	// Corrects is the broadcast that this one corrects, Audience.SentBy its runs.
	Corrects int64 `json:"corrects,omitempty"`
	// Template is the registered template its copies may go by; empty: none.
	Template string   `json:"template,omitempty"`
	Body     Body     `json:"body"`
	Audience Audience `json:"audience"`
	Schedule Schedule `json:"schedule"`
	// ExpiresAfter is how long after the start of a run its copies may still go.
	ExpiresAfter time.Duration `json:"expires_after"`
	// Target narrows an article, in the only ways there are.
	Target Target `json:"target,omitzero"`
}

// Broadcast is a definition with its life.
type Broadcast struct {
	ID int64
	OA string
	Definition
	Authors       []string // staff accounts that wrote at it, the first one first; none of them may approve
	State         State
	Version       int64     // grows with every act of people; acts name the one they saw
	Note          string    // why it was sent back, paused or missed, in words for staff
	ApprovedAt    time.Time // zero: not approved
	ApprovedUntil time.Time // of a recurring one; zero: no end
	CreatedAt     time.Time
	ChangedAt     time.Time
}

// Schedule says when a broadcast goes. With neither At nor Cron it goes as soon as
// it is approved.
type Schedule struct {
	At   time.Time `json:"at,omitzero"`
	Cron string    `json:"cron,omitempty"` // minute hour day month weekday, local time
	// LatestStart is how long after its time a run may still start; later it is
	// missed and never sent.
	LatestStart time.Duration `json:"latest_start"`
}

// Body is what a broadcast says (body.go checks and renders it).
type Body struct {
	Vi       Text     `json:"vi"`
	En       Text     `json:"en,omitzero"`
	ImageURL string   `json:"image_url,omitempty"`
	Buttons  []Button `json:"buttons,omitempty"`
	Source   Source   `json:"source"`
	Contact  string   `json:"contact"`
	// Missing says, for each personal field that is used, what stands in its place
	// where it is not known: by field, then language.
	Missing map[string]map[string]string `json:"missing,omitempty"`
}

// Text is one language of a body.
type Text struct {
	Issuer string   `json:"issuer"` // the first line: the agency as people know it
	Title  string   `json:"title"`  // in a few words; an article's, and a template's
	Lines  []string `json:"lines"`
}

// Button is a way on below the text.
type Button struct {
	Vi      string `json:"vi"`
	En      string `json:"en,omitempty"`
	URL     string `json:"url,omitempty"`
	Phone   string `json:"phone,omitempty"`
	Payload string `json:"payload,omitempty"`
}

// Source is the document a broadcast stands on.
type Source struct {
	Number string    `json:"number"`
	Date   time.Time `json:"date"`
}

// Audience says to whom a broadcast goes (audience.go turns it into SQL).
type Audience struct {
	Include Filter `json:"include"`
	Exclude Filter `json:"exclude,omitzero"`
	List    int64  `json:"list,omitempty"` // an uploaded list
	// SentBy narrows it to exactly those to whom copies of these runs were sent, or
	// may have been (push states sent, unknown, queued). A correction's consent is
	// the first message's: it is not asked again. Stops hold.
	SentBy []int64 `json:"sent_by,omitempty"`
	// Testers narrows it to these test recipients, by the numbers that Tester gives.
	// Not by who they are: a definition is hashed and kept with its runs. So somebody's
	// erasure leaves nothing of them in it, and voids no approval for the others.
	Testers []int64 `json:"testers,omitempty"`
}

// Filter holds conditions that all apply; an empty one matches everybody where it
// includes, and nobody where it excludes.
type Filter struct {
	Units          []string `json:"units,omitempty"` // old and new codes
	Topics         []string `json:"topics,omitempty"`
	Language       string   `json:"language,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	InteractedDays int      `json:"interacted_days,omitempty"`
	Following      bool     `json:"following,omitempty"` // only who follows the account
}

// Target says whom an article is for, by Zalo's own numbers. What is empty leaves
// that side open.
type Target struct {
	Ages   []int `json:"ages,omitempty"`   // 0 (to 12) … 7 (65 and over)
	Gender int   `json:"gender,omitempty"` // 1 men, 2 women; 0 both
	// Cities are provinces as Zalo numbers them. Where an author names none, they
	// become the province's own (Options.Cities), unless Everywhere asks for none.
	Cities     []int `json:"cities,omitempty"`
	Everywhere bool  `json:"everywhere,omitempty"`
}

// audienceQuery is a part of an audience under one rule. Members are rows of
// citizen; the part is a range of their keys, so that the work of a statement is
// bounded however few of them belong to the audience.
//
// selectAudience gives a SELECT with the columns oa_id, citizen, skip (text, NULL where the person
// is written to), interacted_at (NULL: never), following, phone_ok (a proven number),
// stopped, language. It has no ORDER BY and no parameters beyond its args.
type audienceQuery struct {
	oa    string
	after string    // a citizen's key, exclusive; empty: from the beginning
	upto  string    // inclusive; empty: to the end
	at    time.Time // the moment under which all comparisons of time stand
}
