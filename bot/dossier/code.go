package dossier

import (
	"fmt"
	"strings"
	"time"
)

// Code is a dossier code in its normal form: upper case, plain dashes, no
// spaces ("H42.16-240612-0001", "000.00.16.H42-240612-0001"). A Code that came
// from Find or ParseCode is well-formed; it is looked up as it was typed, never
// converted, for the old and the new order of groups may name other offices.
type Code string

// FaultKind says what is wrong with something meant as a code.
type FaultKind string

// The kinds of faults, with the fields of Fault that go with them.
const (
	FaultShort  FaultKind = "short"  // Missing digits at the end
	FaultLong   FaultKind = "long"   // Digits: the running number, longer than seven
	FaultLetter FaultKind = "letter" // Letter stands where Digit belongs; Suggestion
	FaultDate   FaultKind = "date"   // Digits are no calendar date
	FaultFuture FaultKind = "future" // Digits are the date Date, which has not come yet
	FaultShape  FaultKind = "shape"  // anything else; Suggestion when only signs are missing
)

// Fault is what is wrong with a code, with what a friendly sentence needs.
type Fault struct {
	Kind       FaultKind
	Missing    int       // FaultShort: how many digits are missing at the end
	Letter     string    // FaultLetter: "O", "I" or "L"
	Digit      string    // FaultLetter: "0" or "1"
	Digits     string    // FaultDate, FaultFuture, FaultLong: the digits as typed
	Date       time.Time // FaultFuture
	Suggestion Code      // what was probably meant; empty when nobody can tell
}

// Error names the fault.
func (f *Fault) Error() string { return fmt.Sprintf("dossier code: %s", f.Kind) }

// Found is a code, or something meant as one, inside a text.
type Found struct {
	Code  Code   // empty when Fault is set
	Raw   string // what stood in the text, normalised
	Fault *Fault // nil: well-formed
}

// IssuerKind tells who gives out codes with a prefix.
type IssuerKind string

// The kinds of issuers.
const (
	IssuerOwn      IssuerKind = "own"      // this province, or one of those it was made of
	IssuerProvince IssuerKind = "province" // another province
	IssuerMinistry IssuerKind = "ministry"
	IssuerNational IssuerKind = "national" // the national public service portal
	IssuerUnknown  IssuerKind = "unknown"
)

// Prefixes is what the province pack knows of level-1 codes.
type Prefixes struct {
	Own      []string // of this province: H42, H40, H25
	National []string // of the national portal: G22
}

// Head returns the level-1 code: "H42" of both "H42.16-…" and "000.00.16.H42-…".
func (c Code) Head() string {
	agency, _, _ := strings.Cut(string(c), "-")
	groups := strings.Split(agency, ".")
	if h := groups[0]; h != "" && h[0] >= 'A' && h[0] <= 'Y' {
		return h
	}
	return groups[len(groups)-1]
}

// Issuer tells who gave the code out. It is used only after the code was not
// found: a ministry's code may well be known here as a national code.
func (c Code) Issuer(p Prefixes) IssuerKind {
	head := c.Head()
	for _, own := range p.Own {
		if head == own {
			return IssuerOwn
		}
	}
	for _, n := range p.National {
		if head == n {
			return IssuerNational
		}
	}
	switch {
	case strings.HasPrefix(head, "H"):
		return IssuerProvince
	case strings.HasPrefix(head, "G"):
		return IssuerMinistry
	}
	return IssuerUnknown
}
