package zalo

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"congdanso/bot"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesAsZaloWantsThem(t *testing.T) {
	many := make([]bot.Choice, 7)
	for i := range many {
		many[i] = bot.Choice{Title: string(rune('A' + i)), Payload: "#quiz.answer:" + string(rune('a'+i))}
	}
	for name, tt := range map[string]struct {
		m    bot.Message
		want string // what stands in "message"
	}{
		"text":            {bot.Message{Text: "Xin chào\n\"bạn\" \\ \t 😀"}, `{"text":"Xin chào\n\"bạn\" \\ \u0009 😀"}`},
		"decomposed text": {bot.Message{Text: "Xin cha\u0300o"}, `{"text":"Xin chào"}`},
		"not UTF-8":       {bot.Message{Text: "a\xffb"}, `{"text":"a` + "\uFFFD" + `b"}`},
		"choices": {bot.Message{Text: "Chọn\n\n1. Xem", Choices: []bot.Choice{
			{Title: "Xem", Label: "Xem cần nộp gì", Payload: "#dossier.show:H42.16-240612-0001"},
			{Title: "Trên cổng", URL: "https://dichvucong.example/x?a=1&b=2"},
			{Title: "Gọi", Phone: "84229385000"},
			{Title: "Chỉ nhắn"},
			{Title: "Về đầu", Payload: "#menu.home", Zero: true},
		}}, `{"text":"Chọn\n\n1. Xem","attachment":{"type":"template","payload":{"buttons":[
			{"title":"Xem","type":"oa.query.hide","payload":"#dossier.show:H42.16-240612-0001"},
			{"title":"Trên cổng","type":"oa.open.url","payload":{"url":"https://dichvucong.example/x?a=1&b=2"}},
			{"title":"Gọi","type":"oa.open.phone","payload":{"phone_code":"84229385000"}},
			{"title":"Về đầu","type":"oa.query.hide","payload":"#menu.home"}]}}}`},
		"choices that are only words": {bot.Message{Text: "a", Choices: []bot.Choice{{Title: "b"}}}, `{"text":"a"}`},
		"seven choices": {bot.Message{Text: "a", Choices: many}, `{"text":"a","attachment":{"type":"template","payload":{"buttons":[
			{"title":"A","type":"oa.query.hide","payload":"#quiz.answer:a"},{"title":"B","type":"oa.query.hide","payload":"#quiz.answer:b"},
			{"title":"C","type":"oa.query.hide","payload":"#quiz.answer:c"},{"title":"D","type":"oa.query.hide","payload":"#quiz.answer:d"},
			{"title":"E","type":"oa.query.hide","payload":"#quiz.answer:e"}]}}}`},
		"picture": {bot.Message{Text: "Bản đồ", ImageURL: "https://a.example/b.jpg", Choices: many[:1]},
			`{"text":"Bản đồ","attachment":{"type":"template","payload":{"template_type":"media","elements":[{"media_type":"image","url":"https://a.example/b.jpg"}]}}}`},
		"picture alone": {bot.Message{ImageURL: "https://a.example/b.jpg"},
			`{"attachment":{"type":"template","payload":{"template_type":"media","elements":[{"media_type":"image","url":"https://a.example/b.jpg"}]}}}`},
		"form": {bot.Message{AskContact: &bot.ContactForm{Title: "Cho kênh biết", Subtitle: "để gọi lại"}, ImageURL: "https://a.example/f.png"},
			`{"attachment":{"type":"template","payload":{"template_type":"request_user_info","elements":[{"title":"Cho kênh biết","subtitle":"để gọi lại","image_url":"https://a.example/f.png"}]}}}`},
		"form with text": {bot.Message{Text: "Nhờ ông/bà", AskContact: &bot.ContactForm{Title: "a", Subtitle: "b"}},
			`{"text":"Nhờ ông/bà","attachment":{"type":"template","payload":{"template_type":"request_user_info","elements":[{"title":"a","subtitle":"b"}]}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := appendMessage(nil, "2512345678901234567", tt.m)
			if err != nil {
				t.Fatal(err)
			}
			want := `{"recipient":{"user_id":"2512345678901234567"},"message":` + strings.NewReplacer("\n\t\t\t", "").Replace(tt.want) + `}`
			if diff := cmp.Diff(want, string(b)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !json.Valid(b) {
				t.Errorf("no JSON: %s", b)
			}
		})
	}
}

func TestMessagesZaloWouldRefuse(t *testing.T) {
	long := strings.Repeat("à", 101)
	for name, m := range map[string]bot.Message{
		"nothing":            {},
		"only choices":       {Choices: []bot.Choice{{Title: "a", Payload: "#a.b"}}},
		"2001 characters":    {Text: strings.Repeat("à", 2001)},
		"1001 emoji":         {Text: strings.Repeat("😀", 1001)},
		"long title":         {Text: "a", Choices: []bot.Choice{{Title: long, Payload: "#a.b"}}},
		"no title":           {Text: "a", Choices: []bot.Choice{{Payload: "#a.b"}}},
		"long payload":       {Text: "a", Choices: []bot.Choice{{Title: "a", Payload: strings.Repeat("a", 1001)}}},
		"form without title": {AskContact: &bot.ContactForm{Subtitle: "b"}},
		"long form title":    {AskContact: &bot.ContactForm{Title: long, Subtitle: "b"}},
		"form, no subtitle":  {AskContact: &bot.ContactForm{Title: "a"}},
	} {
		if b, err := appendMessage(nil, "1", m); err == nil {
			t.Errorf("%s: encoded as %.80s", name, b)
		}
	}
	// At the limit, decomposed: 2,000 letters in 4,000 code points.
	if _, err := appendMessage(nil, "1", bot.Message{Text: strings.Repeat("a\u0300", 2000)}); err != nil {
		t.Errorf("2,000 letters that compose: %v", err)
	}
}

// Whatever the text, the JSON says the same, as encoding/json would.
func FuzzAppendQuoted(f *testing.F) {
	for _, s := range []string{"", "Xin chào", "a\"b\\c\n\x00\x1f", "\xff\xfe", "😀\u2028", "\u202ertl"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && got != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	m := bot.Message{
		Text: "⏳ Đang giải quyết, hẹn trả thứ Hai 17/06/2024, 17:00.\n\nHồ sơ H42.16-240612-0001\nCấp Giấy xác nhận tình trạng hôn nhân\nNơi giải quyết: UBND phường Mẫu\nNhận hồ sơ: thứ Tư 12/06/2024, 08:30\n\n1. Xem chi tiết   2. Lưu hồ sơ   3. Hồ sơ khác   0. Về đầu",
		Choices: []bot.Choice{
			{Title: "Xem chi tiết", Payload: "#dossier.show:H42.16-240612-0001"},
			{Title: "Lưu hồ sơ", Payload: "#dossier.keep:H42.16-240612-0001"},
			{Title: "Hồ sơ khác", Payload: "#dossier.ask"},
			{Title: "Về đầu", Payload: "#menu.home", Zero: true},
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		body, err := appendMessage(make([]byte, 0, 256+len(m.Text)*9/8+len(m.Choices)*160), "2512345678901234567", m)
		if err != nil || len(body) < 500 {
			b.Fatal(len(body), err)
		}
	}
}
