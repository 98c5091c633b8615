package bottest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/bottest"
)

// routed lets a function be the router.
type routed func(t *bot.Turn)

func (f routed) Route(_ context.Context, t *bot.Turn) error { f(t); return nil }

func replay(t *testing.T, transcript string, say func(t *bot.Turn)) (string, error) {
	t.Helper()
	got, err := bottest.Replay([]byte(transcript), &bottest.World{Router: routed(say)})
	return string(got), err
}

func echo(t *bot.Turn) {
	t.Say(bot.Message{Text: "nghe: " + t.Text() + "\n" + t.Now.Format(time.RFC3339), Choices: []bot.Choice{
		{Title: "Tiếp", Payload: "#x.next"}, {Title: "Về đầu", Payload: "#menu.show", Zero: true},
	}})
}

func TestReplayWritesTheChannelsPart(t *testing.T) {
	got, err := replay(t, `# chào
clock 2024-06-14T16:30:00+07:00
> a
< what stood here before
! effect gone
> [Tiếp]
clock +1h
~ b
`, echo)
	if err != nil {
		t.Fatal(err)
	}
	want := `# chào
clock 2024-06-14T16:30:00+07:00
> a
< nghe: a
< 2024-06-14T09:30:01Z
<
< 1. Tiếp   0. Về đầu
< [Tiếp] [Về đầu]
> [Tiếp]
< nghe: #x.next
< 2024-06-14T09:30:02Z
<
< 1. Tiếp   0. Về đầu
< [Tiếp] [Về đầu]
clock +1h
~ b
< nghe: b
< 2024-06-14T10:30:03Z
<
< 1. Tiếp   0. Về đầu
< [Tiếp] [Về đầu]
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReplayRefusesWhatCannotBePlayed(t *testing.T) {
	for _, line := range []string{"said nothing", "> [Không có]", "> (không có)", "clock yesterday", "clock +x", "given dossier", "> (hẹn) x"} {
		if _, err := replay(t, line+"\n", echo); err == nil {
			t.Errorf("%q was played", line)
		}
	}
}

func TestReplayRefusesWhatResidentsCannotTake(t *testing.T) {
	choice := func(titles ...string) []bot.Choice {
		var c []bot.Choice
		for _, title := range titles {
			c = append(c, bot.Choice{Title: title, Payload: "#x.y"})
		}
		return c
	}
	for name, m := range map[string]bot.Message{
		"too long":        {Text: strings.Repeat("a", bot.MaxText+1)},
		"nothing":         {},
		"unfilled":        {Text: "hẹn trả <no value>"},
		"template":        {Text: "{{.Due}}"},
		"fact":            {Text: "gọi ‹hotline›"},
		"six choices":     {Text: "x", Choices: choice("a", "b", "c", "d", "e", "g")},
		"long title":      {Text: "x", Choices: choice("một cái nút rất là dài")},
		"no title":        {Text: "x", Choices: choice("")},
		"same words":      {Text: "x", Choices: choice("Xoá", "xoa")},
		"zero not last":   {Text: "x", Choices: []bot.Choice{{Title: "a", Zero: true}, {Title: "b"}}},
		"form and choice": {Text: "x", Choices: choice("a"), AskContact: &bot.ContactForm{}},
		"long payload":    {Text: "x", Choices: []bot.Choice{{Title: "a", Payload: strings.Repeat("p", bot.MaxPayload+1)}}},
	} {
		if _, err := replay(t, "> a\n", func(t *bot.Turn) { t.Say(m) }); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
