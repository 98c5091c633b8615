package zalosim

import (
	"cmp"
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
	WebhookURL  string // empty: events are dropped until SetWebhookURL

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

	Templates      []Template // registered from the beginning; see PutTemplate
	PhonePerDay    int        // templates by phone a day; default 5,000, negative: any number
	ArticlesAMonth int        // articles created a month; default 15, negative: any number
	// ArticleDelay is how long an article is worked on, ModerationDelay how long a
	// broadcast is looked at before it goes out, both by the stand-in's clock.
	ArticleDelay       time.Duration // default 5 s
	ModerationDelay    time.Duration // default 30 min
	BroadcastsPerMonth int           // to one follower; default 4

	AccessTokenLife  time.Duration // default 25 h
	RefreshTokenLife time.Duration // default 90 days
	NumericExpiry    bool          // expires_in as a number instead of a string
	KeepRefreshToken bool          // answer a refresh without a new refresh_token
	NamedOAuthErrors bool          // leave the numeric error out of OAuth errors
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
	StartSwitchedOff  bool          // as after an outage, until SwitchOn

	KeepMessages int        // messages kept per person; default 1,000, negative: none
	KeepLog      int        // calls and webhooks kept; default 1,000, negative: none
	OnSend       func(Send) // called for each accepted message, after it was taken
	// CountBy says under which key Received counts a message, "" under none;
	// default: whom it went to.
	CountBy   func(Send) string
	OnWebhook func(WebhookLog) // called for each try, after it ended
}

// Example identities, the ones a zero Options gets.
const (
	ExampleAppID     = "1234567890123456789"
	ExampleAppSecret = "app-secret-EXAMPLE"
	ExampleOAID      = "3612345678901234567"
	ExampleOASecret  = "oa-secret-key-EXAMPLE"
)

// Zalo's limits and times that are not settings (Zalo: consultation messages,
// buttons, interaction windows).
const (
	maxText     = 2000
	maxTitle    = 100
	maxSubtitle = 500
	maxPayload  = 1000
	maxSMS      = 160
	maxButtons  = 5
	maxElements = 5
	maxChats    = 10 // count of listrecentchat and conversation
	maxTracking = 48
	maxUsers    = 50 // count of getlist
	maxOffset   = 9951
	maxArticles = 5 // of a broadcast

	maxArticleTitle       = 150
	maxArticleAuthor      = 50
	maxArticleDescription = 300

	freeWindow = 48 * time.Hour
	openWindow = 7 * 24 * time.Hour
	codeLife   = 10 * time.Minute // of an authorisation code

	nightFrom  = 22 // hours in Viet Nam between which nothing is pushed
	nightUntil = 6
)

func (o Options) withDefaults() Options {
	o.AppID = cmp.Or(o.AppID, ExampleAppID)
	o.AppSecret = cmp.Or(o.AppSecret, ExampleAppSecret)
	o.OAID = cmp.Or(o.OAID, ExampleOAID)
	o.OASecretKey = cmp.Or(o.OASecretKey, ExampleOASecret)
	o.OAName = cmp.Or(o.OAName, "Công dân số Ninh Bình")
	if o.Clock == nil {
		o.Clock = NewClock()
	}
	o.RatePerMinute = cmp.Or(o.RatePerMinute, 4000)
	o.OARatePerMinute = cmp.Or(o.OARatePerMinute, o.RatePerMinute)
	o.WelcomeMessages = cmp.Or(o.WelcomeMessages, 3)
	o.PaidMessages = cmp.Or(o.PaidMessages, 500)
	o.PhonePerDay = cmp.Or(o.PhonePerDay, 5000)
	o.ArticlesAMonth = cmp.Or(o.ArticlesAMonth, 15)
	o.ArticleDelay = cmp.Or(o.ArticleDelay, 5*time.Second)
	o.ModerationDelay = cmp.Or(o.ModerationDelay, 30*time.Minute)
	o.BroadcastsPerMonth = cmp.Or(o.BroadcastsPerMonth, 4)
	if o.CountBy == nil {
		o.CountBy = func(s Send) string { return s.User }
	}
	o.AccessTokenLife = cmp.Or(o.AccessTokenLife, 25*time.Hour)
	o.RefreshTokenLife = cmp.Or(o.RefreshTokenLife, 90*24*time.Hour)
	o.UnknownTokenCode = cmp.Or(o.UnknownTokenCode, codeTokenInvalid)
	o.StaleTokenCode = cmp.Or(o.StaleTokenCode, codeTokenExpired)
	o.WebhookTimeout = cmp.Or(o.WebhookTimeout, 2*time.Second)
	o.WebhookWorkers = max(1, cmp.Or(o.WebhookWorkers, 64))
	o.KeepMessages = max(0, cmp.Or(o.KeepMessages, 1000))
	o.KeepLog = max(0, cmp.Or(o.KeepLog, 1000))
	return o
}
