package runtime

import (
	"slices"
	"strconv"
	"strings"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// filler is what people put around a choice and that changes nothing about it.
// Folded: these are recognised, never shown.
var filler = []string{
	"a", "ah", "da", "vang", "nhe", "nha", "nhi", "voi", "giup", "cho", "em", "anh", "chi", "toi", "bac", "chau",
	"minh", "xin", "di", "so", "chon", "cau", "muc", "phan", "the", "la", "ad", "oi", "please", "number", "option",
}

// negation turns a choice's words into their opposite.
var negation = []string{"khong", "ko", "k", "hong", "hem", "dung", "chua", "cha", "no", "not", "dont"}

// choose finds the choice that text stands for: by number ("2", "2.", "số 2"),
// letter ("b"), or words, with or without accents and with the courtesies people
// add. It returns the choice's payload.
func choose(choices []bot.Choice, text string) (payload string, ok bool) {
	words := fold.Words(text)
	if len(words) == 0 || len(words) > 12 {
		return "", false
	}
	if i, ok := byWords(choices, text, words); ok {
		return choices[i].Payload, choices[i].Payload != ""
	}
	core := slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		return slices.Contains(filler, w) && len(words) > 1
	})
	if len(core) != 1 {
		return "", false
	}
	for i, c := range choices {
		n := bot.Number(choices, i)
		if core[0] == strconv.Itoa(n) || n > 0 && len(words) == 1 && core[0] == string(rune('a'+n-1)) {
			return c.Payload, c.Payload != ""
		}
	}
	return "", false
}

// byWords finds the one choice whose title, label or words were said, alone or
// inside a short sentence that does not negate them.
func byWords(choices []bot.Choice, text string, words []string) (int, bool) {
	for i, c := range choices {
		for _, said := range ways(c) {
			if fold.SameWords(text, said) {
				return i, true
			}
		}
	}
	found := -1
	for i, c := range choices {
		for _, said := range ways(c) {
			if !within(words, fold.Words(said)) {
				continue
			}
			if found >= 0 && found != i {
				return 0, false // it names two choices: it is none
			}
			found = i
		}
	}
	return found, found >= 0
}

func ways(c bot.Choice) []string {
	said := append([]string{c.Title}, c.Words...)
	if c.Label != "" {
		said = append(said, c.Label)
	}
	return said
}

// within reports whether said stands in words as a run, with nothing but filler
// around it.
func within(words, said []string) bool {
	if len(said) == 0 || len(said) > len(words) {
		return false
	}
	at := strings.Index(" "+strings.Join(words, " ")+" ", " "+strings.Join(said, " ")+" ")
	if at < 0 {
		return false
	}
	start := strings.Count((" " + strings.Join(words, " "))[:at], " ")
	for i, w := range words {
		inside := i >= start && i < start+len(said)
		if !inside && (slices.Contains(negation, w) || !slices.Contains(filler, w)) {
			return false
		}
	}
	return true
}
