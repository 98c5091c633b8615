package broadcast

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/unit"
)

// fieldName is the one personal field there is: the name the person stated.
const fieldName = "name"

// Rendering is a body made ready for one run: what is equal for everybody is
// written once, and a copy is a few strings put together.
type Rendering struct {
	template string
	by       map[string]*copyText // by language; Vietnamese is always there
}

// copyText is a copy in one language.
type copyText struct {
	words   []string // words[i] stands before a personal field; one more than fields
	missing string   // what stands where the name is not known
	image   string
	choices []bot.Choice
	params  map[string]string
}

// Compile makes a body ready. short gives the short form of an address; nil
// leaves addresses as they are.
func Compile(texts bot.Texts, d Definition, short func(string) string) *Rendering {
	if short == nil {
		short = func(url string) string { return url }
	}
	r := &Rendering{template: d.Template, by: map[string]*copyText{bot.Vietnamese: compileText(texts, d, bot.Vietnamese, short)}}
	if len(d.Body.En.Lines) > 0 {
		r.by[bot.English] = compileText(texts, d, bot.English, short)
	}
	return r
}

func compileText(texts bot.Texts, d Definition, lang string, short func(string) string) *copyText {
	body, text := d.Body, d.Body.text(lang)
	c := &copyText{image: body.ImageURL, missing: norm.NFC.String(body.Missing[fieldName][lang])}
	var links []string // in the order in which they stand
	shorten := func(s string) string {
		return replaceLinks(s, func(url string) string {
			links = append(links, short(url))
			return links[len(links)-1]
		})
	}
	head := "broadcast.copy.head"
	if d.Corrects != 0 {
		head = "broadcast.copy.head_correction"
	}
	parts := []string{texts.Text(lang, head, bot.Pairs("Issuer", text.Issuer))}
	if text.Title != "" {
		parts = append(parts, text.Title)
	}
	parts = append(parts, "", shorten(strings.Join(text.Lines, "\n")))
	for _, b := range body.Buttons {
		choice := bot.Choice{Title: norm.NFC.String(b.title(lang)), Payload: b.Payload, Phone: b.Phone}
		if b.URL != "" {
			choice.URL = short(b.URL)
			links = append(links, choice.URL)
		}
		if c.image == "" {
			c.choices = append(c.choices, choice)
		} else { // Zalo shows no buttons below a picture
			parts = append(parts, choice.Title+": "+choice.URL+choice.Phone)
		}
	}
	parts = append(parts, "", shorten(texts.Text(lang, "broadcast.copy.foot", bot.Pairs("Number", body.Source.Number,
		"Date", body.Source.Date.In(unit.Zone).Format("02/01/2006"), "Contact", body.Contact))),
		texts.Text(lang, "broadcast.copy.stop", nil))
	c.words = fieldForm.Split(norm.NFC.String(strings.TrimSpace(strings.Join(parts, "\n"))), -1)
	if d.Template != "" {
		c.params = map[string]string{"title": text.Title, "agency": text.Issuer, "link": first(links)}
	}
	return c
}

// Render says what the copies say to people, one content each. What equal copies
// have in common they share; it must not be changed.
func (r *Rendering) Render(people []push.Person) []push.Content {
	contents := make([]push.Content, len(people))
	for i, p := range people {
		c := r.by[p.Language]
		if c == nil {
			c = r.by[bot.Vietnamese]
		}
		contents[i] = push.Content{Message: c.message(p.Name), Template: r.template, Params: c.params}
	}
	return contents
}

// Preview is what somebody's phone shows; an empty name is one that is not known.
func (r *Rendering) Preview(lang, name string) bot.Message {
	return r.Render([]push.Person{{Language: lang, Name: name}})[0].Message
}

func (c *copyText) message(name string) bot.Message {
	m := bot.Message{Text: c.words[0], Choices: c.choices, ImageURL: c.image}
	if len(c.words) > 1 {
		said := CleanName(name)
		if said == "" {
			said = c.missing
		}
		m.Text = strings.Join(c.words, said)
	}
	return m
}

func (b *Body) text(lang string) Text {
	if lang == bot.English {
		return b.En
	}
	return b.Vi
}

// personal reports whether copies differ from person to person.
func (b *Body) personal() bool {
	return fieldForm.MatchString(strings.Join(append(slices.Clone(b.Vi.Lines), b.En.Lines...), "\n"))
}

// title is a button's, in Vietnamese where there is no other.
func (b *Button) title(lang string) string {
	if lang == bot.English && b.En != "" {
		return b.En
	}
	return b.Vi
}

var (
	// fieldForm is a personal field in a line.
	fieldForm = regexp.MustCompile(`\{\{\s*` + fieldName + `\s*\}\}`)
	// anyField is what means to be one.
	anyField = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
	// linkForm is an address in a text, with what may be punctuation behind it.
	linkForm = regexp.MustCompile(`https?://[^\s<>"“”{}]+`)
)

// replaceLinks writes what with gives in the place of each address.
func replaceLinks(text string, with func(url string) string) string {
	return linkForm.ReplaceAllStringFunc(text, func(found string) string {
		url := strings.TrimRight(found, ".,;:!?…)]’'»")
		if open := strings.Count(url, "("); open > strings.Count(url, ")") && strings.HasPrefix(found[len(url):], ")") {
			url = found[:len(url)+1] // a bracket that belongs to it
		}
		return with(url) + found[len(url):]
	})
}

// Links lists the addresses in a body, each once, in the order in which they stand.
func (b *Body) Links() []string {
	var links []string
	seen := map[string]bool{}
	add := func(url string) string {
		if url != "" && !seen[url] {
			seen[url] = true
			links = append(links, url)
		}
		return url
	}
	for _, lines := range [][]string{b.Vi.Lines, b.En.Lines, {b.Contact}} {
		for _, line := range lines {
			replaceLinks(line, add)
		}
	}
	for _, button := range b.Buttons {
		add(button.URL)
	}
	return links
}

// units is a text's length as Zalo may count it: UTF-16 units after NFC.
func units(text string) (n int) {
	for _, r := range norm.NFC.String(text) {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// webAddress reports whether s is a public page: https, with a name for a host.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.User == nil && u.Port() == "" && publicHost.MatchString(u.Hostname()) &&
		!strings.ContainsAny(s, " \t\r\n")
}

// publicHost is a name with a top level that is no number; it leaves out addresses
// of machines and names without a dot.
var publicHost = regexp.MustCompile(`^([\p{L}\p{N}_-]+\.)+\p{L}[\p{L}\p{N}-]+$`)
