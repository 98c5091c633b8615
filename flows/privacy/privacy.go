// Package privacy is the dialogue about what the channel keeps of a person: to
// see it, correct it, withdraw each consent, and erase everything.
//
// Erasing is confirmed by typing a word, never by a number or a button. A request
// made at Zalo is carried out without asking. The receipt is the last send.
package privacy

import (
	"context"
	"crypto/rand"
	"strings"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/bot/notice"
	"congdanso/flows/way"
)

// Name is the flow's key.
const Name = "privacy"

const (
	stepErase = "erase" // the word is awaited
	stepName  = "name"  // a name is awaited
	stepPhone = "phone" // a phone number is awaited
	version   = 1
)

type state struct{}

// Citizens is what this flow needs of the profiles.
type Citizens interface {
	Overview(ctx context.Context, who bot.CitizenID) (citizen.Overview, error)
}

// Dossiers is what this flow needs of the dossiers kept.
type Dossiers interface {
	Kept(ctx context.Context, who bot.CitizenID) ([]dossier.Kept, error)
}

// Notices is what this flow needs of what people asked to be told.
type Notices interface {
	Overview(ctx context.Context, who bot.CitizenID) (notice.Overview, error)
}

// Topic is something people can ask to be told about: its key, and that of its
// name.
type Topic struct{ Key, Name string }

// Flow is the dialogue.
type Flow struct {
	citizens Citizens
	dossiers Dossiers
	notices  Notices
	topics   []Topic
	days     int
	receipt  func() string
}

// New returns the flow. Days is how long message texts are kept; receipt makes
// the code that an erasure leaves behind (nil: Receipt).
func New(c Citizens, d Dossiers, n Notices, topics []Topic, days int, receipt func() string) *Flow {
	if receipt == nil {
		receipt = Receipt
	}
	return &Flow{citizens: c, dossiers: d, notices: n, topics: topics, days: days, receipt: receipt}
}

// Receipt makes a random receipt code without letters that are easily mistaken:
// "7K3F-92QD".
func Receipt() string {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	var b strings.Builder
	for i, r := range raw {
		if i == 4 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[int(r)%len(letters)])
	}
	return b.String()
}

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return Name }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent {
	return []bot.Intent{bot.IntentData, bot.IntentErase, bot.IntentWithdraw}
}

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string {
	return []string{
		"show", "all", "correct", "name", "phone", "forget_contact",
		"consents", "withdraw", "withdraw_now", "withdraw_all", "withdraw_all_now", "erase", "keep", "withdrawn",
	}
}

// Begin answers what free text asked for.
func (f *Flow) Begin(ctx context.Context, t *bot.Turn, intent bot.Intent) error {
	switch intent {
	case bot.IntentErase:
		if f.confirmed(t) {
			return f.erase(t)
		}
		return f.askErase(ctx, t)
	case bot.IntentWithdraw:
		return f.consents(ctx, t, "")
	}
	return f.show(ctx, t)
}

// Act carries out a choice.
func (f *Flow) Act(ctx context.Context, t *bot.Turn, action, arg string) error {
	switch action {
	case "all":
		return f.all(ctx, t)
	case "correct":
		return f.correct(ctx, t)
	case "name":
		return f.askName(t)
	case "phone":
		return f.askPhone(t)
	case "forget_contact":
		return f.forgetContact(ctx, t)
	case "consents":
		return f.consents(ctx, t, arg)
	case "withdraw":
		return f.askWithdraw(ctx, t, arg)
	case "withdraw_now":
		return f.withdraw(ctx, t, arg)
	case "withdraw_all":
		return f.askWithdraw(ctx, t, "")
	case "withdraw_all_now":
		return f.withdrawAll(t)
	case "erase":
		return f.askErase(ctx, t)
	case "withdrawn":
		// Zalo's own request erases at once; the same payload typed by hand is
		// asked for the word like any other.
		if _, asked := t.Event.Body.(bot.Withdrawn); asked {
			return f.erase(t)
		}
		return f.askErase(ctx, t)
	}
	return f.show(ctx, t)
}

// Resume takes the confirming word, a name or a number.
func (f *Flow) Resume(_ context.Context, t *bot.Turn) error {
	if _, ok := bot.LoadState[state](t.Conv, Name, version); !ok {
		return bot.ErrNotMine
	}
	switch t.Conv.Step {
	case stepErase:
		if f.confirmed(t) {
			return f.erase(t)
		}
	case stepName:
		return f.takeName(t)
	case stepPhone:
		return f.takePhone(t)
	}
	return bot.ErrNotMine
}

// show says in a few lines what is kept.
func (f *Flow) show(ctx context.Context, t *bot.Turn) error {
	o, kept, err := f.overview(ctx, t)
	if err != nil {
		return err
	}
	told, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: t.T("privacy.show", "Name", o.Name, "Phone", o.MaskedPhone, "Kept", len(kept), "Days", f.days,
			"Consents", len(subjects(o.Consents)), "Topics", len(told.Topics), "Areas", len(told.Areas)),
		Choices: []bot.Choice{
			way.To(t, "privacy.button.all", bot.Payload(Name, "all", "")),
			way.To(t, "privacy.button.correct", bot.Payload(Name, "correct", "")),
			way.To(t, "privacy.button.consents", bot.Payload(Name, "consents", "")),
			way.To(t, "privacy.button.erase", bot.Payload(Name, "erase", "")),
			way.Home(t),
		},
	})
	return nil
}

func (f *Flow) overview(ctx context.Context, t *bot.Turn) (citizen.Overview, []dossier.Kept, error) {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return o, nil, err
	}
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	return o, kept, err
}

// back is how the way back into this dialogue stands under its parts.
func back(t *bot.Turn) bot.Choice {
	return way.To(t, "privacy.button.back", bot.Payload(Name, "show", ""))
}
