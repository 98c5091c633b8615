package understand

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"congdanso/bot"
	"congdanso/bot/fold"

	"github.com/BurntSushi/toml"
)

// Dir is the folder of the lexicon in the content.
const Dir = "understanding"

// lexicon is what the files of Dir say together. Maps of several files are
// joined; lists of the same name are appended.
type lexicon struct {
	// Short tells what shortened words stand for: "hs" is "hồ sơ".
	Short map[string]string `toml:"short"`
	// Filler lists words and phrases that ask for nothing.
	Filler []string `toml:"filler"`
	// Closing lists words that ask for nothing at the end of a sentence only.
	Closing []string `toml:"closing"`
	// Courtesy names concepts (greeting, thanks) that surround a request.
	Courtesy []string `toml:"courtesy"`
	// Guard lists patterns whose words mean nothing to the channel.
	Guard []string `toml:"guard"`
	// Concept lists ways of saying one thing.
	Concept map[string][]string `toml:"concept"`
	Intent  map[string]intent   `toml:"intent"`
	Ask     []ask               `toml:"ask"`
	// Example lists sentences by what they mean, none and ask included.
	Example map[string][]string `toml:"example"`
}

// intent lists the patterns that ask for one thing, by how much they prove.
type intent struct {
	tiers
	// Sure lists fixed phrases that act wherever the conversation stands.
	Sure []string `toml:"sure"`
	// Acts marks an intent that does something at once or cannot be undone: in
	// doubt the resident is asked.
	Acts bool `toml:"acts"`
	// Doubt is the other reading offered when an acting intent is in doubt.
	Doubt string `toml:"doubt"`
	// Share is how much of a sentence (0 to 1) an acting intent must explain,
	// unless at most one word is left over; in doubt the resident is asked.
	Share float64 `toml:"share"`
	// Lead is added to the intent's score: what cannot wait comes first.
	Lead float64 `toml:"lead"`
}

// tiers are lists of patterns, weakest last.
type tiers struct {
	Whole  []string `toml:"whole"`  // the whole sentence, fillers aside
	Clear  []string `toml:"clear"`  // decides wherever it stands
	Likely []string `toml:"likely"` // when it is half of the sentence
	Weak   []string `toml:"weak"`   // when there is little else in the sentence
	Faint  []string `toml:"faint"`  // when nothing else is found
	Unless []string `toml:"unless"` // none of the above counts where one of these is found
}

// ask lists what can mean several things.
type ask struct {
	tiers
	Between []string `toml:"between"`
	Lead    float64  `toml:"lead"` // as an intent's
}

// intents are those a lexicon may name.
var intents = []bot.Intent{
	bot.IntentGreet, bot.IntentMenu, bot.IntentLookup, bot.IntentMine, bot.IntentNotices,
	bot.IntentStop, bot.IntentContest, bot.IntentPractice, bot.IntentResult, bot.IntentHuman,
	bot.IntentWhere, bot.IntentData, bot.IntentErase, bot.IntentWithdraw, bot.IntentEnglish,
	bot.IntentVietnamese, bot.IntentCancel, bot.IntentThanks, bot.IntentComplain,
	bot.IntentPetition, bot.IntentProcedure, bot.IntentEmergency, bot.IntentTrust,
	bot.IntentRead, bot.IntentRate, bot.IntentUnfollow,
}

// Check reads the lexicon in files and returns everything wrong with it: unknown
// keys, intents and concepts, empty or repeated phrases, a pattern that stands
// under two intents, an intent without any, a concept nobody uses.
func Check(files fs.FS) []error {
	_, errs := load(files)
	return errs
}

// load reads and compiles the lexicon.
func load(files fs.FS) (*Understander, []error) {
	lex, errs := read(files)
	if len(errs) > 0 {
		return nil, errs
	}
	return compile(lex)
}

func read(files fs.FS) (*lexicon, []error) {
	entries, err := fs.ReadDir(files, Dir)
	if err != nil {
		return nil, []error{fmt.Errorf("read lexicon: %w", err)}
	}
	all := &lexicon{Short: map[string]string{}, Concept: map[string][]string{}, Intent: map[string]intent{}, Example: map[string][]string{}}
	var errs []error
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".toml" {
			continue
		}
		name := path.Join(Dir, e.Name())
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read lexicon: %w", err))
			continue
		}
		var one lexicon
		meta, err := toml.Decode(string(raw), &one)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		for _, key := range meta.Undecoded() {
			errs = append(errs, fmt.Errorf("%s: unknown key %s", name, key))
		}
		errs = append(errs, all.join(name, one)...)
	}
	if len(errs) == 0 && len(all.Intent) == 0 {
		errs = append(errs, errors.New("the lexicon has no intents"))
	}
	return all, errs
}

// join adds what one file says. The same name in two files is an error: the
// reader of one file would not know of the other.
func (l *lexicon) join(file string, one lexicon) (errs []error) {
	l.Filler = append(l.Filler, one.Filler...)
	l.Closing = append(l.Closing, one.Closing...)
	l.Courtesy = append(l.Courtesy, one.Courtesy...)
	l.Guard = append(l.Guard, one.Guard...)
	l.Ask = append(l.Ask, one.Ask...)
	for k, v := range one.Example {
		l.Example[k] = append(l.Example[k], v...)
	}
	for k, v := range one.Short {
		if _, ok := l.Short[k]; ok {
			errs = append(errs, fmt.Errorf("%s: short %q is in two files", file, k))
		}
		l.Short[k] = v
	}
	for k, v := range one.Concept {
		if _, ok := l.Concept[k]; ok {
			errs = append(errs, fmt.Errorf("%s: concept %q is in two files", file, k))
		}
		l.Concept[k] = v
	}
	for k, v := range one.Intent {
		if _, ok := l.Intent[k]; ok {
			errs = append(errs, fmt.Errorf("%s: intent %q is in two files", file, k))
		}
		l.Intent[k] = v
	}
	return errs
}

// compiler turns a lexicon into an Understander and notes what is wrong.
type compiler struct {
	u        *Understander
	concepts map[string]int // by name; literals by "=" and their text
	used     map[string]bool
	home     map[string]string // where a pattern stands
	errs     []error
}

func compile(lex *lexicon) (*Understander, []error) {
	c := &compiler{
		u:        newUnderstander(),
		concepts: map[string]int{},
		used:     map[string]bool{},
		home:     map[string]string{},
	}
	c.short(lex.Short)
	for _, name := range sortedKeys(lex.Concept) {
		c.concepts[name] = c.u.trie.newConcept()
		c.phrases("concept "+name, c.concepts[name], lex.Concept[name])
	}
	for _, name := range lex.Courtesy {
		if id, ok := c.concepts[name]; ok {
			c.u.courtesy[id] = true
			c.used[name] = true
		} else {
			c.fault("courtesy names unknown concept %q", name)
		}
	}
	c.u.filler = c.u.trie.newConcept()
	c.phrases("filler", c.u.filler, lex.Filler)
	c.u.closing = c.u.trie.newConcept()
	c.phrases("closing", c.u.closing, lex.Closing)
	for _, p := range lex.Guard {
		if pat, ok := c.pattern("guard", p); ok {
			c.u.guards = append(c.u.guards, pat)
		}
	}
	for _, name := range sortedKeys(lex.Intent) {
		c.intent(bot.Intent(name), lex.Intent[name])
	}
	for i, a := range lex.Ask {
		c.ask(i+1, a)
	}
	for _, name := range sortedKeys(lex.Concept) {
		if !c.used[name] {
			c.fault("concept %q is used nowhere", name)
		}
	}
	c.errs = append(c.errs, checkExamples(lex.Example)...)
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	c.u.finish(lex)
	return c.u, nil
}

func (c *compiler) fault(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// phrases adds ways of saying concept id.
func (c *compiler) phrases(where string, id int, list []string) {
	if len(list) == 0 {
		c.fault("%s is empty", where)
	}
	seen := map[string]bool{}
	for _, p := range list {
		words := lexWords(p)
		key := strings.Join(words, " ")
		if key == "" {
			c.fault("%s: %q has no words", where, p)
			continue
		}
		if seen[key] {
			c.fault("%s: %q is there twice", where, p)
		}
		if len(words) > maxPhrase {
			c.fault("%s: %q has more than %d words", where, p, maxPhrase)
		}
		for _, w := range words {
			if len(c.u.short[w]) > 1 {
				c.fault("%s: %q: %q is short for %q; write that", where, p, w, strings.Join(c.u.short[w], " "))
			}
		}
		seen[key] = true
		c.u.trie.add(id, words, strings.HasPrefix(p, "="))
	}
}

func (c *compiler) short(table map[string]string) {
	for _, k := range sortedKeys(table) {
		typed, meant := lexWords(k), lexWords(table[k])
		if len(typed) != 1 || len(meant) == 0 {
			c.fault("short %q = %q: one word is short for one or more", k, table[k])
			continue
		}
		c.u.short[typed[0]] = meant
	}
}

func (c *compiler) intent(name bot.Intent, in intent) {
	if !slices.Contains(intents, name) {
		c.fault("unknown intent %q", name)
		return
	}
	where := "intent " + string(name)
	o := outcome{intent: name, acts: in.Acts, lead: in.Lead}
	if in.Acts {
		if !slices.Contains(intents, bot.Intent(in.Doubt)) {
			c.fault("%s acts, and its doubt %q is no intent", where, in.Doubt)
		}
		if in.Share <= 0 || in.Share > 1 {
			c.fault("%s acts, and its share is %v, not between 0 and 1", where, in.Share)
		}
		o.share, o.between = in.Share, []bot.Intent{name, bot.Intent(in.Doubt)}
	}
	c.outcome(where, o, in.tiers, len(in.Sure))
	for _, p := range in.Sure {
		words := strings.Join(lexWords(p), " ")
		if words == "" {
			c.fault("%s: sure phrase %q has no words", where, p)
			continue
		}
		key := fold.Bare(words)
		c.once(where, "sure", p)
		c.u.sure[key] = append(c.u.sure[key], surePhrase{words: words, intent: name})
	}
}

func (c *compiler) ask(number int, a ask) {
	where := fmt.Sprintf("ask %d", number)
	o := outcome{intent: bot.IntentAsk, lead: a.Lead}
	for _, name := range a.Between {
		if !slices.Contains(intents, bot.Intent(name)) {
			c.fault("%s: unknown intent %q", where, name)
		}
		o.between = append(o.between, bot.Intent(name))
	}
	if len(a.Between) < 2 {
		c.fault("%s: there is nothing to choose between", where)
	}
	c.outcome(where, o, a.tiers, 0)
}

func (c *compiler) outcome(where string, o outcome, t tiers, others int) {
	if len(t.Whole)+len(t.Clear)+len(t.Likely)+len(t.Weak)+len(t.Faint)+others == 0 {
		c.fault("%s has no patterns", where)
	}
	at := len(c.u.outcomes)
	c.u.outcomes = append(c.u.outcomes, o)
	for _, l := range []struct {
		tier tier
		name string
		list []string
	}{{tierWhole, "whole", t.Whole}, {tierClear, "clear", t.Clear}, {tierLikely, "likely", t.Likely}, {tierWeak, "weak", t.Weak}, {tierFaint, "faint", t.Faint}} {
		for _, p := range l.list {
			pat, ok := c.pattern(where, p)
			if !ok {
				continue
			}
			c.once(where, l.name, p)
			c.u.rules = append(c.u.rules, rule{outcome: at, tier: l.tier, pattern: pat})
		}
	}
	for _, p := range t.Unless {
		if pat, ok := c.pattern(where, p); ok {
			c.u.outcomes[at].unless = append(c.u.outcomes[at].unless, pat)
		}
	}
}

// once notes where a pattern stands. Twice in one list is a fault, and so is
// the same pattern under two intents; whole and weak of one intent may share it.
func (c *compiler) once(where, list, p string) {
	key := strings.Join(strings.Fields(p), " ")
	at := where + ", " + list
	if c.home[key+"\n"+at] != "" {
		c.fault("%q is in %s twice", p, at)
	}
	c.home[key+"\n"+at] = at
	if other, ok := c.home[key]; ok && other != where {
		c.fault("%q is in %s and in %s", p, other, where)
	}
	c.home[key] = where
}

// pattern compiles "part + part" (in any order) or "part .. part" (in this
// order). A part is words, {concepts} and * (any one word), side by side.
func (c *compiler) pattern(where, text string) (pattern, bool) {
	var pat pattern
	sep := " + "
	if strings.Contains(text, " .. ") {
		pat.ordered, sep = true, " .. "
		if strings.Contains(text, " + ") {
			c.fault("%s: %q mixes + and ..", where, text)
			return pat, false
		}
	}
	for part := range strings.SplitSeq(text, sep) {
		var p []int
		var literal []string
		flush := func() {
			if len(literal) > 0 {
				p = append(p, c.literal(where, strings.Join(literal, " ")))
				literal = nil
			}
		}
		for _, el := range strings.Fields(part) {
			switch name, isConcept := strings.CutPrefix(el, "{"); {
			case isConcept:
				flush()
				name = strings.TrimSuffix(name, "}")
				id, ok := c.concepts[name]
				if !ok {
					c.fault("%s: %q: unknown concept %q", where, text, name)
					return pat, false
				}
				c.used[name] = true
				p = append(p, id)
			case el == "*":
				flush()
				p = append(p, anyWord)
			default:
				literal = append(literal, el)
			}
		}
		flush()
		if len(p) == 0 || p[0] == anyWord {
			c.fault("%s: %q has a part without words", where, text)
			return pat, false
		}
		pat.parts = append(pat.parts, p)
	}
	return pat, true
}

func (c *compiler) literal(where, words string) int {
	id, ok := c.concepts["="+words]
	if !ok {
		id = c.u.trie.newConcept()
		c.concepts["="+words] = id
		c.phrases(where, id, []string{words})
	}
	return id
}

// lexWords are the words of a phrase of the lexicon, with accents.
func lexWords(phrase string) []string {
	words := strings.Fields(fold.Tone(phrase))
	for i := range words {
		words[i] = oneSpelling(words[i])
	}
	return words
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
