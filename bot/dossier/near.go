package dossier

import (
	"strings"
	"time"
)

// candidate is a stretch of text that looks somewhat like a code, but is none.
type candidate struct {
	raw     string
	prefix  string // groups before the head, each with its dot: "000.00.16."
	head    string // "H42", perhaps with letters for digits, a gap, or digits run together
	groups  string // ".16", ".33.07"
	rest    string // date and number with what separates them
	glued   bool   // a letter or digit stands right before
	dangled bool   // a letter or digit stands right after
}

// judge says what is wrong with it, or nil when it was hardly meant as a code.
func (n *candidate) judge(today time.Time) *Fault {
	if !n.meant() {
		return nil
	}
	tokens, glued := n.tokens()
	agency, letters, whole := n.agency()
	if len(tokens) == 0 {
		return &Fault{Kind: FaultShape, Suggestion: n.repair(today)}
	}
	date := fixLetters(tokens[0], &letters)
	if len(date) != 6 && len(date) != 8 || !whole {
		if code := n.repair(today); code != "" {
			return &Fault{Kind: FaultShape, Suggestion: code}
		}
		if whole && len(date) >= 5 && len(date) <= 9 {
			return &Fault{Kind: FaultDate, Digits: tokens[0]}
		}
		return &Fault{Kind: FaultShape}
	}
	if fault := dateFault(date, today); fault != nil {
		fault.Digits = tokens[0]
		return fault
	}
	if len(tokens) == 1 {
		return &Fault{Kind: FaultShort, Missing: 4}
	}
	seq := fixLetters(tokens[1], &letters)
	switch {
	case len(seq) < 4 && len(tokens) == 3 && len(seq)+len(tokens[2]) == 4 && isDigits(tokens[2]):
		return shape(agency+"-"+date+"-"+seq+tokens[2], today)
	case len(seq) < 4:
		return &Fault{Kind: FaultShort, Missing: 4 - len(seq)}
	case len(seq) > 7:
		return &Fault{Kind: FaultLong, Digits: tokens[1]}
	}
	fault := shape(agency+"-"+date+"-"+seq, today)
	if letters != "" && fault.Suggestion != "" && !glued && !n.glued {
		fault.Kind = FaultLetter
		fault.Letter = letters[:1]
		fault.Digit = digitFor(letters[0])
	}
	return fault
}

// shape is the fault of a code whose signs are wrong; it suggests code if that
// is well-formed.
func shape(code string, today time.Time) *Fault {
	f := &Fault{Kind: FaultShape}
	if _, next, ok := strict(code, 0, len(code), today); ok && next == len(code) {
		f.Suggestion = Code(code)
	}
	return f
}

// meant decides whether the stretch was meant as a code at all. Heads in use
// begin with H (provinces) and G (ministries, national portal); other letters
// need more evidence, for house and file numbers look alike.
func (n *candidate) meant() bool {
	if !strings.ContainsAny(n.head, "0123456789") {
		return false // a word such as "TOI"
	}
	digits := count(n.rest)
	dashed := strings.HasPrefix(n.rest, "-")
	dated := digits >= 5
	official := n.head[0] == 'H' || n.head[0] == 'G'
	gapped := n.head[1] < '0' || n.head[1] == ' '
	if gapped {
		return official && !n.glued && digits+count(n.groups) >= 10
	}
	if n.glued {
		return official && digits >= 10
	}
	old := strings.Count(n.prefix, ".") == 3
	switch {
	case old:
		return true
	case len(n.head) > 3: // separators missing after the head
		return official && count(n.raw) >= 12
	case n.groups != "":
		return official && (dated || dashed && digits >= 3) || dashed && digits >= 9
	}
	return official && dashed && dated || official && digits >= 9
}

// tokens splits the rest at its separators and cuts words that were typed right
// behind a number ("0001nhe"); glued reports such a cut.
func (n *candidate) tokens() (tokens []string, glued bool) {
	for _, t := range sepRE.Split(n.rest, -1) {
		if t == "" {
			continue
		}
		if i := strings.IndexFunc(t, func(r rune) bool { return !isDigitLike(r) }); i >= 0 {
			t, glued = strings.TrimRight(t[:i], "OIL"), true
		}
		if t != "" {
			tokens = append(tokens, t)
		}
	}
	return tokens, glued || n.dangled
}

// agency returns the part before the date with letters read as the digits they
// stand for, which letters those were, and whether it has the right shape.
func (n *candidate) agency() (agency, letters string, whole bool) {
	prefix := strings.ReplaceAll(n.prefix, ",", ".")
	prefix = fixLetters(prefix, &letters)
	head := n.head[:1] + fixLetters(n.head[1:], &letters)
	groups := strings.ReplaceAll(n.groups, ",", ".")
	agency = head + groups
	if groups == "" { // the old order, or what is left of it
		agency = prefix + head
	}
	return agency, letters, len(head) == 3 && isDigits(head[1:])
}

// repair puts missing separators back where there is only one way to do it, as
// in "H4216 240612-0001" or "H42.16-2406120001".
func (n *candidate) repair(today time.Time) Code {
	if n.prefix != "" {
		return ""
	}
	var letters string
	digits := fixLetters(keep(n.head[1:]+n.groups+n.rest), &letters)
	if !isDigits(digits) || len(digits) < 12 || len(digits) > 24 {
		return ""
	}
	var only Code
	for groups := 0; groups <= 3; groups++ {
		agency := n.head[:1] + digits[:2]
		rest := digits[2:]
		for g := 0; g < groups && len(rest) > 2; g++ {
			agency, rest = agency+"."+rest[:2], rest[2:]
		}
		for _, dateLen := range []int{6, 8} {
			if len(rest) != dateLen+4 || dateFault(rest[:dateLen], today) != nil {
				continue
			}
			if only != "" {
				return "" // more than one reading
			}
			only = Code(agency + "-" + rest[:dateLen] + "-" + rest[dateLen:])
		}
	}
	return only
}

// Lookalike returns the code with letters in its groups read as the digits they
// resemble ("H42.1O-…" → "H42.10-…"). Letters are lawful there, so this is a
// suggestion for a code that was not found, never a correction.
func (c Code) Lookalike() (Code, bool) {
	agency, rest, _ := strings.Cut(string(c), "-")
	var letters string
	fixed := fixLetters(agency, &letters)
	return Code(fixed + "-" + rest), letters != ""
}

// fixLetters reads O as 0, I and L as 1, and notes the letters it replaced.
func fixLetters(s string, letters *string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'O', 'I', 'L':
			*letters += string(r)
			return rune(digitFor(byte(r))[0])
		}
		return r
	}, s)
}

func digitFor(letter byte) string {
	if letter == 'O' {
		return "0"
	}
	return "1"
}

func isDigitLike(r rune) bool { return '0' <= r && r <= '9' || r == 'O' || r == 'I' || r == 'L' }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// count counts the digits in s; keep drops everything that is no letter or digit.
func count(s string) (n int) {
	for i := range len(s) {
		if '0' <= s[i] && s[i] <= '9' {
			n++
		}
	}
	return n
}

func keep(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isAlnum(byte(r)) {
			return r
		}
		return -1
	}, s)
}
