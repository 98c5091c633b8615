// Package bot is the vocabulary of Công dân số: Event, Citizen, Conversation,
// Flow, Turn, Message. It does no I/O and imports nothing else of this project;
// every other package speaks in its words.
//
// An Event is one delivery from Zalo's webhook. A Turn is one event handled by
// one Flow: the flow reads what is known and decides one Message and some
// Effects, which are committed together or not at all.
package bot

import "time"

// CitizenID names a person on the channel as one Official Account sees them.
// Zalo gives the same person another user id for every account, so both parts
// belong to the key.
type CitizenID struct {
	OA   string // the account's id, a decimal string
	User string // the person's id as this account sees it, a decimal string beyond 2^53
}

// IsZero reports whether id names nobody, as in events about the account itself.
func (id CitizenID) IsZero() bool { return id.User == "" }

// Languages the channel speaks. Vietnamese comes first and is the default.
const (
	Vietnamese = "vi"
	English    = "en"
)

// Citizen is the profile of a person on the channel.
type Citizen struct {
	ID        CitizenID
	Language  string    // Vietnamese or English; never empty
	Following bool      // follows the account
	Name      string    // as the person stated it; may be empty
	Phone     string    // 84…, as the person stated it (not proven); may be empty
	CreatedAt time.Time // when the channel first heard of the person
	New       bool      // this turn is the first of this person
}

// Effect is a domain write that commits with the turn that decided it. The
// feature it belongs to applies it; see Applied.
type Effect interface {
	// Feature names the package whose store applies the effect, e.g. "dossier".
	Feature() string
}

// Applied is an effect on its way to the feature's store.
type Applied struct {
	Citizen CitizenID
	EventID string    // identity of the event whose turn decided it
	At      time.Time // the turn's moment
	Effect  Effect
}

// Intent is what a sentence asks for.
type Intent string

// The intents that free text is understood as. Ask means: ambiguous, and one
// of the readings would act, so the resident is asked. None means: not for us.
const (
	IntentNone       Intent = "none"
	IntentAsk        Intent = "ask"
	IntentGreet      Intent = "greet"
	IntentMenu       Intent = "menu"
	IntentLookup     Intent = "lookup"
	IntentMine       Intent = "mine"
	IntentNotices    Intent = "notices"
	IntentRead       Intent = "read"     // what waits to be read
	IntentRate       Intent = "rate"     // the service of a finished dossier
	IntentUnfollow   Intent = "unfollow" // tell no more about a dossier
	IntentStop       Intent = "stop"
	IntentContest    Intent = "contest"
	IntentPractice   Intent = "practice"
	IntentResult     Intent = "result"
	IntentHuman      Intent = "human"
	IntentWhere      Intent = "where"
	IntentData       Intent = "data"
	IntentErase      Intent = "erase"
	IntentWithdraw   Intent = "withdraw"
	IntentEnglish    Intent = "english"
	IntentVietnamese Intent = "vietnamese"
	IntentCancel     Intent = "cancel"
	IntentThanks     Intent = "thanks"
	IntentComplain   Intent = "complain"
	IntentPetition   Intent = "petition"
	IntentProcedure  Intent = "procedure"
	IntentEmergency  Intent = "emergency"
	IntentTrust      Intent = "trust"
)

// Understanding is what free text was taken for.
type Understanding struct {
	Intent Intent
	// Between holds, when Intent is IntentAsk, the readings the resident is
	// asked to choose from, most likely first.
	Between []Intent
	// Sure is true when a fixed phrase of the channel was used (for "stop all
	// messages", "back to the start"), which acts even in a step that asks for a name.
	Sure bool
}
