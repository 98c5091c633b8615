// Package language is the dialogue that changes the language the channel speaks
// with a citizen. It interrupts nothing: whoever was asked for something can
// still answer it.
package language

import (
	"context"

	"congdanso/bot"
	"congdanso/bot/citizen"
)

// Menu shows the menu under a text.
type Menu interface {
	Show(t *bot.Turn, key string) error
}

// Flow is the dialogue.
type Flow struct{ menu Menu }

// New returns the flow.
func New(menu Menu) *Flow { return &Flow{menu: menu} }

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return "language" }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent {
	return []bot.Intent{bot.IntentEnglish, bot.IntentVietnamese}
}

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string { return []string{"en", "vi", "other"} }

// Begin changes to the language asked for.
func (f *Flow) Begin(_ context.Context, t *bot.Turn, intent bot.Intent) error {
	if intent == bot.IntentEnglish {
		return f.set(t, bot.English)
	}
	return f.set(t, bot.Vietnamese)
}

// Act changes to the language named, or with "other" to the one not spoken now.
func (f *Flow) Act(_ context.Context, t *bot.Turn, action, _ string) error {
	switch {
	case action == bot.English || action == "other" && t.Citizen.Language != bot.English:
		return f.set(t, bot.English)
	default:
		return f.set(t, bot.Vietnamese)
	}
}

// Resume takes nothing.
func (f *Flow) Resume(context.Context, *bot.Turn) error { return bot.ErrNotMine }

func (f *Flow) set(t *bot.Turn, lang string) error {
	if t.Citizen.Language != lang {
		t.Citizen.Language = lang
		t.Do(citizen.SetLanguage{Lang: lang})
	}
	return f.menu.Show(t, "language.changed")
}
