// Package human is the dialogue that leads to a person. It records the wish,
// marks the person at Zalo, tells the operators by mail, and names office hours;
// it never promises minutes, for no code can keep them.
//
// Whoever wants to be called can leave name and phone, by Zalo's form or typed,
// after agreeing to it. Dossier codes are still answered while somebody waits.
package human

import (
	"context"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/flows/way"
)

// Name is the flow's key.
const Name = "human"

const (
	stepForm = "form" // the form is open, or a number is to be typed
	version  = 1
)

// again is how long a wish for a person stands before operators are told anew.
const again = 12 * time.Hour

type state struct{}

// Flow is the dialogue.
type Flow struct{}

// New returns the flow.
func New() *Flow { return &Flow{} }

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return Name }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent { return []bot.Intent{bot.IntentHuman} }

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string { return []string{"ask", "contact", "agree", "enough"} }

// Begin records the wish for a person.
func (f *Flow) Begin(_ context.Context, t *bot.Turn, _ bot.Intent) error { return f.ask(t) }

// Act carries out a choice.
func (f *Flow) Act(_ context.Context, t *bot.Turn, action, _ string) error {
	switch action {
	case "contact":
		text, _ := way.Consent(t, "human.consent")
		t.Say(bot.Message{Text: text, Choices: []bot.Choice{
			way.To(t, "human.button.agree", bot.Payload(Name, "agree", "")),
			way.Zero(way.To(t, "human.button.refuse", bot.Payload("menu", "show", ""))),
		}})
		return nil
	case "agree":
		return f.form(t)
	case "enough":
		return f.enough(t)
	}
	return f.ask(t)
}

// Resume takes the form, or a phone number typed instead of it.
func (f *Flow) Resume(_ context.Context, t *bot.Turn) error {
	if _, ok := bot.LoadState[state](t.Conv, Name, version); !ok || t.Conv.Step != stepForm {
		return bot.ErrNotMine
	}
	if form, ok := t.Event.Body.(bot.InfoSubmitted); ok {
		return f.keep(t, strings.TrimSpace(form.Name), form.Phone)
	}
	name, phone, ok := contact(t.Text())
	if !ok {
		return bot.ErrNotMine
	}
	return f.keep(t, name, phone)
}

func (f *Flow) ask(t *bot.Turn) error {
	since := t.Conv.WaitingForPerson
	key := "human.recorded"
	if since.IsZero() || t.Now.Sub(since) > again {
		t.Conv.WaitingForPerson = t.Now
		t.Call(bot.Call{Kind: bot.CallTag, Tag: tag(t)})
		t.Alert("alert.person")
	} else {
		key = "human.recorded_before"
	}
	choices := []bot.Choice{way.To(t, "human.button.enough", bot.Payload(Name, "enough", "")), way.Home(t)}
	if t.Citizen.Phone == "" {
		choices = append([]bot.Choice{way.To(t, "human.button.contact", bot.Payload(Name, "contact", ""))}, choices...)
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: way.Signed(t, t.T(key, "Since", sinceWhen(t, since))), Choices: choices})
	return nil
}

func sinceWhen(t *bot.Turn, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return t.Moment(since)
}

// tag is the mark at Zalo. It is the same for everybody, whatever they speak,
// for staff look for it.
func tag(t *bot.Turn) string { return t.Texts.Text(bot.Vietnamese, "human.tag", nil) }

// form records the consent and opens Zalo's form.
func (f *Flow) form(t *bot.Turn) error {
	_, version := way.Consent(t, "human.consent")
	t.Do(citizen.GiveConsent{Purpose: citizen.PurposeContact, TextVersion: version, Channel: way.Channel})
	if err := bot.Enter(t.Conv, Name, stepForm, 1, state{}); err != nil {
		return err
	}
	t.Say(bot.Message{
		Text:       t.T("human.form.text"),
		AskContact: &bot.ContactForm{Title: t.T("human.form.title"), Subtitle: t.T("human.form.subtitle")},
	})
	return nil
}

// keep stores what was stated, for an officer to call back.
func (f *Flow) keep(t *bot.Turn, name, phone string) error {
	t.KeepSecret()
	if phone == "" {
		t.Say(bot.Message{Text: t.T("human.no_phone"), Choices: []bot.Choice{
			way.To(t, "human.button.contact_again", bot.Payload(Name, "agree", "")), way.Home(t),
		}})
		return nil
	}
	if name == "" {
		name = t.Citizen.Name
	}
	t.Do(citizen.SetContact{Name: name, Phone: phone})
	t.Conv.Leave()
	if t.Conv.WaitingForPerson.IsZero() {
		t.Conv.WaitingForPerson = t.Now
		t.Call(bot.Call{Kind: bot.CallTag, Tag: tag(t)})
		t.Alert("alert.person")
	}
	t.Say(bot.Message{
		Text:    t.T("human.kept", "Phone", citizen.MaskPhone(phone)),
		Choices: []bot.Choice{way.Lookup(t), way.Home(t)},
	})
	return nil
}

// enough takes the wish back.
func (f *Flow) enough(t *bot.Turn) error {
	if !t.Conv.WaitingForPerson.IsZero() {
		t.Conv.WaitingForPerson = time.Time{}
		t.Call(bot.Call{Kind: bot.CallUntag, Tag: tag(t)})
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("human.enough"), Choices: []bot.Choice{way.Lookup(t), way.Home(t)}})
	return nil
}

// contact finds a phone number in what was typed, and takes the words before it
// as a name.
func contact(text string) (name, phone string, ok bool) {
	at := strings.IndexAny(text, "+0123456789")
	if at < 0 {
		return "", "", false
	}
	end := strings.LastIndexAny(text, "0123456789") + 1
	phone, ok = citizen.NormalPhone(text[at:end])
	if !ok {
		return "", "", false
	}
	name = strings.Trim(text[:at], " ,.:;-\n")
	if len([]rune(name)) > 60 {
		name = ""
	}
	return name, phone, true
}
