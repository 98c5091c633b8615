package bot

import "time"

// Event is one delivery from Zalo's webhook, decoded.
type Event struct {
	// ID is the event's identity: the same event delivered twice has the same
	// ID. A citizen's message has "user_send" and its msg_id, whatever kind it
	// is, so that one found later by reconciling is recognised.
	ID      string
	Name    string // Zalo's event_name
	Citizen CitizenID
	// SignedAt is the moment Zalo signed, never later than AcceptedAt. All that
	// decides by time (order, windows, answers against a clock) uses it.
	SignedAt   time.Time
	AcceptedAt time.Time
	Body       Body
}

// Body is the sum of everything an event can carry.
type Body interface{ body() }

// Text is a message a citizen typed, or the payload of a button they tapped:
// Zalo does not tell the two apart.
type Text struct {
	MsgID  string
	Text   string
	Quoted string // msg_id of the message this one answers, if any
}

// MediaKind is the kind of a message that is not plain text.
type MediaKind string

// The kinds of media a citizen can send.
const (
	MediaImage   MediaKind = "image"
	MediaGIF     MediaKind = "gif"
	MediaLink    MediaKind = "link"
	MediaAudio   MediaKind = "audio"
	MediaVideo   MediaKind = "video"
	MediaSticker MediaKind = "sticker"
	MediaFile    MediaKind = "file"
	MediaCard    MediaKind = "business_card"
	MediaOther   MediaKind = "other" // a kind Zalo has added since
)

// Media is a message with an attachment. Pictures people send are not copied;
// the address is kept only while the turn runs.
type Media struct {
	MsgID string
	Kind  MediaKind
	Text  string // caption, or what was typed beside a link
	URL   string // empty when the host is not one of Zalo's
	Name  string // file name, when it is a file
}

// Location is a place a citizen sent.
type Location struct {
	MsgID     string
	Latitude  string
	Longitude string
}

// Followed, Unfollowed and ChatOpened tell how a person stands to the account.
type (
	Followed   struct{ Source string }
	Unfollowed struct{}
	ChatOpened struct{}
)

// InfoSubmitted is the answer to a form that asked for name and phone. Each
// field may be empty; the phone is stated, not proven. Zalo's date of birth and
// sex are dropped on arrival.
type InfoSubmitted struct {
	Name    string
	Phone   string // 84…
	City    string
	Ward    string
	Address string
}

// Withdrawn is a data subject's request, made at Zalo, that their data be erased.
type Withdrawn struct{}

// Sent is an echo: what the account sent, by API (AdminID empty) or by staff in
// Zalo's own tools (AdminID set).
type Sent struct {
	MsgID   string
	AdminID string
	Kind    string // text, image, gif, list, file, sticker, …
	Text    string
}

// Delivered and Seen are receipts of what the account sent.
type (
	Delivered struct {
		MsgID      string
		TrackingID string    // only for templates sent by phone, whose receipt it matches
		At         time.Time // the true time where Zalo tells it, else the signed time
	}
	Seen struct{ MsgIDs []string }
)

// Reacted is a reaction put on a message, by the citizen or (ByOA) by the account.
type Reacted struct {
	MsgID string
	Icon  string
	ByOA  bool
}

// Interacted is an interaction that says nothing (a call, consent through the
// website widget) but renews the windows in which the account may write.
type Interacted struct{ Kind string }

// Anonymous is a message of a visitor without a Zalo login.
type Anonymous struct {
	MsgID          string
	ConversationID string
	Text           string
	ByOA           bool
}

// Account is news about the account itself: tags, templates, quotas. Detail
// holds the public fields worth a log line.
type Account struct {
	Kind   string
	Detail map[string]string
}

// Due is an event of our own: something the channel promised to come back to is
// ready (a dossier that could not be seen). It goes through the inbox like a citizen's
// message, but nobody is waiting with the phone in hand; see Turn.Unasked.
type Due struct {
	Flow   string `json:"flow"`
	Action string `json:"action"`
	Arg    string `json:"arg"`
}

// Group is an event of group chats, which this channel does not use.
type Group struct{ Kind string }

// Unknown is an event whose name nobody knew when this was written, or a receipt
// that names only a phone. Nothing of it is kept but a count.
type Unknown struct{}

func (Text) body()          {}
func (Media) body()         {}
func (Location) body()      {}
func (Followed) body()      {}
func (Unfollowed) body()    {}
func (ChatOpened) body()    {}
func (InfoSubmitted) body() {}
func (Withdrawn) body()     {}
func (Sent) body()          {}
func (Delivered) body()     {}
func (Seen) body()          {}
func (Reacted) body()       {}
func (Interacted) body()    {}
func (Anonymous) body()     {}
func (Account) body()       {}
func (Due) body()           {}
func (Group) body()         {}
func (Unknown) body()       {}
