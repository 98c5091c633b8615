package notices

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// said is a sentence as this dialogue hears it.
type said struct {
	t      *bot.Turn
	tones  []string // its words, with accents
	plain  []string // the same without
	topics []Topic  // named in it, in the list's order
	rest   string   // what stands behind the last topic, or all
}

// hear reads the turn's text.
func (f *Flow) hear(t *bot.Turn) *said {
	s := &said{t: t, tones: strings.Fields(fold.Tone(t.Text())), plain: fold.Words(t.Text())}
	end := 0
	for _, topic := range f.topics {
		phrases := append(strings.Split(t.T(topic.Words), ","), t.T(topic.Name))
		found := 0
		for _, p := range phrases {
			found = max(found, s.find(p))
		}
		if found > 0 {
			s.topics, end = append(s.topics, topic), max(end, found)
		}
	}
	s.rest = strings.Join(s.tones[end:], " ")
	return s
}

// says reports whether a phrase of the list under key stands in the sentence.
func (s *said) says(key string) bool {
	for _, p := range strings.Split(s.t.T(key), ",") {
		if s.find(p) > 0 {
			return true
		}
	}
	return false
}

// ends reports whether the sentence asks that something end; that nothing came
// ("không nhận được tin") is no such wish.
func (s *said) ends() bool {
	return s.says("notices.words.remove") && !s.says("notices.words.missing")
}

// find finds a phrase and returns where it ends, 0 when it is not there. Accents
// may be left out of a phrase, but not contradict it; a single word must stand
// as it is written, or be all that was said, for "bao" is báo more often than bão.
func (s *said) find(phrase string) int {
	tones, plain := strings.Fields(fold.Tone(phrase)), fold.Words(phrase)
	n := len(plain)
	if n == 0 {
		return 0
	}
	for at := 0; at+n <= len(s.plain); at++ {
		if !slices.Equal(s.plain[at:at+n], plain) {
			continue
		}
		typed, want := strings.Join(s.tones[at:at+n], " "), strings.Join(tones, " ")
		if typed == want || (n > 1 || len(s.plain) == 1) && fold.Agree(typed, want) {
			return at + n
		}
	}
	return 0
}

// without is the sentence, or what stands behind its topics, without the phrases
// of the lists under keys: what may be a name.
func (s *said) without(keys ...string) string {
	rest := &said{t: s.t, tones: strings.Fields(s.rest), plain: fold.Words(s.rest)}
	for _, key := range keys {
		for _, p := range strings.Split(s.t.T(key), ",") {
			n := len(fold.Words(p))
			for end := rest.find(p); end > 0; end = rest.find(p) {
				rest.tones = slices.Delete(rest.tones, end-n, end)
				rest.plain = slices.Delete(rest.plain, end-n, end)
			}
		}
	}
	return strings.Join(rest.tones, " ")
}

// numbers are the numbers of a sentence that is about little else: "1 3 5",
// "số 1 và 3". ok is false when it holds none, or words beside them.
func (s *said) numbers() (all []int, ok bool) {
	others := 0
	for _, w := range s.plain {
		if n, err := strconv.Atoi(w); err == nil && len(w) < 4 {
			all = append(all, n)
		} else {
			others++
		}
	}
	return all, len(all) > 0 && others <= len(all)+1
}

// parts are runs of digits, runs of letters, and colons.
func (s *said) parts() []string {
	var all []string
	last := 0 // 1: digit, 2: letter
	for _, r := range strings.ToLower(s.t.Text()) {
		kind := 0
		switch {
		case unicode.IsDigit(r):
			kind = 1
		case unicode.IsLetter(r), unicode.IsMark(r):
			kind = 2
		case r == ':':
			all = append(all, ":")
		}
		if kind != 0 && kind == last {
			all[len(all)-1] += string(r)
		} else if kind != 0 {
			all = append(all, string(r))
		}
		last = kind
	}
	return all
}

// among reports whether word is one of the list under key.
func (s *said) among(word, key string) bool {
	for _, w := range strings.Split(s.t.T(key), ",") {
		if strings.TrimSpace(w) == word || fold.Tone(w) == fold.Tone(word) && fold.Tone(word) != "" {
			return true
		}
	}
	return false
}

// clocks are the times of day in the sentence, in minutes: "7h", "19:30",
// "8 giờ rưỡi tối".
func (s *said) clocks() []int {
	var all []int
	parts := s.parts()
	number := func(i, below int) (int, bool) {
		if i >= len(parts) || len(parts[i]) > 2 {
			return 0, false
		}
		n, err := strconv.Atoi(parts[i])
		return n, err == nil && n < below
	}
	is := func(i int, key string) bool { return i < len(parts) && s.among(parts[i], key) }
	for i := 0; i < len(parts); i++ {
		hour, ok := number(i, 25)
		if !ok {
			continue
		}
		minute := 0
		if is(i+1, "notices.words.hour") {
			i++
			if n, ok := number(i+1, 60); ok && len(parts[i+1]) == 2 {
				minute = n
				i++
			} else if is(i+1, "notices.words.half") {
				minute = 30
				i++
			}
		}
		if is(i+1, "notices.words.afternoon") {
			i++
			if hour < 12 {
				hour += 12
			}
		}
		all = append(all, (hour*60+minute)%day)
	}
	return all
}

// days is how many days the sentence says ("3 ngày", "một tuần"), 0 when it says
// none.
func (s *said) days() int {
	parts := s.parts()
	for i := 1; i < len(parts); i++ {
		unit := 0
		switch {
		case s.among(parts[i], "notices.words.day"):
			unit = 1
		case s.among(parts[i], "notices.words.week"):
			unit = 7
		case s.among(parts[i], "notices.words.month"):
			unit = 30
		default:
			continue
		}
		if n, err := strconv.Atoi(parts[i-1]); err == nil && n > 0 && n <= maxPause {
			return n * unit
		}
		if s.among(parts[i-1], "notices.words.one_day") {
			return unit
		}
	}
	return 0
}

// number reads a whole number from 1 to most; anything else is 0.
func number(arg string, most int) int {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > most {
		return 0
	}
	return n
}

// list writes names one after the other.
func list(names []string) string { return strings.Join(names, "; ") }
