// Package fold reduces what people type to a form that can be compared.
//
// Two forms are kept side by side. Fold is the coarse one: compatibility forms
// unified, lower case, Vietnamese diacritics stripped, zero-width and combining
// junk removed, punctuation turned into spaces. Tone is the fine one: the same
// words, with their accents, and the tone mark where it belongs, so that "hòa"
// and "hoà" are one word while "dừng" and "đúng" stay two. Both forms of a text
// have the same words in the same places, and Fold(Tone(s)) == Fold(s).
//
// Nothing here fails: every input, valid UTF-8 or not, yields valid UTF-8, in
// time proportional to its length.
package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns s as lower-case words without accents, separated by single
// spaces: letters and digits are kept, an apostrophe inside a word is dropped
// ("don't" is "dont"), a symbol such as an emoji is a word of its own, and all
// else separates words.
func Fold(s string) string {
	if isFolded(s) {
		return s
	}
	w := writer{buf: make([]byte, 0, len(s))}
	w.text(s)
	return string(w.buf)
}

// Words returns the words of Fold(s).
func Words(s string) []string {
	return strings.Fields(Fold(s))
}

// isFolded reports whether Fold would return s as it is, for plain ASCII.
func isFolded(s string) bool {
	space := true // a leading space has to go
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			space = false
		case c == ' ' && !space:
			space = true
		default:
			return false
		}
	}
	return !space || s == ""
}

// writer collects words. With tones set it keeps Vietnamese marks.
type writer struct {
	buf   []byte
	tones bool
	gap   bool // a separator stands before what comes next

	word []letter // with tones: the word being collected
}

// text feeds all of s.
func (w *writer) text(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			w.ascii(c)
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		w.rune(r)
	}
	w.endWord()
}

func (w *writer) ascii(c byte) {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		w.letter(rune(c))
	case 'A' <= c && c <= 'Z':
		w.letter(rune(c) + ('a' - 'A'))
	case c == '\'' || c == '`':
		// part of the word around it
	default:
		w.separate()
	}
}

func (w *writer) rune(r rune) {
	if int(r) < len(latin) {
		if l := latin[r]; l.base != 0 {
			w.add(l)
			return
		}
	}
	switch {
	case apostrophe(r):
		return
	case 0x300 <= r && r < 0x370:
		w.mark(r)
		return
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return // combining and zero-width junk, bidirectional controls, variation selectors
	case r == utf8.RuneError || unicode.IsControl(r):
		w.separate()
		return
	case 0xAC00 <= r && r <= 0xD7A3:
		w.letter(r) // a Hangul syllable is a letter; its parts are not
		return
	}
	if parts := decompose(r); parts != nil {
		for _, p := range parts {
			if p < utf8.RuneSelf {
				w.ascii(byte(p))
			} else {
				w.plain(p)
			}
		}
		return
	}
	w.plain(r)
}

// plain takes a character that does not decompose.
func (w *writer) plain(r rune) {
	if int(r) < len(latin) && latin[r].base != 0 {
		w.add(latin[r])
		return
	}
	switch {
	case apostrophe(r):
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
	case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.Mc, r):
		w.letter(unicode.ToLower(r))
	case unicode.Is(unicode.So, r) && r != utf8.RuneError:
		w.separate()
		w.letter(r)
		w.separate()
	case unicode.Is(unicode.Sk, r):
		// a spacing accent, or the skin tone of the emoji before it
	default:
		w.separate()
	}
}

// apostrophe reports whether r is an apostrophe as phones write it.
func apostrophe(r rune) bool {
	return r == 'ʼ' || r == '’' || r == '‘' || r == '＇'
}

// decompose returns the compatibility decomposition of r, or nil.
func decompose(r rune) []rune {
	var in [utf8.UTFMax]byte
	n := utf8.EncodeRune(in[:], r)
	d := norm.NFKD.Properties(in[:n]).Decomposition()
	if d == nil {
		return nil
	}
	return []rune(string(d))
}

func (w *writer) letter(r rune) { w.add(letter{base: r}) }

func (w *writer) separate() {
	w.endWord()
	w.gap = true
}

// space writes the separator that is due.
func (w *writer) space() {
	if w.gap && len(w.buf) > 0 {
		w.buf = append(w.buf, ' ')
	}
	w.gap = false
}

func (w *writer) add(l letter) {
	if w.tones {
		w.word = append(w.word, l)
		return
	}
	w.space()
	w.buf = utf8.AppendRune(w.buf, l.base)
}
