package broadcast

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSpellingsOfOneNumber(t *testing.T) {
	for _, raw := range []string{
		"+84912345678", "84912345678", "0084912345678", "0912345678", "912345678", "0912 345 678", "0912.345.678",
		"0912-345-678", "(+84) 912 345 678", "+84 (0)912 345 678", "'0912345678", `="0912345678"`, "912345678.0", "0912345678.00",
		"9.12345678E+08", "9,12345678E+08", "9.12345678e8", "8.4912345678E+10", "０９１２３４５６７８", "0912\u00a0345\u00a0678",
		"\u200b0912345678\ufeff", "0912–345–678", "tel:0912345678", "  0912345678\t", "09.1234.5678", "0912345678,",
	} {
		if phone, fault := readPhone(raw); phone != "84912345678" {
			t.Errorf("%q reads as %q (%s)", raw, phone, fault)
		}
	}
}

func TestWhatIsNoNumber(t *testing.T) {
	for raw, want := range map[string]string{
		"": faultEmpty, "  ": faultEmpty, "'": faultEmpty,
		"9.12E+08": faultRounded, "8.49E+10": faultRounded, "9.1234567E8": faultRounded,
		"không có": faultLetters, "0912345678 (vợ)": faultLetters, "-": faultLetters, "1.5": faultLength,
		"091234567": faultLength, "09123456789": faultLength, "0912345678; 0987654321": faultLetters, "0912345678/0987654321": faultLength,
		"02293871234": faultLandline, "0229 387 123": faultLandline, "0412345678": faultLandline, "001203004567": faultLength,
		"01623456789": faultLength, "9.123456785E+08": faultLetters,
	} {
		if phone, fault := readPhone(raw); fault != want || phone != "" {
			t.Errorf("%q reads as %q, fault %q; want %q", raw, phone, fault, want)
		}
	}
}

// However a number is written, it is the same number.
func TestAnySpellingReadsAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rest := rapid.StringMatching(`[35789][0-9]{8}`).Draw(t, "number")
		s := rapid.SampledFrom([]string{"+84", "84", "0084", "0", "", "+84(0)", "840"}).Draw(t, "prefix")
		for _, r := range rest {
			s += rapid.SampledFrom([]string{"", "", "", " ", ".", "-", "\u00a0"}).Draw(t, "between") + string(r)
		}
		s = rapid.SampledFrom([]string{"", "'", "  ", `"`}).Draw(t, "before") + s + rapid.SampledFrom([]string{"", " ", `"`, ","}).Draw(t, "behind")
		if phone, fault := readPhone(s); phone != "84"+rest {
			t.Fatalf("%q reads as %q (%s), want 84%s", s, phone, fault, rest)
		}
	})
}

var normalPhone = regexp.MustCompile(`^84[35789][0-9]{8}$`)

func FuzzReadPhone(f *testing.F) {
	for _, s := range []string{"0912345678", "9.12E+08", "9.12345678E+99", "+84 (0)912", "=\"\"", "\xff\xfe", "0912345678.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		phone, fault := readPhone(raw)
		if (phone == "") == (fault == "") {
			t.Fatalf("%q: number %q and fault %q", raw, phone, fault)
		}
		if phone == "" {
			return
		}
		if !normalPhone.MatchString(phone) {
			t.Fatalf("%q reads as %q", raw, phone)
		}
		if again, _ := readPhone(phone); again != phone {
			t.Fatalf("%q reads as %q, and that as %q", raw, phone, again)
		}
	})
}

func TestFaultsShowNobody(t *testing.T) {
	for raw, want := range map[string]string{
		"0912345678x": "•••••••678•", "Nguyễn Văn A": "N••••• V•• A", "09123": "•••••", "9.12E+08": "•.••E+••",
		"0912345678 hoặc 0987654321": "•••••••••• •••• ••••…",
	} {
		if got := maskValue(raw); got != want {
			t.Errorf("%q is shown as %q, want %q", raw, got, want)
		}
	}
}

func FuzzMaskValue(f *testing.F) {
	f.Add("0912345678")
	f.Add("Nguyễn Thị Mẫu 0912345678")
	f.Fuzz(func(t *testing.T, raw string) {
		masked := maskValue(raw)
		if !utf8.ValidString(masked) || utf8.RuneCountInString(masked) > 21 {
			t.Fatalf("%q is shown as %q", raw, masked)
		}
		run := 0
		for _, r := range masked {
			if run++; !unicode.IsDigit(r) && !strings.ContainsRune(" .-", r) {
				run = 0
			}
			if run > 6 {
				t.Fatalf("%q shows too much: %q", raw, masked)
			}
		}
	})
}
