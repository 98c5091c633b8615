package notices

import (
	"context"

	"congdanso/bot"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

// show says what one gets now, where, and when.
func (f *Flow) show(ctx context.Context, t *bot.Turn) error {
	o, p, err := f.known(ctx, t)
	if err != nil {
		return err
	}
	topics := f.subscribed(o)
	var text []string
	var last bot.Choice
	switch {
	case !p.StoppedAt.IsZero():
		text = append(text, t.T("notices.show.stopped"))
	case t.Now.Before(p.PausedUntil):
		text = append(text, t.T("notices.show.paused", "Until", t.Moment(p.PausedUntil)))
		last = to(t, "notices.button.resume", "resume", "")
	case len(topics) == 0:
		text = append(text, t.T("notices.show.none"))
	}
	choices := []bot.Choice{to(t, "notices.button.topics", "topics", "")}
	if len(topics) > 0 {
		text = append(text, t.T("notices.show.topics", "Topics", f.names(t, topics)))
		choices = onward(t, topics)
		if names := f.areaNames(t, o.Areas); len(names) > 0 {
			text = append(text, t.T("notices.show.areas", "Areas", list(names)))
		} else if needsPlaces(topics) {
			text = append(text, t.T("notices.show.no_area"))
		}
		if last.Title == "" {
			last = way.To(t, "notices.button.stop", bot.Payload("stop", "all", ""))
		}
	}
	if p.Held > 0 {
		text = append(text, t.T("notices.show.held", "Count", p.Held))
		last = to(t, "notices.button.read", "read", "")
	}
	if len(topics) > 0 {
		text = append(text, t.T("notices.show.stop"))
	} else {
		text = append(text, t.T("notices.show.dossiers"))
	}
	if last.Title != "" {
		choices = append(choices, last)
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: way.Signed(t, lines(text...)), Choices: append(choices, way.Home(t))})
	return nil
}

// known reads what somebody asked for, and how they may be written to.
func (f *Flow) known(ctx context.Context, t *bot.Turn) (notice.Overview, push.Preferences, error) {
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return o, push.Preferences{}, err
	}
	p, err := f.pushes.Preferences(ctx, t.Citizen.ID)
	return o, p, err
}
