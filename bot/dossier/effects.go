package dossier

// The effects a turn can have here; Store.Apply writes them in the turn's
// transaction. Each is harmless when repeated.
type (
	// Keep keeps a dossier for the citizen. A proof that stands is prolonged.
	Keep struct{ Code Code }
	// Follow keeps a dossier, and has the citizen told when it changes.
	Follow struct{ Code Code }
	// Unfollow ends the telling; the dossier stays kept.
	Unfollow struct{ Code Code }
	// UnfollowAll ends the telling of every dossier.
	UnfollowAll struct{}
	// Rate keeps how the citizen rates the service on a dossier whose state is
	// known: once a dossier. Stars are 1 to 5; Comment may be empty.
	Rate struct {
		Code    Code
		Stars   int
		Comment string
	}
	// Drop stops keeping it, and telling of it.
	Drop struct{ Code Code }
	// DropAll stops keeping everything.
	DropAll struct{}
	// GrantProof makes the proof of Service.Prove, called in the same turn, stand:
	// 30 days for a kept dossier, else 30 minutes. Without a right guess in the
	// same turn it does nothing.
	GrantProof struct{ Code Code }
	// AskCallback promises to tell the citizen when the dossier can be seen.
	AskCallback struct{ Code Code }
	// CancelCallback takes one such promise back.
	CancelCallback struct{ Code Code }
	// CancelCallbacks takes all such promises of the citizen back.
	CancelCallbacks struct{}
)

// Feature is the key of this package's effects.
const Feature = "dossier"

func (Keep) Feature() string            { return Feature }
func (Follow) Feature() string          { return Feature }
func (Unfollow) Feature() string        { return Feature }
func (UnfollowAll) Feature() string     { return Feature }
func (Rate) Feature() string            { return Feature }
func (Drop) Feature() string            { return Feature }
func (DropAll) Feature() string         { return Feature }
func (GrantProof) Feature() string      { return Feature }
func (AskCallback) Feature() string     { return Feature }
func (CancelCallback) Feature() string  { return Feature }
func (CancelCallbacks) Feature() string { return Feature }
