// Package elsewhere answers honestly what the channel does not do, or not yet:
// each answer says where to go instead, and leaves a way on. It also answers who
// the channel is, and whom to call when something cannot wait.
//
// It keeps nothing. What people write on complaints and denunciations is not
// even kept in the history.
package elsewhere

import (
	"context"

	"congdanso/bot"
	"congdanso/flows/way"
)

// Flow is the dialogue.
type Flow struct{}

// New returns the flow.
func New() *Flow { return &Flow{} }

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return "elsewhere" }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent {
	return []bot.Intent{
		bot.IntentContest, bot.IntentPractice, bot.IntentResult,
		bot.IntentComplain, bot.IntentPetition, bot.IntentProcedure, bot.IntentWhere,
		bot.IntentEmergency, bot.IntentTrust,
	}
}

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string {
	return []string{"contest", "result", "complain", "procedure", "where", "trust"}
}

// Begin answers what free text asked for. The dialogue in progress stays where
// it is, for nothing was begun.
func (f *Flow) Begin(_ context.Context, t *bot.Turn, intent bot.Intent) error {
	switch intent {
	case bot.IntentContest, bot.IntentPractice:
		return f.answer(t, "contest")
	case bot.IntentResult:
		return f.answer(t, "result")
	case bot.IntentComplain:
		return f.answer(t, "complain")
	case bot.IntentProcedure:
		return f.answer(t, "procedure")
	case bot.IntentWhere:
		return f.answer(t, "where")
	case bot.IntentPetition:
		t.KeepSecret()
		t.Say(bot.Message{Text: t.T("elsewhere.petition"), Choices: []bot.Choice{way.Lookup(t), way.Home(t)}})
		return nil
	case bot.IntentEmergency:
		t.KeepSecret()
		t.Say(bot.Message{Text: t.T("elsewhere.emergency"), Choices: []bot.Choice{way.Home(t)}})
		return nil
	}
	return f.answer(t, "trust")
}

// Act answers a choice.
func (f *Flow) Act(_ context.Context, t *bot.Turn, action, _ string) error {
	return f.answer(t, action)
}

// Resume takes nothing.
func (f *Flow) Resume(context.Context, *bot.Turn) error { return bot.ErrNotMine }

func (f *Flow) answer(t *bot.Turn, about string) error {
	text, choices := "", []bot.Choice{way.Lookup(t), way.Human(t), way.Home(t)}
	switch about {
	case "contest":
		text, choices = t.T("elsewhere.contest"), []bot.Choice{way.Lookup(t), way.Home(t)}
	case "result":
		text, choices = t.T("elsewhere.result"), []bot.Choice{way.Lookup(t), way.Mine(t), way.Home(t)}
	case "complain":
		text = t.T("elsewhere.complain")
	case "procedure":
		text, choices = t.T("elsewhere.procedure"), []bot.Choice{way.Office(t), way.Human(t), way.Home(t)}
	case "trust":
		t.Say(bot.Message{Text: t.T("elsewhere.trust"), Choices: choices})
		return nil
	default:
		text = t.T("elsewhere.where")
	}
	t.Say(bot.Message{Text: way.Signed(t, text), Choices: choices})
	return nil
}
