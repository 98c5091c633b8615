package dossier

import (
	"context"
	"errors"

	"congdanso/bot"
)

// Service answers residents' questions about dossiers.
type Service struct{}

// Lookup returns the public part of a dossier. Errors: ErrNotFound, *Throttled,
// *Unavailable (with the last known state).
func (s *Service) Lookup(ctx context.Context, who bot.CitizenID, eventID string, code Code) (View, error) {
	return View{}, &Unavailable{Err: errors.New("no source")}
}

// Prove checks the second factor and returns the detail. Errors: *Wrong,
// *Locked, *Closed, *Unavailable. The flow then does GrantProof{code}.
func (s *Service) Prove(ctx context.Context, who bot.CitizenID, eventID string, code Code, digits string) (Detail, error) {
	return Detail{}, &Unavailable{Err: errors.New("no source")}
}

// Detail returns the detail while the citizen's proof stands. Errors: ErrNoProof,
// ErrNotFound, *Unavailable.
func (s *Service) Detail(ctx context.Context, who bot.CitizenID, code Code) (Detail, error) {
	return Detail{}, ErrNoProof
}

// Kept returns what the citizen keeps, newest first.
func (s *Service) Kept(ctx context.Context, who bot.CitizenID) ([]Kept, error) { return nil, nil }

// FactorDigits reads a second factor out of what was typed: four digits, or the
// last four of a whole number somebody typed after all (whole is then true).
func FactorDigits(text string) (digits string, whole, ok bool) { return "", false, false }
