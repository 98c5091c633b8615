package fold

import (
	"strings"
	"unicode/utf8"
)

// SameWords reports whether a and b are the same words. Accents count where both
// have them: "Dung" is the same as "đúng" and as "dừng", which are not the same
// as each other. Texts without a single word are the same as nothing.
func SameWords(a, b string) bool {
	fa, fb := Fold(a), Fold(b)
	if fa != fb || fa == "" {
		return false
	}
	return Agree(Tone(a), Tone(b))
}

// Agree reports whether two forms of the same words, both from Tone, contradict
// each other nowhere: word by word, one has no accents, or both have the same.
// An accent left out of a word that has others ("hô" for "hồ") contradicts
// nothing; hỏi and ngã, which half the country does not tell apart, are one.
func Agree(a, b string) bool {
	for a != "" && b != "" {
		var wa, wb string
		wa, a, _ = strings.Cut(a, " ")
		wb, b, _ = strings.Cut(b, " ")
		if Accented(wa) && Accented(wb) && !Allows(wa, wb) && !Allows(wb, wa) {
			return false
		}
	}
	return a == "" && b == ""
}

// Accented reports whether a word from Tone has a Vietnamese mark.
func Accented(word string) bool {
	for _, r := range word {
		if r >= utf8.RuneSelf && int(r) < len(latin) {
			if l := latin[r]; l.shape != noShape || l.tone != level {
				return true
			}
		}
	}
	return false
}

// Allows reports whether typed, a word from Tone, can stand for want, a word
// from Tone that is written properly: typed has no accents at all, or those it
// has are want's. A tone left out is forgiven, a wrong one is not, but that hỏi
// and ngã are one; so "thì" is not "thi", and "đúng" is not "dừng".
func Allows(typed, want string) bool {
	if typed == want {
		return true
	}
	if !Accented(typed) {
		return Bare(typed) == Bare(want)
	}
	var ht, hw tone
	for typed != "" && want != "" {
		rt, nt := utf8.DecodeRuneInString(typed)
		rw, nw := utf8.DecodeRuneInString(want)
		typed, want = typed[nt:], want[nw:]
		lt, lw := apart(rt), apart(rw)
		if lt.base != lw.base || lt.shape != lw.shape {
			return false
		}
		if lt.tone != level {
			ht = lt.tone
		}
		if lw.tone != level {
			hw = lw.tone
		}
	}
	if ht == tilde {
		ht = hook
	}
	if hw == tilde {
		hw = hook
	}
	return typed == "" && want == "" && (ht == level || ht == hw)
}

// ToneOf returns which of the five tone marks the first marked syllable of a
// word from Tone carries, 0 for none; hỏi and ngã are one.
func ToneOf(word string) int {
	for _, r := range word {
		switch t := apart(r).tone; t {
		case level:
		case tilde:
			return int(hook)
		default:
			return int(t)
		}
	}
	return 0
}

// Bare strips the accents of text from Tone.
func Bare(toned string) string {
	for i := range len(toned) {
		if toned[i] >= utf8.RuneSelf {
			return strings.Map(func(r rune) rune { return apart(r).base }, toned)
		}
	}
	return toned
}

func apart(r rune) letter {
	if int(r) < len(latin) && latin[r].base != 0 {
		return latin[r]
	}
	return letter{base: r}
}
