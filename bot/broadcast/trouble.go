package broadcast

import (
	"context"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/push"
)

// Trouble is what keeps copies of a run that goes from going, beyond what paused it.
type Trouble struct {
	Closed  []push.Closure // ways of its copies
	Refused []delivery.Refusals
}

// Trouble reads what keeps a run's copies.
func (s *Store) Trouble(ctx context.Context, run Run, now time.Time) (t Trouble, err error) {
	if run.Kind != Personal || run.State != RunRunning && run.State != RunPaused {
		return t, nil
	}
	closed, err := s.Push.Closures(ctx, run.OA, now)
	if err != nil {
		return t, err
	}
	ours := push.NewSettings(s.Values()).TemplateID(run.Definition.Template)
	for _, c := range closed {
		if c.Template == "" || c.Template == ours {
			t.Closed = append(t.Closed, c)
		}
	}
	t.Refused, err = delivery.RefusalsOf(ctx, s.Pool, run.ID)
	return t, err
}

// Words tells the trouble, a line a cause.
func (t Trouble) Words(texts bot.Texts, lang string, now time.Time) []string {
	var lines []string
	say := func(key string, pairs ...any) {
		lines = append(lines, texts.Text(lang, "broadcast.trouble."+key, bot.Pairs(pairs...)))
	}
	for _, c := range t.Closed {
		say("closed", "Rung", Word(texts, lang, "rung", string(c.Rung)), "Until", texts.Moment(lang, c.Until, now),
			"Why", Word(texts, lang, "cause", c.Cause))
	}
	for _, r := range t.Refused {
		say("refused", "N", r.N, "Until", texts.Moment(lang, r.Until, now), "Words", r.Words)
	}
	return lines
}
