package notices

import (
	"context"
	"strings"
	"unicode/utf8"

	"congdanso/bot"
	"congdanso/bot/fold"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

const (
	mostHeld   = 50  // pushes that are looked at
	mostJoined = 3   // of them told in one message
	joinable   = 600 // characters that such a message may have
	spare      = 400 // characters left for what stands around a push
)

// read tells what waits, the oldest first, and marks it as told.
func (f *Flow) read(ctx context.Context, t *bot.Turn) error {
	held, err := f.pushes.Held(ctx, t.Citizen.ID, t.Now, mostHeld)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return done(t, t.T("notices.read.none"), back(t))
	}
	n := together(held)
	var m bot.Message
	var sources []int64
	parts := make([]string, n)
	for i, p := range held[:n] {
		parts[i] = p.Message.Text
		if utf8.RuneCountInString(parts[i]) < bot.MaxText-spare {
			parts[i] = lines(parts[i], t.T("notices.read.when", "When", t.Moment(p.MadeAt)))
		}
		m.Choices = append(m.Choices, p.Message.Choices...)
		sources = append(sources, p.Source)
	}
	m.ImageURL = held[0].Message.ImageURL
	for i := range m.Choices {
		m.Choices[i].Zero = false
	}
	left := len(held) - n
	if left > 0 && utf8.RuneCountInString(parts[n-1]) < bot.MaxText-spare {
		parts = append(parts, t.T("notices.read.more", "Count", left))
		m.Choices = beside(m.Choices, to(t, "notices.button.read_on", "read", ""))
	}
	m.Choices = beside(m.Choices, way.Home(t))
	m.Text = strings.Join(parts, "\n\n")
	t.Conv.Leave()
	t.Do(push.Read{Sources: sources})
	t.Say(m)
	return nil
}

// together is how many pushes, from the first, one message can tell: short ones,
// whose choices stand beside each other.
func together(held []push.HeldPush) int {
	n, length := 1, utf8.RuneCountInString(held[0].Message.Text)
	choices := held[0].Message.Choices
	for _, p := range held[1:min(len(held), mostJoined)] {
		length += utf8.RuneCountInString(p.Message.Text)
		joined := append(choices[:len(choices):len(choices)], p.Message.Choices...)
		if length > joinable || p.Message.ImageURL != "" || held[0].Message.ImageURL != "" ||
			len(joined) > bot.MaxButtons-2 || len(apart(joined)) < len(joined) {
			break
		}
		choices = joined
		n++
	}
	return n
}

// beside adds c to choices where there is room and nothing means both.
func beside(choices []bot.Choice, c bot.Choice) []bot.Choice {
	with := append(choices[:len(choices):len(choices)], c)
	if len(with) > bot.MaxButtons || len(apart(with)) < len(with) {
		return choices
	}
	return with
}

// apart leaves out of choices those that a word would mean beside one before.
func apart(choices []bot.Choice) []bot.Choice {
	var kept []bot.Choice
	for _, c := range choices {
		clash := false
		for _, k := range kept {
			clash = clash || shared(k, c)
		}
		if !clash {
			kept = append(kept, c)
		}
	}
	return kept
}

// shared reports whether one way of saying means both choices.
func shared(a, b bot.Choice) bool {
	for _, x := range ways(a) {
		for _, y := range ways(b) {
			if fold.SameWords(x, y) {
				return true
			}
		}
	}
	return false
}

func ways(c bot.Choice) []string {
	all := append([]string{c.Title}, c.Words...)
	if c.Label != "" {
		all = append(all, c.Label)
	}
	return all
}
