package broadcast

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	// mostLetters is how much of a name is said; a longer one ends with "…".
	mostLetters = 40
	// mostMarks is how many marks a letter may bear beyond those that are part of it.
	mostMarks = 2
)

// CleanName is a name as a message says it: one line, without anything invisible,
// without floods of marks, at most mostLetters long and cut between words where
// that leaves enough. What has no letter is no name: it becomes empty.
func CleanName(raw string) string {
	var b strings.Builder
	letters, marks := 0, 0
	lastSpace := 0 // where b may be cut between words; 0: nowhere
	named, space, whole := false, false, true
	for _, r := range norm.NFC.String(strings.ToValidUTF8(raw, "")) {
		switch {
		case unicode.IsSpace(r):
			space = letters > 0
			continue
		case unicode.Is(unicode.C, r), r == unicode.ReplacementChar, unicode.Is(unicode.Variation_Selector, r):
			continue
		case unicode.IsMark(r):
			if marks++; letters > 0 && !space && marks <= mostMarks {
				b.WriteRune(r)
			}
			continue
		}
		if letters == mostLetters {
			whole = false
			break
		}
		if space {
			lastSpace = b.Len()
			b.WriteByte(' ')
			letters++
			space = false
			if letters == mostLetters {
				whole = false
				break
			}
		}
		b.WriteRune(r)
		letters, marks = letters+1, 0
		named = named || unicode.IsLetter(r)
	}
	if !named {
		return ""
	}
	name := b.String()
	if !whole {
		if lastSpace >= len(name)/2 {
			name = name[:lastSpace]
		}
		name = strings.TrimRight(name, " ") + "…"
	}
	return norm.NFC.String(name)
}
