package zalo

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"congdanso/bot"

	"golang.org/x/text/unicode/norm"
)

// Zalo's limits on a consultation message, counted in UTF-16 units: whether Zalo
// counts those or code points is not said, and units are never fewer.
const (
	maxButtonTitle  = 100
	maxFormTitle    = 100
	maxFormSubtitle = 500
)

// appendMessage appends the JSON of m for one person. Everything that Zalo would
// refuse for its size is an error here, for nothing of it may be cut in silence.
// The text's list has all choices; of the buttons the first five are sent.
func appendMessage(b []byte, user string, m bot.Message) ([]byte, error) {
	text := norm.NFC.String(m.Text)
	if n := units(text); n > bot.MaxText {
		return nil, fmt.Errorf("text of %d characters, at most %d", n, bot.MaxText)
	}
	b = append(b, `{"recipient":{"user_id":`...)
	b = appendQuoted(b, user)
	b = append(b, `},"message":{`...)
	if text != "" {
		b = append(b, `"text":`...)
		b = appendQuoted(b, text)
	}
	comma := func() {
		if text != "" {
			b = append(b, ',')
		}
	}
	var err error
	switch {
	case m.AskContact != nil:
		comma()
		b, err = appendForm(b, m)
	case m.ImageURL != "":
		comma()
		b = append(b, `"attachment":{"type":"template","payload":{"template_type":"media","elements":[{"media_type":"image","url":`...)
		b = appendQuoted(b, m.ImageURL)
		b = append(b, `}]}}`...)
	case text == "":
		err = fmt.Errorf("nothing to send")
	case len(m.Choices) > 0:
		comma()
		b, err = appendButtons(b, m.Choices)
	}
	if err != nil {
		return nil, err
	}
	return append(b, `}}`...), nil
}

// appendForm appends the form that asks for name and phone.
func appendForm(b []byte, m bot.Message) ([]byte, error) {
	title, subtitle := norm.NFC.String(m.AskContact.Title), norm.NFC.String(m.AskContact.Subtitle)
	if n := units(title); n == 0 || n > maxFormTitle {
		return nil, fmt.Errorf("form title of %d characters, 1 to %d", n, maxFormTitle)
	}
	if n := units(subtitle); n == 0 || n > maxFormSubtitle {
		return nil, fmt.Errorf("form subtitle of %d characters, 1 to %d", n, maxFormSubtitle)
	}
	b = append(b, `"attachment":{"type":"template","payload":{"template_type":"request_user_info","elements":[{"title":`...)
	b = appendQuoted(b, title)
	b = append(b, `,"subtitle":`...)
	b = appendQuoted(b, subtitle)
	if m.ImageURL != "" {
		b = append(b, `,"image_url":`...)
		b = appendQuoted(b, m.ImageURL)
	}
	return append(b, `}]}}`...), nil
}

// appendButtons appends buttons without template_type: no official page of the
// third version lists buttons under plain texts, but this form is what works for
// others. A choice that only stands in the text (no payload, address or phone)
// gets none.
func appendButtons(b []byte, choices []bot.Choice) ([]byte, error) {
	const head = `"attachment":{"type":"template","payload":{"buttons":[`
	n := 0
	for _, c := range choices {
		if n == bot.MaxButtons {
			break
		}
		if c.Payload == "" && c.URL == "" && c.Phone == "" {
			continue
		}
		if n == 0 {
			b = append(b, head...)
		} else {
			b = append(b, ',')
		}
		n++
		title := norm.NFC.String(c.Title)
		if u := units(title); u == 0 || u > maxButtonTitle {
			return nil, fmt.Errorf("button title of %d characters, 1 to %d", u, maxButtonTitle)
		}
		b = append(b, `{"title":`...)
		b = appendQuoted(b, title)
		switch {
		case c.URL != "":
			b = append(b, `,"type":"oa.open.url","payload":{"url":`...)
			b = appendQuoted(b, c.URL)
			b = append(b, `}}`...)
		case c.Phone != "":
			b = append(b, `,"type":"oa.open.phone","payload":{"phone_code":`...)
			b = appendQuoted(b, c.Phone)
			b = append(b, `}}`...)
		default:
			if u := units(c.Payload); u > bot.MaxPayload {
				return nil, fmt.Errorf("payload of %d characters, at most %d", u, bot.MaxPayload)
			}
			b = append(b, `,"type":"oa.query.hide","payload":`...)
			b = appendQuoted(b, c.Payload)
			b = append(b, '}')
		}
	}
	if n == 0 {
		return b[:len(b)-1], nil // the comma after the text
	}
	return append(b, `]}}`...), nil
}

// units counts a text in UTF-16 units.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// appendQuoted appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			default:
				b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
