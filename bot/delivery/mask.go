package delivery

import (
	"strings"
	"unicode"
)

// Mask hides the digits of citizen numbers (nine or twelve digits) and phone
// numbers (ten beginning with 0, eleven beginning with 84) in text, also where
// they are written in groups. Dossier codes, dates and amounts stay readable
// unless they look exactly like such a number.
func Mask(text string) string {
	runes := []rune(text)
	var groups []span // of the run of digit groups under the eye
	for i := 0; i < len(runes); {
		if !unicode.IsDigit(runes[i]) {
			i++
			continue
		}
		end := i
		for end < len(runes) && unicode.IsDigit(runes[end]) {
			end++
		}
		if n := len(groups); n > 0 && !(i-groups[n-1].end == 1 && separates(runes[i-1])) {
			hide(runes, groups)
			groups = groups[:0]
		}
		groups = append(groups, span{i, end})
		i = end
	}
	hide(runes, groups)
	return string(runes)
}

// span is a group of digits.
type span struct{ start, end int }

// separates reports whether r stands between the groups of one number.
func separates(r rune) bool { return strings.ContainsRune(" .-\u00a0\u2011\u2013", r) }

// hide masks the numbers in a run of groups, the longest first from the left.
func hide(runes []rune, groups []span) {
	for i := 0; i < len(groups); {
		j := len(groups)
		for j > i && !private(runes, groups[i:j]) {
			j--
		}
		if j == i {
			i++
			continue
		}
		for _, g := range groups[i:j] {
			for k := g.start; k < g.end; k++ {
				runes[k] = '*'
			}
		}
		i = j
	}
}

// private reports whether groups together are a citizen number or a phone number.
func private(runes []rune, groups []span) bool {
	var digits []int
	shortest, longest := len(runes), 0
	for _, g := range groups {
		shortest, longest = min(shortest, g.end-g.start), max(longest, g.end-g.start)
		for _, r := range runes[g.start:g.end] {
			digits = append(digits, digit(r))
		}
		if len(digits) > 12 {
			return false
		}
	}
	alone := len(groups) == 1
	switch len(digits) {
	case 9:
		return alone || len(groups) == 3 && shortest == 3
	case 10:
		return digits[0] == 0 && (alone || shortest >= 2)
	case 11:
		return digits[0] == 8 && digits[1] == 4 && (alone || shortest >= 2)
	case 12:
		return alone || shortest >= 3 && longest <= 4 // 3-3-3-3, 4-4-4
	}
	return false
}

// digit is the value of a decimal digit of any script: their blocks are ten long.
func digit(r rune) int {
	n := 0
	for n < 9 && unicode.IsDigit(r-rune(n+1)) {
		n++
	}
	if r < 0x100 {
		return int(r - '0')
	}
	return n
}
