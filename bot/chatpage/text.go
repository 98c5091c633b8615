package chatpage

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// vietnam is the time people read. Viet Nam has had no other offset since 1975.
var vietnam = time.FixedZone("GMT+7", 7*60*60)

// run is a stretch of a message: plain text, or text that is a link.
type run struct {
	Text string
	URL  string // of a web page
	Tel  string // a number to dial
}

// link finds what Zalo turns into links: addresses with a scheme, bare names of
// the domains people here write, and telephone numbers.
var link = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"“”]+` +
	`|\b(?:[a-z0-9-]+\.)+(?:gov\.vn|edu\.vn|com\.vn|org\.vn|vn|com|org|net|me)\b(?:/[^\s<>"“”]*)?` +
	`|(?:\+84|\b0)\d{2,3}[ .]?\d{3}[ .]?\d{3,4}\b|\b1[89]00[ .]?\d{2,4}[ .]?\d{0,4}\b`)

// linkify takes a message apart into text and links. Punctuation that ends a
// sentence is no part of an address.
func linkify(text string) []run {
	var runs []run
	rest := 0
	for _, at := range link.FindAllStringIndex(text, -1) {
		from, to := at[0], at[1]
		found := strings.TrimRight(text[from:to], ".,;:!?)]}…'’ ")
		to = from + len(found)
		if from > 0 && strings.ContainsRune("@-.", rune(text[from-1])) {
			continue // the middle of a mail address or a dossier code
		}
		if from > rest {
			runs = append(runs, run{Text: text[rest:from]})
		}
		switch c := found[0]; {
		case strings.Contains(strings.ToLower(found), "://"):
			runs = append(runs, run{Text: found, URL: found})
		case c == '+' || c >= '0' && c <= '9' && !strings.ContainsFunc(found, unicode.IsLetter):
			runs = append(runs, run{Text: found, Tel: strings.NewReplacer(" ", "", ".", "").Replace(found)})
		default:
			runs = append(runs, run{Text: found, URL: "https://" + found})
		}
		rest = to
	}
	if rest < len(text) {
		runs = append(runs, run{Text: text[rest:]})
	}
	return runs
}

// onlyEmoji reports whether text is a few emoji and nothing else; Zalo shows
// those large.
func onlyEmoji(text string) bool {
	symbols := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.So, r):
			symbols++
		case unicode.In(r, unicode.Sk, unicode.Mn, unicode.Cf) || r == ' ':
		default:
			return false
		}
	}
	return symbols > 0 && symbols <= 4
}

// initial is what an avatar shows: the first letter of the given name, which
// stands last.
func initial(name string) string {
	fields := strings.Fields(name)
	if len(fields) == 0 {
		return "?"
	}
	return strings.ToUpper(string([]rune(fields[len(fields)-1])[:1]))
}

// pretty indents JSON and leaves everything else as it is.
func pretty(body string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(body), "", "  ") != nil {
		return body
	}
	return out.String()
}
