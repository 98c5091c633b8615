package understand

import (
	"strings"
	"unicode/utf8"

	"congdanso/bot/fold"
)

// oneSpelling gives a word that can be written with i or y (kĩ, kỹ) one spelling.
func oneSpelling(w string) string {
	bare := fold.Bare(w)
	switch bare {
	case "hy", "ky", "ly", "my", "sy", "ty":
		return w[:1] + yToI(w[1:])
	case "qui", "quit":
		if bare == "qui" {
			return w[:2] + iToY(w[2:])
		}
	}
	return w
}

const ys, is = "yỳýỷỹỵ", "iìíỉĩị"

func yToI(s string) string { return swap(s, ys, is) }
func iToY(s string) string { return swap(s, is, ys) }

func swap(s, from, to string) string {
	r, n := utf8.DecodeRuneInString(s)
	at := 0
	for _, f := range from {
		if f == r {
			return string([]rune(to)[at]) + s[n:]
		}
		at++
	}
	return s
}

// isSyllable reports whether a word without accents can be a Vietnamese
// syllable. One that can is taken as it is; one that cannot may be a slip.
func isSyllable(w string) bool {
	rest := w[len(onset(w)):]
	for _, coda := range codas {
		if nucleus, ok := strings.CutSuffix(rest, coda); ok && nuclei[nucleus] {
			return true
		}
	}
	return false
}

// onset returns the consonants that begin w, as Vietnamese writes them.
func onset(w string) string {
	for _, o := range onsets {
		if strings.HasPrefix(w, o) {
			rest := w[len(o):]
			if o == "gi" && (rest == "" || !strings.ContainsRune("aeouy", rune(rest[0]))) {
				continue // the i is the vowel
			}
			return o
		}
	}
	return ""
}

var (
	onsets = strings.Fields("ngh ch gh gi kh ng nh ph qu th tr b c d g h k l m n p r s t v x")
	codas  = []string{"", "ch", "ng", "nh", "c", "m", "n", "p", "t"}
	nuclei = set("a e i o u y ai ao au ay eo eu ia ie iu oa oe oi ua ue ui uo uu uy ye ieu yeu oai oay oeo uay uoi uou uya uye uyu")
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// alike maps consonants that many do not tell apart when speaking.
var alike = map[string]string{
	"x": "s", "tr": "ch", "r": "d", "gi": "d", "n": "l", "k": "c", "q": "c", "qu": "cu", "ngh": "ng", "gh": "g", "v": "d",
}

// sound is w, without accents, as it is heard: its first consonants by class.
func sound(w string) string {
	o := onset(w)
	if c, ok := alike[o]; ok {
		return c + w[len(o):]
	}
	return w
}

// once collapses letters held down: "alooo", "helloooo". With two, runs become
// pairs instead of single letters.
func once(w string, two bool) string {
	var b strings.Builder
	var last rune
	run := 0
	for _, r := range w {
		if r == last {
			run++
		} else {
			last, run = r, 1
		}
		if run == 1 || two && run == 2 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// telex reads a word typed with the Telex method where no input method was on:
// "hoof sow" is "hồ sơ", "ddungwf" is "đừng". It returns "" where w is nothing
// of the kind.
func telex(w string) string {
	out := make([]rune, 0, 16)
	var mark rune
	used := false
	for i := 0; i < len(w); i++ {
		c := w[i]
		last := byte(0) // the letter before, as typed
		if i > 0 {
			last = w[i-1]
		}
		m, isTone := telexTones[c]
		switch n := len(out); {
		case isTone && mark == 0 && n > 0 && strings.ContainsAny(w[:i], "aeiouyw") && !followedByVowel(w[i+1:]):
			mark, used = m, true
		case c == last && n > 0 && doubled[c] != 0 && out[n-1] == rune(c):
			out[n-1], used = doubled[c], true
		case c == 'w':
			if !hornLast(out) {
				out = append(out, 'ư')
			}
			used = true
		default:
			out = append(out, rune(c))
		}
	}
	if !used {
		return ""
	}
	if mark != 0 {
		for i := len(out) - 1; i >= 0; i-- {
			if strings.ContainsRune("aăâeêioôơuưy", out[i]) {
				out = append(out[:i+1], append([]rune{mark}, out[i+1:]...)...)
				break
			}
		}
	}
	return oneSpelling(fold.Tone(string(out)))
}

func followedByVowel(rest string) bool {
	return rest != "" && strings.IndexByte("aeiouy", rest[0]) >= 0
}

// hornLast puts the mark that w stands for on the last vowel that takes it.
func hornLast(out []rune) bool {
	for i := len(out) - 1; i >= 0; i-- {
		switch out[i] {
		case 'a':
			out[i] = 'ă'
		case 'u':
			out[i] = 'ư'
		case 'o':
			out[i] = 'ơ'
			if i > 0 && out[i-1] == 'u' && (i < 2 || out[i-2] != 'q') {
				out[i-1] = 'ư'
			}
		default:
			continue
		}
		return true
	}
	return false
}

var doubled = map[byte]rune{'a': 'â', 'e': 'ê', 'o': 'ô', 'd': 'đ'}

var telexTones = map[byte]rune{'s': 0x301, 'f': 0x300, 'r': 0x309, 'x': 0x303, 'j': 0x323}

// slips finds the words one slip away from a word that is none: a letter too
// many, missing or wrong, or two exchanged.
type slips struct {
	near map[string][]string // a word with one letter left out → the words
}

const (
	minSlip     = 4 // letters of a typed word in which a slip is looked for
	minLoneSlip = 5 // bytes of a phrase of one word that a slip may stand for
	maxSlipWord = 16
	maxMended   = 24 // words of a message that are mended
)

func newSlips(words map[string]bool) slips {
	s := slips{near: map[string][]string{}}
	for w := range words {
		if len(w) < 3 || len(w) > maxSlipWord || !isLetters(w) {
			continue
		}
		for i := range len(w) {
			key := w[:i] + w[i+1:]
			s.near[key] = append(s.near[key], w)
		}
		s.near[w] = append(s.near[w], w)
	}
	return s
}

// find calls yield for each word one slip away from typed; swapped tells that
// two letters were exchanged.
func (s slips) find(typed string, yield func(word string, swapped bool)) {
	if len(typed) > maxSlipWord || !isLetters(typed) {
		return
	}
	var seen [8]string
	n := 0
	try := func(words []string) {
		for _, w := range words {
			ok, swapped := oneSlip(typed, w)
			if n == len(seen) || !ok {
				continue
			}
			known := false
			for _, o := range seen[:n] {
				known = known || o == w
			}
			if !known {
				seen[n] = w
				n++
				yield(w, swapped)
			}
		}
	}
	var buf [maxSlipWord]byte
	try(s.near[typed])
	for i := range len(typed) {
		key := append(append(buf[:0], typed[:i]...), typed[i+1:]...)
		try(s.near[string(key)])
	}
}

func isLetters(w string) bool {
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return false
		}
	}
	return w != ""
}

// oneSlip reports whether typed becomes w by one insertion, deletion,
// substitution or exchange of neighbours (swapped). Very short words only by an
// exchange.
func oneSlip(typed, w string) (ok, swapped bool) {
	i := 0
	for i < len(typed) && i < len(w) && typed[i] == w[i] {
		i++
	}
	a, b := typed[i:], w[i:]
	if len(a) == len(b) && len(a) >= 2 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:] {
		return true, true
	}
	if len(typed) < minSlip {
		return false, false
	}
	switch len(typed) - len(w) {
	case 0:
		return len(a) > 0 && a[1:] == b[1:], false
	case 1:
		return a[1:] == b, false
	case -1:
		return a == b[1:], false
	}
	return false, false
}
