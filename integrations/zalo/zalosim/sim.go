// Package zalosim stands in for Zalo: a real HTTP server that answers the calls
// this project makes of the Official Account API, refuses what Zalo would refuse,
// and delivers signed webhooks.
//
// A *Sim is an http.Handler that serves the OpenAPI and the OAuth paths on one
// host. Run delivers the webhooks. People are played through methods (Follow,
// SendText, Tap, …), Zalo's moods through Fault and Disturb, time through Clock.
// It keeps everything in memory, in bounded logs.
//
// What Zalo's documents leave open is an option, with the default that the
// evidence suggests.
package zalosim

import (
	"context"
	"net/http"
	"time"
)

// Options are the settings of a stand-in. The zero value of each is its
// default; ids and secrets that are empty get the example values below.
type Options struct {
	AppID       string // default ExampleAppID
	AppSecret   string // default ExampleAppSecret
	OAID        string // default ExampleOAID
	OASecretKey string // signs webhooks; default ExampleOASecret
	OAName      string
	WebhookURL  string // empty: webhooks are dropped until SetWebhookURL

	Clock      *Clock       // default: a clock that runs with the wall clock
	HTTPClient *http.Client // for webhooks; default: a light client of its own

	// RatePerMinute is the app's limit of requests in any 60 seconds (default
	// 4,000), OARatePerMinute the account's (default: the app's). Negative: none.
	RatePerMinute   int
	OARatePerMinute int

	NoEchoes   bool // leave out oa_send_* events for messages sent by API
	NoReceipts bool // leave out user_received_message and user_seen_message
	SeenByHand bool // send user_seen_message only when See is called
	NoButtons  bool // refuse buttons on consultation messages
	Lists      bool // accept template_type "list" on consultation messages

	WelcomeMessages int // messages to a follower who has not written; default 3
	PaidMessages    int // messages beyond 48 hours in the package; default 500, negative: none

	AccessTokenLife  time.Duration // default 25 h
	RefreshTokenLife time.Duration // default 90 days
	NumericExpiry    bool          // expires_in as a number instead of a string
	KeepRefreshToken bool          // answer a refresh without a new refresh_token
	UnknownTokenCode int           // default -216
	StaleTokenCode   int           // default -220
	RequireProof     bool          // refuse calls without appsecret_proof

	// LoopbackLinks accepts http:// addresses on this machine where Zalo wants
	// https, for development.
	LoopbackLinks bool
	// EscapeUnicode writes event bodies with \u escapes instead of UTF-8.
	EscapeUnicode bool

	WebhookTimeout    time.Duration // real time; default 2 s
	WebhookWorkers    int           // default 64
	NoRetryOnStatus   bool          // retry only when the connection failed
	UnorderedWebhooks bool          // events of one person may overtake each other
	KeepMessages      int           // messages kept per person; default 1,000, negative: none
	KeepLog           int           // calls and webhooks kept; default 1,000, negative: none
	OnSend            func(Send)    // called for each accepted message, after it was taken
	OnWebhook         func(WebhookLog)
	StartSwitchedOff  bool
}

// Sim is the stand-in. It is safe for concurrent use.
type Sim struct {
	opt Options
}

// New makes a stand-in. Webhooks flow once Run runs.
func New(opt Options) *Sim { return &Sim{opt: opt} }

// ServeHTTP answers the API's calls.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Run delivers webhooks until ctx ends or Close is called; it returns nil then.
func (s *Sim) Run(ctx context.Context) error { return nil }

// Close ends Run and every hanging call.
func (s *Sim) Close() error { return nil }

// Settle waits until no webhook is due or in the air (later retries do not
// count), or ctx ends.
func (s *Sim) Settle(ctx context.Context) error { return nil }

// Clock returns the stand-in's clock, for tests that move it.
func (s *Sim) Clock() *Clock { return nil }

// RefreshToken opens a new grant and returns its refresh token, as the API
// Explorer of Zalo's console does.
func (s *Sim) RefreshToken() string { return "" }

// AccessToken opens a new grant and returns its access token.
func (s *Sim) AccessToken() string { return "" }

// RevokeGrants voids every token, as changing the permissions in the console does.
func (s *Sim) RevokeGrants() {}

// Refreshes counts the refresh calls that were answered with new tokens.
func (s *Sim) Refreshes() int { return 0 }

// SetWebhookURL changes where webhooks go and switches the webhook on.
func (s *Sim) SetWebhookURL(url string) {}

// SwitchedOff reports whether failed deliveries have ended the subscription.
func (s *Sim) SwitchedOff() bool { return false }

// SwitchOn does what the operator does in the console after an outage.
func (s *Sim) SwitchOn() {}

// HoldWebhooks keeps new events back until it is called with false; held events
// then leave in order.
func (s *Sim) HoldWebhooks(hold bool) {}

// Disturb changes how events travel from now on; the zero value ends it.
func (s *Sim) Disturb(d Disturbance) {}

// Disturbance says how webhooks are duplicated, delayed, dropped and shuffled.
// Chances lie between 0 and 1.
type Disturbance struct {
	Events    []string // event names; empty: all
	Drop      float64
	Duplicate float64
	Delay     float64
	MaxDelay  time.Duration // by the stand-in's clock
	Shuffle   int           // collect so many events, then send them in random order
	Seed      uint64
}

// ProbeSave sends what Zalo sends when the webhook's address is saved: an
// unsigned {}. It returns the status answered.
func (s *Sim) ProbeSave(ctx context.Context) (int, error) { return 0, nil }

// ProbeSample sends the console's signed sample for an account that is not ours.
func (s *Sim) ProbeSample(ctx context.Context) (int, error) { return 0, nil }

// ProbeEvent sends the signed sample behind an event's "Test" button.
func (s *Sim) ProbeEvent(ctx context.Context, name string) (int, error) { return 0, nil }

// Fault makes the next calls fail. Faults are tried in the order they were set.
func (s *Sim) Fault(f Fault) *Injected { return nil }

// ClearFaults takes all faults away and releases hanging calls.
func (s *Sim) ClearFaults() {}

// Fault is something that goes wrong with calls of the API.
type Fault struct {
	Path  string // the call's path, see the Path constants; empty: PathSend
	User  string // only calls about this person; empty: any
	Times int    // how many calls; 0: one; negative: until removed

	Code       int           // answer HTTP 200 with this error code …
	Message    string        // … and message
	Status     int           // answer with this HTTP status
	Body       string        // answer with this body (HTML, garbage) instead of JSON
	Hang       bool          // do not answer before Release, or until the caller goes
	Delay      time.Duration // real time before the call is looked at
	CutBefore  bool          // cut the connection, nothing was taken
	CutAfter   bool          // take the message, then cut the connection
	Taken      bool          // with Code, Status, Body, Hang: take the message first
	RetryAfter string        // header Retry-After
}

// Injected is a fault that was set.
type Injected struct{}

// Release lets hanging calls go on and answer as if nothing had been.
func (i *Injected) Release() {}

// Remove takes the fault away.
func (i *Injected) Remove() {}

// Hits counts the calls it struck.
func (i *Injected) Hits() int { return 0 }

// Struck delivers once for each call it strikes (buffered, never blocks the sim).
func (i *Injected) Struck() <-chan struct{} { return nil }

// User is a person with a Zalo account, as this Official Account sees them.
type User struct {
	ID        string // 15–19 decimal digits
	IDByApp   string
	Name      string
	AvatarURL string
	Follows   bool
	Blocked   bool // has blocked the account
}

// Info is what a person fills into the form that asks for name and phone.
type Info struct{ Name, Phone, DOB, Gender, City, Ward, Address string }

// AddUser adds or renames a person. Anyone who acts without having been added is
// added with their id for a name.
func (s *Sim) AddUser(u User) {}

// Users lists the people in the order they were added.
func (s *Sim) Users() []User { return nil }

// Follow, Unfollow and OpenChat are what they say ("Quan tâm", "Bỏ quan tâm",
// "Nhắn tin" on the profile), each with its event.
func (s *Sim) Follow(user string)   {}
func (s *Sim) Unfollow(user string) {}
func (s *Sim) OpenChat(user string) {}

// Block blocks or unblocks the account for a person; Zalo tells nobody.
func (s *Sim) Block(user string, blocked bool) {}

// Withdraw sends user_withdraw: a request that the person's data be erased.
func (s *Sim) Withdraw(user string) {}

// SendText sends what a person types and returns the message's id.
func (s *Sim) SendText(user, text string) string { return "" }

// Tap taps a button with a payload (oa.query.show or, with show false,
// oa.query.hide) and returns the message's id.
func (s *Sim) Tap(user, payload string, show bool) string { return "" }

// SendMedia sends an attachment. Kind is one of image, gif, link, audio, video,
// sticker, business_card, file.
func (s *Sim) SendMedia(user, kind, text, url string) string { return "" }

// SendLocation sends a place.
func (s *Sim) SendLocation(user, latitude, longitude string) string { return "" }

// SubmitInfo sends the filled form that asked for name and phone.
func (s *Sim) SubmitInfo(user string, info Info) {}

// React puts a reaction on a message.
func (s *Sim) React(user, msgID, icon string) {}

// See marks everything the account sent as seen, with its receipt.
func (s *Sim) See(user string) {}

// StaffSays writes to a person as staff do in Zalo's own tools.
func (s *Sim) StaffSays(user, adminID, text string) string { return "" }

// Raw signs and delivers any event body as it stands. The timestamp signed is
// the one in the body.
func (s *Sim) Raw(body []byte) {}

// ChatMessage is one message of a chat.
type ChatMessage struct {
	ID              string
	FromUser        bool
	Kind            string // text, image, gif, link, audio, video, sticker, business_card, file, location, form
	Text            string
	Hidden          bool // a hidden tap: the person does not see it
	Buttons         []Button
	ImageURL        string
	MediaURL        string
	AskInfo         *AskInfo
	AdminID         string // staff wrote it
	ByAPI           bool
	At              time.Time
	Delivered, Seen time.Time // zero: not (yet)
}

// Button is one button under a message.
type Button struct {
	Title   string
	Type    string // oa.query.hide, oa.query.show, oa.open.url, oa.open.phone, oa.open.sms
	Payload string
	URL     string
	Phone   string
	Content string // of an SMS
}

// AskInfo is the form that asks for name and phone.
type AskInfo struct{ Title, Subtitle, ImageURL string }

// Messages returns a person's chat, both sides, oldest first.
func (s *Sim) Messages(user string) []ChatMessage { return nil }

// Send is one accepted message of the API.
type Send struct {
	User  string
	MsgID string
	Text  string
	At    time.Time
}

// Sends returns the messages the API sent to a person and that were accepted, in
// order, as far as KeepMessages reaches.
func (s *Sim) Sends(user string) []Send { return nil }

// Accepted counts the messages of the API that were accepted.
func (s *Sim) Accepted() int64 { return 0 }

// Tags returns the tags put on a person.
func (s *Sim) Tags(user string) []string { return nil }

// Forgotten reports whether the account had Zalo erase what it kept of a person.
func (s *Sim) Forgotten(user string) bool { return false }

// UpdateKind says what changed.
type UpdateKind string

// The kinds of updates.
const (
	UpdateChat    UpdateKind = "chat"    // a person's chat, or the person
	UpdateCall    UpdateKind = "call"    // a call of the API was answered
	UpdateWebhook UpdateKind = "webhook" // a webhook was tried
)

// Update tells that something changed.
type Update struct {
	Kind UpdateKind
	User string // for UpdateChat; for others, when known
}

// Subscribe returns updates until cancel is called. A subscriber that does not
// keep up misses some; the stand-in never waits.
func (s *Sim) Subscribe() (updates <-chan Update, cancel func()) { return nil, func() {} }

// APICall is one call of the API and its answer.
type APICall struct {
	At       time.Time
	Method   string
	Path     string
	User     string // whom it was about, if anybody
	Request  string // body, or the data parameter
	Status   int    // 0: the connection was cut
	Response string
	Took     time.Duration
}

// WebhookLog is one try to deliver a webhook.
type WebhookLog struct {
	At     time.Time
	Event  string
	User   string
	Body   string
	Try    int // 0 is the first; else the number of the retry
	Status int // 0: no answer
	Err    string
	Took   time.Duration
}

// Calls and Webhooks return the bounded logs, oldest first.
func (s *Sim) Calls() []APICall       { return nil }
func (s *Sim) Webhooks() []WebhookLog { return nil }

// CallCount counts the calls of a path, whatever became of them.
func (s *Sim) CallCount(path string) int { return 0 }

// The paths the stand-in serves.
const (
	PathSend         = "/v3.0/oa/message/cs"
	PathUser         = "/v3.0/oa/user/detail"
	PathQuota        = "/v3.0/oa/quota/message"
	PathTag          = "/v2.0/oa/tag/tagfollower"
	PathUntag        = "/v2.0/oa/tag/rmfollowerfromtag"
	PathTags         = "/v2.0/oa/tag/gettagsofoa"
	PathForget       = "/v2.0/oa/deletefollowerinfo"
	PathRecent       = "/v2.0/oa/listrecentchat"
	PathConversation = "/v2.0/oa/conversation"
	PathOA           = "/v2.0/oa/getoa"
	PathToken        = "/v4/oa/access_token"
)

// Example identities, the ones a zero Options gets.
const (
	ExampleAppID     = "1234567890123456789"
	ExampleAppSecret = "app-secret-EXAMPLE"
	ExampleOAID      = "3612345678901234567"
	ExampleOASecret  = "oa-secret-key-EXAMPLE"
)
