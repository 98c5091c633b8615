package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// Understander takes free text for what it asks.
type Understander interface {
	Understand(text string) bot.Understanding
}

// Router hands each event to the flow that answers it. It decides nothing else,
// and touches neither database nor network.
//
// The order: a payload; the question that is open; what a flow recognises
// wherever it appears (a dossier code); words that work everywhere; the flow the
// conversation is in; the understanding of free text; the fallback.
type Router struct {
	flows       map[string]bot.Flow
	intents     map[bot.Intent]bot.Flow
	recognizers []bot.Recognizer
	opener      bot.Opener
	understand  Understander
}

// NewRouter registers flows. It fails when two share a name or an intent, or
// when none of them (or more than one) opens conversations.
func NewRouter(u Understander, flows ...bot.Flow) (*Router, error) {
	r := &Router{flows: map[string]bot.Flow{}, intents: map[bot.Intent]bot.Flow{}, understand: u}
	for _, f := range flows {
		if r.flows[f.Name()] != nil {
			return nil, fmt.Errorf("two flows are called %q", f.Name())
		}
		r.flows[f.Name()] = f
		for _, intent := range f.Intents() {
			if other := r.intents[intent]; other != nil {
				return nil, fmt.Errorf("flows %q and %q both begin on %q", other.Name(), f.Name(), intent)
			}
			r.intents[intent] = f
		}
		if rec, ok := f.(bot.Recognizer); ok {
			r.recognizers = append(r.recognizers, rec)
		}
		if o, ok := f.(bot.Opener); ok {
			if r.opener != nil {
				return nil, fmt.Errorf("flows %q and %q both open conversations", r.opener.Name(), f.Name())
			}
			r.opener = o
		}
	}
	if r.opener == nil {
		return nil, errors.New("no flow opens conversations")
	}
	return r, nil
}

// everywhere lists the readings that work in the middle of any flow, outside
// steps that ask for a name.
var everywhere = []bot.Intent{
	bot.IntentMenu, bot.IntentCancel, bot.IntentStop, bot.IntentErase,
	bot.IntentEmergency, bot.IntentPetition, bot.IntentHuman, bot.IntentEnglish, bot.IntentVietnamese,
}

// Route lets one flow decide the turn.
func (r *Router) Route(ctx context.Context, t *bot.Turn) error {
	r.refresh(t)
	switch b := t.Event.Body.(type) {
	case bot.Followed, bot.ChatOpened:
		if t.Late {
			return nil
		}
		return r.opener.Greet(ctx, t)
	case bot.Withdrawn:
		return r.act(ctx, t, "privacy", "withdrawn", "")
	case bot.Due:
		t.Unasked = true
		return r.act(ctx, t, b.Flow, b.Action, b.Arg)
	case bot.Text, bot.Media, bot.Location, bot.InfoSubmitted:
		return r.message(ctx, t)
	}
	return nil // nothing to say to the rest
}

// refresh lets a conversation left for a day start afresh, keeping what was
// given, and one in a flow that is no more restart kindly.
func (r *Router) refresh(t *bot.Turn) {
	c := t.Conv
	if c.Flow != "" && r.flows[c.Flow] == nil {
		c.Leave()
	}
	if !c.UpdatedAt.IsZero() && t.Now.Sub(c.UpdatedAt) > bot.Stale {
		c.Step, c.Question, c.Lost = "", nil, 0
	}
	c.UpdatedAt = t.Now
}

func (r *Router) message(ctx context.Context, t *bot.Turn) error {
	text := t.Text()
	if t.Late {
		return r.late(ctx, t, text)
	}
	if flow, action, arg, ok := bot.ParsePayload(text); ok && r.flows[flow] != nil {
		return r.act(ctx, t, flow, action, arg)
	}
	question := t.Conv.Question
	if question != nil && text != "" {
		if payload, ok := choose(question.Choices, text); ok {
			if flow, action, arg, ok := bot.ParsePayload(payload); ok {
				return r.act(ctx, t, flow, action, arg)
			}
		}
	}
	if text == "0" {
		return r.begin(ctx, t, bot.IntentMenu)
	}
	for _, rec := range r.recognizers {
		if text != "" && rec.Recognize(text) {
			t.Conv.Lost = 0
			return rec.Take(ctx, t)
		}
	}
	var u bot.Understanding
	if text != "" {
		u = r.understand.Understand(text)
	}
	inName := question != nil && question.Name
	if u.Sure || !inName && slices.Contains(everywhere, u.Intent) {
		if r.intents[u.Intent] != nil {
			return r.begin(ctx, t, u.Intent)
		}
	}
	if flow := r.flows[t.Conv.Flow]; flow != nil && t.Conv.Step != "" {
		err := flow.Resume(ctx, t)
		if err == nil {
			t.Conv.Lost = 0
		}
		if !errors.Is(err, bot.ErrNotMine) {
			return err
		}
	}
	if r.intents[u.Intent] != nil {
		return r.begin(ctx, t, u.Intent)
	}
	return r.opener.Fallback(ctx, t, u)
}

// late handles a message signed before the citizen's last turned one: only what
// is whole in itself is acted upon.
func (r *Router) late(ctx context.Context, t *bot.Turn, text string) error {
	if text == "" {
		return nil
	}
	for _, rec := range r.recognizers {
		if rec.Recognize(text) {
			return rec.Take(ctx, t)
		}
	}
	if r.Stops(text) {
		return r.begin(ctx, t, bot.IntentStop)
	}
	return nil
}

// Stops reports whether text is a fixed phrase that stops all messages.
func (r *Router) Stops(text string) bool {
	u := r.understand.Understand(text)
	return u.Intent == bot.IntentStop && u.Sure
}

// AsksMenu reports whether text asks for the menu in so many words: by the one
// word, or by a fixed phrase. A sentence is not taken for it.
func (r *Router) AsksMenu(text string) bool {
	if flow, _, _, ok := bot.ParsePayload(text); ok {
		return flow == r.opener.Name()
	}
	u := r.understand.Understand(text)
	return u.Intent == bot.IntentMenu && (u.Sure || len(fold.Words(text)) == 1)
}

func (r *Router) act(ctx context.Context, t *bot.Turn, flow, action, arg string) error {
	f := r.flows[flow]
	if f == nil {
		return r.opener.Fallback(ctx, t, bot.Understanding{})
	}
	if !t.Unasked {
		t.Conv.Lost = 0
	}
	if err := f.Act(ctx, t, action, arg); err != nil {
		return fmt.Errorf("act %s.%s: %w", flow, action, err)
	}
	return nil
}

func (r *Router) begin(ctx context.Context, t *bot.Turn, intent bot.Intent) error {
	f := r.intents[intent]
	if f == nil {
		return r.opener.Fallback(ctx, t, bot.Understanding{Intent: intent})
	}
	t.Conv.Lost = 0
	if err := f.Begin(ctx, t, intent); err != nil {
		return fmt.Errorf("begin %s on %s: %w", f.Name(), intent, err)
	}
	return nil
}
