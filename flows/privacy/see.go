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
	for i, c := range o.Consents {
		if i == longest {
			break
		}
		add(consentLine(t, c))
	}
	add(t.T("privacy.all.messages", "Days", f.days))
	add(t.T("privacy.all.not"))
	t.Conv.Leave()
	t.Say(bot.Message{Text: strings.Join(lines, "\n"), Choices: []bot.Choice{back(t), way.Home(t)}})
	return nil
}

func consentLine(t *bot.Turn, c citizen.Consent) string {
	if c.WithdrawnAt.IsZero() {
		return t.T("privacy.all.consent", "Purpose", purpose(t, c.Purpose), "Given", t.Day(c.GivenAt))
	}
	return t.T("privacy.all.consent_ended", "Purpose", purpose(t, c.Purpose),
		"Given", t.Day(c.GivenAt), "Withdrawn", t.Day(c.WithdrawnAt))
}

// consents lists the consents that stand, each to be withdrawn by itself.
func (f *Flow) consents(ctx context.Context, t *bot.Turn) error {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	t.Conv.Leave()
	now := standing(o.Consents)
	if len(now) == 0 {
		t.Say(bot.Message{Text: t.T("privacy.consents.none"), Choices: []bot.Choice{back(t), way.Home(t)}})
		return nil
	}
	var lines []string
	var choices []bot.Choice
	seen := map[string]bool{}
	for _, c := range now {
		if seen[c.Purpose] {
			continue
		}
		seen[c.Purpose] = true
		lines = append(lines, t.T("privacy.consents.line", "Purpose", purpose(t, c.Purpose), "Given", t.Day(c.GivenAt)))
		if button := buttonOf(c.Purpose); button != "" && len(choices) < bot.MaxButtons-2 {
			choices = append(choices, way.To(t, button, bot.Payload(Name, "withdraw", c.Purpose)))
		}
	}
	choices = append(choices, way.To(t, "privacy.button.withdraw_all", bot.Payload(Name, "withdraw_all", "")), way.Home(t))
	t.Say(bot.Message{Text: t.T("privacy.consents.list", "Lines", strings.Join(lines, "\n")), Choices: choices})
	return nil
}

func buttonOf(purpose string) string {
	switch purpose {
	case citizen.PurposeKeep:
		return "privacy.button.purpose_keep"
	case citizen.PurposeContact:
		return "privacy.button.purpose_contact"
	case citizen.PurposeCallback:
		return "privacy.button.purpose_callback"
	}
	return ""
}

// askWithdraw says what withdrawing means before it happens. An empty purpose
// means all of them.
func (f *Flow) askWithdraw(ctx context.Context, t *bot.Turn, p string) error {
	if p != "" && buttonOf(p) == "" {
		return f.consents(ctx, t)
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
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: text, Choices: []bot.Choice{
		way.To(t, "privacy.button.withdraw_now", payload),
		way.Zero(way.To(t, "privacy.button.leave", bot.Payload(Name, "show", ""))),
	}})
	return nil
}
