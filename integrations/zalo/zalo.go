// Package zalo is the client of Zalo's Official Account API: consultation
// messages, template messages by user id and by phone, articles and their
// broadcast, people, tags, quotas, recent conversations, the account itself, and
// the chain of tokens (see Tokens).
//
// It knows the shapes of Zalo's calls and answers, and what every error code asks
// of the caller; it takes no decision. Each exported call is one request of the
// account's rate (one more when a token had to be replaced on the way): the
// caller has taken a slot of the rate limit before. Template messages by phone go
// to another host and do not count against it.
//
// Every failed call returns a *delivery.Refusal. Zalo reports its errors with
// HTTP 200, so the body's "error" decides, never the status alone. What a failure
// of the wire means depends on how far the request got: while nothing of it was
// written it was certainly not sent; afterwards a message may have been delivered.
package zalo

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

// Where Zalo is.
const (
	DefaultAPIURL   = "https://openapi.zalo.me"
	DefaultZNSURL   = "https://business.openapi.zalo.me" // templates: by phone, and their descriptions
	DefaultOAuthURL = "https://oauth.zaloapp.com"
)

// callTimeout ends a call, replacing a token included: a turn's lease is ten
// seconds, and a call must be over before it.
const callTimeout = 8 * time.Second

// TokenSource gives the access token of the account's calls.
type TokenSource interface {
	// Token returns a token that was good when last heard of. It is called for
	// every request and must be cheap.
	Token(ctx context.Context) (string, error)
	// Renew returns a token other than used, which Zalo has refused.
	Renew(ctx context.Context, used string) (string, error)
}

// Options are the settings of a Client.
type Options struct {
	APIURL string // default DefaultAPIURL
	ZNSURL string // default DefaultZNSURL
	OAID   string // the account the tokens are for; a message for another is refused
	Tokens TokenSource

	// AppSecret, when set, makes every call carry appsecret_proof. Zalo asks for
	// it only where the app's settings say so.
	AppSecret string

	// NoButtons leaves buttons out. They rest on what works for others, not on
	// Zalo's own pages; every choice can be typed, so that little is lost.
	NoButtons bool

	// OnLimit hears what Zalo says of the app's rate in each answer: requests a
	// minute, and how many are left (-1 when it does not say).
	OnLimit func(limit, remain int)
	// OnThrottled hears that Zalo refused a call for its rate (-32).
	OnThrottled func()
	// OnUnknownCode hears of error codes that stand in no table known here.
	OnUnknownCode func(code int)

	Timeout   time.Duration     // of a whole call; default 8 s
	Transport http.RoundTripper // default NewTransport()
}

// Client makes calls of one account. It is safe for concurrent use.
type Client struct {
	opt   Options
	rt    http.RoundTripper
	urls  map[string]*url.URL
	proof proofs
}

var _ delivery.Zalo = (*Client)(nil)

// New returns a client, or an error when the address is none.
func New(opt Options) (*Client, error) {
	opt.APIURL = strings.TrimRight(cmp.Or(opt.APIURL, DefaultAPIURL), "/")
	opt.Timeout = cmp.Or(opt.Timeout, callTimeout)
	c := &Client{opt: opt, rt: opt.Transport, urls: map[string]*url.URL{}}
	if c.rt == nil {
		c.rt = NewTransport()
	}
	opt.ZNSURL = strings.TrimRight(cmp.Or(opt.ZNSURL, DefaultZNSURL), "/")
	for _, host := range []struct {
		url   string
		paths []string
	}{{opt.APIURL, paths}, {opt.ZNSURL, pathsZNS}} {
		for _, path := range host.paths {
			u, err := url.Parse(host.url + path)
			if err != nil || u.Host == "" {
				return nil, fmt.Errorf("zalo API address %q is not a URL", host.url)
			}
			c.urls[path] = u
		}
	}
	c.proof.secret = []byte(opt.AppSecret)
	return c, nil
}

// The paths of the calls. The version belongs to the family of calls, not to the
// platform: v2.0 is current where it stands.
const (
	pathSend          = "/v3.0/oa/message/cs"
	pathTemplate      = "/v3.0/oa/message/template"
	pathBroadcast     = "/v2.0/oa/message"
	pathUser          = "/v3.0/oa/user/detail"
	pathUsers         = "/v3.0/oa/user/getlist"
	pathQuota         = "/v3.0/oa/quota/message"
	pathTag           = "/v2.0/oa/tag/tagfollower"
	pathTags          = "/v2.0/oa/tag/gettagsofoa"
	pathUntag         = "/v2.0/oa/tag/rmfollowerfromtag"
	pathForget        = "/v2.0/oa/deletefollowerinfo"
	pathRecent        = "/v2.0/oa/listrecentchat"
	pathConversation  = "/v2.0/oa/conversation"
	pathOA            = "/v2.0/oa/getoa"
	pathArticleCreate = "/v2.0/article/create"
	pathArticleVerify = "/v2.0/article/verify"
	pathArticleUpdate = "/v2.0/article/update"
	pathArticleRemove = "/v2.0/article/remove"
	pathArticleDetail = "/v2.0/article/getdetail"

	// on the host of templates
	pathPhone        = "/message/template"
	pathTemplateInfo = "/template/info/v2"

	pathToken = "/v4/oa/access_token" // on the OAuth host
)

var (
	paths = []string{pathSend, pathTemplate, pathBroadcast, pathUser, pathUsers, pathQuota, pathTag, pathTags, pathUntag, pathForget,
		pathRecent, pathConversation, pathOA,
		pathArticleCreate, pathArticleVerify, pathArticleUpdate, pathArticleRemove, pathArticleDetail}
	pathsZNS = []string{pathPhone, pathTemplateInfo}
)

// Send sends m as a consultation message. An error is a *delivery.Refusal.
func (c *Client) Send(ctx context.Context, to bot.CitizenID, m bot.Message) (delivery.Receipt, error) {
	if ref := c.ours(to); ref != nil {
		return delivery.Receipt{}, ref
	}
	if c.opt.NoButtons {
		m.Choices = nil
	}
	body, err := appendMessage(make([]byte, 0, 256+len(m.Text)*9/8+len(m.Choices)*160), to.User, m)
	if err != nil {
		return delivery.Receipt{}, &delivery.Refusal{Class: delivery.ClassDrop, Err: err}
	}
	var env envelope[sent]
	if ref := c.call(ctx, request{path: pathSend, body: body, changes: true}, &env); ref != nil {
		return delivery.Receipt{}, ref
	}
	return env.Data.receipt(), nil
}

// sent is what Zalo says of a message it took. The quota beside it may be missing
// and is never relied on.
type sent struct {
	MessageID text   `json:"message_id"`
	MsgID     text   `json:"msg_id"` // what the channel by phone calls it
	SentTime  millis `json:"sent_time"`
}

func (s *sent) receipt() delivery.Receipt {
	return delivery.Receipt{MsgID: string(cmp.Or(s.MessageID, s.MsgID)), At: s.SentTime.time()}
}

// Do carries out a call that is not a message. An error is a *delivery.Refusal.
func (c *Client) Do(ctx context.Context, to bot.CitizenID, call bot.Call) error {
	if ref := c.ours(to); ref != nil {
		return ref
	}
	var err error
	switch call.Kind {
	case bot.CallTag:
		err = c.Tag(ctx, to.User, call.Tag)
	case bot.CallUntag:
		err = c.Untag(ctx, to.User, call.Tag)
	case bot.CallForget:
		err = c.Forget(ctx, to.User)
	default:
		err = &delivery.Refusal{Class: delivery.ClassDrop, Err: fmt.Errorf("no call is named %q", call.Kind)}
	}
	return err
}

// ours refuses a citizen of another account, whose id means somebody else here.
func (c *Client) ours(to bot.CitizenID) *delivery.Refusal {
	switch {
	case to.User == "":
		return &delivery.Refusal{Class: delivery.ClassDrop, Err: fmt.Errorf("nobody to send to")}
	case c.opt.OAID != "" && to.OA != c.opt.OAID:
		return &delivery.Refusal{Class: delivery.ClassDrop, Err: fmt.Errorf("a message of account %s on the line of account %s", to.OA, c.opt.OAID)}
	}
	return nil
}
