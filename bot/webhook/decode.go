package webhook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"congdanso/bot"
)

// delivery is the union of everything Zalo's events carry. Unknown fields are
// ignored; Zalo adds some without notice.
type delivery struct {
	EventName  text `json:"event_name"`
	Timestamp  text `json:"timestamp"`
	AppID      text `json:"app_id"`
	OAID       text `json:"oa_id"`
	OAIDCamel  text `json:"oaId"` // change_oa_daily_quota alone spells it so
	UserID     text `json:"user_id"`
	Source     text `json:"source"`
	MsgID      text `json:"msg_id"` // user_click_response_button has it at the root
	Sender     party
	Recipient  party
	Follower   party
	Message    message
	Info       info
	Tag        tag
	Data       json.RawMessage `json:"data"`
	TemplateID text            `json:"template_id"`
	Status     json.RawMessage `json:"status"`
	Quality    json.RawMessage `json:"quality"`
	Quota      json.RawMessage `json:"quota"`
	Tags       json.RawMessage `json:"tags"`
	Reason     text            `json:"reason"`
}

type party struct {
	ID      text `json:"id"`
	AdminID text `json:"admin_id"`
}

type message struct {
	MsgID          text         `json:"msg_id"`
	MsgIDs         []text       `json:"msg_ids"`
	Text           text         `json:"text"`
	QuoteMsgID     text         `json:"quote_msg_id"`
	ReactIcon      text         `json:"react_icon"`
	ConversationID text         `json:"conversation_id"`
	DeliveryTime   text         `json:"delivery_time"`
	TrackingID     text         `json:"tracking_id"`
	Attachments    []attachment `json:"attachments"`
}

type attachment struct {
	Type    text `json:"type"`
	Payload struct {
		URL         text `json:"url"`
		Name        text `json:"name"`
		Coordinates struct {
			Latitude  text `json:"latitude"`
			Longitude text `json:"longitude"`
		} `json:"coordinates"`
	} `json:"payload"`
}

// info is the answer to the contact form. Newer apps nest the address, older
// ones send it flat. Date of birth and sex are not read at all.
type info struct {
	Name        text `json:"name"`
	Phone       text `json:"phone"`
	Address     text `json:"address"`
	City        text `json:"city"`
	Ward        text `json:"ward"`
	FullAddress struct {
		City    text `json:"user_city"`
		Ward    text `json:"user_ward"`
		Address text `json:"user_address"`
	} `json:"full_address"`
}

// Decode turns a verified body into an event of account oaID. It returns an
// error for a body whose fields cannot be what they must be: such a delivery is
// kept as a dead letter. ours is false when the event belongs to another
// account (Zalo's console sends such samples); nothing of it is kept then.
func Decode(body []byte, oaID string, acceptedAt time.Time) (ev bot.Event, ours bool, err error) {
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		return bot.Event{}, true, fmt.Errorf("decode delivery: %w", err)
	}
	return d.event(oaID, acceptedAt)
}

// event judges what was decoded; see Decode.
func (d *delivery) event(oaID string, acceptedAt time.Time) (ev bot.Event, ours bool, err error) {
	ev = bot.Event{
		Name:       string(d.EventName),
		SignedAt:   signedAt(string(d.Timestamp), acceptedAt),
		AcceptedAt: acceptedAt,
	}
	user, oa := d.parties()
	if oa != "" && oa != oaID {
		return ev, false, nil
	}
	ev.Body = d.body(ev.SignedAt)
	if ev.Name == "user_received_message" {
		switch tracked := trackedUser(string(d.Message.TrackingID)); {
		case tracked != "":
			user = tracked
		case phoneShaped(user): // it names nobody, and a phone is nobody's id
			ev.Body = bot.Unknown{}
		}
	}
	if _, ok := ev.Body.(bot.Unknown); ok {
		return ev, true, nil
	}
	if oa == "" {
		return ev, true, fmt.Errorf("decode %.40q: it names no account", ev.Name)
	}
	if user != "" && !validID(user) {
		return ev, true, fmt.Errorf("decode %s: the person's id is malformed", ev.Name)
	}
	ev.Citizen = bot.CitizenID{OA: oaID, User: user}
	if ev.ID = d.identity(ev, user); ev.ID == "" {
		return ev, true, fmt.Errorf("decode %s: it has nothing to be told apart by", ev.Name)
	}
	if needsPerson(ev.Body) && user == "" {
		return ev, true, fmt.Errorf("decode %s: it names no person", ev.Name)
	}
	return ev, true, nil
}

// parties says who the person and who the account is. In receipts and echoes
// the account is the sender; in management events it stands by itself.
func (d *delivery) parties() (user, oa string) {
	name := string(d.EventName)
	switch {
	case d.Follower.ID != "":
		user, oa = string(d.Follower.ID), string(d.OAID)
	case d.UserID != "":
		user, oa = string(d.UserID), string(d.OAID)
	case fromOA(name):
		user, oa = string(d.Recipient.ID), string(d.Sender.ID)
	default:
		user, oa = string(d.Sender.ID), string(d.Recipient.ID)
	}
	if name == "widget_interaction_accepted" {
		var data struct {
			UserID text `json:"user_id"`
		}
		_ = json.Unmarshal(d.Data, &data) // a widget without a person is caught below
		user = string(data.UserID)
	}
	if oa == "" {
		oa = string(d.OAID)
	}
	if oa == "" {
		oa = string(d.OAIDCamel)
	}
	return user, oa
}

// trackedUser finds the person in the tracking id of a template sent by phone:
// "<user id>-<outbox id in base 36>" is how delivery makes them. It is empty for
// a tracking id that is not ours.
func trackedUser(tracking string) string {
	user, outbox, _ := strings.Cut(tracking, "-")
	if len(user) < 15 || len(user) > 19 || strings.Trim(user, "0123456789") != "" {
		return ""
	}
	id, err := strconv.ParseInt(outbox, 36, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 36) != outbox {
		return ""
	}
	return user
}

// phoneShaped reports whether a recipient is no id but a phone, or the SHA-256
// of one: that is how the channel by phone names people in its receipts.
func phoneShaped(id string) bool {
	if len(id) == 64 {
		return strings.Trim(strings.ToLower(id), "0123456789abcdef") == ""
	}
	digits := strings.TrimPrefix(id, "+")
	return len(digits) >= 8 && len(digits) < 15 && strings.Trim(digits, "0123456789") == "" &&
		(strings.HasPrefix(digits, "84") || strings.HasPrefix(digits, "0"))
}

// fromOA reports whether the account is the sender in events of this name.
func fromOA(name string) bool {
	switch name {
	case "user_received_message", "user_seen_message":
		return true
	}
	return strings.HasPrefix(name, "oa_")
}

// validID keeps what cannot be an id of Zalo's (a NUL byte, a novel) out of the
// tables' keys.
func validID(id string) bool {
	if len(id) > 64 {
		return false
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func needsPerson(b bot.Body) bool {
	switch b.(type) {
	case bot.Account, bot.Group, bot.Anonymous, bot.Unknown:
		return false
	}
	return true
}

// identity follows from what Zalo gives: there is no event id. Messages from
// citizens share one form whatever their kind, so that one found later by
// reading the conversation is recognised.
func (d *delivery) identity(ev bot.Event, user string) string {
	name := ev.Name
	if m := string(d.Message.MsgID); m != "" && name != "user_submit_info" {
		switch ev.Body.(type) {
		case bot.Text, bot.Media, bot.Location:
			return "user_send:" + m
		case bot.Reacted:
			return name + ":" + m + ":" + string(d.Message.ReactIcon) + ":" + string(d.Timestamp)
		}
		return name + ":" + m
	}
	if seen, ok := ev.Body.(bot.Seen); ok {
		return name + ":" + user + ":" + strings.Join(seen.MsgIDs, ",")
	}
	who := user
	switch {
	case who != "":
	case d.Tag.Name != "":
		who = string(d.Tag.Name)
	case d.TemplateID != "":
		who = string(d.TemplateID)
	}
	if d.Timestamp == "" {
		return ""
	}
	return name + ":" + who + ":" + string(d.MsgID) + ":" + string(d.Timestamp)
}

// zaloHosts end the names of the hosts from which Zalo serves what people send;
// an address elsewhere is forged or foreign and is dropped.
var zaloHosts = []string{".zdn.vn", ".zadn.vn"}

func zaloURL(raw text) string {
	u, err := url.Parse(string(raw))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return ""
	}
	for _, host := range zaloHosts {
		if strings.HasSuffix(u.Hostname(), host) {
			return u.String()
		}
	}
	return ""
}
