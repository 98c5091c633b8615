package zalo

import (
	"context"
	"errors"
)

// FixedToken is a TokenSource of one access token that cannot be replaced, for a
// check by hand and for benchmarks.
type FixedToken string

// Token returns the token.
func (t FixedToken) Token(context.Context) (string, error) { return string(t), nil }

// Renew fails: there is no other token.
func (t FixedToken) Renew(context.Context, string) (string, error) {
	return "", errors.New("this access token cannot be replaced")
}
