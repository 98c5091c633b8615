package content

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// plain is a text that needs no template engine: it has one form, and nothing in
// braces but fields. Most texts are so, and every turn needs a dozen of them.
type plain struct {
	words  []string // words[i] stands before fields[i]; one more than fields
	fields []string
	whole  string // the finished text when there are no fields
}

var (
	anyAction   = regexp.MustCompile(`\{\{.*?\}\}`)
	plainAction = regexp.MustCompile(`^\{\{\s*\.([A-Za-z][A-Za-z0-9]*)\s*\}\}$`)
)

// compile takes a message apart; ok is false when it needs the engine.
func compile(m *i18n.Message) (p plain, ok bool) {
	if f := forms(m); len(f) != 1 || f[0] != &m.Other || m.LeftDelim != "" || m.RightDelim != "" {
		return plain{}, false
	}
	from := 0
	for _, at := range anyAction.FindAllStringIndex(m.Other, -1) {
		field := plainAction.FindStringSubmatch(m.Other[at[0]:at[1]])
		if field == nil {
			return plain{}, false
		}
		p.words = append(p.words, m.Other[from:at[0]])
		p.fields = append(p.fields, field[1])
		from = at[1]
	}
	p.words = append(p.words, m.Other[from:])
	if strings.Contains(m.Other[from:], "{{") {
		return plain{}, false
	}
	if len(p.fields) == 0 {
		p.whole = tidy(m.Other)
	}
	return p, true
}

// fill puts data into the fields. A field that nothing fills reads as the engine
// writes it.
func (p *plain) fill(data map[string]any) string {
	if len(p.fields) == 0 {
		return p.whole
	}
	var b strings.Builder
	for i, name := range p.fields {
		b.WriteString(p.words[i])
		switch v := data[name].(type) {
		case string:
			b.WriteString(v)
		case nil:
			b.WriteString("<no value>")
		default:
			fmt.Fprint(&b, v)
		}
	}
	b.WriteString(p.words[len(p.fields)])
	return tidy(b.String())
}
