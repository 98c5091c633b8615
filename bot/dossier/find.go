package dossier

import (
	"regexp"
	"strings"
	"time"
)

// Local is the zone people and the procedure systems live in. It needs no zone
// database: Vietnam has had one offset and no summer time since 1975.
var Local = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600)

// farFuture is a day before which every date lies.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, Local)

// maxFound bounds how many codes of one message are reported.
const maxFound = 20

// The grammar, on normalised text. A slash or a space may stand where a dash is
// missing.
//
//	old  = 3DIGIT "." 2DIGIT "." 2DIGIT "." head "-" date "-" seq
//	new  = head *3("." group) "-" date "-" seq
//	head = LETTER(A–Y) 2DIGIT ; group = 2*3(DIGIT / LETTER)
//	date = yyMMdd | yyyyMMdd ; seq = 4*7DIGIT
//
// Sources: TT 01/2018/TT-VPCP art. 19 (old), QĐ 20/2020/QĐ-TTg art. 4 (new);
// lengths of date and number as seen in use.
var (
	strictRE = regexp.MustCompile(`(\d{3}\.\d{2}\.\d{2}\.[A-Y]\d{2}|[A-Y]\d{2}(?:\.[0-9A-Z]{2,3}){0,3})(?: ?[-/] ?| )(\d{8}|\d{6})(?: ?[-/] ?| )(\d{4,7})\b`)
	// nearRE finds what may have been meant as a code; near judges it.
	nearRE = regexp.MustCompile(`((?:[0-9OIL]{1,4}[.,])*)([A-Y][ .-]?[0-9OIL]{2,})((?:[.,][0-9A-Z]+)*)((?:(?: ?[-/,.] ?| )[OIL]*[0-9][0-9A-Z]*)*)`)
	sepRE  = regexp.MustCompile(` ?[-/,.] ?| `)
)

// Find finds codes, and what was clearly meant as one, inside any sentence, in
// the order they stand. Phone numbers, citizen numbers and ordinary words are no
// codes. today is any moment of the present day.
func Find(text string, today time.Time) []Found {
	s := normalise(text)
	var found []Found
	for pos := 0; pos < len(s) && len(found) < maxFound; {
		m := nearRE.FindStringSubmatchIndex(s[pos:])
		if m == nil {
			break
		}
		start, end := pos+m[0], pos+m[1]
		if f, next, ok := strict(s, start, end, today); ok {
			found = append(found, f)
			pos = next
			continue
		}
		n := candidate{
			raw:     s[start:end],
			prefix:  s[start : pos+m[3]],
			head:    s[pos+m[4] : pos+m[5]],
			groups:  s[pos+m[6] : pos+m[7]],
			rest:    s[pos+m[8] : end],
			glued:   pos+m[4] > 0 && isAlnum(s[pos+m[4]-1]),
			dangled: end < len(s) && isAlnum(s[end]),
		}
		if fault := n.judge(today); fault != nil {
			found = append(found, Found{Raw: strings.TrimRight(n.raw, " .,-/"), Fault: fault})
		}
		pos = end
	}
	return found
}

// ParseCode reads a text that is a code and nothing else, as in a payload. The
// error is a *Fault.
func ParseCode(text string, today time.Time) (Code, error) {
	found := Find(text, today)
	if len(found) == 1 {
		if found[0].Fault != nil {
			return "", found[0].Fault
		}
		if len(found[0].Raw) == len(normalise(text)) {
			return found[0].Code, nil
		}
	}
	return "", &Fault{Kind: FaultShape}
}

// strict looks for a well-formed code that begins inside s[start:end].
func strict(s string, start, end int, today time.Time) (f Found, next int, ok bool) {
	for at := start; at < end; {
		m := strictRE.FindStringSubmatchIndex(s[at:])
		if m == nil || at+m[0] >= end {
			return Found{}, 0, false
		}
		begin, agency, date, seq := at+m[0], s[at+m[2]:at+m[3]], s[at+m[4]:at+m[5]], s[at+m[6]:at+m[7]]
		at = begin + 1
		if begin > 0 && isAlnum(s[begin-1]) {
			continue
		}
		if truncatedOld(s[:begin], agency) {
			continue
		}
		raw := s[begin : begin+m[1]-m[0]]
		next = begin + len(raw)
		if fault := dateFault(date, today); fault != nil {
			return Found{Raw: raw, Fault: fault}, next, true
		}
		return Found{Code: Code(agency + "-" + date + "-" + seq), Raw: raw}, next, true
	}
	return Found{}, 0, false
}

// truncatedOld reports whether agency is the end of a code in the old order that
// was cut or mistyped ("00.16.H42"): taking "H42" alone would look up another
// office's dossier.
func truncatedOld(before, agency string) bool {
	return len(agency) == 3 && len(before) >= 2 && before[len(before)-1] == '.' && isAlnum(before[len(before)-2])
}

// dateFault says what is wrong with the date of a code, or nil.
func dateFault(digits string, today time.Time) *Fault {
	full := digits
	if len(digits) == 6 {
		full = "20" + digits
	}
	// Codes carry dates since 2018; a date of another century is a slip.
	day, err := time.ParseInLocation("20060102", full, Local)
	if err != nil || day.Year() < 2000 {
		return &Fault{Kind: FaultDate, Digits: digits}
	}
	if day.After(today) {
		return &Fault{Kind: FaultFuture, Digits: digits, Date: day}
	}
	return nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z'
}
