package broadcast

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"strings"

	"golang.org/x/text/unicode/norm"

	"congdanso/bot"
	"congdanso/bot/unit"
)

// mostDescription is how much of an article's text stands below its title (Zalo:
// article/create).
const mostDescription = 300

// Page is an article as Zalo is given it: the same for everybody.
type Page struct {
	Title       string   `json:"title"`
	Author      string   `json:"author"`
	Description string   `json:"description"`
	CoverURL    string   `json:"cover_url"`
	Blocks      []string `json:"blocks"` // HTML, one a language, and what stands below
	Show        bool     `json:"show"`
}

// digest tells pages apart.
func (p Page) digest() ([]byte, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("digest of an article: %w", err)
	}
	sum := sha256.Sum256(raw)
	return sum[:], nil
}

// compilePage writes a definition as an article. Everything staff wrote is text,
// never HTML.
func compilePage(texts bot.Texts, d Definition, short func(string) string) Page {
	if short == nil {
		short = func(url string) string { return url }
	}
	b := d.Body
	p := Page{
		Title: norm.NFC.String(b.Vi.Title), Author: norm.NFC.String(b.Vi.Issuer), CoverURL: b.ImageURL,
		Description: cutUnits(norm.NFC.String(strings.Join(strings.Fields(strings.Join(b.Vi.Lines, " ")), " ")), mostDescription),
	}
	for _, lang := range []string{bot.Vietnamese, bot.English} {
		text := b.text(lang)
		if len(text.Lines) == 0 {
			continue
		}
		lines := text.Lines
		if lang != bot.Vietnamese && text.Title != "" {
			lines = append([]string{text.Title}, lines...)
		}
		p.Blocks = append(p.Blocks, paragraphs(lines, short))
	}
	var below []string
	for _, button := range b.Buttons {
		switch {
		case button.URL != "":
			below = append(below, button.Vi+": "+button.URL)
		case button.Phone != "":
			below = append(below, button.Vi+": 0"+strings.TrimPrefix(button.Phone, "84"))
		}
	}
	below = append(below, strings.Split(texts.Text(bot.Vietnamese, "broadcast.copy.foot", bot.Pairs("Number", b.Source.Number,
		"Date", b.Source.Date.In(unit.Zone).Format("02/01/2006"), "Contact", b.Contact)), "\n")...)
	below = append(below, texts.Text(bot.Vietnamese, "broadcast.article.stop", nil))
	p.Blocks = append(p.Blocks, paragraphs(below, short))
	return p
}

// paragraphs writes lines as HTML, and addresses as links.
func paragraphs(lines []string, short func(string) string) string {
	var b strings.Builder
	for _, line := range strings.Split(norm.NFC.String(strings.Join(lines, "\n")), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		b.WriteString("<p>")
		from := 0
		for _, at := range linkForm.FindAllStringIndex(line, -1) {
			b.WriteString(html.EscapeString(line[from:at[0]]))
			behind := ""
			replaceLinks(line[at[0]:at[1]], func(url string) string {
				address := html.EscapeString(short(url))
				b.WriteString(`<a href="` + address + `">` + address + `</a>`)
				behind = line[at[0]+len(url) : at[1]]
				return url
			})
			b.WriteString(html.EscapeString(behind))
			from = at[1]
		}
		b.WriteString(html.EscapeString(line[from:]) + "</p>")
	}
	return b.String()
}

// cutUnits shortens a text to so many units, between words, with "…" for the rest.
func cutUnits(text string, most int) string {
	if units(text) <= most {
		return text
	}
	cut := 0
	for i, r := range text {
		if units(text[:i])+1 > most {
			break
		}
		if r == ' ' {
			cut = i
		}
	}
	if cut == 0 { // one word without end
		for i := range text {
			if units(text[:i])+1 > most {
				break
			}
			cut = i
		}
	}
	return strings.TrimRight(text[:cut], " ,;:") + "…"
}
