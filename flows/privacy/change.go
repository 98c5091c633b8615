package privacy

import (
	"context"
	"strings"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/bot/fold"
	"congdanso/bot/notice"
	"congdanso/flows/way"
)

// withdraw ends one consent, and what stood on it.
func (f *Flow) withdraw(ctx context.Context, t *bot.Turn, p string) error {
	topic, isTopic := citizen.TopicOf(p)
	what := f.purpose(t, p)
	switch p {
	case citizen.PurposeKeep:
		t.Do(dossier.DropAll{}) // and with it the telling
		t.Do(citizen.WithdrawConsent{Purpose: citizen.PurposeFollow})
	case citizen.PurposeContact:
		t.Do(citizen.ClearContact{})
	case citizen.PurposeCallback:
		t.Do(dossier.CancelCallbacks{})
	case citizen.PurposeFollow:
		t.Do(dossier.UnfollowAll{})
	case topicsTogether:
		o, err := f.citizens.Overview(ctx, t.Citizen.ID)
		if err != nil {
			return err
		}
		what = t.T("privacy.purpose.topics")
		t.Do(notice.UnsubscribeAll{})
		t.Do(notice.ClearAreas{})
		for _, s := range subjects(o.Consents) {
			for _, topic := range s.topics {
				t.Do(citizen.WithdrawConsent{Purpose: citizen.PurposeTopic(topic)})
			}
		}
	default:
		if !isTopic {
			t.Say(bot.Message{Text: t.T("privacy.consents.none"), Choices: []bot.Choice{back(t), way.Home(t)}})
			return nil
		}
		t.Do(notice.Unsubscribe{Topic: topic})
		told, err := f.notices.Overview(ctx, t.Citizen.ID)
		if err != nil {
			return err
		}
		if len(told.Topics) == 1 && told.Has(topic) {
			t.Do(notice.ClearAreas{}) // kept for no purpose any more
		}
	}
	if p != topicsTogether {
		t.Do(citizen.WithdrawConsent{Purpose: p})
	}
	t.Conv.Leave()
	t.Say(bot.Message{
		Text:    t.T("privacy.withdrawn", "Purpose", what),
		Choices: []bot.Choice{back(t), way.Home(t)},
	})
	return nil
}

func (f *Flow) withdrawAll(t *bot.Turn) error {
	t.Do(dossier.DropAll{})
	t.Do(dossier.UnfollowAll{})
	t.Do(dossier.CancelCallbacks{})
	t.Do(notice.UnsubscribeAll{})
	t.Do(notice.ClearAreas{})
	t.Do(citizen.ClearContact{})
	t.Do(citizen.WithdrawAll{})
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("privacy.withdrawn_all"), Choices: []bot.Choice{back(t), way.Home(t)}})
	return nil
}

// correct offers what can be corrected.
func (f *Flow) correct(ctx context.Context, t *bot.Turn) error {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	t.Conv.Leave()
	var choices []bot.Choice
	key := "privacy.correct.nothing"
	if o.Name != "" || o.MaskedPhone != "" {
		key = "privacy.correct.contact"
		choices = append(choices,
			way.To(t, "privacy.button.name", bot.Payload(Name, "name", "")),
			way.To(t, "privacy.button.phone", bot.Payload(Name, "phone", "")),
			way.To(t, "privacy.button.forget_contact", bot.Payload(Name, "forget_contact", "")))
	}
	choices = append(choices,
		way.To(t, "privacy.button.language", bot.Payload("language", "other", "")),
		way.Home(t))
	t.Say(bot.Message{Text: t.T(key, "Name", o.Name, "Phone", o.MaskedPhone), Choices: choices})
	return nil
}

func (f *Flow) askName(t *bot.Turn) error {
	return f.askFor(t, stepName, "privacy.correct.ask_name")
}

func (f *Flow) askPhone(t *bot.Turn) error {
	return f.askFor(t, stepPhone, "privacy.correct.ask_phone")
}

// askFor opens the step that takes one field. Only somebody who has left a name
// or a number, and agreed to that, has something to correct.
func (f *Flow) askFor(t *bot.Turn, step, key string) error {
	if t.Citizen.Name == "" && t.Citizen.Phone == "" {
		t.Conv.Leave()
		t.Say(bot.Message{Text: t.T("privacy.correct.nothing"), Choices: []bot.Choice{back(t), way.Home(t)}})
		return nil
	}
	if err := bot.Enter(t.Conv, Name, step, version, state{}); err != nil {
		return err
	}
	t.Name = step == stepName
	t.Say(bot.Message{Text: t.T(key), Choices: []bot.Choice{
		way.Zero(way.To(t, "privacy.button.leave", bot.Payload(Name, "show", ""))),
	}})
	return nil
}

// longestName is how long a name may be, in characters.
const longestName = 60

func (f *Flow) takeName(t *bot.Turn) error {
	name := strings.Join(strings.Fields(t.Text()), " ")
	if name == "" {
		return bot.ErrNotMine
	}
	t.KeepSecret()
	if len([]rune(name)) > longestName || strings.ContainsAny(name, "0123456789#@/") {
		t.Name = true
		t.Say(bot.Message{Text: t.T("privacy.correct.bad_name"), Choices: []bot.Choice{
			way.Zero(way.To(t, "privacy.button.leave", bot.Payload(Name, "show", ""))),
		}})
		return nil
	}
	t.Do(citizen.SetContact{Name: name, Phone: t.Citizen.Phone})
	return f.corrected(t)
}

func (f *Flow) takePhone(t *bot.Turn) error {
	text := t.Text()
	if !strings.ContainsAny(text, "0123456789") {
		return bot.ErrNotMine
	}
	t.KeepSecret()
	phone, ok := citizen.NormalPhone(text)
	if !ok {
		t.Say(bot.Message{Text: t.T("privacy.correct.bad_phone"), Choices: []bot.Choice{
			way.Zero(way.To(t, "privacy.button.leave", bot.Payload(Name, "show", ""))),
		}})
		return nil
	}
	t.Do(citizen.SetContact{Name: t.Citizen.Name, Phone: phone})
	return f.corrected(t)
}

func (f *Flow) corrected(t *bot.Turn) error {
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("privacy.correct.done"), Choices: []bot.Choice{back(t), way.Home(t)}})
	return nil
}

// forgetContact removes name and phone, and the consent they were given under.
func (f *Flow) forgetContact(ctx context.Context, t *bot.Turn) error {
	return f.withdraw(ctx, t, citizen.PurposeContact)
}

// askErase says what erasing means and asks for the word.
func (f *Flow) askErase(ctx context.Context, t *bot.Turn) error {
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if err := bot.Enter(t.Conv, Name, stepErase, version, state{}); err != nil {
		return err
	}
	t.Say(bot.Message{Text: t.T("privacy.erase.ask", "Count", len(kept)), Choices: []bot.Choice{
		way.Zero(way.To(t, "privacy.button.keep", keepPayload)),
	}})
	return nil
}

// keepPayload is the way back from the question whether to erase; the question
// is known by it.
var keepPayload = bot.Payload(Name, "keep", "")

// confirmed reports whether the word was typed while the question that asks for
// it is the open one: any other message of the channel closes it.
func (f *Flow) confirmed(t *bot.Turn) bool {
	if _, ok := bot.LoadState[state](t.Conv, Name, version); !ok || t.Conv.Step != stepErase || t.Late {
		return false
	}
	q := t.Conv.Question
	if q == nil || len(q.Choices) != 1 || q.Choices[0].Payload != keepPayload {
		return false
	}
	if _, typed := t.Event.Body.(bot.Text); !typed {
		return false
	}
	word := fold.Fold(t.Text())
	return word == "xoa" || word == "delete"
}

// erase removes everything, here and at Zalo. The receipt is the last send.
func (f *Flow) erase(t *bot.Turn) error {
	receipt := f.receipt()
	*t.Conv = bot.Conversation{UpdatedAt: t.Now}
	t.Do(citizen.Erase{Receipt: receipt})
	t.Say(bot.Message{Text: t.T("privacy.erase.done", "At", t.Moment(t.Now), "Receipt", receipt)})
	t.Call(bot.Call{Kind: bot.CallForget})
	return nil
}
