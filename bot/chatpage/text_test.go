package chatpage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinkify(t *testing.T) {
	for text, want := range map[string][]run{
		"xin chào":                    {{Text: "xin chào"}},
		"Xem https://a.vn/x?y=1&z=2.": {{Text: "Xem "}, {Text: "https://a.vn/x?y=1&z=2", URL: "https://a.vn/x?y=1&z=2"}, {Text: "."}},
		"mời tra tại dichvucong.gov.vn, nhé": {{Text: "mời tra tại "}, {Text: "dichvucong.gov.vn", URL: "https://dichvucong.gov.vn"},
			{Text: ", nhé"}},
		"gọi 0229 388 5000 hoặc 1900 1234": {{Text: "gọi "}, {Text: "0229 388 5000", Tel: "02293885000"}, {Text: " hoặc "},
			{Text: "1900 1234", Tel: "19001234"}},
		"Hồ sơ H42.16-240612-0001":       {{Text: "Hồ sơ H42.16-240612-0001"}},
		"000.00.16.H42-240603-0012":      {{Text: "000.00.16.H42-240603-0012"}},
		"thư về a.b@ninhbinh.gov.vn":     {{Text: "thư về a.b@ninhbinh.gov.vn"}},
		"http://127.0.0.1:8080/p/k7 rồi": {{Text: "http://127.0.0.1:8080/p/k7", URL: "http://127.0.0.1:8080/p/k7"}, {Text: " rồi"}},
		"javascript:alert(1)":            {{Text: "javascript:alert(1)"}},
		"":                               nil,
	} {
		if diff := cmp.Diff(want, linkify(text)); diff != "" {
			t.Errorf("linkify(%q) (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzLinkify(f *testing.F) {
	f.Add("Xem https://a.vn, gọi 1900 1234 hoặc dichvucong.gov.vn.")
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		for _, r := range linkify(text) {
			if r.Text == "" {
				t.Errorf("an empty run in %q", text)
			}
			all.WriteString(r.Text)
		}
		if all.String() != text {
			t.Errorf("linkify(%q) says %q", text, all.String())
		}
	})
}

func TestOnlyEmoji(t *testing.T) {
	for text, want := range map[string]bool{"👍": true, "😊 ❤️": true, "👨‍👩‍👧": true, "ok 👍": false, "": false, " ": false, "👍👍👍👍👍": false, "1": false} {
		if got := onlyEmoji(text); got != want {
			t.Errorf("onlyEmoji(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestInternational(t *testing.T) {
	for phone, want := range map[string]string{"0912 345 678": "84912345678", "+84 912-345-678": "84912345678", "84912345678": "84912345678",
		" không có ": "không có", "": ""} {
		if got := international(phone); got != want {
			t.Errorf("international(%q) = %q, want %q", phone, got, want)
		}
	}
}

func TestInitial(t *testing.T) {
	for name, want := range map[string]string{"Nguyễn Thị Lan": "L", "đức": "Đ", "": "?", "  ": "?"} {
		if got := initial(name); got != want {
			t.Errorf("initial(%q) = %q, want %q", name, got, want)
		}
	}
}
