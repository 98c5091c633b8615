package unit

import (
	"slices"
	"strings"

	"congdanso/bot/fold"
)

// joinedName is a name without spaces, with the units that bear it.
type joinedName struct {
	letters string
	units   []int
}

// Lengths from which a name may be run together, and may have a letter wrong:
// shorter ones are too easily another.
const (
	leastJoined   = 4
	leastMistyped = 6
)

// indexNames prepares what Find and Label look names up in.
func (l *loader) indexNames() {
	l.names = map[string][]int{}
	l.tones = make([]string, len(l.all))
	joined := map[string][]int{}
	for i, u := range l.all {
		l.tones[i] = fold.Tone(u.Name)
		name := key(fold.Fold(u.Name))
		l.names[name] = append(l.names[name], i)
		l.longest = max(l.longest, 1+strings.Count(name, " "))
		letters := strings.ReplaceAll(name, " ", "")
		joined[letters] = append(joined[letters], i)
	}
	for letters, units := range joined {
		l.joined = append(l.joined, joinedName{letters, units})
	}
	slices.SortFunc(l.joined, func(a, b joinedName) int { return strings.Compare(a.letters, b.letters) })
	l.findHomonyms()
}

// findHomonyms marks units that share kind and name with a unit they did not
// simply become.
func (l *loader) findHomonyms() {
	l.homonyms = make([]bool, len(l.all))
	same := func(i, j int) bool { return l.all[i].Kind == l.all[j].Kind && l.tones[i] == l.tones[j] }
	last := func(i int) int {
		for len(l.next[i]) == 1 && same(i, l.next[i][0].to) {
			i = l.next[i][0].to
		}
		return i
	}
	for _, units := range l.names {
		for _, i := range units {
			l.homonyms[i] = slices.ContainsFunc(units, func(j int) bool { return same(i, j) && last(i) != last(j) })
		}
	}
}

// nearest are the units whose name letters spell, or the only name that differs
// from them in one letter: wrong, missing, too many, or changed about.
func (us *Units) nearest(letters string) []int {
	if len(letters) < leastJoined {
		return nil
	}
	if n, ok := slices.BinarySearchFunc(us.joined, letters, func(j joinedName, s string) int {
		return strings.Compare(j.letters, s)
	}); ok {
		return us.joined[n].units
	}
	var found []int
	for _, j := range us.joined {
		if len(j.letters) < leastMistyped || !oneEdit(j.letters, letters) {
			continue
		}
		if found != nil {
			return nil
		}
		found = j.units
	}
	return found
}

// oneEdit reports whether a and b, which are not the same, are one letter apart
// (Damerau's distance is 1).
func oneEdit(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	for len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	switch {
	case len(b) == 0 || len(a) == 1:
		return len(a) == 1
	case len(a) == 2 && len(b) == 2:
		return a[0] == b[1] && a[1] == b[0]
	}
	return false
}
