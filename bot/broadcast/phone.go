package broadcast

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Why a value of a list is no number to write to: the ends of keys under
// broadcast.list.fault.
const (
	faultEmpty     = "empty"
	faultRounded   = "rounded"   // a spreadsheet kept the first digits only
	faultLetters   = "letters"   // something that is no number
	faultLength    = "length"    // too few or too many digits
	faultLandline  = "landline"  // no mobile number, so no Zalo account
	faultDuplicate = "duplicate" // stands further up
)

var (
	// decimal is a number as a spreadsheet writes it: 912345678.0.
	decimal = regexp.MustCompile(`^(\d{9,13})[.,]0{1,2}$`)
	// scientific is one in which its column was too narrow for a spreadsheet:
	// 9.12345678E+08.
	scientific = regexp.MustCompile(`^(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})$`)
)

// readPhone reads a mobile number in any of the spellings that lists hold, and
// brings it to the form 84…. fault says why it is none; empty when it is one.
func readPhone(raw string) (phone, fault string) {
	s := plainNumber(raw)
	if s == "" {
		return "", faultEmpty
	}
	if m := decimal.FindStringSubmatch(s); m != nil {
		s = m[1]
	} else if m := scientific.FindStringSubmatch(s); m != nil {
		exponent, err := strconv.Atoi(m[3])
		// With fewer digits than the number has, the rest is lost for good.
		if err != nil || len(m[2]) < exponent {
			return "", faultRounded
		}
		if strings.Trim(m[2][exponent:], "0") != "" {
			return "", faultLetters
		}
		s = m[1] + m[2][:exponent]
	}
	var digits strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case strings.ContainsRune("+ .,-()/_", r):
		default:
			return "", faultLetters
		}
	}
	return nationalNumber(digits.String())
}

// nationalNumber takes the prefix off, whichever was written, and looks at the rest.
func nationalNumber(d string) (phone, fault string) {
	switch {
	case strings.HasPrefix(d, "0084"):
		d = d[4:]
	case strings.HasPrefix(d, "84") && len(d) >= 11:
		d = d[2:]
	}
	d = strings.TrimPrefix(d, "0")
	switch {
	case d == "":
		return "", faultLetters
	case d[0] == '2' && (len(d) == 9 || len(d) == 10):
		return "", faultLandline
	case len(d) != 9:
		return "", faultLength
	case !strings.ContainsRune("35789", rune(d[0])):
		return "", faultLandline
	}
	return "84" + d, ""
}

// plainNumber takes away what people and programs put around a number: full-width
// digits, blanks of all kinds, the apostrophe that keeps a spreadsheet from counting.
func plainNumber(raw string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r), r == '\'', r == '’', r == '‘', r == '`', r == '"':
			return -1
		case unicode.Is(unicode.Pd, r), r == '−', r == '·', r == '•':
			return '-'
		}
		return r
	}, norm.NFKC.String(strings.ToValidUTF8(raw, "?")))
	s = strings.TrimSpace(s)
	if rest, found := strings.CutPrefix(s, "="); found { // ="0912345678"
		s = strings.TrimSpace(rest)
	}
	return strings.TrimPrefix(s, "tel:")
}

// maskValue shows enough of a value to find it in its file, and no more: the last
// three digits of a number, the first letter of a word.
func maskValue(raw string) string {
	runes := []rune(plainNumber(raw))
	const most = 20
	cut := len(runes) > most
	runes = runes[:min(len(runes), most)]
	digits := 0
	for _, r := range runes {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	seen, word := 0, false
	for i, r := range runes {
		switch {
		case unicode.IsDigit(r):
			if seen++; digits < 7 || seen <= digits-3 || cut {
				runes[i] = '•'
			}
		case unicode.IsLetter(r) || unicode.IsMark(r):
			if word || digits >= 7 {
				runes[i] = '•'
			}
			word = true
			continue
		case r != ' ':
			if !strings.ContainsRune("+.,-()/_", r) {
				runes[i] = '•'
			}
		}
		word = false
	}
	if cut {
		return string(runes) + "…"
	}
	return string(runes)
}
