// Package menu is the dialogue that opens a conversation and catches what no
// other understood: greeting, menu, thanks, "never mind", and the fallback.
//
// It lists what works today and no more, never says the same fallback twice in
// a row, and always leaves a way on. It keeps no state but Conversation.Lost.
package menu

import (
	"context"
	"time"

	"congdanso/bot"
	"congdanso/flows/way"
)

// Name is the flow's key.
const Name = "menu"

// Item is one line of the menu: the key of its button and what it does.
type Item struct{ Button, Payload string }

// Flow is the dialogue.
type Flow struct{ items, more []Item }

// New returns the flow with the menu's items and those that stand behind its last
// one, in their order: Zalo shows five buttons.
func New(items, more []Item) *Flow { return &Flow{items: items, more: more} }

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return Name }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent {
	return []bot.Intent{bot.IntentGreet, bot.IntentMenu, bot.IntentThanks, bot.IntentCancel}
}

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string { return []string{"show", "more"} }

// Begin answers a greeting, thanks, "never mind", or shows the menu.
func (f *Flow) Begin(_ context.Context, t *bot.Turn, intent bot.Intent) error {
	switch intent {
	case bot.IntentThanks:
		// The dialogue that was thanked for stays where it is.
		question := t.Conv.Question
		t.Say(bot.Message{Text: way.Signed(t, t.T("menu.thanks")), Kind: bot.KindMenu})
		t.Conv.Question = question
		return nil
	case bot.IntentCancel:
		t.Conv.Leave()
		return f.Show(t, "menu.cancelled")
	case bot.IntentGreet:
		t.Conv.Leave()
		return f.Show(t, orGreeting(t, "menu.hello"))
	}
	t.Conv.Leave()
	return f.Show(t, orGreeting(t, "menu.intro"))
}

// greeting says whose channel this is, what it keeps, and what it never asks.
const greeting = "menu.greeting"

// orGreeting is key, or the greeting for somebody who writes for the first time.
func orGreeting(t *bot.Turn, key string) string {
	if t.Citizen.New {
		return greeting
	}
	return key
}

// Act shows the menu, or the rest of it.
func (f *Flow) Act(_ context.Context, t *bot.Turn, action, _ string) error {
	t.Conv.Leave()
	if action == "more" {
		t.Say(bot.Message{Text: t.T("menu.rest"), Choices: append(choices(t, f.more), way.Home(t)), Kind: bot.KindMenu})
		return nil
	}
	return f.Show(t, "menu.intro")
}

func choices(t *bot.Turn, items []Item) []bot.Choice {
	all := make([]bot.Choice, len(items))
	for i, item := range items {
		all[i] = way.To(t, item.Button, item.Payload)
	}
	return all
}

// Resume takes nothing: the menu is a question, not a step.
func (f *Flow) Resume(context.Context, *bot.Turn) error { return bot.ErrNotMine }

// Show says the text of key with the menu under it, and leaves the conversation
// in the flow it is in.
func (f *Flow) Show(t *bot.Turn, key string) error {
	text := t.T(key)
	if key != greeting {
		text = way.Signed(t, text)
	}
	t.Say(bot.Message{Text: text, Choices: choices(t, f.items), Kind: bot.KindMenu})
	return nil
}

// Greet says whose channel this is and what it keeps. Somebody the channel knows
// already who merely opens the chat in the middle of a dialogue is left alone
// there: the menu comes without the introduction.
func (f *Flow) Greet(_ context.Context, t *bot.Turn) error {
	_, opened := t.Event.Body.(bot.ChatOpened)
	if opened && !t.Citizen.New {
		return f.Show(t, "menu.hello")
	}
	t.Conv.Leave()
	return f.Show(t, greeting)
}

// waiting is how long after asking for a person somebody's messages are taken as
// meant for that person.
const waiting = 72 * time.Hour

// Fallback answers what nobody understood.
func (f *Flow) Fallback(_ context.Context, t *bot.Turn, u bot.Understanding) error {
	if u.Intent == bot.IntentAsk && len(u.Between) > 0 {
		return f.which(t, u.Between)
	}
	t.Conv.Lost++
	if key := unread(t.Event.Body); key != "" && t.Conv.Lost == 1 {
		return f.say(t, t.T(key), way.Lookup(t), way.Human(t), way.Home(t))
	}
	if t.Citizen.New {
		return f.Show(t, greeting)
	}
	if since := t.Conv.WaitingForPerson; !since.IsZero() && t.Now.Sub(since) < waiting {
		key := "menu.noted"
		if t.Conv.Lost%2 == 0 {
			key = "menu.noted_again"
		}
		return f.say(t, t.T(key), way.Lookup(t), way.Home(t))
	}
	switch (t.Conv.Lost - 1) % 4 {
	case 0:
		return f.say(t, t.T("menu.lost_first"), way.Lookup(t), way.Notices(t), way.Mine(t), way.Human(t), way.Home(t))
	case 1:
		return f.say(t, t.T("menu.lost_second"), way.Office(t), way.Human(t), way.Home(t))
	case 2:
		return f.say(t, t.T("menu.lost_third"),
			way.To(t, "menu.button.person", bot.Payload("human", "ask", "")), way.Home(t))
	}
	return f.say(t, t.T("menu.lost_fourth"), way.Lookup(t), way.Home(t))
}

func (f *Flow) say(t *bot.Turn, text string, choices ...bot.Choice) error {
	t.Say(bot.Message{Text: way.Signed(t, text), Choices: choices, Kind: bot.KindFallback})
	return nil
}

// unread is the key of what is said about a message that is not text.
func unread(b bot.Body) string {
	switch b := b.(type) {
	case bot.Media:
		switch b.Kind {
		case bot.MediaImage:
			return "menu.unread.image"
		case bot.MediaSticker, bot.MediaGIF:
			return "menu.unread.sticker"
		case bot.MediaAudio:
			return "menu.unread.audio"
		case bot.MediaVideo, bot.MediaFile:
			return "menu.unread.file"
		case bot.MediaLink:
			return "menu.unread.link"
		case bot.MediaCard:
			return "menu.unread.card"
		}
		return "menu.unread.unknown"
	case bot.Location:
		return "menu.unread.location"
	case bot.InfoSubmitted:
		return "menu.unread.form"
	}
	return ""
}

// reading is how one reading of an ambiguous sentence is offered: as a choice,
// or, where choosing it acts, as a phrase to type, for nothing may be stopped or
// erased by a bare number.
type reading struct{ button, payload, phrase, alone string }

func readings(intent bot.Intent) reading {
	to := func(button, flow, action string) reading {
		return reading{button: button, payload: bot.Payload(flow, action, "")}
	}
	switch intent {
	case bot.IntentStop:
		return reading{phrase: "menu.phrase.stop", alone: "menu.phrase.stop_alone"}
	case bot.IntentErase:
		return reading{phrase: "menu.phrase.erase", alone: "menu.phrase.erase_alone"}
	case bot.IntentLookup:
		return to("way.button.lookup", "dossier", "ask")
	case bot.IntentMine:
		return to("way.button.mine", "dossier", "mine")
	case bot.IntentHuman:
		return to("way.button.human", "human", "ask")
	case bot.IntentData:
		return to("menu.button.data", "privacy", "show")
	case bot.IntentWithdraw:
		return to("menu.button.withdraw", "privacy", "consents")
	case bot.IntentWhere:
		return to("way.button.office", "elsewhere", "where")
	case bot.IntentProcedure:
		return to("menu.button.procedure", "elsewhere", "procedure")
	case bot.IntentNotices:
		return to("way.button.notices", "notices", "show")
	case bot.IntentContest, bot.IntentPractice:
		return to("menu.button.contest", "elsewhere", "contest")
	case bot.IntentResult:
		return to("menu.button.result", "elsewhere", "result")
	case bot.IntentComplain:
		return to("menu.button.complain", "elsewhere", "complain")
	}
	return reading{}
}

// which asks what was meant. The dialogue in progress stays where it is.
func (f *Flow) which(t *bot.Turn, between []bot.Intent) error {
	var choices []bot.Choice
	var phrases []reading
	for _, intent := range between {
		r := readings(intent)
		switch {
		case r.phrase != "":
			phrases = append(phrases, r)
		case r.button != "" && len(choices) < bot.MaxButtons-1:
			choices = append(choices, way.To(t, r.button, r.payload))
		}
	}
	text := t.T("menu.which")
	if len(phrases) == 1 && len(choices) == 0 {
		text = t.T(phrases[0].alone)
	} else {
		for _, r := range phrases {
			text += "\n" + t.T(r.phrase)
		}
	}
	skip := way.Zero(way.To(t, "menu.button.skip", bot.Payload(Name, "show", "")))
	return f.say(t, text, append(choices, skip)...)
}
