package zalosim

import (
	"encoding/json"
	"slices"
	"time"
)

// ChatMessage is one message of a chat.
type ChatMessage struct {
	ID        string
	FromUser  bool
	Kind      string // text, image, gif, link, audio, video, sticker, business_card, file, location, form, template, article
	Text      string
	Hidden    bool // a hidden tap: the person does not see it
	Buttons   []Button
	ImageURL  string
	MediaURL  string
	Latitude  string // of a location
	Longitude string
	AskInfo   *AskInfo
	AdminID   string // staff wrote it
	ByAPI     bool
	Template  string // the template's id
	Tracking  string // tracking id: the template was sent by phone
	At        time.Time
	Delivered time.Time // zero: not (yet)
	Seen      time.Time // zero: not (yet)
}

// Button is one button under a message.
type Button struct {
	Title   string
	Type    string // oa.query.hide, oa.query.show, oa.open.url, oa.open.phone, oa.open.sms
	Payload string // of oa.query.*
	URL     string // of oa.open.url
	Phone   string // of oa.open.phone and oa.open.sms
	Content string // of oa.open.sms
}

// AskInfo is the form that asks for name and phone.
type AskInfo struct{ Title, Subtitle, ImageURL string }

// Send is one accepted message of the API.
type Send struct {
	Kind       string // cs, template, phone, broadcast
	User       string // empty for a broadcast
	MsgID      string
	Text       string // for a broadcast, the titles
	At         time.Time
	Template   string // id of the template
	TrackingID string // only by phone
}

// send is what the API was asked to send to a person.
func (m *ChatMessage) send(user string) Send {
	out := Send{Kind: "cs", User: user, MsgID: m.ID, Text: m.Text, At: m.At, Template: m.Template, TrackingID: m.Tracking}
	switch {
	case m.Kind == "article":
		out.Kind = "broadcast"
	case m.Tracking != "":
		out.Kind = "phone"
	case m.Template != "":
		out.Kind = "template"
	}
	return out
}

// Messages returns a person's chat, both sides, oldest first.
func (s *Sim) Messages(user string) []ChatMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.people[user]; p != nil {
		return slices.Clone(p.chat)
	}
	return nil
}

// Sends returns the messages the API sent to a person and that were accepted, in
// order, as far as KeepMessages reaches.
func (s *Sim) Sends(user string) []Send {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.people[user]
	if p == nil {
		return nil
	}
	var out []Send
	for i := range p.chat {
		if m := &p.chat[i]; m.ByAPI {
			out = append(out, m.send(user))
		}
	}
	return out
}

// remember adds m to p's chat, which thereby becomes the newest. The caller
// holds mu.
func (s *Sim) remember(p *person, m ChatMessage) {
	keep := s.opt.KeepMessages
	if keep == 0 {
		return
	}
	if len(p.chat) >= keep+keep/4+1 { // cut seldom, so that adding stays cheap
		p.chat = append(p.chat[:0], p.chat[len(p.chat)-keep+1:]...)
	}
	p.chat = append(p.chat, m)
	if p.place == nil {
		p.place = s.recent.PushFront(p)
	} else {
		s.recent.MoveToFront(p.place)
	}
}

// SendText sends what a person types and returns the message's id.
func (s *Sim) SendText(user, text string) string {
	return s.write(user, ChatMessage{Kind: "text", Text: text})
}

// Tap taps a button with a payload and returns the message's id. With show the
// payload stands in the person's chat as if typed (oa.query.show), else it does
// not (oa.query.hide); the event is the same.
func (s *Sim) Tap(user, payload string, show bool) string {
	return s.write(user, ChatMessage{Kind: "text", Text: payload, Hidden: !show})
}

// SendMedia sends an attachment. Kind is one of image, gif, link, audio, video,
// sticker, business_card, file.
func (s *Sim) SendMedia(user, kind, text, url string) string {
	return s.write(user, ChatMessage{Kind: kind, Text: text, MediaURL: url})
}

// SendLocation sends a place.
func (s *Sim) SendLocation(user, latitude, longitude string) string {
	return s.write(user, ChatMessage{Kind: "location", Latitude: latitude, Longitude: longitude})
}

func (s *Sim) write(user string, m ChatMessage) string {
	m.ID, m.FromUser = s.newID(), true
	s.act(user, true, true, func(p *person, now time.Time) (string, []byte) {
		m.At = now
		s.remember(p, m)
		switch m.Kind {
		case "text":
			return "user_send_text", s.textEvent(p, m.Text, m.ID, now)
		case "location":
			return "user_send_location", s.locationEvent(p, m.Latitude, m.Longitude, m.ID, now)
		}
		return "user_send_" + m.Kind, s.mediaEvent(p, m.Kind, m.Text, m.MediaURL, m.ID, now)
	})
	return m.ID
}

// React puts a reaction on a message.
func (s *Sim) React(user, msgID, icon string) {
	s.act(user, true, true, func(p *person, now time.Time) (string, []byte) {
		return "user_reacted_message", s.reactionEvent(p, msgID, icon, now)
	})
}

// See marks everything the account sent as seen, with its receipt.
func (s *Sim) See(user string) {
	s.act(user, false, false, func(p *person, now time.Time) (string, []byte) {
		var ids []string
		for i := range p.chat {
			if m := &p.chat[i]; !m.FromUser && m.Seen.IsZero() {
				m.Seen = now
				ids = append(ids, m.ID)
			}
		}
		if len(ids) == 0 || s.opt.NoReceipts {
			return "", nil
		}
		return "user_seen_message", s.seenEvent(p, ids, now)
	})
}

// StaffSays writes to a person as staff do in Zalo's own tools, and returns the
// message's id. Its event goes out even where echoes are left out.
func (s *Sim) StaffSays(user, adminID, text string) string {
	m := ChatMessage{ID: s.newID(), Kind: "text", Text: text, AdminID: adminID}
	s.act(user, false, false, func(p *person, now time.Time) (string, []byte) {
		m.At, m.Delivered = now, now
		s.remember(p, m)
		return s.echoEvent(p, &m, now)
	})
	return m.ID
}

// Raw signs and delivers any event body as it stands. The timestamp signed is
// the one in the body.
func (s *Sim) Raw(body []byte) {
	var ev struct {
		Name   string `json:"event_name"`
		Sender struct {
			ID string `json:"id"`
		} `json:"sender"`
	}
	// A body that does not decode is sent all the same: that is what Raw is for.
	_ = json.Unmarshal(body, &ev)
	s.post.enqueue(ev.Name, ev.Sender.ID, slices.Clone(body))
}
