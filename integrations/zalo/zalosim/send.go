package zalosim

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The codes the stand-in gives of its own accord (Zalo: error table), and their
// texts, typing errors included.
const (
	codeRate         = -32
	codeExpiredAsset = -100
	codeInvalid      = -201
	codeTooMuch      = -210
	codeQuota        = -211
	codeSuspended    = -204
	codePreparing    = -214
	codeTokenInvalid = -216
	codeBlocked      = -217
	codeUserQuota    = -218
	codeTokenExpired = -220
	codeArticles     = -223
	codeInactive     = -227
	codeWindow       = -230
	codeNeverWrote   = -232
	codeKind         = -233
	codeNight        = -234
	codeOldMessage   = -240
	codeBadProof     = -242
	codeRestricted   = -244
	codeNoUserID     = -249
)

var messages = map[int]string{
	codeRate:         "Your OA reached limit call api",
	codeExpiredAsset: "attachment_id was expired",
	-200:             "Send message failed",
	codeTooMuch:      "Parameter exceeds allowable limit",
	codeQuota:        "Out of quota",
	codeTokenInvalid: "Access token is invalid",
	codeBlocked:      "User has blocked invitation from OA",
	codeUserQuota:    "Out of quota receive",
	codeTokenExpired: "access_token is expired or removed",
	codeWindow:       "User has not interacted with the OA in the past 7 days",
	codeNeverWrote:   "User has not interacted with the OA, or the last interaction expired",
	codeKind:         "message type is invalid or not support",
	codeNight:        "This message cannot be sent at night (10:00PM - 6:00AM)",
	codeOldMessage:   "MessageV2 API has been shut down, please switch to MessageV3",
	codeBadProof:     "Invalid appsecret_proof",
	codeRestricted:   "User has restricted this message type from your OA",
	codeNoUserID:     "Template does not support send via UID",
	codeSuspended:    "Offical Account is disable",
	codePreparing:    "Article is being processed",
	codeArticles:     "OA has reached the article quota",
	codeInactive:     "User is banned or has been inactive for more than 45 days",

	codeTokenPhone:     "Access token invalid",
	codeBadProofPhone:  "Appsecret_proof invalid",
	codeSuspendedPhone: "OA is blocked from sending",
	codePhone:          "Phone number is invalid",
	codeNoTemplate:     "Template ID is invalid",
	codeNoData:         "Template data is invalid",
	codeCannotReceive:  "User cannot receive",
	codeNoAccount:      "Zalo account not existed",
	codeBodyNotJSON:    "Body data format is invalid",
	codeParameter:      "Parameter is invalid",
	codeTooLong:        "Parameter of the template is too long",
	codeMissing:        "Parameter of the template is missing",
	codeFormat:         "Parameter of the template has a wrong format",
	codeUnapproved:     "Template has not been approved",
	codeNightPhone:     "This template cannot be sent at night (10:00PM - 6:00AM)",
	codeRefusedKind:    "User refused this kind of message",
	codeRefusedOA:      "User refused messages of this OA",
	codePhoneDay:       "OA has reached the daily limit",
	codeLowQuality:     "Template is disabled for its low quality",
	codeTemplateDay:    "Template has reached the daily limit",
	codeMode:           "Sending_mode is invalid",
}

// sendRequest is the body of a consultation message.
type sendRequest struct {
	Recipient struct {
		UserID string `json:"user_id"`
	} `json:"recipient"`
	Message *struct {
		Text       *string `json:"text"`
		Quote      string  `json:"quote_message_id"`
		Attachment *struct {
			Type    string `json:"type"`
			Payload struct {
				TemplateType string    `json:"template_type"`
				Elements     []element `json:"elements"`
				Buttons      []struct {
					Title   string          `json:"title"`
					Type    string          `json:"type"`
					Payload json.RawMessage `json:"payload"`
				} `json:"buttons"`
				Token string `json:"token"`
			} `json:"payload"`
		} `json:"attachment"`
	} `json:"message"`
}

type element struct {
	MediaType    string `json:"media_type"`
	URL          string `json:"url"`
	AttachmentID string `json:"attachment_id"`
	Title        string `json:"title"`
	Subtitle     string `json:"subtitle"`
	ImageURL     string `json:"image_url"`
}

func invalid(field string) *answer {
	a := refuse(codeInvalid, field+" is invalid!")
	return &a
}

func refusal(code int) *answer {
	a := refuse(code, messages[code])
	return &a
}

func decodeSend(body []byte, req *sendRequest) *answer {
	err := json.Unmarshal(body, req)
	if err == nil {
		return nil
	}
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && te.Field != "" {
		return invalid(te.Field[strings.LastIndexByte(te.Field, '.')+1:])
	}
	return invalid("body")
}

// send answers a consultation message, checking in this order: fields, person,
// block, window, quota, attachment.
func (s *Sim) send(c *call) answer {
	if c.bad != nil {
		return *c.bad
	}
	m := ChatMessage{ID: s.newID(), Kind: "text", ByAPI: true, At: c.now}
	if bad := s.readMessage(&c.send, &m); bad != nil {
		return *bad
	}
	s.mu.Lock()
	p := s.people[c.user]
	quota, bad := s.admit(p, c.now)
	if bad == nil && m.Kind == "asset" { // nothing was ever uploaded here
		bad = refusal(codeExpiredAsset)
	}
	if bad != nil {
		s.mu.Unlock()
		return *bad
	}
	remain, total := s.charge(p, quota)
	events := s.deliver(p, &m)
	s.remember(p, m)
	s.mu.Unlock()

	s.took(m.send(c.user), events[:])
	data := newObject(300, false).
		str("message_id", m.ID).
		str("user_id", c.user).
		str("sent_time", millis(m.At)).
		open("quota").
		str("quota_type", quota).str("remain", strconv.Itoa(remain)).str("total", strconv.Itoa(total)).
		str("expired_date", "31/12/2026").str("owner_type", "OA").str("owner_id", s.opt.OAID).
		close().bytes()
	return ok(data)
}

// took counts and tells of a message that was taken, and lets its events go.
func (s *Sim) took(m Send, events []outgoing) {
	s.accepted.Add(1)
	if key := s.opt.CountBy(m); key != "" {
		s.receivedMu.Lock()
		s.received[key]++
		s.receivedMu.Unlock()
	}
	for _, ev := range events {
		if ev.body != nil {
			s.post.enqueue(ev.name, m.User, ev.body)
		}
	}
	if s.opt.OnSend != nil {
		s.opt.OnSend(m)
	}
	s.watch.tell(UpdateChat, m.User)
}

// admit checks who may be written to now, and from which quota. The caller
// holds mu.
func (s *Sim) admit(p *person, now time.Time) (quota string, bad *answer) {
	switch {
	case p == nil:
		return "", invalid("user_id")
	case p.Blocked:
		return "", refusal(codeBlocked)
	case p.Restricted:
		return "", refusal(codeRestricted)
	case p.interacted.IsZero():
		return "", refusal(codeNeverWrote)
	case now.Sub(p.interacted) > openWindow:
		return "", refusal(codeWindow)
	case !p.wrote:
		if p.welcomed >= s.opt.WelcomeMessages {
			return "", refusal(codeUserQuota)
		}
		return "welcome_msg", nil
	case now.Sub(p.interacted) <= freeWindow:
		return "reply", nil
	case s.paid < 1:
		return "", refusal(codeQuota)
	}
	return "sub_quota", nil
}

// charge takes one message off its quota. Replies have had no end since 2026
// and always read 8 of 8. The caller holds mu.
func (s *Sim) charge(p *person, quota string) (remain, total int) {
	switch quota {
	case "welcome_msg":
		p.welcomed++
		return s.opt.WelcomeMessages - p.welcomed, s.opt.WelcomeMessages
	case "sub_quota":
		s.paid--
		return s.paid, max(0, s.opt.PaidMessages)
	}
	return 8, 8
}

// outgoing is an event that a message causes.
type outgoing struct {
	name string
	body []byte
}

// deliver puts the message on the person's phone: echo, received, seen. The
// caller holds mu.
func (s *Sim) deliver(p *person, m *ChatMessage) (events [3]outgoing) {
	if !s.opt.NoEchoes {
		events[0].name, events[0].body = s.echoEvent(p, m, m.At)
	}
	m.Delivered = m.At
	if s.opt.NoReceipts {
		return events
	}
	events[1] = outgoing{"user_received_message", s.receiptEvent(p, m.ID, m.At)}
	if !s.opt.SeenByHand {
		m.Seen = m.At
		events[2] = outgoing{"user_seen_message", s.seenEvent(p, []string{m.ID}, m.At)}
	}
	return events
}
