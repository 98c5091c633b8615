package notices

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/content"

	"pgregory.net/rapid"
)

var library = sync.OnceValues(func() (*content.Library, error) { return content.Load(content.Files(""), time.UTC) })

// heard reads a text as the dialogue does.
func heard(t testing.TB, text string) *said {
	t.Helper()
	l, err := library()
	if err != nil {
		t.Fatal(err)
	}
	var topics []Topic
	for _, topic := range l.Topics() {
		topics = append(topics, Topic{Key: topic.Key, Name: content.TopicKey(topic.Key, "name"), Words: content.TopicKey(topic.Key, "words")})
	}
	turn := &bot.Turn{Texts: l, Citizen: bot.Citizen{Language: bot.Vietnamese}, Event: bot.Event{Body: bot.Text{Text: text}}}
	return New(nil, nil, nil, topics, nil).hear(turn)
}

func TestClocks(t *testing.T) {
	for text, want := range map[string][]int{
		"7":                    {420},
		"7h":                   {420},
		"07:05":                {425},
		"7h30":                 {450},
		"7 giờ 30":             {450},
		"7 gio ruoi":           {450},
		"8 giờ rưỡi tối":       {20*60 + 30},
		"7 giờ tối":            {19 * 60},
		"12 giờ đêm":           {12 * 60},
		"24h":                  {0},
		"từ 20h30 đến 7h":      {20*60 + 30, 420},
		"20:30-07:00":          {20*60 + 30, 420},
		"từ 12 giờ đến 14 giờ": {720, 840},
		"từ 12 giờ trưa đến 2 giờ chiều": {720, 840},
		"25 giờ":                nil,
		"lúc nào cũng được":     nil,
		"7 giờ 5":               {420, 300},
		strings.Repeat("9", 40): nil,
	} {
		if got := heard(t, text).clocks(); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]int{
		"3 ngày": 3, "3 ngay": 3, "một tuần": 7, "tạm dừng thông báo 2 tuần nhé": 14, "1 tháng": 30, "hôm nay": 0,
		"tuần": 0, "0 ngày": 0, "100 ngày": 0, "3": 0,
	} {
		if got := heard(t, text).days(); got != want {
			t.Errorf("%q: %d days, want %d", text, got, want)
		}
	}
}

func TestTopicsInASentence(t *testing.T) {
	for text, want := range map[string]string{
		"thời tiết và mất điện":        "weather power",
		"bao thoi tiet cho xa gia van": "weather",
		"báo mất điện":                 "power",
		"bao mat dien":                 "power",
		"bão":                          "weather",
		"bao":                          "weather",
		"tin bão":                      "weather",
		"báo cho tôi":                  "",
		"thi":                          "contests",
		"dịch vụ công":                 "services",
		"dịch bệnh, trường học":        "health schooling",
		"canh bao lua dao":             "scams",
		"nước":                         "power",
		"không có gì":                  "",
		"":                             "",
	} {
		var keys []string
		for _, topic := range heard(t, text).topics {
			keys = append(keys, topic.Key)
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string][]int{
		"1 3 5": {1, 3, 5}, "1,2": {1, 2}, "số 2 và số 4": {2, 4}, "bỏ 3": {3}, "1 và cả 3": {1, 3}, "H42.16-240612-0001": nil,
		"tôi có 2 con nhỏ": nil, "": nil, "một": nil,
	} {
		got, ok := heard(t, text).numbers()
		if !ok {
			got = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Hours that may pass midnight: whatever they are, a minute lies in them or in
// those from their end to their beginning.
func TestWithin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		minute := rapid.IntRange(0, day-1)
		m, from, to := minute.Draw(rt, "minute"), minute.Draw(rt, "from"), minute.Draw(rt, "to")
		if from != to && within(m, from, to) == within(m, to, from) {
			rt.Fatalf("%s in %s to %s, and not", clock(m), clock(from), clock(to))
		}
	})
	for _, c := range []struct {
		at   int
		want bool
	}{{22*60 - 1, false}, {22 * 60, true}, {0, true}, {6*60 - 1, true}, {6 * 60, false}} {
		if got := within(c.at, 22*60, 6*60); got != c.want {
			t.Errorf("%s is night: %v", clock(c.at), got)
		}
	}
}
