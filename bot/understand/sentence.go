package understand

import (
	"strings"
	"unicode/utf8"

	"congdanso/bot/fold"
)

// maxWords is how many words of a message are read: the beginning tells what
// somebody wants.
const maxWords = 256

// word is one word of a sentence and what it may stand for.
type word struct {
	forms []form
	skip  bool // a filler word
}

// form is one reading of a word.
type form struct {
	bare     string // without accents
	toned    string // with accents, as typed
	accented bool
	proper   bool // a word of the lexicon as it was typed
	slip     bool // toned was typed wrongly: only its tone is evidence
	swapped  bool // two letters were exchanged
	cost     int  // 1: had to be corrected
}

// allows reports whether the form can stand for want. A strict want must have
// been written with its accents.
func (f *form) allows(want string, strict bool) bool {
	if f.toned == want {
		return true
	}
	if strict && fold.Accented(want) && !f.accented {
		return false
	}
	if !f.accented {
		return true
	}
	if f.proper {
		return false
	}
	if f.slip {
		return strings.Contains(f.toned, "đ") == strings.Contains(want, "đ") && sameTone(f.toned, want)
	}
	return fold.Allows(f.toned, want)
}

// sameTone reports whether the tone of two words, wherever it stands, agrees.
func sameTone(a, b string) bool {
	ta, tb := fold.ToneOf(a), fold.ToneOf(b)
	return ta == 0 || ta == tb
}

// read takes text apart. Words that mean nothing as they stand are tried as
// shortened words, letters held down, Telex left undecoded, two words written
// as one, and slips.
func (u *Understander) read(toned string) []word {
	words := make([]word, 0, 24)
	pool := make([]form, 0, 32) // most words have one or two forms
	mended := 0
	for len(toned) > 0 && len(words) < maxWords {
		var w string
		w, toned, _ = strings.Cut(toned, " ")
		if n := len(words); n >= 1 && pictureOnly(w) && words[n-1].forms[0].toned == w {
			continue // the same picture again
		}
		w = oneSpelling(w)
		bare := fold.Bare(w)
		if meant, ok := u.shortFor(w, bare); ok && len(words)+len(meant) <= maxWords {
			for i, m := range meant {
				from := len(pool)
				pool = append(pool, plainForm(m))
				if i == 0 && len(meant) == 1 {
					pool = append(pool, form{bare: bare, toned: w, accented: w != bare})
				}
				words = append(words, word{forms: pool[from:len(pool):len(pool)]})
			}
			continue
		}
		from := len(pool)
		pool = append(pool, form{bare: bare, toned: w, accented: w != bare, proper: u.trie.toned[w]})
		if !u.trie.words[bare] && mended < maxMended {
			mended++
			pool = u.uncramp(pool, w, bare)
			if len(pool) == from+1 {
				if parts := u.unglue(w, bare); parts != nil && len(words)+len(parts) <= maxWords {
					for _, p := range parts {
						at := len(pool)
						b := fold.Bare(p)
						pool = append(pool, form{bare: b, toned: p, accented: p != b})
						words = append(words, word{forms: pool[at:len(pool):len(pool)]})
					}
					continue
				}
				pool = u.mend(pool, w, bare)
			}
		}
		words = append(words, word{forms: pool[from:len(pool):len(pool)]})
	}
	return words
}

// writtenWithAccents reports whether at least two words, and half of them, have
// accents: somebody who writes so leaves none out.
func writtenWithAccents(toned string) bool {
	words, accented := 0, 0
	for w := range strings.SplitSeq(toned, " ") {
		words++
		if fold.Accented(w) {
			accented++
		}
	}
	return accented >= 2 && 2*accented >= words
}

func plainForm(w string) form {
	bare := fold.Bare(w)
	return form{bare: bare, toned: w, accented: true, proper: true} // as if typed with accents
}

func pictureOnly(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return r >= 0x2190
}

// shortFor finds what a shortened word stands for.
func (u *Understander) shortFor(w, bare string) ([]string, bool) {
	if len(bare) > 8 {
		return nil, false
	}
	if meant, ok := u.short[w]; ok {
		return meant, true
	}
	return nil, false
}

// maxForms is how many readings of a word are followed.
const maxForms = 6

// add adds a reading that the lexicon knows.
func (u *Understander) add(pool []form, from int, f form) []form {
	if u.trie.words[f.bare] && len(pool)-from < maxForms {
		pool = append(pool, f)
	}
	return pool
}

// uncramp adds readings of a word that no slip of the finger explains: letters
// held down, and Telex left undecoded.
func (u *Understander) uncramp(pool []form, w, bare string) []form {
	if len(bare) < 2 || len(bare) > 2*maxSlipWord || isSyllable(bare) {
		return pool
	}
	from := len(pool)
	for _, two := range []bool{true, false} {
		if c := once(w, two); c != w {
			b := fold.Bare(c)
			pool = u.add(pool, from, form{bare: b, toned: c, accented: c != b})
			if meant, ok := u.short[c]; ok && len(meant) == 1 {
				pool = u.add(pool, from, plainForm(meant[0]))
			}
		}
	}
	if isLetters(w) {
		if t := telex(w); t != "" {
			pool = u.add(pool, from, form{bare: fold.Bare(t), toned: t, accented: true})
		}
	}
	return pool
}

// mend adds readings of a word that the lexicon does not know: where it could be
// Vietnamese, those that sound like it; else those one slip away.
func (u *Understander) mend(pool []form, w, bare string) []form {
	if len(bare) < 2 || len(bare) > 2*maxSlipWord {
		return pool
	}
	from := len(pool)
	if !isSyllable(bare) {
		u.slips.find(bare, func(other string, swapped bool) {
			pool = u.add(pool, from, form{bare: other, toned: w, accented: w != bare, slip: true, swapped: swapped, cost: 1})
		})
		return pool
	}
	if o := onset(bare); o != "" {
		rest := w[onsetBytes(w, len(o)):]
		for _, other := range u.sounds[sound(bare)] {
			pool = u.add(pool, from, form{bare: other, toned: onset(other) + rest, accented: w != bare, cost: 1})
		}
	}
	return pool
}

// onsetBytes is the length in w of its first n letters.
func onsetBytes(w string, n int) int {
	for i := range w {
		if n == 0 {
			return i
		}
		n--
	}
	return len(w)
}

const maxGlued = 24

// unglue takes words apart that were written as one ("tracuuhoso"): into phrases
// and words of the lexicon, as few as possible. It returns nil where that cannot
// be done.
func (u *Understander) unglue(w, bare string) []string {
	if len(bare) < 5 || len(bare) > maxGlued || !isLetters(bare) || isSyllable(bare) {
		return nil
	}
	const none = 1000
	var best, from [maxGlued + 1]int
	for end := 1; end <= len(bare); end++ {
		best[end] = none
		for start := 0; start <= end-2; start++ {
			cost := none
			switch piece := bare[start:end]; {
			case best[start] >= none:
			case u.trie.glued[piece] != "":
				cost = best[start] + 2
			case u.trie.words[piece] && isSyllable(piece):
				cost = best[start] + 3
			}
			if cost < best[end] {
				best[end], from[end] = cost, start
			}
		}
	}
	if best[len(bare)] >= none {
		return nil
	}
	letters := []rune(w)
	var parts []string
	for end := len(bare); end > 0; end = from[end] {
		parts = append(u.cut(letters[from[end]:end], bare[from[end]:end]), parts...)
	}
	return parts
}

// cut returns the words of a piece, with the accents that were typed.
func (u *Understander) cut(letters []rune, piece string) (words []string) {
	spaced := u.trie.glued[piece]
	if spaced == "" {
		spaced = piece
	}
	at := 0
	for word := range strings.SplitSeq(spaced, " ") {
		words = append(words, oneSpelling(fold.Tone(string(letters[at:at+len(word)]))))
		at += len(word)
	}
	return words
}
