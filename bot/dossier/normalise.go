package dossier

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxText bounds how much of a message is searched for codes, in characters:
// Zalo's own limit is 2,000.
const maxText = 4000

// normalise brings a text into the form codes are matched in: compatibility
// forms resolved, marks and invisible characters gone (so that decomposed and
// "zalgo" text reads like plain text), upper case, every dash a plain one, white
// space single, and none next to a dot or a dash.
func normalise(text string) string {
	var b strings.Builder
	b.Grow(min(len(text), maxText))
	var last rune // last rune written; 0 at the beginning
	space := false
	n := 0
	for _, r := range text {
		if n++; n > maxText {
			break
		}
		if r < 0x80 {
			last, space = write(&b, r, last, space)
			continue
		}
		for _, d := range norm.NFKD.String(string(r)) {
			last, space = write(&b, d, last, space)
		}
	}
	return b.String()
}

func write(b *strings.Builder, r, last rune, space bool) (rune, bool) {
	switch {
	case unicode.IsSpace(r):
		return last, true
	case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Cc, r):
		return last, space
	case isDash(r):
		r = '-'
	default:
		r = unicode.ToUpper(r)
	}
	if r == '-' && last == '-' {
		return last, false
	}
	if space && last != 0 && last != '.' && last != '-' && r != '.' && r != '-' {
		b.WriteByte(' ')
	}
	b.WriteRune(r)
	return r, false
}

// isDash knows every dash keyboards and phones put in, and the underscore some
// people use in its place.
func isDash(r rune) bool {
	switch r {
	case '-', '_', '\u2212', '\u2043', '\u02D7', '\u30FC':
		return true
	}
	return unicode.Is(unicode.Pd, r)
}
