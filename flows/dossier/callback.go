package dossier

import (
	"context"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// consentCallback is the text that asks whether the channel may write by itself.
// It stands where the promise is offered.
const consentCallback = "dossier.callback.consent"

// wait promises to tell when the dossier can be seen. Choosing it is the consent
// to that one message.
func (f *Flow) wait(t *bot.Turn, code dossier.Code) error {
	_, version := way.Consent(t, consentCallback)
	t.Do(citizen.GiveConsent{Purpose: citizen.PurposeCallback, TextVersion: version, Channel: way.Channel})
	t.Do(dossier.AskCallback{Code: code})
	t.Conv.Leave()
	t.Say(bot.Message{
		Text:    t.T("dossier.callback.promised", "Code", string(code)),
		Choices: []bot.Choice{way.Another(t), way.Home(t)},
	})
	return nil
}

// callback keeps the promise. Nobody is waiting with the phone in hand: the
// message stands alone, its choices are words and buttons, and the question that
// may be open stays open. Typed by hand it is a look-up like any other.
func (f *Flow) callback(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	if !t.Unasked {
		return f.show(ctx, t, code, nil)
	}
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	if v.Stale {
		return f.unavailable(t, code, &v)
	}
	t.Say(bot.Message{
		Text:    join(head(t, &v.Public), f.facts(t, code, &v), t.T("dossier.callback.kept", "Code", string(code))),
		Choices: []bot.Choice{way.To(t, "dossier.button.back", payload("show", code))},
		About:   f.about(code),
	})
	return nil
}

// gaveUp says that the promise could not be kept in a day. Typed by hand it is a
// look-up like any other.
func (f *Flow) gaveUp(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	if !t.Unasked {
		return f.show(ctx, t, code, nil)
	}
	t.Say(bot.Message{
		Text:    t.T("dossier.callback.gave_up", "Code", string(code)),
		Choices: []bot.Choice{way.To(t, "dossier.button.back", payload("show", code))},
	})
	return nil
}
