package dossier

import (
	"errors"
	"time"
)

// Change is one line of the procedure system's list of changes: that something
// happened to a dossier, and when. It is a hint; what happened is looked up.
type Change struct {
	Code       Code
	NationCode Code      // empty: none
	UpdatedAt  time.Time // zero where the system does not say
}

// ErrNoChanges: this procedure system has no list of changes, or not for us.
var ErrNoChanges = errors.New("no list of changes")
