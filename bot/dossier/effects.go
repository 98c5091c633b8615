package dossier

// The effects a turn can have here; Store.Apply writes them in the turn's
// transaction. Each is harmless when repeated.
type (
	// Keep keeps a dossier for the citizen. A proof that stands is prolonged.
	Keep struct{ Code Code }
	// Drop stops keeping it.
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
func (Drop) Feature() string            { return Feature }
func (DropAll) Feature() string         { return Feature }
func (GrantProof) Feature() string      { return Feature }
func (AskCallback) Feature() string     { return Feature }
func (CancelCallback) Feature() string  { return Feature }
func (CancelCallbacks) Feature() string { return Feature }
