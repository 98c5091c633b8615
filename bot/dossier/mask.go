package dossier

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MaskName hides a full name but for the first letter of each word, and does not
// tell how long a word is beyond three letters more: "N*** T** M**".
func MaskName(name string) string {
	words := strings.Fields(norm.NFC.String(name))
	for i, w := range words {
		letters := []rune(w)
		stars := min(len(letters)-1, 3)
		if stars == 0 {
			words[i] = "*" // a word of one letter would stand bare
			continue
		}
		words[i] = string(unicode.ToUpper(letters[0])) + strings.Repeat("*", stars)
	}
	return strings.Join(words, " ")
}

var (
	fourRE  = regexp.MustCompile(`\b\d{4}\b`)
	fillers = strings.NewReplacer(" ", "", ".", "", "-", "", "+", "")
)

// FactorDigits reads a second factor out of what was typed: four digits, alone
// or in a sentence, or the last four of a whole number somebody typed after all
// (a phone, a citizen number; whole is then true).
func FactorDigits(text string) (digits string, whole, ok bool) {
	s := normalise(text)
	if all := fillers.Replace(s); isDigits(all) {
		switch n := len(all); {
		case n == 4:
			return all, false, true
		case n >= 9 && n <= 12:
			return all[n-4:], true, true
		}
		return "", false, false
	}
	if found := fourRE.FindAllString(s, 2); len(found) == 1 && len(Find(text, farFuture)) == 0 {
		return found[0], false, true
	}
	return "", false, false
}
