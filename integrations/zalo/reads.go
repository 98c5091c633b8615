package zalo

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

// User is what Zalo tells of a person.
type User struct {
	ID              string
	IDByApp         string
	Name            string // the name they bear at Zalo
	Avatar          string // an address
	Follower        bool
	LastInteraction string // a day, DD/MM/YYYY: too coarse for the windows, see Quota
	Tags            []string
	Shared          SharedInfo
}

// SharedInfo is what a person once submitted in a form. Each field may be empty.
type SharedInfo struct {
	Name, Phone, Address, City, District, DOB string
}

// User reads a person's profile. An error is a *delivery.Refusal.
func (c *Client) User(ctx context.Context, userID string) (User, error) {
	var env envelope[struct {
		UserID   text   `json:"user_id"`
		ByApp    text   `json:"user_id_by_app"`
		Name     string `json:"display_name"`
		Avatar   string `json:"avatar"`
		Follower bool   `json:"user_is_follower"`
		Last     string `json:"user_last_interaction_date"`
		Tags     struct {
			Names []string `json:"tag_names"`
		} `json:"tags_and_notes_info"`
		Shared struct {
			Name     text `json:"name"`
			Phone    text `json:"phone"`
			Address  text `json:"address"`
			City     text `json:"city"`
			District text `json:"district"`
			DOB      text `json:"user_dob"`
		} `json:"shared_info"`
	}]
	if ref := c.call(ctx, request{path: pathUser, query: string(userBody(userID))}, &env); ref != nil {
		return User{}, ref
	}
	d := &env.Data
	return User{
		ID: string(d.UserID), IDByApp: string(d.ByApp), Name: d.Name, Avatar: d.Avatar,
		Follower: d.Follower, LastInteraction: d.Last, Tags: d.Tags.Names,
		Shared: SharedInfo{
			Name: string(d.Shared.Name), Phone: string(d.Shared.Phone), Address: string(d.Shared.Address),
			City: string(d.Shared.City), District: string(d.Shared.District), DOB: string(d.Shared.DOB),
		},
	}, nil
}

// Quota is what may be sent to one person.
type Quota struct {
	// LastInteraction is Zalo's own clock for the windows of 48 hours and 7 days;
	// zero when there was none or Zalo does not say.
	LastInteraction time.Time
	// Replies left and in all within the window. Since 2026 they read 8 of 8 and
	// limit nothing.
	Replies, RepliesTotal int
}

// Quota reads what may be sent to a person. An error is a *delivery.Refusal.
func (c *Client) Quota(ctx context.Context, userID string) (Quota, error) {
	var env envelope[struct {
		Last  millis `json:"last_interaction"`
		Reply struct {
			Remain number `json:"remain"`
			Total  number `json:"total"`
		} `json:"cs_reply"`
	}]
	if ref := c.call(ctx, request{path: pathQuota, body: userBody(userID)}, &env); ref != nil {
		return Quota{}, ref
	}
	d := &env.Data
	return Quota{LastInteraction: d.Last.time(), Replies: int(d.Reply.Remain), RepliesTotal: int(d.Reply.Total)}, nil
}

// Account is what Zalo tells of the Official Account.
type Account struct {
	ID        string
	Name      string
	Verified  bool
	Type      int // 2 business, 4 government
	Category  string
	Followers int
	Package   string // name of the package, which decides what may be called and how often
	ValidTo   string // its last day, DD/MM/YYYY
}

// Account reads the Official Account: token, verification and package in one
// call. An error is a *delivery.Refusal.
func (c *Client) Account(ctx context.Context) (Account, error) {
	var env envelope[struct {
		OAID      text   `json:"oaid"`  // what the documents say
		OAID2     text   `json:"oa_id"` // what several clients read
		Name      string `json:"name"`
		Verified  bool   `json:"is_verified"`
		Type      number `json:"oa_type"`
		Category  string `json:"cate_name"`
		Followers number `json:"num_follower"`
		Package   string `json:"package_name"`
		ValidTo   string `json:"package_valid_through_date"`
	}]
	if ref := c.call(ctx, request{path: pathOA}, &env); ref != nil {
		return Account{}, ref
	}
	d := &env.Data
	if d.OAID == "" {
		d.OAID = d.OAID2
	}
	return Account{ID: string(d.OAID), Name: d.Name, Verified: d.Verified, Type: int(d.Type), Category: d.Category,
		Followers: int(d.Followers), Package: d.Package, ValidTo: d.ValidTo}, nil
}

// ChatMessage is one message as the conversation calls tell it.
type ChatMessage struct {
	ID string
	// FromUser is true for what the person wrote, false for what the account sent.
	FromUser bool
	UserID   string // the person
	UserName string
	At       time.Time
	Type     string // text, voice, photo, GIF, link, links, sticker, location
	Text     string
	URL      string          // of media
	Location json.RawMessage // of a location, as Zalo wrote it
}

// MaxChats is the most that RecentChats and Conversation return at once.
const MaxChats = 10

// RecentChats lists the newest message of each chat, newest first, from offset
// on; count is at most MaxChats. An error is a *delivery.Refusal.
func (c *Client) RecentChats(ctx context.Context, offset, count int) ([]ChatMessage, error) {
	b := append([]byte(nil), `{`...)
	return c.chats(ctx, pathRecent, appendPage(b, offset, count))
}

// Conversation lists the messages of one chat, newest first, from offset on;
// count is at most MaxChats. An error is a *delivery.Refusal.
func (c *Client) Conversation(ctx context.Context, userID string, offset, count int) ([]ChatMessage, error) {
	b := append([]byte(nil), `{"user_id":`...)
	b = append(appendQuoted(b, userID), ',')
	return c.chats(ctx, pathConversation, appendPage(b, offset, count))
}

func appendPage(b []byte, offset, count int) []byte {
	b = append(b, `"offset":`...)
	b = strconv.AppendInt(b, int64(offset), 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(min(count, MaxChats)), 10)
	return append(b, '}')
}

func (c *Client) chats(ctx context.Context, path string, query []byte) ([]ChatMessage, error) {
	var env envelope[[]struct {
		Src      number          `json:"src"` // 0 the account, 1 the person
		Time     millis          `json:"time"`
		Type     string          `json:"type"`
		Message  text            `json:"message"`
		ID       text            `json:"message_id"`
		From     text            `json:"from_id"`
		To       text            `json:"to_id"`
		FromName string          `json:"from_display_name"`
		ToName   string          `json:"to_display_name"`
		URL      string          `json:"url"`
		Location json.RawMessage `json:"location"`
	}]
	if ref := c.call(ctx, request{path: path, query: string(query)}, &env); ref != nil {
		return nil, ref
	}
	out := make([]ChatMessage, len(env.Data))
	for i, d := range env.Data {
		m := ChatMessage{ID: string(d.ID), FromUser: d.Src == 1, UserID: string(d.To), UserName: d.ToName,
			At: d.Time.time(), Type: d.Type, Text: string(d.Message), URL: d.URL, Location: d.Location}
		if m.FromUser {
			m.UserID, m.UserName = string(d.From), d.FromName
		}
		out[i] = m
	}
	return out, nil
}

// Tag marks a person with a tag, which is made when it is missing. An error is a
// *delivery.Refusal.
func (c *Client) Tag(ctx context.Context, userID, tag string) error {
	return c.change(ctx, pathTag, tagBody(userID, tag))
}

// Untag takes a tag away. An error is a *delivery.Refusal.
func (c *Client) Untag(ctx context.Context, userID, tag string) error {
	return c.change(ctx, pathUntag, tagBody(userID, tag))
}

// Tags lists the account's tags. An error is a *delivery.Refusal.
func (c *Client) Tags(ctx context.Context) ([]string, error) {
	var env envelope[[]string]
	if ref := c.call(ctx, request{path: pathTags}, &env); ref != nil {
		return nil, ref
	}
	return env.Data, nil
}

// Forget erases what the account stored about a person at Zalo. An error is a
// *delivery.Refusal.
func (c *Client) Forget(ctx context.Context, userID string) error {
	return c.change(ctx, pathForget, userBody(userID))
}

// change makes a call whose answer says nothing but whether it was done.
func (c *Client) change(ctx context.Context, path string, body []byte) error {
	var env envelope[json.RawMessage]
	if ref := c.call(ctx, request{path: path, body: body, changes: true}, &env); ref != nil {
		return ref
	}
	return nil
}

func userBody(userID string) []byte {
	return append(appendQuoted([]byte(`{"user_id":`), userID), '}')
}

func tagBody(userID, tag string) []byte {
	b := appendQuoted([]byte(`{"user_id":`), userID)
	b = appendQuoted(append(b, `,"tag_name":`...), tag)
	return append(b, '}')
}
