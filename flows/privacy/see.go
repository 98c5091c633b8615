package privacy

import (
	"context"
	"strings"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/flows/way"
)

// longest is how many dossiers and consents are told line by line.
const longest = 12

// all says everything that is kept, line by line.
func (f *Flow) all(ctx context.Context, t *bot.Turn) error {
	o, kept, err := f.overview(ctx, t)
	if err != nil {
		return err
	}
	told, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	var lines []string
	add := func(line string) { lines = append(lines, line) }
	add(t.T("privacy.all.title"))
	add("")
	if !o.Since.IsZero() {
		add(t.T("privacy.all.since", "Day", t.Day(o.Since)))
	}
	add(t.T("privacy.all.language"))
	if o.Name != "" {
		add(t.T("privacy.all.name", "Name", o.Name))
	}
	if o.MaskedPhone != "" {
		add(t.T("privacy.all.phone", "Phone", o.MaskedPhone))
	}
	for i, k := range kept {
		if i == longest {
			add(t.T("privacy.all.more", "Count", len(kept)-longest))
			break
		}
		add(t.T("privacy.all.dossier", "Code", string(k.Code), "Day", t.Day(k.At)))
	}
	if len(told.Topics) > 0 {
		keys := make([]string, len(told.Topics))
		for i, s := range told.Topics {
			keys[i] = s.Topic
		}
		add(t.T("privacy.all.topics", "Topics", f.names(t, keys)))
	}
	if len(told.Areas) > 0 {
		add(t.T("privacy.all.areas", "Count", len(told.Areas)))
	}
	for i, c := range o.Consents {
		if i == longest {
			break
		}
		add(f.consentLine(t, c))
	}
	add(t.T("privacy.all.messages", "Days", f.days))
	add(t.T("privacy.all.not"))
	t.Conv.Leave()
	t.Say(bot.Message{Text: strings.Join(lines, "\n"), Choices: []bot.Choice{back(t), way.Home(t)}})
	return nil
}

func (f *Flow) consentLine(t *bot.Turn, c citizen.Consent) string {
	if c.WithdrawnAt.IsZero() {
		return t.T("privacy.all.consent", "Purpose", f.purpose(t, c.Purpose), "Given", t.Day(c.GivenAt))
	}
	return t.T("privacy.all.consent_ended", "Purpose", f.purpose(t, c.Purpose),
		"Given", t.Day(c.GivenAt), "Withdrawn", t.Day(c.WithdrawnAt))
}

// consents lists the consents that stand, each to be withdrawn by itself. Where
// they are more than the buttons, the rest has a page of its own.
func (f *Flow) consents(ctx context.Context, t *bot.Turn, page string) error {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	t.Conv.Leave()
	now := subjects(o.Consents)
	if len(now) == 0 {
		t.Say(bot.Message{Text: t.T("privacy.consents.none"), Choices: []bot.Choice{back(t), way.Home(t)}})
		return nil
	}
	const room = bot.MaxButtons - 2 // beside "all of them" and the way back
	var lines []string
	var choices []bot.Choice
	for _, s := range now {
		lines = append(lines, t.T("privacy.consents.line", "Purpose", f.said(t, s), "Given", t.Day(s.given)))
		if button := buttonOf(s.purpose); button != "" {
			choices = append(choices, way.To(t, button, bot.Payload(Name, "withdraw", s.purpose)))
		}
	}
	if len(choices) > room {
		if page == "2" {
			choices = choices[room-1:]
		} else {
			choices = append(choices[:room-1:room-1], way.To(t, "privacy.button.others", bot.Payload(Name, "consents", "2")))
		}
	}
	choices = append(choices, way.To(t, "privacy.button.withdraw_all", bot.Payload(Name, "withdraw_all", "")), way.Home(t))
	t.Say(bot.Message{Text: t.T("privacy.consents.list", "Lines", strings.Join(lines, "\n")), Choices: choices})
	return nil
}

// askWithdraw says what withdrawing means before it happens. An empty purpose
// means all of them.
func (f *Flow) askWithdraw(ctx context.Context, t *bot.Turn, p string) error {
	topic, isTopic := citizen.TopicOf(p)
	if p != "" && buttonOf(p) == "" && !isTopic {
		return f.consents(ctx, t, "")
	}
	var text string
	payload := bot.Payload(Name, "withdraw_now", p)
	switch p {
	case "":
		text, payload = t.T("privacy.withdraw.all"), bot.Payload(Name, "withdraw_all_now", "")
	case citizen.PurposeKeep:
		kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
		if err != nil {
			return err
		}
		text = t.T("privacy.withdraw.keep", "Count", len(kept))
	case citizen.PurposeContact:
		text = t.T("privacy.withdraw.contact")
	case citizen.PurposeCallback:
		text = t.T("privacy.withdraw.callback")
	case citizen.PurposeFollow:
		text = t.T("privacy.withdraw.follow")
	case topicsTogether:
		text = t.T("privacy.withdraw.topics")
	default:
		text = t.T("privacy.withdraw.topic", "Topic", f.names(t, []string{topic}))
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: text, Choices: []bot.Choice{
		way.To(t, "privacy.button.withdraw_now", payload),
		way.Zero(way.To(t, "privacy.button.leave", bot.Payload(Name, "show", ""))),
	}})
	return nil
}
