package zalosim

import (
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"unicode/utf16"
)

// readMessage checks the fields and makes the chat's message of them.
func (s *Sim) readMessage(req *sendRequest, m *ChatMessage) *answer {
	if req.Recipient.UserID == "" {
		return invalid("user_id")
	}
	if req.Message == nil {
		return invalid("message")
	}
	if req.Message.Text != nil {
		m.Text = *req.Message.Text
	}
	if units(m.Text) > maxText {
		return refusal(codeTooMuch)
	}
	att := req.Message.Attachment
	if att == nil {
		if strings.TrimSpace(m.Text) == "" {
			return invalid("text")
		}
		return nil
	}
	pl := &att.Payload
	if att.Type == "file" {
		m.Kind = "asset"
		if pl.Token == "" {
			return invalid("token")
		}
		return nil
	}
	if att.Type != "template" {
		return refusal(codeKind)
	}
	if len(pl.Buttons) > 0 {
		if pl.TemplateType != "" && pl.TemplateType != "list" || s.opt.NoButtons {
			return refusal(codeKind)
		}
		if bad := s.readButtons(req, m); bad != nil {
			return bad
		}
	}
	switch pl.TemplateType {
	case "":
		if len(pl.Buttons) == 0 {
			return invalid("buttons")
		}
		if strings.TrimSpace(m.Text) == "" {
			return invalid("text")
		}
		return nil
	case "media":
		return s.readMedia(pl.Elements, m)
	case "request_user_info":
		return s.readForm(pl.Elements, m)
	case "list":
		if s.opt.Lists {
			return s.readList(pl.Elements, m)
		}
	}
	return refusal(codeKind)
}

func (s *Sim) readMedia(elements []element, m *ChatMessage) *answer {
	if len(elements) != 1 {
		return invalid("elements")
	}
	e := elements[0]
	switch {
	case e.MediaType != "image" && e.MediaType != "gif" && e.MediaType != "sticker":
		return refusal(codeKind)
	case (e.URL == "") == (e.AttachmentID == ""):
		return invalid("url")
	case e.AttachmentID != "":
		m.Kind = "asset"
	case e.MediaType != "image":
		return invalid("attachment_id")
	case !s.publicURL(e.URL):
		return invalid("url")
	default:
		m.Kind, m.ImageURL = "image", e.URL
	}
	return nil
}

func (s *Sim) readForm(elements []element, m *ChatMessage) *answer {
	if len(elements) != 1 {
		return invalid("elements")
	}
	e := elements[0]
	switch {
	case e.Title == "":
		return invalid("title")
	case e.Subtitle == "":
		return invalid("subtitle")
	case units(e.Title) > maxTitle, units(e.Subtitle) > maxSubtitle:
		return refusal(codeTooMuch)
	case e.ImageURL != "" && !s.publicURL(e.ImageURL):
		return invalid("image_url")
	}
	m.Kind, m.AskInfo = "form", &AskInfo{Title: e.Title, Subtitle: e.Subtitle, ImageURL: e.ImageURL}
	return nil
}

func (s *Sim) readList(elements []element, m *ChatMessage) *answer {
	if len(elements) == 0 {
		return invalid("elements")
	}
	if len(elements) > maxElements {
		return refusal(codeTooMuch)
	}
	var lines []string
	for i, e := range elements {
		switch {
		case e.Title == "":
			return invalid("title")
		case i == 0 && e.Subtitle == "":
			return invalid("subtitle")
		case units(e.Title) > maxTitle, units(e.Subtitle) > maxSubtitle:
			return refusal(codeTooMuch)
		}
		lines = append(lines, e.Title)
	}
	m.Text = strings.Join(lines, "\n")
	return nil
}

func (s *Sim) readButtons(req *sendRequest, m *ChatMessage) *answer {
	buttons := req.Message.Attachment.Payload.Buttons
	if len(buttons) > maxButtons {
		return refusal(codeTooMuch)
	}
	m.Buttons = make([]Button, len(buttons))
	for i, in := range buttons {
		b := &m.Buttons[i]
		b.Title, b.Type = in.Title, in.Type
		if in.Title == "" {
			return invalid("title")
		}
		if units(in.Title) > maxTitle {
			return refusal(codeTooMuch)
		}
		if in.Type == "oa.query.show" || in.Type == "oa.query.hide" {
			if json.Unmarshal(in.Payload, &b.Payload) != nil || b.Payload == "" {
				return invalid("payload")
			}
			if units(b.Payload) > maxPayload {
				return refusal(codeTooMuch)
			}
			continue
		}
		var fields struct {
			URL     string `json:"url"`
			Phone   string `json:"phone_code"`
			Content string `json:"content"`
		}
		if json.Unmarshal(in.Payload, &fields) != nil {
			return invalid("payload")
		}
		b.URL, b.Phone, b.Content = fields.URL, fields.Phone, fields.Content
		switch in.Type {
		case "oa.open.url":
			if !s.publicURL(b.URL) {
				return invalid("url")
			}
		case "oa.open.phone", "oa.open.sms":
			if !isPhone(b.Phone) {
				return invalid("phone_code")
			}
			if units(b.Content) > maxSMS {
				return refusal(codeTooMuch)
			}
			if in.Type == "oa.open.sms" && b.Content == "" {
				return invalid("content")
			}
		default:
			return invalid("type")
		}
	}
	return nil
}

// publicURL reports whether an address is https with a name, as Zalo wants it.
func (s *Sim) publicURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	return s.opt.LoopbackLinks && u.Scheme == "http" && local
}

// isPhone reports whether a number is written as 84…
func isPhone(n string) bool {
	if len(n) < 8 || len(n) > 15 || !strings.HasPrefix(n, "84") {
		return false
	}
	return strings.Trim(n, "0123456789") == ""
}

// units counts a text the longer way: UTF-16 units, which are never fewer than
// code points.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
