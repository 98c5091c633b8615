package dossier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var today = time.Date(2026, 11, 23, 16, 30, 0, 0, Local)

func TestFindReadsWhatPeopleType(t *testing.T) {
	const code = "H42.16-240612-0001"
	for text, want := range map[string][]Code{
		code:                 {code},
		"h42.16-240612-0001": {code},
		"tra giup ho so h42.16–240612–0001 voi":                       {code},
		"H42.16—240612—0001":                                          {code},
		"H42.16−240612‑0001":                                          {code},
		"H42 . 16 - 240612 - 0001":                                    {code},
		"tra cuu h42.16–240612 0001":                                  {code},
		"H42.16/240612/0001":                                          {code},
		"H42.16 / 240612 / 0001":                                      {code},
		"H42.16_240612_0001":                                          {code},
		"Ｈ４２．１６－２４０６１２－０００１":                                          {code},
		"H\u200b42.16-\ufeff240612-00\u200d01":                        {code},
		"Mã hồ sơ: H42.16-240612-0001. Nhờ xem giúp.":                 {code},
		"(H42.16-240612-0001)":                                        {code},
		"mã H42.16-240612-0001, nộp ngày 12/06/2024":                  {code},
		"H42.16-240612-0001 điện thoại 0912345678":                    {code},
		"#dossier.show:H42.16-240612-0001":                            {code},
		"H42.16-240612-0001 va H42.16-240612-0002":                    {code, "H42.16-240612-0002"},
		"H42.16-240612-0001\nG22.99.05-251103-0012":                   {code, "G22.99.05-251103-0012"},
		"000.00.16.H42-240612-0001":                                   {"000.00.16.H42-240612-0001"},
		"000.13.01.h42 - 210531 - 0001 ạ":                             {"000.13.01.H42-210531-0001"},
		"H56.14-240823-48211":                                         {"H56.14-240823-48211"},
		"G09.20-20260609-0092637":                                     {"G09.20-20260609-0092637"},
		"G01.899.108.000-240612-0004":                                 {"G01.899.108.000-240612-0004"},
		"H21.33.07-251103-0012":                                       {"H21.33.07-251103-0012"},
		"H42-240612-0001":                                             {"H42-240612-0001"},
		"H42.VP-240612-0001":                                          {"H42.VP-240612-0001"},
		"H42.16-261123-0001":                                          {"H42.16-261123-0001"}, // received today
		"Tôi nộp ở xã ngày 12. H42.16-240612-0001 nhé":                {code},
		norm.NFD.String("tôi hỏi hồ sơ H42.16-240612-0001 được chưa"): {code},
		"H\u0337\u0310\u03594\u03142.16-240612-0001":                  {code},
	} {
		var got []Code
		for _, f := range Find(text, today) {
			if f.Fault != nil {
				t.Errorf("%q: fault %+v", text, *f.Fault)
			}
			got = append(got, f.Code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestFindSaysWhatIsWrong(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, Local) }
	for text, want := range map[string]Fault{
		"H42.16-240612-01":               {Kind: FaultShort, Missing: 2},
		"ma h42.16-240612-001 nhe":       {Kind: FaultShort, Missing: 1},
		"H42.16-240612":                  {Kind: FaultShort, Missing: 4},
		"H42.16-240612-":                 {Kind: FaultShort, Missing: 4},
		"000.00.16.H42-240612-1":         {Kind: FaultShort, Missing: 3},
		"H42.16-240612-000000001":        {Kind: FaultLong, Digits: "000000001"},
		"H42.16-24O612-0001":             {Kind: FaultLetter, Letter: "O", Digit: "0", Suggestion: "H42.16-240612-0001"},
		"h42.16-240612-ooo1":             {Kind: FaultLetter, Letter: "O", Digit: "0", Suggestion: "H42.16-240612-0001"},
		"H42.16-2406l2-0001":             {Kind: FaultLetter, Letter: "L", Digit: "1", Suggestion: "H42.16-240612-0001"},
		"0O0.00.16.H42-240612-0001":      {Kind: FaultLetter, Letter: "O", Digit: "0", Suggestion: "000.00.16.H42-240612-0001"},
		"H4I.16-240612-0001":             {Kind: FaultLetter, Letter: "I", Digit: "1", Suggestion: "H41.16-240612-0001"},
		"H42.16-241340-0001":             {Kind: FaultDate, Digits: "241340"},
		"H42.16-250229-0001":             {Kind: FaultDate, Digits: "250229"},
		"H42.16-24061-0001":              {Kind: FaultDate, Digits: "24061"},
		"G09.20-20261309-0092637":        {Kind: FaultDate, Digits: "20261309"},
		"H42.16-261124-0001":             {Kind: FaultFuture, Digits: "261124", Date: day(2026, 11, 24)},
		"H42.16-2406120001":              {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H4216-240612-0001":              {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H42162406120001":                {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H42,16-240612-0001":             {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H 42.16-240612-0001":            {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H42.16-240612-00 01":            {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"mah42.16-240612-0001":           {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"H42.16-240612-0001nhe":          {Kind: FaultShape, Suggestion: "H42.16-240612-0001"},
		"00.16.H42-240612-0001":          {Kind: FaultShape},
		"000.00.16.H42":                  {Kind: FaultShape},
		"H42.16-0001":                    {Kind: FaultShape},
		"H42.1-240612-0001":              {Kind: FaultShape},
		"H42.16.01.02.03-240612-0001":    {Kind: FaultShape},
		"tra h42.16 - 24o612 - 0001 dum": {Kind: FaultLetter, Letter: "O", Digit: "0", Suggestion: "H42.16-240612-0001"},
	} {
		got := Find(text, today)
		if len(got) != 1 || got[0].Fault == nil {
			t.Errorf("%q: got %+v, want one fault", text, got)
			continue
		}
		if diff := cmp.Diff(want, *got[0].Fault); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestFindLeavesOrdinaryTextAlone(t *testing.T) {
	for _, text := range []string{
		"", "12345", "0912345678", "+84 912 345 678", "037190000001", "037 190 000 001", "xin chào", "tôi hỏi 240612 0001",
		"cho toi hoi 123456 0001", "loi 240612", "B1234567", "C1234567 2024", "biển số 35A-123.45", "29H1-234.56", "phòng B12 240612",
		"nhà số 12.5 A14", "sáng 8h30 240612", "8h 30 ngày 24/06/12", "H42", "H42.16", "QĐ 163/2025/QĐ-CTUBND", "NQ 1318/NQ-UBTVQH15",
		"1.004873.000.00.00.H42x", "giá A12.50 200000", "vitamin B12 500", "5G", "G20 2024", "H1N1", "Covid H5N1 2024-2025", "😀😀😀", "\u200fשלום\u200f",
		"12/06/2024", "4321", "2024-06-12 0001", "https://example.vn/a12.345", "I10.11", "a21-123",
	} {
		if got := Find(text, today); len(got) > 0 {
			t.Errorf("%q: got %+v, want nothing", text, got)
		}
	}
}

func TestParseCodeTakesACodeAndNothingElse(t *testing.T) {
	if c, err := ParseCode(" h42.16-240612 0001 ", today); err != nil || c != "H42.16-240612-0001" {
		t.Errorf("got %q, %v", c, err)
	}
	for _, text := range []string{"", "x H42.16-240612-0001", "H42.16-240612-0001 H42.16-240612-0002", "H42.16-240612"} {
		if c, err := ParseCode(text, today); err == nil {
			t.Errorf("%q: got %q, want a fault", text, c)
		}
	}
}

// genCode draws well-formed codes of both orders.
var genCode = rapid.Custom(func(t *rapid.T) Code {
	letter := rapid.StringMatching(`[A-Y]`).Draw(t, "letter")
	head := letter + rapid.StringMatching(`[0-9]{2}`).Draw(t, "head")
	if rapid.Bool().Draw(t, "old") {
		head = rapid.StringMatching(`[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.`).Draw(t, "levels") + head
	} else {
		head += rapid.StringMatching(`(\.[0-9A-Z]{2,3}){0,3}`).Draw(t, "groups")
	}
	day := today.AddDate(0, 0, -rapid.IntRange(0, 3000).Draw(t, "age"))
	date := day.Format(rapid.SampledFrom([]string{"060102", "20060102"}).Draw(t, "date"))
	return Code(head + "-" + date + "-" + rapid.StringMatching(`[0-9]{4,7}`).Draw(t, "seq"))
})

func TestEveryWellFormedCodeIsFoundAsTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := genCode.Draw(t, "code")
		typed := string(code)
		if rapid.Bool().Draw(t, "lower") {
			typed = strings.ToLower(typed)
		}
		dash := rapid.SampledFrom([]string{"-", "–", "—", "‑", " - ", "/", " ", "--"}).Draw(t, "dash")
		typed = strings.ReplaceAll(typed, "-", dash)
		if rapid.Bool().Draw(t, "spaced") {
			typed = strings.ReplaceAll(typed, ".", " . ")
		}
		text := rapid.SampledFrom([]string{"", "tra cứu ", "Mã: ", "hồ sơ của tôi là ", "("}).Draw(t, "before") + typed +
			rapid.SampledFrom([]string{"", " với ạ", ".", "?", ", cảm ơn", ")"}).Draw(t, "after")
		got := Find(text, today)
		if len(got) != 1 || got[0].Fault != nil || got[0].Code != code {
			t.Fatalf("Find(%q) = %+v, want %s", text, got, code)
		}
	})
}

func TestADamagedCodeIsNeverTakenForAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := string(genCode.Draw(t, "code"))
		_, seq := code[:strings.LastIndexByte(code, '-')], code[strings.LastIndexByte(code, '-')+1:]
		cut := rapid.IntRange(len(seq)-3, len(seq)).Draw(t, "cut")
		damaged := code[:len(code)-cut]
		for _, f := range Find(damaged, today) {
			if f.Fault == nil {
				t.Fatalf("Find(%q) took it for %s", damaged, f.Code)
			}
			if f.Fault.Kind == FaultShort && f.Fault.Missing != 4-(len(seq)-cut) {
				t.Fatalf("Find(%q) says %d missing", damaged, f.Fault.Missing)
			}
		}
	})
}

func TestSuggestionsAreWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := []byte(genCode.Draw(t, "code"))
		for range rapid.IntRange(1, 3).Draw(t, "damages") {
			i := rapid.IntRange(0, len(code)-1).Draw(t, "at")
			code[i] = rapid.SampledFrom([]byte("OIL, .-/0A")).Draw(t, "with")
		}
		for _, f := range Find(string(code), today) {
			if f.Fault == nil || f.Fault.Suggestion == "" {
				continue
			}
			if c, err := ParseCode(string(f.Fault.Suggestion), today); err != nil || c != f.Fault.Suggestion {
				t.Fatalf("Find(%q) suggests %q: %v", code, f.Fault.Suggestion, err)
			}
		}
	})
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"H42.16-240612-0001", "000.00.16.H42-240612-0001", "h42.16–24O612 01", "H 42", "\u202eH42", "G22.99.05-251103-0012"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range Find(text, today) {
			if (found.Code == "") == (found.Fault == nil) {
				t.Fatalf("%q: %+v has both or neither of code and fault", text, found)
			}
			if found.Fault != nil {
				continue
			}
			again := Find(string(found.Code), today)
			if len(again) != 1 || again[0].Code != found.Code {
				t.Fatalf("%q: %s reads back as %+v", text, found.Code, again)
			}
			if h := found.Code.Head(); len(h) != 3 {
				t.Fatalf("%s: head %q", found.Code, h)
			}
		}
	})
}

func TestIssuerByPrefix(t *testing.T) {
	p := Prefixes{Own: []string{"H42", "H40", "H25"}, National: []string{"G22"}}
	for code, want := range map[Code]IssuerKind{
		"H42.16-240612-0001":        IssuerOwn,
		"000.00.16.H40-240612-0001": IssuerOwn,
		"H56.14-240823-0001":        IssuerProvince,
		"000.00.53.H48-220921-0099": IssuerProvince,
		"G22.99.05-251103-0012":     IssuerNational,
		"G01.899.108.000-240612-04": IssuerMinistry,
		"B12-240612-0001":           IssuerUnknown,
	} {
		if got := code.Issuer(p); got != want {
			t.Errorf("%s: got %s, want %s", code, got, want)
		}
	}
}

func TestLookalikeIsOfferedNotTaken(t *testing.T) {
	found := Find("H42.1O-240612-0001", today)
	if len(found) != 1 || found[0].Code != "H42.1O-240612-0001" {
		t.Fatalf("got %+v, want the code as typed", found)
	}
	if c, ok := found[0].Code.Lookalike(); !ok || c != "H42.10-240612-0001" {
		t.Errorf("got %q %v", c, ok)
	}
	// Lawful in the new order (head O00), yet more likely the old one.
	found = Find("O00.00.16.H42-240612-0001", today)
	if len(found) != 1 || found[0].Code != "O00.00.16.H42-240612-0001" {
		t.Fatalf("got %+v, want the code as typed", found)
	}
	if c, ok := found[0].Code.Lookalike(); !ok || c != "000.00.16.H42-240612-0001" {
		t.Errorf("got %q %v", c, ok)
	}
	if _, ok := Code("H42.16-240612-0001").Lookalike(); ok {
		t.Error("a code of digits has no lookalike")
	}
}

func ExampleFind() {
	for _, f := range Find("tra giup h42.16–240612 0001, va H42.16-240612-01", today) {
		if f.Fault != nil {
			fmt.Println(f.Raw, f.Fault.Kind, f.Fault.Missing)
			continue
		}
		fmt.Println(f.Code)
	}
	// Output:
	// H42.16-240612-0001
	// H42.16-240612-01 short 2
}
