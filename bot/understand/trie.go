package understand

import (
	"strings"

	"congdanso/bot/fold"
)

// trie finds the phrases of concepts in a sentence, by their words without
// accents; where a phrase ends its accents are compared.
type trie struct {
	glued    map[string]string // phrases written as one word → with spaces
	next     map[step]int32
	ends     [][]ending // by node
	concepts int
	words    map[string]bool // every word there is, without accents
	toned    map[string]bool // and as it is written
}

type step struct {
	node int32
	word string
}

// ending is a phrase that ends at a node.
type ending struct {
	concept int
	words   []string // with accents
	strict  bool     // accents must have been typed
}

func newTrie() *trie {
	return &trie{glued: map[string]string{}, next: map[step]int32{}, ends: make([][]ending, 1), words: map[string]bool{}, toned: map[string]bool{}}
}

func (t *trie) newConcept() int {
	t.concepts++
	return t.concepts - 1
}

func (t *trie) add(concept int, words []string, strict bool) {
	if phrase := fold.Bare(strings.Join(words, " ")); len(words) > 1 {
		if one := strings.ReplaceAll(phrase, " ", ""); isLetters(one) && len(one) <= maxGlued {
			t.glued[one] = phrase
		}
	}
	var node int32
	for _, w := range words {
		bare := fold.Bare(w)
		t.words[bare], t.toned[w] = true, true
		s := step{node, bare}
		to, ok := t.next[s]
		if !ok {
			to = int32(len(t.ends))
			t.ends = append(t.ends, nil)
			t.next[s] = to
		}
		node = to
	}
	t.ends[node] = append(t.ends[node], ending{concept, words, strict})
}

// found is a phrase found in a sentence: the words from ≤ i < to, of which those
// in words are the phrase's own and the rest fillers.
type found struct {
	from, to int
	words    bits
	cost     int
	shaky    bool // one short word that had to be corrected: not enough alone
	vague    bool // one word, without the accents it should have
}

const (
	maxPhrase = 8 // words of a phrase that are looked at
	maxSkip   = 2 // fillers passed over between two words of a phrase
	maxFound  = 8 // occurrences of one concept that are kept
)

// walker looks for phrases that begin at one word.
type walker struct {
	trie    *trie
	words   []word
	accents bool
	path    [maxPhrase]struct {
		at   int
		form *form
	}
	found *finds
}

// finds are the phrases found in a sentence, by concept. They are used again for
// the next sentence.
type finds struct {
	by   [][]found
	hits []int     // concepts with at least one
	like []float64 // how like each example is; see nearest.go
}

func (f *finds) add(concept int, one found) {
	if len(f.by[concept]) == 0 {
		f.hits = append(f.hits, concept)
	}
	f.by[concept] = append(f.by[concept], one)
}

func (f *finds) clear() {
	for _, c := range f.hits {
		f.by[c] = f.by[c][:0]
	}
	f.hits = f.hits[:0]
}

// from looks for every phrase that begins at word i.
func (w *walker) from(i int) { w.step(0, i, 0, 0) }

func (w *walker) step(node int32, i, depth, skipped int) {
	if depth > 0 && skipped == 0 {
		for e := range w.trie.ends[node] {
			w.end(&w.trie.ends[node][e], depth)
		}
	}
	if i >= len(w.words) || depth >= maxPhrase {
		return
	}
	cur := &w.words[i]
	for f := range cur.forms {
		to, ok := w.trie.next[step{node, cur.forms[f].bare}]
		if !ok {
			continue
		}
		w.path[depth].at, w.path[depth].form = i, &cur.forms[f]
		w.step(to, i+1, depth+1, 0)
	}
	if depth > 0 && skipped < maxSkip && cur.skip {
		w.step(node, i+1, depth, skipped+1)
	}
}

// end compares accents and notes the phrase.
func (w *walker) end(e *ending, depth int) {
	if len(w.found.by[e.concept]) >= maxFound {
		return
	}
	f := found{from: w.path[0].at, to: w.path[depth-1].at + 1}
	for d := range depth {
		form := w.path[d].form
		if !form.allows(e.words[d], e.strict) {
			return
		}
		f.words.set(w.path[d].at)
		f.cost += form.cost
		f.vague = depth == 1 && !form.accented && fold.Accented(e.words[d]) && !w.words[f.from].skip
	}
	if f.vague && w.accents {
		return
	}
	// One slip in a phrase is forgiven; a phrase of one word, unless it is long
	// enough to be known by the rest of it, then needs another beside it.
	if f.cost > 1 {
		return
	}
	f.shaky = f.cost == 1 && depth == 1 && len(e.words[0]) < minLoneSlip && !(w.path[0].form.swapped && len(e.words[0]) >= minSlip)
	for i := range w.found.by[e.concept] {
		if old := &w.found.by[e.concept][i]; old.from == f.from && old.to == f.to {
			if f.cost < old.cost {
				*old = f
			}
			return
		}
	}
	w.found.add(e.concept, f)
}

// bits is a set of word positions.
type bits [maxWords / 64]uint64

func (b *bits) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b *bits) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (b *bits) join(c *bits) {
	for i := range b {
		b[i] |= c[i]
	}
}

func (b *bits) meets(c *bits) bool {
	for i := range b {
		if b[i]&c[i] != 0 {
			return true
		}
	}
	return false
}

// within reports whether every position of b is in c.
func (b *bits) within(c *bits) bool {
	for i := range b {
		if b[i]&^c[i] != 0 {
			return false
		}
	}
	return true
}

// without is b but for what is in c.
func (b bits) without(c *bits) bits {
	for i := range b {
		b[i] &^= c[i]
	}
	return b
}

// span is the set of positions from ≤ i < to.
func span(from, to int) (b bits) {
	for i := from; i < to; i++ {
		b.set(i)
	}
	return b
}
