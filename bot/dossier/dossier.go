// Package dossier knows where a resident's dossier (hồ sơ) stands, and who may
// be told how much of it.
//
// A dossier is known by its code, which is printed on the receipt and can be
// guessed (office, date, running number). So the code alone opens only the
// public part: status, procedure, agency, dates. Whose it is, the steps, the
// officer's words, missing papers and fees open with a second factor, the last
// four digits of a phone or identity number on the dossier (see guard.go).
//
// The truth lies in the province's procedure system, which may be slow, wrong or
// down. The package asks it through Source, remembers the last public state it
// saw, and says how old that is; it never makes a state up.
//
// What a citizen keeps, has proven or was promised is written by effects that
// commit with the turn (see effects.go). Codes rest sealed or as keyed hashes.
package dossier

import (
	"slices"
	"time"
)

// Status is the national status of a dossier (TrangThaiHoSo).
type Status int

// The ten national statuses, and the one for a name nobody has mapped: then only
// the system's own words are told.
const (
	StatusUnknown    Status = 0
	StatusFiled      Status = 1  // sent, not yet received
	StatusReceived   Status = 2  // received
	StatusRefused    Status = 3  // not received; end
	StatusProcessing Status = 4  // being processed
	StatusSupplement Status = 5  // papers wanted; the clock stops
	StatusPayment    Status = 6  // a fee or tax is due
	StatusWithdrawn  Status = 7  // withdrawn by the citizen; end
	StatusStopped    Status = 8  // stopped by the agency; end
	StatusReady      Status = 9  // the result is there
	StatusReturned   Status = 10 // the result has been handed over; end
)

// Known reports whether s is one of the ten national statuses.
func (s Status) Known() bool { return s >= StatusFiled && s <= StatusReturned }

// Ended reports whether nothing more is coming.
func (s Status) Ended() bool {
	return s == StatusRefused || s == StatusWithdrawn || s == StatusStopped || s == StatusReturned
}

// Public is what may be told to whoever has the code: the degree of completion.
// Moments that are not known are zero.
type Public struct {
	Code       Code   `json:"code"`
	NationCode Code   `json:"nation_code,omitempty"` // the same dossier at the national portal
	Status     Status `json:"status"`
	StatusName string `json:"status_name,omitempty"` // the system's own words

	ProcedureCode string `json:"procedure_code,omitempty"` // national: 1.004873, any suffix stripped
	ProcedureName string `json:"procedure_name,omitempty"`
	AgencyCode    string `json:"agency_code,omitempty"`
	AgencyName    string `json:"agency_name,omitempty"`

	AppliedAt  time.Time `json:"applied_at,omitzero"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	DueAt      time.Time `json:"due_at,omitzero"`     // the date in force
	OldDueAt   time.Time `json:"old_due_at,omitzero"` // what DueAt replaced (apology letter), else zero
	FinishedAt time.Time `json:"finished_at,omitzero"`
	ReturnedAt time.Time `json:"returned_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"` // when the system last changed it

	// Private marks procedures that notices must not name (marital status,
	// adoption, health, criminal record). Whoever typed the code may read it.
	Private bool `json:"private,omitempty"`
}

// Step is one step of the work on a dossier.
type Step struct {
	Name    string
	Agency  string
	Officer string
	At      time.Time // when it was finished, or last touched while it is current
	Done    bool
	Comment string // the officer's own words; may be empty
}

// Supplement is one request for papers.
type Supplement struct {
	Words  string    // the officer's own words
	By     string    // who asked
	At     time.Time // when
	Papers []Paper
	OldDue time.Time // due date before the request
	NewDue time.Time // due date after it, if one was set
	DoneAt time.Time // when the papers were received; zero: still open
}

// Paper is a paper wanted.
type Paper struct {
	Name  string
	Count int // copies; 0 where the system does not say
}

// Fee is one fee, in đồng. A headline of zero is often a placeholder: it is told
// with its note, and never as "free" unless the note is empty.
type Fee struct {
	Name     string
	Amount   int64
	Paid     bool
	Required bool
	Note     string
}

// View is the public part as a citizen is shown it.
type View struct {
	Public
	SeenAt time.Time // when the procedure system said so
	Stale  bool      // the system could not be asked now: this is the last known state
	Proven bool      // this citizen's second factor stands, so Service.Detail will serve
	Kept   bool      // this citizen keeps the dossier
	// Followed: this citizen is told when it changes.
	Followed bool
	Others   int // further dossiers under the same code (re-coded ones); the newest is shown
}

// Detail is everything told to a citizen whose second factor is right.
type Detail struct {
	Public
	SeenAt      time.Time
	Owner       string // masked: "N*** T** M**"; empty when unknown
	Officer     string // who has it now, as the system writes it; may be empty
	Complete    bool   // false: steps and requests could not be read now
	Steps       []Step // oldest first
	Supplements []Supplement
	Fees        []Fee
	FeesKnown   bool     // false: the fees could not be read, so nothing is said about them
	Phones      []string // for HasPhone; never told
}

// HasPhone reports whether phone (84…) is one of those on the dossier, the
// filer's or the owner's.
func (d *Detail) HasPhone(phone string) bool { return phone != "" && slices.Contains(d.Phones, phone) }

// OpenSupplement returns the newest request for papers that is still open, or
// nil.
func (d *Detail) OpenSupplement() *Supplement {
	for i := len(d.Supplements) - 1; i >= 0; i-- {
		if d.Supplements[i].DoneAt.IsZero() {
			return &d.Supplements[i]
		}
	}
	return nil
}

// Kept is a dossier a citizen keeps.
type Kept struct {
	Code     Code
	At       time.Time
	Proven   bool
	Followed bool      // the citizen is told when it changes
	ToldAt   time.Time // when they were told of it last; zero: never
	Rated    bool      // the citizen has rated the service on it
	Last     *View     // last known public state; nil when none is known
}
