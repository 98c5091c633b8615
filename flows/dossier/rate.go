package dossier

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// rateable reports whether there is something to rate: a result, or an end that
// the office gave the dossier.
func rateable(s dossier.Status) bool {
	return s == dossier.StatusReady || s.Ended() && s != dossier.StatusWithdrawn
}

// rateSome asks for a rating of the kept dossier that was told of last, or asks
// which dossier is meant.
func (f *Flow) rateSome(ctx context.Context, t *bot.Turn) error {
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	var some []dossier.Kept
	for _, k := range kept {
		if k.Last != nil && rateable(k.Last.Status) && !k.Rated {
			some = append(some, k)
		}
	}
	switch len(some) {
	case 0:
		if err := f.enter(t, stepAsk, state{}); err != nil {
			return err
		}
		t.Say(bot.Message{Text: t.T("dossier.rate.none"), Choices: []bot.Choice{way.Mine(t), way.Human(t), way.Home(t)}})
		return nil
	case 1:
		return f.rate(ctx, t, some[0].Code)
	}
	var choices []bot.Choice
	for _, k := range some[:min(len(some), bot.MaxButtons-1)] {
		choices = append(choices, codeChoice("rate", k.Code))
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.rate.which"), Choices: append(choices, way.Home(t))})
	return nil
}

// starButtons are the choices of a rating, one star first: the number of each is
// that of its stars.
var starButtons = []string{
	"dossier.button.stars_1", "dossier.button.stars_2", "dossier.button.stars_3",
	"dossier.button.stars_4", "dossier.button.stars_5",
}

// rate asks how the service on a dossier was.
func (f *Flow) rate(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	rated, err := f.dossiers.Rated(ctx, t.Citizen.ID, code)
	if err != nil {
		return err
	}
	t.Conv.Leave()
	if rated || !rateable(v.Status) {
		key := "dossier.rate.not_yet"
		if rated {
			key = "dossier.rate.already"
		}
		t.Say(bot.Message{
			Text:    t.T(key, "Code", string(code), "State", short(t, &v.Public)),
			Choices: []bot.Choice{way.To(t, "dossier.button.back", payload("show", code)), way.Human(t), way.Home(t)},
		})
		return nil
	}
	text := t.T("dossier.rate.ask", "Code", string(code), "Agency", v.AgencyName, "Shown", dossier.RatingsShown)
	return f.askStars(t, code, text)
}

// askStars says text and stands where one to five stars are awaited.
func (f *Flow) askStars(t *bot.Turn, code dossier.Code, text string) error {
	if err := f.enter(t, stepStars, state{Code: code}); err != nil {
		return err
	}
	var choices []bot.Choice
	for i, button := range starButtons {
		choices = append(choices, way.To(t, button, bot.Payload(Name, "stars", string(code)+","+strconv.Itoa(i+1))))
	}
	t.Say(bot.Message{Text: text, Choices: choices})
	return nil
}

// notStars answers another number than one of the five.
func (f *Flow) notStars(t *bot.Turn, st state) error {
	if strings.Trim(t.Text(), "0123456789 .,/") != "" {
		return bot.ErrNotMine
	}
	return f.askStars(t, st.Code, t.T("dossier.rate.number"))
}

// stars takes the rating, one digit, and offers to add words to it.
func (f *Flow) stars(ctx context.Context, t *bot.Turn, code dossier.Code, digit string) error {
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	rated, err := f.dossiers.Rated(ctx, t.Citizen.ID, code)
	if err != nil {
		return err
	}
	n := strings.Index("12345", digit) + 1
	if len(digit) != 1 || n == 0 || rated || !rateable(v.Status) {
		return f.rate(ctx, t, code)
	}
	t.Do(dossier.Rate{Code: code, Stars: n})
	return f.askComment(t, state{Code: code, Stars: n}, t.T("dossier.rate.taken", "Stars", n))
}

// askComment says text and stands where a comment is awaited. No single word acts
// there: it may be part of one.
func (f *Flow) askComment(t *bot.Turn, st state, text string) error {
	if err := f.enter(t, stepComment, st); err != nil {
		return err
	}
	t.Name = true
	t.Say(bot.Message{Text: text, Choices: []bot.Choice{
		way.Zero(way.To(t, "dossier.button.no_comment", bot.Payload(Name, "no_comment", ""))),
	}})
	return nil
}

// comment takes the words. They stay out of the history, where they would stand
// beside the person: the rating is nameless.
func (f *Flow) comment(t *bot.Turn, st state) error {
	words := strings.Join(strings.Fields(t.Text()), " ")
	t.KeepSecret()
	if utf8.RuneCountInString(words) > dossier.MaxComment {
		return f.askComment(t, st, t.T("dossier.rate.long", "Most", dossier.MaxComment))
	}
	t.Do(dossier.Rate{Code: st.Code, Stars: st.Stars, Comment: words})
	return f.thank(t)
}

func (f *Flow) thank(t *bot.Turn) error {
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.rate.thanks"), Choices: []bot.Choice{way.Mine(t), way.Home(t)}})
	return nil
}
