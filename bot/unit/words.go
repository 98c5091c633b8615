package unit

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"congdanso/bot/fold"
)

// words is what people say around the name of a unit. Phrases are folded.
type words struct {
	first  map[string]string   // how the tables write a kind
	before map[string][]string // kinds, by a phrase before the name
	after  map[string][]string // kinds, by a phrase behind it
	when   map[string]era
	around map[string]bool
	most   int // words of the longest phrase
}

// era is which of two units of one name is meant.
type era int

const (
	anyTime era = iota
	former
	present
)

// readWords reads the table of words.
func (l *loader) readWords() {
	w := words{first: map[string]string{}, before: map[string][]string{}, after: map[string][]string{},
		when: map[string]era{}, around: map[string]bool{}}
	defer func() { l.words = w }()
	raw, err := fs.ReadFile(l.fsys, wordsFile)
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("read %s: %w", wordsFile, err))
		return
	}
	var file struct {
		Kind   map[string]struct{ Before, After []string }
		Time   struct{ Old, New []string }
		Around struct{ Words []string }
	}
	meta, err := toml.Decode(string(raw), &file)
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("%s: %w", wordsFile, err))
		return
	}
	for _, key := range meta.Undecoded() {
		l.faults = append(l.faults, fmt.Errorf("%s: unknown key %s", wordsFile, key))
	}
	folded := func(phrase string) string {
		f := fold.Fold(phrase)
		if f == "" {
			l.faults = append(l.faults, fmt.Errorf("%s: %q is no word", wordsFile, phrase))
		}
		w.most = max(w.most, 1+strings.Count(f, " "))
		return f
	}
	for _, kind := range slices.Sorted(maps.Keys(file.Kind)) {
		if _, ok := kinds[kind]; !ok {
			l.faults = append(l.faults, fmt.Errorf("%s: unknown kind %q", wordsFile, kind))
			continue
		}
		for _, phrase := range file.Kind[kind].Before {
			w.before[folded(phrase)] = append(w.before[folded(phrase)], kind)
		}
		for _, phrase := range file.Kind[kind].After {
			w.after[folded(phrase)] = append(w.after[folded(phrase)], kind)
		}
		if before := file.Kind[kind].Before; len(before) > 0 {
			w.first[kind] = before[0]
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if w.first[kind] == "" {
			l.faults = append(l.faults, fmt.Errorf("%s: no words before a name of kind %q", wordsFile, kind))
		}
	}
	for _, phrase := range file.Time.Old {
		w.when[folded(phrase)] = former
	}
	for _, phrase := range file.Time.New {
		w.when[folded(phrase)] = present
	}
	for _, phrase := range file.Around.Words {
		w.around[folded(phrase)] = true
	}
}
