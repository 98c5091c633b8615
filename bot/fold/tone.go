package fold

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// shape is the mark that makes another vowel (or đ) of a letter.
type shape uint8

const (
	noShape shape = iota
	circumflex
	breve
	horn
	stroke
)

// tone is the mark that a syllable carries.
type tone uint8

const (
	level tone = iota
	grave
	acute
	hook
	tilde
	dot
)

// letter is a letter taken apart.
type letter struct {
	base  rune
	shape shape
	tone  tone
}

// latin holds the letters of the Latin blocks taken apart, lower-cased; other
// positions have base 0. Accents that Vietnamese does not use are dropped.
var latin = makeLatin()

func makeLatin() (table [0x1F00]letter) {
	fill := func(from, to rune) {
		for r := from; r < to; r++ {
			parts := []rune(norm.NFD.String(string(r)))
			l := letter{base: unicode.ToLower(parts[0])}
			switch r {
			case 'đ', 'Đ', 'ð', 'Ð', 'ɖ': // some keyboards send the wrong one
				table[r] = letter{base: 'd', shape: stroke}
				continue
			}
			if l.base > unicode.MaxASCII || !unicode.IsLetter(l.base) {
				continue
			}
			for _, m := range parts[1:] {
				l.mark(m)
			}
			table[r] = l
		}
	}
	fill(0xC0, 0x250)
	fill(0x1E00, 0x1F00)
	return table
}

// mark puts a combining mark on l, if it is one of ours and l can carry it, and
// the place is still free: the first counts, which undoes zalgo.
func (l *letter) mark(m rune) {
	s, t := noShape, level
	switch m {
	case 0x302:
		s = circumflex
	case 0x306:
		s = breve
	case 0x31B:
		s = horn
	case 0x300, 0x340:
		t = grave
	case 0x301, 0x341:
		t = acute
	case 0x309:
		t = hook
	case 0x303:
		t = tilde
	case 0x323:
		t = dot
	}
	if s != noShape && l.shape == noShape && canShape(l.base, s) {
		l.shape = s
	}
	if t != level && l.tone == level && isVowel(l.base) {
		l.tone = t
	}
}

func canShape(base rune, s shape) bool {
	switch s {
	case circumflex:
		return base == 'a' || base == 'e' || base == 'o'
	case breve:
		return base == 'a'
	case horn:
		return base == 'o' || base == 'u'
	}
	return false
}

func isVowel(r rune) bool {
	switch r {
	case 'a', 'e', 'i', 'o', 'u', 'y':
		return true
	}
	return false
}

// mark takes a combining mark that stands alone in the text.
func (w *writer) mark(m rune) {
	if w.tones && len(w.word) > 0 {
		w.word[len(w.word)-1].mark(m)
	}
}

// endWord writes the word collected, its tone where it belongs.
func (w *writer) endWord() {
	if len(w.word) == 0 {
		return
	}
	w.space()
	settle(w.word)
	for _, l := range w.word {
		w.buf = utf8.AppendRune(w.buf, l.compose())
	}
	w.word = w.word[:0]
}

// Tone returns the words of Fold(s) with their Vietnamese accents kept, composed
// (NFC), and the tone mark of each syllable in its place: on the vowel with a
// mark of its own, else on the second of two vowels before a consonant or in oa,
// oe, uy, else on the first ("hoà", "thuý", "mùa", "quý").
func Tone(s string) string {
	if isFolded(s) {
		return s
	}
	var room [16]letter
	w := writer{buf: make([]byte, 0, len(s)), tones: true, word: room[:0]}
	w.text(s)
	return string(w.buf)
}

// settle moves the only tone of a word to its place. A word with several tones
// (two syllables written together) stays as it is.
func settle(word []letter) {
	at := -1
	for i := range word {
		if word[i].tone == level {
			continue
		}
		if at >= 0 {
			return
		}
		at = i
	}
	if at < 0 {
		return
	}
	if to := tonePlace(word, at); to != at {
		word[to].tone, word[at].tone = word[at].tone, level
	}
}

// tonePlace finds where the tone at index at belongs, within its run of vowels.
func tonePlace(word []letter, at int) int {
	from, to := at, at+1
	for from > 0 && isVowel(word[from-1].base) {
		from--
	}
	for to < len(word) && isVowel(word[to].base) {
		to++
	}
	// the u of qu and the i of gi belong to the consonant when a vowel follows
	if from > 0 && to-from > 1 {
		before, first := word[from-1].base, word[from]
		if first.shape == noShape && (before == 'q' && first.base == 'u' || before == 'g' && first.base == 'i' && from == 1) {
			from++
		}
	}
	for i := to - 1; i >= from; i-- {
		if word[i].shape != noShape {
			return i
		}
	}
	switch to - from {
	case 1:
		return from
	case 2:
		a, b := word[from].base, word[from+1].base
		if to < len(word) || a == 'o' && (b == 'a' || b == 'e') || a == 'u' && b == 'y' {
			return from + 1
		}
		return from
	case 3:
		return from + 1
	}
	return at
}

// composed maps base, shape and tone to one character.
var composed = makeComposed()

func makeComposed() map[letter]rune {
	m := make(map[letter]rune)
	for r, l := range latin {
		if l.base != 0 && unicode.IsLower(rune(r)) && (l.shape != noShape || l.tone != level) {
			if old, ok := m[l]; !ok || old > unicode.MaxLatin1 && betterName(rune(r), l) {
				m[l] = rune(r)
			}
		}
	}
	m[letter{base: 'd', shape: stroke}] = 'đ'
	return m
}

// betterName reports whether r is exactly l and carries no other mark.
func betterName(r rune, l letter) bool {
	marks := 0
	if l.shape != noShape {
		marks++
	}
	if l.tone != level {
		marks++
	}
	return len([]rune(norm.NFD.String(string(r)))) == marks+1
}

func (l letter) compose() rune {
	if l.shape == noShape && l.tone == level {
		return l.base
	}
	if r, ok := composed[l]; ok {
		return r
	}
	return l.base
}
