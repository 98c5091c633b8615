package dossier

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Source is the procedure system, as this package needs it. Find and Detail
// return ErrNotFound when the system answered and has no such dossier, and
// *Unavailable when it could not be asked.
type Source interface {
	// Find returns the dossiers whose code or national code is code, newest
	// first: usually one, more when a dossier was re-coded.
	Find(ctx context.Context, code Code) ([]Record, error)
	// Detail returns the dossier with its steps and requests for papers. id is
	// Record.ID.
	Detail(ctx context.Context, id string) (Record, error)
	// Fees returns the dossier's fees; none is no error.
	Fees(ctx context.Context, id string) ([]Fee, error)
}

// Record is a dossier as the procedure system holds it. It carries personal data
// and never leaves the process.
type Record struct {
	Public
	ID          string   // the system's own id
	Owner       string   // full name of the owner
	Factors     []string // last four digits of each phone and identity number on it
	Phones      []string // each phone number on it, 84…: the filer's and the owner's
	Officer     string
	Steps       []Step       // only from Source.Detail
	Supplements []Supplement // only from Source.Detail
}

// What Service answers when it cannot answer.
var (
	// ErrNotFound: the procedure system has no dossier under this code.
	ErrNotFound = errors.New("no dossier under this code")
	// ErrNoProof: the citizen's second factor does not stand (any more).
	ErrNoProof = errors.New("no standing proof for this dossier")
)

// Unavailable means that the procedure system could not be asked now.
type Unavailable struct {
	Last       *View         // last known public state, if any
	RetryAfter time.Duration // when the system said so
	Err        error
}

// Error says why.
func (e *Unavailable) Error() string { return fmt.Sprintf("procedure system unavailable: %v", e.Err) }

// Unwrap returns the cause.
func (e *Unavailable) Unwrap() error { return e.Err }

// Throttled means that this citizen asked for too many unknown codes: one answer
// a minute.
type Throttled struct{ Until time.Time }

// Error says until when.
func (e *Throttled) Error() string { return "too many unknown codes; next answer at " + at(e.Until) }

// Wrong means that the digits do not open the dossier: because they are wrong,
// because no such dossier exists, or because it has no number on it. Which of
// the three is never told.
type Wrong struct {
	Left int // tries left before a wait of an hour; at least 1
}

// Error says how many tries are left.
func (e *Wrong) Error() string { return fmt.Sprintf("second factor wrong; %d left", e.Left) }

// Locked means five wrong tries: this dossier is locked for this citizen.
type Locked struct{ Until time.Time }

// Error says until when.
func (e *Locked) Error() string { return "second factor locked until " + at(e.Until) }

// Closed means thirty wrong tries in a day from all citizens together: this
// dossier's second factor is closed for everybody.
type Closed struct {
	Until time.Time // midnight, Asia/Ho_Chi_Minh
	Alert bool      // this try closed it: operators are told
}

// Error says until when.
func (e *Closed) Error() string { return "second factor closed until " + at(e.Until) }

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
