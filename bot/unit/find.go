package unit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"congdanso/bot/fold"
)

// Match is a unit that a resident may have meant.
type Match struct {
	Unit  Unit   // what was said; it may have ended
	Today []Unit // the communes of today it leads to, by code
	// Whole is true when all of Unit lies in the one commune of Today. Else the
	// resident is asked which of Today is theirs.
	Whole bool
}

// mostMatches bounds the answer of Find.
const mostMatches = 10

// Find tells which units somebody may mean by text: a name with or without
// accents, kind and the units above it ("p. Vân Giang, tp Ninh Bình"), with one
// letter wrong in a long name. What was said narrows (a kind, an accent, "cũ",
// a district), and never empties the answer; what leads to the same communes is
// one match. The likeliest stands first: what is written exactly so, what is in
// force, communes before districts.
func (us *Units) Find(text string, today time.Time) []Match {
	r := us.read(text)
	type candidate struct {
		unit  int
		exact bool
	}
	best := 0
	var found []candidate
	for s, seg := range r.segments {
		if seg.bare && r.strays > 0 {
			continue // words of a sentence, not an answer; it may still say a district
		}
		for _, i := range us.narrow(seg, today) {
			support := us.support(i, s, r.segments, today)
			if support < best {
				continue
			}
			if support > best {
				best, found = support, nil
			}
			found = append(found, candidate{i, seg.tone == us.tones[i]})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		u, v := us.all[a.unit], us.all[b.unit]
		return cmp.Or(
			first(a.exact, b.exact),
			first(u.In(today), v.In(today)),
			cmp.Compare(u.level(), v.level()),
			v.From.Compare(u.From),
			cmp.Compare(a.unit, b.unit))
	})
	var matches []Match
	var answers [][]int
	for _, c := range found {
		reached := us.reach(c.unit, today)
		if len(reached) == 0 || slices.ContainsFunc(answers, func(a []int) bool { return slices.Equal(a, reached) }) {
			continue
		}
		answers = append(answers, reached)
		matches = append(matches, Match{Unit: us.all[c.unit], Today: us.pick(reached), Whole: len(reached) == 1})
		if len(matches) == mostMatches {
			break
		}
	}
	return matches
}

// first orders what holds before what does not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// narrow are the units of a segment that agree best with how it was said.
func (us *Units) narrow(seg segment, today time.Time) []int {
	list := seg.units
	list = prefer(list, func(i int) bool { return fold.Agree(seg.tone, us.tones[i]) })
	if len(seg.kinds) > 0 {
		list = prefer(list, func(i int) bool {
			return slices.ContainsFunc(seg.kinds, func(k string) bool { return kinds[k].level == kinds[us.all[i].Kind].level })
		})
		list = prefer(list, func(i int) bool { return slices.Contains(seg.kinds, us.all[i].Kind) })
	}
	if seg.era != anyTime {
		list = prefer(list, func(i int) bool { return us.all[i].In(today) == (seg.era == present) })
	}
	return list
}

// prefer keeps those for which ok holds, or all when it holds for none.
func prefer(list []int, ok func(int) bool) []int {
	var kept []int
	for _, i := range list {
		if ok(i) {
			kept = append(kept, i)
		}
	}
	if len(kept) == 0 {
		return list
	}
	return kept
}

// support counts the other segments that name a unit above i.
func (us *Units) support(i, self int, segments []segment, today time.Time) int {
	n := 0
	for s, seg := range segments {
		if s == self {
			continue
		}
		for _, above := range us.narrow(seg, today) {
			if _, ok := slices.BinarySearch(us.above[i], above); ok {
				n++
				break
			}
		}
	}
	return n
}

// segment is a name found in a text.
type segment struct {
	units []int
	tone  string // as typed; empty where letters were mistaken
	kinds []string
	bare  bool // no kind says that it is a unit's name
	era   era
}

// reading is what a text says of units.
type reading struct {
	segments []segment
	strays   int // words that belong to nothing known
}

// Bounds of what is read: an address has a few names.
const (
	mostBytes    = 400
	mostSegments = 6
)

// read finds the names in text, the longest first at each place.
func (us *Units) read(text string) reading {
	if len(text) > mostBytes {
		text = strings.ToValidUTF8(text[:mostBytes], "")
	}
	p := parser{us: us, plain: strings.Fields(fold.Fold(text)), tones: strings.Fields(fold.Tone(text))}
	p.keys = make([]string, len(p.plain))
	for i, w := range p.plain {
		p.keys[i] = key(w)
	}
	for p.at < len(p.plain) && len(p.out.segments) < mostSegments {
		p.step()
	}
	if len(p.out.segments) == 0 {
		p.whole()
	}
	return p.out
}

// key is the form of a folded word under which names are kept: y and i, which
// spelling reforms take turns with, are one.
func key(word string) string { return strings.ReplaceAll(word, "y", "i") }

type parser struct {
	us    *Units
	plain []string // folded words
	keys  []string
	tones []string
	at    int
	out   reading
}

// step reads what stands at p.at and moves on.
func (p *parser) step() {
	w := &p.us.words
	if kinds, n := phrase(w.before, p.plain[p.at:], w.most); n > 0 {
		letter := len(p.plain[p.at]) == 1 // it may be another word's
		if units, m := p.name(p.at+n, 1); m > 0 {
			p.take(segment{units: units, kinds: kinds, bare: letter && m == 1}, p.at+n, m)
			return
		}
		if units, m := p.mistyped(p.at + n); m > 0 && !letter {
			p.out.segments = append(p.out.segments, segment{units: units, kinds: kinds})
			p.at += n + m
			p.behind()
			return
		}
	}
	if units, n := p.name(p.at, 2); n > 0 {
		p.take(segment{units: units, bare: true}, p.at, n)
		return
	}
	if n := p.around(p.at); n > 0 {
		p.at += n
		return
	}
	if units, n := p.name(p.at, 1); n > 0 {
		p.take(segment{units: units, bare: true}, p.at, n)
		return
	}
	p.out.strays++
	p.at++
}

// whole tries all of a text in which nothing was found as one name: a short one
// that is also a word, one written without spaces, or one with a letter wrong.
func (p *parser) whole() {
	if units, n := p.name(0, 1); n > 0 && n == len(p.plain) {
		p.out = reading{segments: []segment{{units: units, tone: strings.Join(p.tones, " "), bare: true}}}
		return
	}
	var kinds []string
	p.at = 0
	for p.at < len(p.plain) {
		if k, n := phrase(p.us.words.before, p.plain[p.at:], p.us.words.most); n > 0 {
			kinds, p.at = k, p.at+n
		} else if n := p.around(p.at); n > 0 {
			p.at += n
		} else {
			break
		}
	}
	if units, n := p.mistyped(p.at); n > 0 {
		p.at += n
		p.out = reading{segments: []segment{{units: units, kinds: kinds, bare: true}}}
		p.behind()
		for ; p.at < len(p.plain); p.at++ {
			p.out.strays++
		}
	}
}

// take adds a segment whose name is n words from start, with what follows it.
func (p *parser) take(seg segment, start, n int) {
	seg.tone = strings.Join(p.tones[start:start+n], " ")
	p.out.segments = append(p.out.segments, seg)
	p.at = start + n
	p.behind()
}

// behind reads a kind and a time behind the last segment.
func (p *parser) behind() {
	w, seg := &p.us.words, &p.out.segments[len(p.out.segments)-1]
	if kinds, n := phrase(w.after, p.plain[p.at:], w.most); n > 0 && seg.bare {
		seg.kinds, seg.bare = kinds, false
		p.at += n
	}
	if when, n := phrase(w.when, p.plain[p.at:], w.most); n > 0 {
		seg.era = when
		p.at += n
	}
}

// name finds the longest name of at least least words at a place.
func (p *parser) name(at, least int) ([]int, int) {
	for n := min(p.us.longest, len(p.keys)-at); n >= least; n-- {
		if units, ok := p.us.names[strings.Join(p.keys[at:at+n], " ")]; ok {
			return units, n
		}
	}
	return nil, 0
}

// around is how many words at a place say nothing: a phrase, a number, a sign.
func (p *parser) around(at int) int {
	if _, n := phrase(p.us.words.around, p.plain[at:], p.us.words.most); n > 0 {
		return n
	}
	if !strings.ContainsFunc(p.plain[at], func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 0x80 && r < 0x2000 }) {
		return 1
	}
	return 0
}

// mistyped finds the one name that the words from at to the next known phrase
// spell without spaces, or with one letter wrong.
func (p *parser) mistyped(at int) ([]int, int) {
	n := 0
	for at+n < len(p.plain) && n <= p.us.longest {
		if _, m := phrase(p.us.words.before, p.plain[at+n:], p.us.words.most); m > 0 {
			break
		}
		if _, m := phrase(p.us.words.after, p.plain[at+n:], p.us.words.most); m > 0 {
			break
		}
		if _, m := phrase(p.us.words.when, p.plain[at+n:], p.us.words.most); m > 0 {
			break
		}
		n++
	}
	for ; n > 0; n-- {
		if units := p.us.nearest(strings.Join(p.keys[at:at+n], "")); units != nil {
			return units, n
		}
	}
	return nil, 0
}

// phrase finds the longest phrase of a table that words begin with.
func phrase[V any](table map[string]V, words []string, most int) (V, int) {
	for n := min(most, len(words)); n > 0; n-- {
		if v, ok := table[strings.Join(words[:n], " ")]; ok {
			return v, n
		}
	}
	var none V
	return none, 0
}
