package runtime

import (
	"testing"

	"congdanso/bot"
)

func TestChoicesCanBeTyped(t *testing.T) {
	choices := []bot.Choice{
		{Title: "Đồng ý", Payload: "#x.yes", Words: []string{"có", "ok", "phải", "rồi"}},
		{Title: "Không", Payload: "#x.no"},
		{Title: "Xem cần nộp gì", Payload: "#x.papers"},
		{Title: "Mở trang", URL: "https://example.vn"},
		{Title: "Về đầu", Payload: "#menu.show", Zero: true},
	}
	for text, want := range map[string]string{
		"1": "#x.yes", " 1. ": "#x.yes", "(2)": "#x.no", "số 3 ạ": "#x.papers", "chọn 3 nhé": "#x.papers",
		"a": "#x.yes", "B": "#x.no", "C": "#x.papers", "0": "#menu.show",
		"đồng ý": "#x.yes", "dong y": "#x.yes", "ĐỒNG Ý ạ": "#x.yes", "dạ vâng có ạ": "#x.yes",
		"không": "#x.no", "khong a": "#x.no", "ve dau": "#menu.show",
		"xem can nop gi": "#x.papers", "cho em xem cần nộp gì với ạ": "#x.papers",
		"không đồng ý": "", "chưa rồi": "", "tôi có việc": "", "4": "", "5": "", "10": "", "": "", "🙏": "",
		"12": "", "1 2": "", "e": "", "đồng ý không": "",
	} {
		if got, _ := choose(choices, text); got != want {
			t.Errorf("choose(%q) = %q, want %q", text, got, want)
		}
	}
}
