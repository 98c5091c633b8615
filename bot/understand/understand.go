// Package understand finds out what a sentence asks for.
//
// It knows nothing but the lexicon in content/understanding, which people
// without a compiler write: concepts (ways of saying one thing), and for every
// intent the patterns that ask for it, by how much they prove. A sentence is
// read word by word, with what each word may stand for (a shortened word, a
// slip, Telex left undecoded); phrases are found without regard to accents, and
// accents that were typed must not contradict: "đúng" is not "dừng". Guards
// ("dừng xe", "thi thoảng") make words mean nothing. Then every pattern that is
// found scores by its tier, by how many words it explains, and by how much of
// the sentence that is; the best wins. Where no pattern is found, the sentence
// may still be much like some of the examples in the lexicon (see nearest.go).
//
// It never guesses where a guess would act: an intent that stops or erases
// something wins only where the sentence is about little else and nothing else
// comes near; in doubt the answer is bot.IntentAsk with the readings to choose
// from. What is not understood is bot.IntentNone. Nothing is learnt or kept.
package understand

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// Understander understands sentences. It does not change once made and may be
// used by many goroutines.
type Understander struct {
	trie          *trie
	short         map[string][]string // a shortened word → the words meant
	slips         slips
	sounds        map[string][]string // how a word is heard → words of the lexicon
	filler        int                 // concept of filler words
	closing       int                 // concept of words that close a question
	courtesy      map[int]bool
	guards        []pattern
	guardsByFirst [][]int // guards by the first concept of their pattern
	outcomes      []outcome
	rules         []rule
	byFirst       [][]int // rules by the first concept of their pattern
	sure          map[string][]surePhrase
	finds         sync.Pool
	examples      examples
	fillers       map[string]bool     // without accents
	mayGuess      map[bot.Intent]bool // from examples: those that do not act
}

// outcome is what rules lead to: an intent, or a question between some.
type outcome struct {
	intent  bot.Intent
	between []bot.Intent
	acts    bool
	share   float64 // of the sentence, that an acting intent must explain
	lead    float64
	unless  []pattern
}

type surePhrase struct {
	words  string // with accents
	intent bot.Intent
}

// tier is how much a rule proves.
type tier int

const (
	tierWhole tier = iota
	tierClear
	tierLikely
	tierWeak
	tierFaint
)

// The score of a rule that is found: its tier's worth, so much for each word it
// explains, and so much for the share of the sentence that is.
var (
	worth    = [...]float64{tierWhole: 30, tierClear: 20, tierLikely: 14, tierWeak: 8, tierFaint: 0}
	minShare = [...]float64{tierWhole: 1, tierClear: 0, tierLikely: 0.5, tierWeak: 0.66, tierFaint: 0}
)

const (
	perWord   = 2.0
	perShare  = 5.0
	perSlip   = 1.5
	perVague  = 1.0
	fillerPay = 0.5 // of a word

	// An intent that acts must explain its share of the sentence, or leave at
	// most this many words unexplained; and beat the next by this much.
	actSpare  = 1.0
	actMargin = 3.0
)

type rule struct {
	outcome int
	tier    tier
	pattern pattern
}

// New reads and checks the lexicon in files (folder Dir) and returns one error
// that joins everything wrong with it.
func New(files fs.FS) (*Understander, error) {
	u, errs := load(files)
	if len(errs) > 0 {
		return nil, fmt.Errorf("lexicon of free text: %w", errors.Join(errs...))
	}
	return u, nil
}

func newUnderstander() *Understander {
	return &Understander{
		trie:     newTrie(),
		short:    map[string][]string{},
		courtesy: map[int]bool{},
		sure:     map[string][]surePhrase{},
		sounds:   map[string][]string{},
		fillers:  map[string]bool{},
		mayGuess: map[bot.Intent]bool{},
	}
}

// finish builds the indexes once everything has been added.
func (u *Understander) finish(lex *lexicon) {
	for _, p := range lex.Filler {
		u.fillers[fold.Fold(p)] = true
	}
	for _, o := range u.outcomes {
		u.mayGuess[o.intent] = !o.acts && o.intent != bot.IntentAsk
	}
	u.setExamples(lex.Example)
	for _, e := range u.examples.all {
		for _, w := range e.words {
			if e.intent != bot.IntentNone {
				u.trie.words[fold.Bare(w)] = true
			}
		}
	}
	u.slips = newSlips(u.trie.words)
	for _, w := range sortedKeys(u.trie.words) {
		if isSyllable(w) {
			u.sounds[sound(w)] = append(u.sounds[sound(w)], w)
		}
	}
	u.finds.New = func() any { return &finds{by: make([][]found, u.trie.concepts)} }
	u.guardsByFirst = make([][]int, u.trie.concepts)
	for i, g := range u.guards {
		first := g.parts[0][0]
		u.guardsByFirst[first] = append(u.guardsByFirst[first], i)
	}
	u.byFirst = make([][]int, u.trie.concepts)
	for i, r := range u.rules {
		first := r.pattern.parts[0][0]
		u.byFirst[first] = append(u.byFirst[first], i)
	}
}

// reason is why a sentence was understood as it was.
type reason struct {
	outcome int
	score   float64
	share   float64 // of the sentence that it explains
	words   bits    // that it explains
}

// Understand says what text asks for. Every input has an answer; only the first
// 256 words count.
func (u *Understander) Understand(text string) bot.Understanding {
	toned := fold.Tone(text)
	if toned == "" {
		return bot.Understanding{Intent: bot.IntentNone}
	}
	for _, p := range u.sure[fold.Bare(toned)] {
		if canStandFor(toned, p.words) {
			return bot.Understanding{Intent: p.intent, Sure: true}
		}
	}
	if bareAnswer(toned) {
		return bot.Understanding{Intent: bot.IntentNone}
	}
	s := u.sentence(toned)
	defer func() {
		s.found.clear()
		u.finds.Put(s.found)
	}()
	reasons := make([]reason, len(u.outcomes))
	for _, concept := range s.found.hits {
		for _, i := range u.byFirst[concept] {
			r := &u.rules[i]
			if why, ok := s.score(u, r); ok && why.score > reasons[r.outcome].score {
				reasons[r.outcome] = why
			}
		}
	}
	for o := range reasons {
		if reasons[o].score > 0 && s.any(u.outcomes[o].unless) {
			reasons[o] = reason{}
		}
	}
	return u.decide(s, reasons)
}

// canStandFor reports whether each word typed can stand for the one wanted.
func canStandFor(typed, want string) bool {
	for typed != "" && want != "" {
		var t, w string
		t, typed, _ = strings.Cut(typed, " ")
		w, want, _ = strings.Cut(want, " ")
		if !fold.Allows(t, w) {
			return false
		}
	}
	return typed == "" && want == ""
}

// decide picks the best outcome; one that acts only when it is beyond doubt.
func (u *Understander) decide(s *sentence, reasons []reason) bot.Understanding {
	best := -1
	for i := range reasons {
		if reasons[i].score > 0 && (best < 0 || reasons[i].score > reasons[best].score) {
			best = i
		}
	}
	if best < 0 {
		if s.guarded {
			return bot.Understanding{Intent: bot.IntentNone}
		}
		return bot.Understanding{Intent: u.nearest(s)}
	}
	o := u.outcomes[best]
	if !o.acts {
		return bot.Understanding{Intent: o.intent, Between: askOnly(o)}
	}
	r := &reasons[best]
	for i := range reasons {
		rival := &reasons[i]
		// What lies within the best reading is explained by it: "nhận tin" in
		// "không nhận tin nữa".
		other := u.outcomes[i].intent
		if i == best || rival.score <= 0 || other == bot.IntentAsk || r.score-rival.score >= actMargin ||
			rival.words != r.words && rival.words.within(&r.words) {
			continue
		}
		return bot.Understanding{Intent: bot.IntentAsk, Between: []bot.Intent{o.intent, other}}
	}
	if spare := s.weight * (1 - r.share); r.share < o.share && spare > actSpare {
		return bot.Understanding{Intent: bot.IntentAsk, Between: o.between}
	}
	return bot.Understanding{Intent: o.intent}
}

func askOnly(o outcome) []bot.Intent {
	if o.intent == bot.IntentAsk {
		return o.between
	}
	return nil
}

// bareAnswer reports whether text is no more than a number, perhaps with one word
// beside it: an answer to a question that is not open any more, and like any
// sentence with a number in it.
func bareAnswer(toned string) bool {
	numbers, others := 0, 0
	for w := range strings.FieldsSeq(toned) {
		if strings.Trim(w, "0123456789") == "" {
			numbers++
		} else {
			others++
		}
	}
	return numbers > 0 && others < 2
}
