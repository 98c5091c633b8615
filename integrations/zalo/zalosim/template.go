package zalosim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The states of a template.
const (
	StatusEnabled  = "ENABLE"
	StatusPending  = "PENDING_REVIEW"
	StatusRejected = "REJECT"
	StatusDisabled = "DISABLE"
)

// Template is a message whose words Zalo has approved.
type Template struct {
	ID         string
	Text       string // with {name} where a value stands; default: the values, one to a line
	Params     []TemplateParam
	Status     string // default StatusEnabled
	Tag        string // TRANSACTION (default), CUSTOMER_CARE, PROMOTION: not at night
	Quality    string // HIGH (default), MEDIUM, LOW: disabled then means -146
	PriceUser  int    // đồng; default 200
	PricePhone int    // đồng; default 300
	NoUserID   bool   // cannot be sent by user id: -249
	PerDay     int    // how often it may be sent by phone a day, beyond it -147; 0: any number
}

// TemplateParam is one value a template takes.
type TemplateParam struct {
	Name      string
	Required  bool
	Type      string // STRING (default), NUMBER, CURRENCY, DATE
	MinLength int
	MaxLength int // default 30
}

// approved is a Template with how often it was sent by phone today.
type approved struct {
	Template
	today tally
}

// PutTemplate registers a template or replaces one; Zalo tells nobody.
func (s *Sim) PutTemplate(t Template) {
	t.Status = cmp.Or(t.Status, StatusEnabled)
	t.Tag = cmp.Or(t.Tag, "TRANSACTION")
	t.Quality = cmp.Or(t.Quality, "HIGH")
	t.PriceUser = cmp.Or(t.PriceUser, 200)
	t.PricePhone = cmp.Or(t.PricePhone, 300)
	t.Params = slices.Clone(t.Params)
	var lines []string
	for i := range t.Params {
		p := &t.Params[i]
		p.Type = cmp.Or(p.Type, "STRING")
		p.MaxLength = cmp.Or(p.MaxLength, 30)
		lines = append(lines, "{"+p.Name+"}")
	}
	t.Text = cmp.Or(t.Text, strings.Join(lines, "\n"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.templates[t.ID] = &approved{Template: t}
}

// SetTemplateStatus changes the state of a template, as Zalo's reviewers do, with
// its event.
func (s *Sim) SetTemplateStatus(id, status string) {
	s.mu.Lock()
	old := s.templates[id]
	if old == nil {
		s.mu.Unlock()
		return
	}
	t := *old
	t.Status = status
	s.templates[id] = &t
	s.mu.Unlock()
	s.post.enqueue("change_template_status", "", s.templateStatusEvent(id, old.Status, status, s.clock.Now()))
}

// usable refuses a template that must not be sent.
func (t *approved) usable() *answer {
	switch {
	case t.Status == StatusDisabled && t.Quality == "LOW":
		return refusal(codeLowQuality)
	case t.Status != StatusEnabled:
		return refusal(codeUnapproved)
	}
	return nil
}

// check refuses values that do not fit the template's parameters.
func (t *approved) check(data map[string]string) *answer {
	known := 0
	for i := range t.Params {
		p := &t.Params[i]
		v, given := data[p.Name]
		if given {
			known++
		}
		n := units(v)
		switch {
		case n == 0 && p.Required:
			return named(codeMissing, p.Name)
		case n == 0:
		case n > p.MaxLength:
			return named(codeTooLong, p.Name)
		case n < p.MinLength, !p.fits(v):
			return named(codeFormat, p.Name)
		}
	}
	if known < len(data) {
		return refusal(codeParameter)
	}
	return nil
}

func named(code int, param string) *answer {
	a := refuse(code, messages[code]+": "+param)
	return &a
}

// fits reports whether a value has the form its type asks for.
func (p *TemplateParam) fits(v string) bool {
	switch p.Type {
	case "NUMBER", "CURRENCY":
		return strings.Trim(v, "0123456789") == ""
	case "DATE":
		for _, layout := range []string{"02/01/2006", "15:04 02/01/2006", "15:04:05 02/01/2006"} {
			if _, err := time.Parse(layout, v); err == nil {
				return true
			}
		}
		return false
	}
	return true
}

// fill puts the values into the words.
func (t *approved) fill(data map[string]string) string {
	var b strings.Builder
	rest := t.Text
	for {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(after, "}")
		b.WriteString(data[name])
		rest = after
	}
}

// templateInfo describes a template.
func (s *Sim) templateInfo(c *call) answer {
	s.mu.Lock()
	t := s.templates[c.query.Get("template_id")]
	s.mu.Unlock()
	if t == nil {
		return *refusal(codeNoTemplate)
	}
	params := []byte{'['}
	for i, p := range t.Params {
		if i > 0 {
			params = append(params, ',')
		}
		params = append(params, newObject(200, false).
			str("name", p.Name).yes("require", p.Required).str("type", p.Type).
			num("maxLength", int64(p.MaxLength)).num("minLength", int64(p.MinLength)).
			yes("acceptNull", !p.Required).bytes()...)
	}
	o := newObject(500, false).
		str("templateId", t.ID).
		str("templateName", "").
		str("status", t.Status).
		raw("listParams", append(params, ']')).
		raw("listButtons", []byte(`[]`)).
		num("timeout", 7200000).
		str("templateQuality", t.Quality).
		str("templateTag", t.Tag).
		str("price", strconv.Itoa(t.PricePhone)).
		str("price_sdt", strconv.Itoa(t.PricePhone)).
		str("price_uid", strconv.Itoa(t.PriceUser))
	return ok(o.bytes())
}
