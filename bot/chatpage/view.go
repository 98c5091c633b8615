package chatpage

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/integrations/zalo/zalosim"
)

// shownMessages is how much of a chat's past a page shows.
const shownMessages = 200

// view is everything a page shows, read from the stand-in at one moment.
type view struct {
	words
	Base     string // the prefix
	Account  string
	Citizen  citizen // whose phone it is; without ID: nobody's
	Citizens []citizen
	Others   int // unread messages of the other citizens
	Bubbles  []bubble
	Webhooks []entry
	Calls    []entry
	Kinds    []string // of the attachment menu
	Menu     []MenuItem
	Samples  []Sample
	Notice   string
}

// pick is a link that changes how the page looks: what it sets, what it says, and
// what it says where there is little room.
type pick struct{ Value, Text, Short string }

// TypeSwitch offers the other size of type, LangSwitch the other language.
func (v *view) TypeSwitch() pick {
	if v.Large {
		return pick{"normal", v.T("type_normal"), "A−"}
	}
	return pick{"large", v.T("type_large"), "A+"}
}

// LangSwitch names the other language in itself.
func (v *view) LangSwitch() pick {
	if v.Lang == bot.Vietnamese {
		return pick{bot.English, v.T("language"), "EN"}
	}
	return pick{bot.Vietnamese, v.T("language"), "VI"}
}

// citizen is a person in the row of test citizens.
type citizen struct {
	words
	ID, Name, URL string
	Initial       string
	Tone          int
	Follows       bool
	Current       bool
	Unread        int
}

// bubble is one message as the phone shows it.
type bubble struct {
	words
	Element  string // id of its element
	URL      string // of the citizen, for forms
	Name     string // of the citizen
	Day      string // the separator above it, if it is the first of a day
	Clock    string
	Mine     bool
	Staff    bool
	First    bool // of a series from the same side
	Emoji    bool
	Kind     string
	Runs     []run
	Picture  string // address of a picture this page may show
	Foreign  string // address of one it may not
	Buttons  []zalosim.Button
	Ask      *zalosim.AskInfo
	Tick     string // sending, delivered, seen
	TickText string
}

// Tap reports whether tapping b sends its payload; the others open something.
func (bubble) Tap(b zalosim.Button) bool { return strings.HasPrefix(b.Type, "oa.query.") }

// kinds is the attachment menu, in its order.
var kinds = []string{"image", "sticker", "location", "file", "audio", "video", "business_card"}

// view reads what there is to show of user. host is how the browser calls this
// server: pictures from there may be shown.
func (p *Page) view(w words, user zalosim.User, host string) *view {
	v := &view{words: w, Base: p.opt.Prefix, Account: p.opt.AccountName, Menu: p.opt.Menu, Samples: p.opt.Samples, Kinds: kinds}
	names := map[string]string{}
	for i, u := range p.sim.Users() {
		c := citizen{words: w, ID: u.ID, Name: u.Name, URL: p.opt.Prefix + "/u/" + u.ID, Initial: initial(u.Name), Tone: i % 6,
			Follows: u.Follows, Current: u.ID == user.ID}
		if c.Current {
			v.Citizen = c // what has been unread until now is before their eyes
		} else {
			c.Unread = unread(p.sim.Messages(u.ID))
			v.Others += c.Unread
		}
		v.Citizens = append(v.Citizens, c)
		names[u.ID] = u.Name
	}
	calls, hooks := p.sim.Calls(), p.sim.Webhooks()
	if user.ID != "" {
		v.Bubbles = v.bubbles(p.sim.Messages(user.ID), p.acknowledged(hooks, user.ID), p.sim.Clock().Now(), host)
	}
	v.Webhooks, v.Calls = v.webhookLog(hooks, names), v.callLog(calls, names)
	return v
}

func unread(messages []zalosim.ChatMessage) int {
	n := 0
	for _, m := range messages {
		if !m.FromUser && m.Seen.IsZero() {
			n++
		}
	}
	return n
}

// acknowledged notes which messages of a person the channel has taken, and returns
// all it knows of: messages by their ids, forms by the time they were signed. It
// remembers, for the stand-in's log is short.
func (p *Page) acknowledged(hooks []zalosim.WebhookLog, user string) map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[user] == nil {
		p.taken[user] = map[string]bool{}
	}
	for _, h := range hooks {
		if h.User != user || h.Status != http.StatusOK {
			continue
		}
		var ev struct {
			Timestamp string `json:"timestamp"`
			Message   struct {
				ID string `json:"msg_id"`
			} `json:"message"`
		}
		if json.Unmarshal([]byte(h.Body), &ev) != nil {
			continue // sent raw, to see what the channel does with it
		}
		switch {
		case h.Event == "user_submit_info":
			p.taken[user][ev.Timestamp] = true
		case strings.HasPrefix(h.Event, "user_send_"):
			p.taken[user][ev.Message.ID] = true
		}
	}
	return maps.Clone(p.taken[user])
}

// bubbles are the messages a person sees, oldest first.
func (v *view) bubbles(messages []zalosim.ChatMessage, taken map[string]bool, now time.Time, host string) []bubble {
	visible := messages[:0:0]
	for _, m := range messages {
		if !m.Hidden {
			visible = append(visible, m)
		}
	}
	visible = visible[max(0, len(visible)-shownMessages):]
	var bubbles []bubble
	for i, m := range visible {
		at := m.At.In(vietnam)
		b := bubble{words: v.words, Element: "m-" + m.ID, URL: v.Citizen.URL, Name: v.Citizen.Name,
			Clock: at.Format("15:04"), Mine: m.FromUser, Staff: m.AdminID != "", Kind: m.Kind, Ask: m.AskInfo, Buttons: m.Buttons,
			Runs: linkify(m.Text), Emoji: onlyEmoji(m.Text), First: i == 0 || visible[i-1].FromUser != m.FromUser}
		if i == 0 || at.Format(time.DateOnly) != visible[i-1].At.In(vietnam).Format(time.DateOnly) {
			b.First, b.Day = true, v.day(at, now)
		}
		b.Picture, b.Foreign = v.picture(m, host)
		b.Tick = tick(m, taken)
		b.TickText = v.T("tick." + b.Tick)
		bubbles = append(bubbles, b)
	}
	return bubbles
}

func (v *view) day(at, now time.Time) string {
	if at.Format(time.DateOnly) == now.In(vietnam).Format(time.DateOnly) {
		return v.T("phone.today")
	}
	return v.texts.Day(v.Lang, at)
}

// tick says how far a message has come: the account's by Zalo's receipts, a
// person's by the channel's acknowledgement.
func tick(m zalosim.ChatMessage, taken map[string]bool) string {
	switch {
	case m.FromUser && (taken[m.ID] || m.Kind == "form" && taken[strconv.FormatInt(m.At.UnixMilli(), 10)]):
		return "delivered"
	case !m.Seen.IsZero():
		return "seen"
	case !m.Delivered.IsZero():
		return "delivered"
	}
	return "sending"
}

// picture decides which picture a message shows: our own drawings for the samples
// people send, what this server itself serves, and nothing from elsewhere.
func (v *view) picture(m zalosim.ChatMessage, host string) (shown, foreign string) {
	if m.FromUser {
		switch m.Kind {
		case "image":
			return v.Base + "/assets/receipt.svg", ""
		case "sticker":
			return v.Base + "/assets/sticker.svg", ""
		}
		return "", ""
	}
	address := m.ImageURL
	if m.AskInfo != nil {
		address = m.AskInfo.ImageURL
	}
	if address == "" {
		return "", ""
	}
	u, err := url.Parse(address)
	if err == nil && (u.Host == host || isLoopback(u.Hostname()) && u.Port() == portOf(host)) {
		return u.RequestURI(), ""
	}
	return "", address
}

func portOf(host string) string {
	u := url.URL{Host: host}
	return u.Port()
}
