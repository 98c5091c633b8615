package zalosim

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The codes of template messages (Zalo: error table of template messages).
const (
	codePhone          = -108
	codeNoTemplate     = -109
	codeNoData         = -112
	codeCannotReceive  = -114
	codeNoAccount      = -118
	codeBodyNotJSON    = -122
	codeTokenPhone     = -124
	codeUnapproved     = -131
	codeParameter      = -132
	codeNightPhone     = -133
	codeRefusedKind    = -139
	codeRefusedOA      = -141
	codePhoneDay       = -144
	codeLowQuality     = -146
	codeTemplateDay    = -147
	codeMode           = -161
	codeTooLong        = -1121
	codeMissing        = -1122
	codeFormat         = -1124
	codeBadProofPhone  = -1241
	codeSuspendedPhone = -1351
)

// templateRequest is the body of a template message, by user id or by phone.
type templateRequest struct {
	UserID     string            `json:"user_id"`
	Phone      string            `json:"phone"`
	TemplateID string            `json:"template_id"`
	Data       map[string]string `json:"template_data"`
	TrackingID string            `json:"tracking_id"`
	Mode       string            `json:"sending_mode"`
}

func decodeTemplate(path string, body []byte, req *templateRequest) *answer {
	err := json.Unmarshal(body, req)
	if err == nil {
		return nil
	}
	field := "body"
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && te.Field != "" {
		field, _, _ = strings.Cut(te.Field, ".")
	}
	if path == PathTemplate {
		return invalid(field)
	}
	switch field {
	case "phone":
		return refusal(codePhone)
	case "template_id":
		return refusal(codeNoTemplate)
	case "template_data":
		return refusal(codeNoData)
	case "body":
		return refusal(codeBodyNotJSON)
	}
	return refusal(codeParameter)
}

// templateOf finds the template a call names.
func (s *Sim) templateOf(c *call) *approved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.templates[c.template.TemplateID]
}

// message is the chat's message of a template.
func (s *Sim) message(c *call, t *approved) ChatMessage {
	return ChatMessage{ID: s.newID(), Kind: "template", Text: t.fill(c.template.Data), Template: t.ID, ByAPI: true, At: c.now}
}

// sendTemplate answers a template message by user id.
func (s *Sim) sendTemplate(c *call) answer {
	if c.bad != nil {
		return *c.bad
	}
	if c.user == "" {
		return *invalid("user_id")
	}
	t := s.templateOf(c)
	if t == nil {
		return *invalid("template_id")
	}
	if bad := t.usable(); bad != nil {
		return *bad
	}
	if t.NoUserID {
		return *refusal(codeNoUserID)
	}
	if c.template.Data == nil {
		return *invalid("template_data")
	}
	if bad := t.check(c.template.Data); bad != nil {
		return *bad
	}
	if _, dark := night(c.now); dark && t.Tag == "PROMOTION" {
		return *refusal(codeNight)
	}
	m := s.message(c, t)
	s.mu.Lock()
	p, bad := s.known(c)
	switch {
	case bad != nil:
	case p.Inactive:
		bad = refusal(codeInactive)
	case p.Blocked:
		bad = refusal(codeBlocked)
	case p.Restricted:
		bad = refusal(codeRestricted)
	}
	if bad != nil {
		s.mu.Unlock()
		return *bad
	}
	events := s.push(p, &m, "")
	s.mu.Unlock()

	s.took(m.send(c.user), events)
	return ok(newObject(200, false).
		str("message_id", m.ID).
		str("user_id", c.user).
		str("sent_time", millis(m.At)).
		open("quota").str("quota_type", "purchase_quota").str("remain", "100000").close().bytes())
}

// sendPhone answers a template message by phone.
func (s *Sim) sendPhone(c *call) answer {
	if c.bad != nil {
		return *c.bad
	}
	req := &c.template
	phone := strings.TrimPrefix(req.Phone, "+")
	if !isPhone(phone) {
		return *refusal(codePhone)
	}
	t := s.templateOf(c)
	if t == nil {
		return *refusal(codeNoTemplate)
	}
	if bad := t.usable(); bad != nil {
		return *bad
	}
	_, dark := night(c.now)
	switch {
	case req.TrackingID == "", units(req.TrackingID) > maxTracking:
		return *refusal(codeParameter)
	case req.Mode != "" && req.Mode != "1": // "3", above the quota, is for accounts on a list
		return *refusal(codeMode)
	case req.Data == nil:
		return *refusal(codeNoData)
	case dark && t.Tag == "PROMOTION":
		return *refusal(codeNightPhone)
	}
	if bad := t.check(req.Data); bad != nil {
		return *bad
	}
	m := s.message(c, t)
	m.Tracking = req.TrackingID

	s.mu.Lock()
	events, left, bad := s.admitPhone(s.phones[phone], t, &m, phone)
	s.mu.Unlock()
	if bad != nil {
		return *bad
	}
	s.took(m.send(c.user), events)
	daily := strconv.Itoa(max(0, s.opt.PhonePerDay))
	return ok(newObject(200, false).
		str("msg_id", m.ID).
		str("sent_time", millis(m.At)).
		str("sending_mode", "1").
		open("quota").str("dailyQuota", daily).str("remainingQuota", strconv.Itoa(left)).close().bytes())
}

// admitPhone checks whether a message may go to a phone, counts and pushes it.
// The caller holds mu.
func (s *Sim) admitPhone(p *person, t *approved, m *ChatMessage, phone string) (events []outgoing, left int, bad *answer) {
	if now := s.templates[t.ID]; now != nil {
		t = now // it may have been replaced since; its count must not be lost
	}
	day := dayOf(m.At)
	switch left = s.phoneDay.left(day, s.opt.PhonePerDay); {
	case p == nil:
		return nil, 0, refusal(codeNoAccount)
	case p.Inactive:
		return nil, 0, refusal(codeCannotReceive)
	case p.Blocked:
		return nil, 0, refusal(codeRefusedOA)
	case p.Restricted:
		return nil, 0, refusal(codeRefusedKind)
	case left < 1:
		return nil, 0, refusal(codePhoneDay)
	case t.PerDay > 0 && t.today.left(day, t.PerDay) < 1:
		return nil, 0, refusal(codeTemplateDay)
	}
	s.phoneDay.N++
	t.today.N++
	return s.push(p, m, phone), left - 1, nil
}

// push puts a template message on the person's phone: at once, or, by night, when
// the night is over. An echo tells of those by user id, a receipt of both. The
// caller holds mu.
func (s *Sim) push(p *person, m *ChatMessage, phone string) []outgoing {
	var events []outgoing
	if phone == "" && !s.opt.NoEchoes {
		name, body := s.echoEvent(p, m, m.At)
		events = append(events, outgoing{name, body})
	}
	ends, dark := night(m.At)
	if !dark {
		events = append(events, s.arrive(p, m, phone, m.At)...)
		s.remember(p, *m)
		return events
	}
	s.remember(p, *m)
	later := *m
	s.agenda.add(ends, func(now time.Time) {
		s.mu.Lock()
		m := &later
		for i := len(p.chat) - 1; i >= 0; i-- {
			if p.chat[i].ID == later.ID {
				m = &p.chat[i]
				break
			}
		}
		events := s.arrive(p, m, phone, now)
		s.mu.Unlock()
		for _, ev := range events {
			s.post.enqueue(ev.name, p.ID, ev.body)
		}
		s.watch.tell(UpdateChat, p.ID)
	})
	return events
}

// arrive marks a template message as delivered, with its receipts. The caller
// holds mu.
func (s *Sim) arrive(p *person, m *ChatMessage, phone string, at time.Time) []outgoing {
	m.Delivered = at
	switch {
	case s.opt.NoReceipts:
		return nil
	case phone != "":
		return []outgoing{{"user_received_message", s.phoneReceiptEvent(phone, m.ID, m.Tracking, at)}}
	}
	events := []outgoing{{"user_received_message", s.receiptEvent(p, m.ID, at)}}
	if !s.opt.SeenByHand {
		m.Seen = at
		events = append(events, outgoing{"user_seen_message", s.seenEvent(p, []string{m.ID}, at)})
	}
	return events
}
