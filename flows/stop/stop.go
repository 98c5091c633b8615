// Package stop is the dialogue that ends everything the channel sends by itself.
// It happens at once on its phrase, from anywhere, and is never asked back.
package stop

import (
	"context"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

// Flow is the dialogue.
type Flow struct{}

// New returns the flow.
func New() *Flow { return &Flow{} }

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return "stop" }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent { return []bot.Intent{bot.IntentStop} }

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string { return []string{"all"} }

// Begin stops everything.
func (f *Flow) Begin(_ context.Context, t *bot.Turn, _ bot.Intent) error { return f.stop(t) }

// Act stops everything.
func (f *Flow) Act(_ context.Context, t *bot.Turn, _, _ string) error { return f.stop(t) }

// Resume takes nothing.
func (f *Flow) Resume(context.Context, *bot.Turn) error { return bot.ErrNotMine }

func (f *Flow) stop(t *bot.Turn) error {
	t.Conv.Leave()
	t.Do(push.Stop{})
	t.Do(notice.UnsubscribeAll{})
	t.Do(notice.ClearAreas{})
	t.Do(dossier.UnfollowAll{})
	t.Do(dossier.CancelCallbacks{})
	t.Do(citizen.WithdrawNotices{})
	t.Say(bot.Message{Text: t.T("stop.done"), Choices: []bot.Choice{way.Lookup(t), way.Home(t)}})
	return nil
}
