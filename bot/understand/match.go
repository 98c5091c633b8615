package understand

// pattern is parts that must all be found, none sharing a word with another.
type pattern struct {
	parts   [][]int // each a sequence of concepts, side by side
	ordered bool
}

// anyWord stands for any one word in a part.
const anyWord = -1

// maxGap is how many words that are not fillers may stand between two parts:
// further apart they belong to different thoughts.
const maxGap = 7

// maxGuards is how many guards found in a message are heeded.
const maxGuards = 64

// sentence is a text taken apart, with all phrases found.
type sentence struct {
	words   []word
	found   *finds
	light   bits    // fillers: they carry no weight
	polite  bits    // greetings and thanks
	guarded bool    // a guard was found
	accents bool    // written with accents, so that a word without them has none
	weight  float64 // words that carry weight, courtesies aside
	full    float64 // the same with courtesies
}

// sentence reads text (from fold.Tone) and finds every phrase in it.
func (u *Understander) sentence(toned string) *sentence {
	s := &sentence{words: u.read(toned), accents: writtenWithAccents(toned), found: u.finds.Get().(*finds)}
	closing := true
	for i := len(s.words) - 1; i >= 0; i-- {
		w := &s.words[i]
		w.skip = u.isOne(u.filler, w) || closing && u.isOne(u.closing, w)
		closing = closing && w.skip
	}
	w := walker{trie: u.trie, words: s.words, accents: s.accents, found: s.found}
	for i := range s.words {
		w.from(i)
	}
	s.applyGuards(u)
	for _, f := range s.found.by[u.filler] {
		s.light.join(&f.words)
	}
	for i := range s.words {
		if s.words[i].skip {
			s.light.set(i)
		}
	}
	for c := range u.courtesy {
		for _, f := range s.found.by[c] {
			s.polite.join(&f.words)
		}
	}
	for i := range s.words {
		if s.light.has(i) {
			continue
		}
		s.full++
		if !s.polite.has(i) {
			s.weight++
		}
	}
	return s
}

// isOne reports whether a word alone is a phrase of concept.
func (u *Understander) isOne(concept int, w *word) bool {
	for i := range w.forms {
		f := &w.forms[i]
		if f.cost > 0 {
			continue
		}
		node, ok := u.trie.next[step{0, f.bare}]
		if !ok {
			continue
		}
		for e := range u.trie.ends[node] {
			if end := &u.trie.ends[node][e]; end.concept == concept && f.allows(end.words[0], end.strict) {
				return true
			}
		}
	}
	return false
}

// applyGuards removes every phrase that lies within a guard and is shorter.
func (s *sentence) applyGuards(u *Understander) {
	var hits []hit
	for _, c := range s.found.hits {
		for _, i := range u.guardsByFirst[c] {
			g := u.guards[i]
			phrase := len(g.parts) == 1 && len(g.parts[0]) == 1
			s.each(g, func(h hit) bool {
				if !phrase || h.words == span(h.from, h.to) {
					hits = append(hits, h)
				}
				return len(hits) < maxGuards
			})
		}
	}
	s.guarded = len(hits) > 0
	for _, h := range hits {
		for _, c := range s.found.hits {
			if c == u.filler {
				continue
			}
			keep := s.found.by[c][:0]
			for _, f := range s.found.by[c] {
				if f.from < h.from || f.to > h.to || f.from == h.from && f.to == h.to {
					keep = append(keep, f)
				}
			}
			s.found.by[c] = keep
		}
	}
}

// hit is a pattern found in a sentence.
type hit struct {
	words    bits // covered, fillers between words of a phrase left out
	from, to int
	cost     int
	phrases  int
	shaky    int // phrases of one short word that had to be corrected
	vague    int // phrases of one word without the accents it should have
}

// any reports whether one of the patterns is found.
func (s *sentence) any(patterns []pattern) bool {
	for _, p := range patterns {
		ok := false
		s.each(p, func(hit) bool {
			ok = true
			return false
		})
		if ok {
			return true
		}
	}
	return false
}

// each calls yield for ways in which p is found, until it returns false.
func (s *sentence) each(p pattern, yield func(hit) bool) {
	budget := 200 // ways tried: a message of one phrase repeated stays cheap
	s.parts(p, 0, hit{from: -1}, yield, &budget)
}

func (s *sentence) parts(p pattern, i int, so hit, yield func(hit) bool, budget *int) bool {
	if i == len(p.parts) {
		return yield(so)
	}
	return s.part(p.parts[i], 0, hit{from: -1}, budget, func(h hit) bool {
		if *budget--; *budget < 0 {
			return false
		}
		next := h
		if so.from >= 0 {
			if so.words.meets(&h.words) || p.ordered && h.from < so.to || s.gap(so, h) > maxGap {
				return true
			}
			next = so.with(h)
		}
		return s.parts(p, i+1, next, yield, budget)
	})
}

// part finds a sequence of concepts side by side, only fillers between.
func (s *sentence) part(seq []int, i int, so hit, budget *int, yield func(hit) bool) bool {
	if i == len(seq) {
		return yield(so)
	}
	if seq[i] == anyWord {
		if so.to >= len(s.words) {
			return true
		}
		next := so
		next.words.set(so.to)
		next.to++
		return s.part(seq, i+1, next, budget, yield)
	}
	for _, f := range s.found.by[seq[i]] {
		next := hit{words: f.words, from: f.from, to: f.to, cost: f.cost, phrases: 1}
		if f.vague {
			next.vague = 1
		}
		if f.shaky {
			next.shaky = 1
		}
		if so.from >= 0 {
			if !s.beside(so.to, f.from) {
				continue
			}
			next = so.with(next)
		}
		if !s.part(seq, i+1, next, budget, yield) {
			return false
		}
	}
	return true
}

// beside reports whether only fillers stand from one position to the other.
func (s *sentence) beside(end, begin int) bool {
	if begin < end || begin > end+maxSkip+1 {
		return false
	}
	for i := end; i < begin; i++ {
		if !s.words[i].skip {
			return false
		}
	}
	return true
}

// gap counts the words that are not fillers between two hits.
func (s *sentence) gap(a, b hit) int {
	from, to := a.to, b.from
	if b.to <= a.from {
		from, to = b.to, a.from
	}
	n := 0
	for i := from; i < to; i++ {
		if !s.words[i].skip {
			n++
		}
	}
	return n
}

func (h hit) with(o hit) hit {
	h.words.join(&o.words)
	h.from, h.to, h.cost = min(h.from, o.from), max(h.to, o.to), h.cost+o.cost
	h.phrases, h.shaky, h.vague = h.phrases+o.phrases, h.shaky+o.shaky, h.vague+o.vague
	return h
}

// score finds the best way in which r's pattern is in the sentence.
func (s *sentence) score(u *Understander, r *rule) (best reason, ok bool) {
	s.each(r.pattern, func(h hit) bool {
		if h.cost > 1 && r.tier > tierClear || h.shaky == h.phrases {
			return true
		}
		heavy, fillers, polite := 0.0, 0.0, false
		for i := h.from; i < h.to; i++ {
			switch {
			case !h.words.has(i):
			case s.light.has(i):
				fillers++
			default:
				heavy++
				polite = polite || s.polite.has(i)
			}
		}
		total := s.weight
		if polite || total == 0 {
			total = s.full
		}
		part := 1.0
		if total > 0 {
			part = min(1, heavy/total)
		}
		if part < minShare[r.tier] || heavy == 0 && total > 0 {
			return true
		}
		v := worth[r.tier] + perWord*(heavy+fillerPay*fillers) + perShare*part - perSlip*float64(h.cost) - perVague*float64(h.vague) + u.outcomes[r.outcome].lead
		if r.tier == tierFaint {
			v = heavy // less than any other tier
		}
		if v > best.score {
			best = reason{outcome: r.outcome, score: v, share: part, words: h.words.without(&s.light)}
			ok = true
		}
		return true
	})
	return best, ok
}
