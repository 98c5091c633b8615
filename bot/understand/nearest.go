package understand

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// examples are sentences as people wrote them, with what they meant. A sentence
// in which no pattern is found is taken for what the examples most like it mean,
// when they agree; this never acts.
//
// Two sentences are alike as far as they share words, and pairs of words side by
// side, the rarer the more (the cosine of their tf-idf vectors).
type examples struct {
	all   []example
	posts map[string][]post // by word or pair, without accents
}

type example struct {
	intent bot.Intent
	words  []string // with accents
}

// post says that a word, or the pair that begins with it, is in an example.
type post struct {
	example int32
	at      int32
	weight  float32
}

const (
	nearestFew = 5    // examples that have a say
	nearFirst  = 0.38 // how like the nearest must be
	nearEnough = 0.60 // what those of one intent must add up to
	nearLead   = 1.6  // times what those of any other do
	fillerIDF  = 0.4  // how much of its weight a filler keeps
	unknownIDF = 0.8  // and a word that is in no example, of the rarest word's
)

// setExamples indexes the sentences of table, by intent.
func (u *Understander) setExamples(table map[string][]string) {
	x := &u.examples
	x.posts = map[string][]post{}
	for _, name := range sortedKeys(table) {
		for _, text := range table[name] {
			e := example{intent: bot.Intent(name)}
			for _, w := range strings.Fields(fold.Tone(text)) {
				w = oneSpelling(w)
				if meant, ok := u.short[w]; ok {
					e.words = append(e.words, meant...)
				} else {
					e.words = append(e.words, w)
				}
			}
			x.all = append(x.all, e)
		}
	}
	for i, e := range x.all {
		for at := range e.words {
			x.post(fold.Bare(e.words[at]), i, at)
			if at > 0 {
				x.post(fold.Bare(e.words[at-1])+" "+fold.Bare(e.words[at]), i, at-1)
			}
		}
	}
	norm := make([]float64, len(x.all))
	for key, list := range x.posts {
		idf := u.idf(key)
		for _, p := range list {
			norm[p.example] += idf * idf
		}
	}
	for key, list := range x.posts {
		idf := u.idf(key)
		for i, p := range list {
			list[i].weight = float32(idf / math.Sqrt(norm[p.example]))
		}
	}
}

// post notes that key is in example e. Once is enough.
func (x *examples) post(key string, e, at int) {
	list := x.posts[key]
	if n := len(list); n == 0 || int(list[n-1].example) != e {
		x.posts[key] = append(list, post{example: int32(e), at: int32(at)})
	}
}

// idf is how much a word or pair tells.
func (u *Understander) idf(key string) float64 {
	n := len(u.examples.posts[key])
	if n == 0 {
		return unknownIDF * math.Log(float64(len(u.examples.all)))
	}
	v := math.Log(float64(len(u.examples.all)) / float64(n))
	if u.fillers[key] {
		v *= fillerIDF
	}
	return v
}

// maxLike is how many words of a sentence are compared with the examples: a
// longer one tells a story.
const maxLike = 24

// nearest returns what the examples most like the sentence mean, or none.
func (u *Understander) nearest(s *sentence) bot.Intent {
	x := &u.examples
	if len(x.all) == 0 || len(s.words) == 0 || len(s.words) > maxLike {
		return bot.IntentNone
	}
	s.found.like = slices.Grow(s.found.like[:0], len(x.all))[:len(x.all)]
	like := s.found.like
	clear(like)
	norm := 0.0
	add := func(key string, matches func(e *example, at int) bool) {
		idf := u.idf(key)
		norm += idf * idf
		for _, p := range x.posts[key] {
			if matches(&x.all[p.example], int(p.at)) {
				like[p.example] += idf * float64(p.weight)
			}
		}
	}
	var last *form
	for i := range s.words {
		f := u.exampleForm(&s.words[i])
		add(f.bare, func(e *example, at int) bool { return f.agrees(e.words[at]) })
		if last != nil {
			before := last
			if pair := before.bare + " " + f.bare; len(x.posts[pair]) > 0 {
				add(pair, func(e *example, at int) bool {
					return before.agrees(e.words[at]) && f.agrees(e.words[at+1])
				})
			}
		}
		last = f
	}
	var few [nearestFew]near // most like first
	for e, v := range like {
		n := near{e, v}
		for i := range few {
			if n.like > few[i].like {
				few[i], n = n, few[i]
			}
		}
	}
	if norm == 0 || few[0].like == 0 {
		return bot.IntentNone
	}
	votes := map[bot.Intent]float64{}
	for _, n := range few {
		if n.like > 0 {
			votes[x.all[n.example].intent] += n.like / math.Sqrt(norm)
		}
	}
	best, most, second := bot.IntentNone, 0.0, 0.0
	for intent, v := range votes {
		if v > most {
			best, most, second = intent, v, most
		} else if v > second {
			second = v
		}
	}
	if few[0].like/math.Sqrt(norm) < nearFirst || most < nearEnough || most < nearLead*second || !u.mayGuess[best] {
		return bot.IntentNone
	}
	return best
}

// near is an example and how like the sentence it is.
type near struct {
	example int
	like    float64
}

// exampleForm is the reading of a word that the examples know, else the first.
func (u *Understander) exampleForm(w *word) *form {
	for i := range w.forms {
		if len(u.examples.posts[w.forms[i].bare]) > 0 {
			return &w.forms[i]
		}
	}
	return &w.forms[0]
}

// agrees reports whether the form and a word of an example contradict each other.
func (f *form) agrees(word string) bool {
	return !f.accented || f.toned == word || !fold.Accented(word) || f.allows(word, false)
}

// checkExamples finds faults in the examples.
func checkExamples(table map[string][]string) (errs []error) {
	home := map[string]string{}
	for _, name := range sortedKeys(table) {
		if !slices.Contains(intents, bot.Intent(name)) && name != string(bot.IntentNone) && name != string(bot.IntentAsk) {
			errs = append(errs, fmt.Errorf("example of unknown intent %q", name))
		}
		for _, text := range table[name] {
			key := fold.Tone(text)
			switch other, ok := home[key]; {
			case key == "":
				errs = append(errs, fmt.Errorf("example of %s: %q has no words", name, text))
			case ok:
				errs = append(errs, fmt.Errorf("example %q is of %s and of %s", text, other, name))
			}
			home[key] = name
		}
	}
	return errs
}
