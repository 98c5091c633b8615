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
// "hoof sow" is "hồ sơ". It returns "" where w is nothing of the kind.
func telex(w string) string {
	var b strings.Builder
	var mark string
	used := false
	for i := 0; i < len(w); i++ {
		c := w[i]
		var after byte
		if i+1 < len(w) {
			after = w[i+1]
		}
		if i > 0 && mark == "" {
			if m, ok := telexTones[c]; ok && strings.ContainsAny(w[:i], "aeiouyw") && !strings.ContainsRune("aeiouyw", rune(after)) {
				mark, used = m, true
				continue
			}
		}
		if l, ok := telexPairs[string([]byte{c, after})]; ok {
			b.WriteString(l)
			i++
			used = true
			continue
		}
		if c == 'w' {
			b.WriteString("ư")
			used = true
			continue
		}
		b.WriteByte(c)
	}
	if !used {
		return ""
	}
	out := b.String()
	if mark != "" {
		at := strings.LastIndexAny(out, "aăâeêioôơuưy")
		if at < 0 {
			return ""
		}
		_, n := utf8.DecodeRuneInString(out[at:])
		out = out[:at+n] + mark + out[at+n:]
	}
	return oneSpelling(fold.Tone(out))
}

var telexTones = map[byte]string{'s': "\u0301", 'f': "\u0300", 'r': "\u0309", 'x': "\u0303", 'j': "\u0323"}

var telexPairs = map[string]string{
	"aa": "â", "aw": "ă", "ee": "ê", "oo": "ô", "ow": "ơ", "uw": "ư", "dd": "đ",
}

// slips finds the words one slip away from a word that is none: a letter too
// many, missing or wrong, or two exchanged.
type slips struct {
	near map[string][]string // a word with one letter left out → the words
}

const (
	minSlip     = 4 // letters of a typed word in which a slip is looked for
	minLoneSlip = 5 // bytes of a phrase of one word that a slip may stand for
	maxSlipWord = 16
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

// find calls yield for each word one slip away from typed.
func (s slips) find(typed string, yield func(string)) {
	if len(typed) > maxSlipWord || !isLetters(typed) {
		return
	}
	var seen [8]string
	n := 0
	try := func(key string) {
		for _, w := range s.near[key] {
			if n == len(seen) || !oneSlip(typed, w) {
				continue
			}
			known := false
			for _, o := range seen[:n] {
				known = known || o == w
			}
			if !known {
				seen[n] = w
				n++
				yield(w)
			}
		}
	}
	var buf [maxSlipWord]byte
	try(typed)
	for i := range len(typed) {
		key := append(append(buf[:0], typed[:i]...), typed[i+1:]...)
		try(string(key))
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
// substitution or exchange of neighbours. Very short words only by an exchange.
func oneSlip(typed, w string) bool {
	i := 0
	for i < len(typed) && i < len(w) && typed[i] == w[i] {
		i++
	}
	a, b := typed[i:], w[i:]
	swapped := len(a) == len(b) && len(a) >= 2 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	if len(typed) < minSlip {
		return swapped
	}
	switch len(typed) - len(w) {
	case 0:
		return swapped || len(a) > 0 && a[1:] == b[1:]
	case 1:
		return a[1:] == b
	case -1:
		return a == b[1:]
	}
	return false
}
