package citizen

import "strings"

// feature is the name under which effects of this package are applied.
const feature = "citizen"

// Purposes of consent. Each is asked for when it begins and withdrawn by itself.
const (
	PurposeKeep     = "keep_dossier"   // keeping dossiers under the person's name
	PurposeContact  = "contact"        // name and phone, for an officer to call back
	PurposeCallback = "callback"       // one message when a dossier can be seen again
	PurposeFollow   = "follow_dossier" // messages when a followed dossier changes
)

// topicPrefix begins the purposes of consent to topics.
const topicPrefix = "topic."

// PurposeTopic is the purpose of consent to notices about a topic.
func PurposeTopic(topic string) string { return topicPrefix + topic }

// TopicOf is the topic that purpose is about; ok is false when it is about none.
func TopicOf(purpose string) (topic string, ok bool) { return strings.CutPrefix(purpose, topicPrefix) }

// SetLanguage makes the channel speak Lang ("vi", "en") with the citizen.
type SetLanguage struct{ Lang string }

// SetContact keeps the name and phone the person stated; ClearContact removes them.
type (
	SetContact   struct{ Name, Phone string }
	ClearContact struct{}
)

// ProvePhone notes that the number the person stated stands on a dossier they
// opened with the second factor. Another number has to be proven anew.
type ProvePhone struct{}

// SetFollowing notes that the person follows the account, or stopped.
type SetFollowing struct{ Following bool }

// GiveConsent records consent for a purpose with the version of the text that
// was shown and the channel it was given in.
type GiveConsent struct{ Purpose, TextVersion, Channel string }

// WithdrawConsent ends consent for a purpose; WithdrawNotices for everything the
// channel writes of its own accord (promises to tell, followed dossiers, every
// topic); WithdrawAll for every purpose.
type (
	WithdrawConsent struct{ Purpose string }
	WithdrawNotices struct{}
	WithdrawAll     struct{}
)

// Erase removes everything the channel keeps of the citizen. The turn's message
// is the receipt, and the last send.
type Erase struct{ Receipt string }

// Feature says that this package applies these effects.
func (SetLanguage) Feature() string     { return feature }
func (SetContact) Feature() string      { return feature }
func (ClearContact) Feature() string    { return feature }
func (ProvePhone) Feature() string      { return feature }
func (SetFollowing) Feature() string    { return feature }
func (GiveConsent) Feature() string     { return feature }
func (WithdrawConsent) Feature() string { return feature }
func (WithdrawNotices) Feature() string { return feature }
func (WithdrawAll) Feature() string     { return feature }
func (Erase) Feature() string           { return feature }
