package broadcast

import (
	"slices"
	"strings"

	"congdanso/bot"
)

// Limits of a body beyond those of package bot.
const (
	mostButtons      = 3
	mostTitle        = 100 // of a button at Zalo; phones show bot.MaxTitle
	mostArticleTitle = 150 // Zalo: article/create
	mostAuthor       = 50
)

// Fault is something about a definition that its author is told. One without
// Warning keeps it from being submitted.
type Fault struct {
	Key     string         `json:"key"` // of its words, under broadcast.check
	Data    map[string]any `json:"data,omitempty"`
	Warning bool           `json:"warning,omitempty"`
}

// Words says the fault.
func (f Fault) Words(texts bot.Texts, lang string) string {
	return texts.Text(lang, "broadcast.check."+f.Key, f.Data)
}

// Broken reports whether a fault among them is more than a warning.
func Broken(faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool { return !f.Warning })
}

// checker gathers what is wrong.
type checker struct {
	d      Definition
	faults []Fault
}

func (c *checker) fault(key string, pairs ...any) {
	c.faults = append(c.faults, Fault{Key: key, Data: bot.Pairs(pairs...)})
}

func (c *checker) warn(key string, pairs ...any) {
	c.faults = append(c.faults, Fault{Key: key, Data: bot.Pairs(pairs...), Warning: true})
}

// CheckBody looks through what a definition says: what must be there, Zalo's
// limits, personal fields, addresses. longest are the names of the audience that
// make the longest copies, by language (LongestNames); short is Compile's.
func CheckBody(texts bot.Texts, d Definition, longest map[string]string, short func(string) string) []Fault {
	c := &checker{d: d}
	c.required()
	c.fields()
	c.buttons()
	c.addresses()
	if d.Kind == Article {
		c.article()
		return c.faults
	}
	rendered := Compile(texts, d, short)
	for lang := range rendered.by {
		n := max(units(rendered.Preview(lang, longest[lang]).Text), units(rendered.Preview(lang, "").Text))
		if n > bot.MaxText {
			c.fault("too_long", "Language", lang, "Length", n, "Most", bot.MaxText)
		}
	}
	return c.faults
}

func (c *checker) required() {
	b := &c.d.Body
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"issuer", strings.TrimSpace(b.Vi.Issuer) == ""},
		{"text", strings.TrimSpace(strings.Join(b.Vi.Lines, "")) == ""},
		{"source_number", strings.TrimSpace(b.Source.Number) == ""},
		{"source_date", b.Source.Date.IsZero()},
		{"contact", strings.TrimSpace(b.Contact) == ""},
		{"expiry", c.d.ExpiresAfter <= 0},
		{"issuer_en", len(b.En.Lines) > 0 && strings.TrimSpace(b.En.Issuer) == ""},
		{"title", c.d.Template != "" && strings.TrimSpace(b.Vi.Title) == ""},
		{"title_en", c.d.Template != "" && len(b.En.Lines) > 0 && strings.TrimSpace(b.En.Title) == ""},
	} {
		if f.missing {
			c.fault("missing_" + f.name)
		}
	}
	if c.d.Kind != Article && len(b.En.Lines) == 0 {
		c.warn("no_english")
	}
}

// fields checks personal fields: known ones only, in lines only, and each with
// words for whoever has not told theirs.
func (c *checker) fields() {
	b := &c.d.Body
	inLines := false
	for _, lang := range []string{bot.Vietnamese, bot.English} {
		text := b.text(lang)
		if len(text.Lines) == 0 {
			continue
		}
		lines := strings.Join(text.Lines, "\n")
		used := false
		for _, m := range anyField.FindAllStringSubmatch(lines, -1) {
			if m[1] == fieldName {
				used = true
			} else {
				c.fault("unknown_field", "Field", m[1])
			}
		}
		if rest := anyField.ReplaceAllString(lines, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
			c.fault("open_field", "Language", lang)
		}
		if used && strings.TrimSpace(b.Missing[fieldName][lang]) == "" {
			c.fault("no_substitute", "Field", fieldName, "Language", lang)
		}
		inLines = inLines || used
	}
	if inLines && c.d.Kind == Article {
		c.fault("field_in_article")
	}
	elsewhere := []string{b.Vi.Issuer, b.Vi.Title, b.En.Issuer, b.En.Title, b.Contact, b.Source.Number, b.ImageURL}
	for _, button := range b.Buttons {
		elsewhere = append(elsewhere, button.Vi, button.En, button.URL, button.Payload, button.Phone)
	}
	for _, words := range b.Missing {
		for _, w := range words {
			elsewhere = append(elsewhere, w)
		}
	}
	if s := strings.Join(elsewhere, "\n"); strings.Contains(s, "{{") || strings.Contains(s, "}}") {
		c.fault("field_outside_lines")
	}
	for _, s := range []string{b.Vi.Issuer, b.Vi.Title, b.En.Issuer, b.En.Title} {
		if strings.ContainsAny(s, "\r\n") {
			c.fault("one_line")
		}
	}
}

func (c *checker) buttons() {
	b := &c.d.Body
	if len(b.Buttons) > mostButtons {
		c.fault("many_buttons", "Most", mostButtons)
	}
	english := len(b.En.Lines) > 0
	for i, button := range b.Buttons {
		n := i + 1
		if strings.TrimSpace(button.Vi) == "" {
			c.fault("button_title", "Number", n)
		}
		if english && strings.TrimSpace(button.En) == "" {
			c.warn("button_english", "Number", n)
		}
		for _, title := range []string{button.Vi, button.En} {
			if length := units(title); length > mostTitle || strings.ContainsAny(title, "\r\n") {
				c.fault("button_long", "Number", n, "Most", mostTitle)
			} else if length > bot.MaxTitle {
				c.warn("button_cut", "Number", n, "Most", bot.MaxTitle)
			}
		}
		ways := 0
		for _, way := range []string{button.URL, button.Phone, button.Payload} {
			if way != "" {
				ways++
			}
		}
		_, _, _, payload := bot.ParsePayload(button.Payload)
		switch {
		case ways != 1:
			c.fault("button_ways", "Number", n)
		case button.URL != "" && !webAddress(button.URL):
			c.fault("button_url", "Number", n)
		case button.Phone != "" && !phoneForm(button.Phone):
			c.fault("button_phone", "Number", n)
		case button.Payload != "" && (!payload || units(button.Payload) > bot.MaxPayload):
			c.fault("button_payload", "Number", n)
		case button.Payload != "" && (b.ImageURL != "" || c.d.Kind == Article):
			c.fault("button_no_room", "Number", n)
		}
	}
}

// phoneForm reports whether a button can dial s: a number in the form 84….
func phoneForm(s string) bool {
	return strings.HasPrefix(s, "84") && len(s) >= 10 && len(s) <= 12 && strings.Trim(s, "0123456789") == ""
}

func (c *checker) addresses() {
	b := &c.d.Body
	if b.ImageURL != "" && !webAddress(b.ImageURL) {
		c.fault("image_url")
	}
	for _, link := range b.Links() {
		if slices.ContainsFunc(b.Buttons, func(b Button) bool { return b.URL == link }) {
			continue // told by its button
		}
		if plain, found := strings.CutPrefix(link, "http://"); found && webAddress("https://"+plain) {
			c.warn("link_http", "Link", link)
		} else if !webAddress(link) {
			c.fault("link", "Link", link)
		}
	}
}

// article checks what only an article needs.
func (c *checker) article() {
	b := &c.d.Body
	if strings.TrimSpace(b.Vi.Title) == "" {
		c.fault("missing_title")
	}
	if n := units(b.Vi.Title); n > mostArticleTitle {
		c.fault("article_title", "Length", n, "Most", mostArticleTitle)
	}
	if n := units(b.Vi.Issuer); n > mostAuthor {
		c.fault("article_issuer", "Length", n, "Most", mostAuthor)
	}
	if b.ImageURL == "" {
		c.fault("article_cover")
	}
	t := c.d.Target
	if t.Gender < 0 || t.Gender > 2 || slices.ContainsFunc(t.Ages, func(a int) bool { return a < 0 || a > 7 }) ||
		slices.ContainsFunc(t.Cities, func(a int) bool { return a < 0 || a > 63 }) || t.Everywhere && len(t.Cities) > 0 {
		c.fault("article_target")
	}
}
