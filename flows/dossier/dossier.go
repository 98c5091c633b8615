// Package dossier is the dialogue about dossiers: where one stands, by its code;
// what only its people may know, by a second factor; keeping it; and the promise
// to come back when the procedure system cannot be asked.
//
// Whoever types a code reads what is public. The steps, papers, fees and the
// officer's words open with the last four digits of a phone or identity number
// on the dossier. Who follows a dossier is told when it changes (bot/dossier does
// that); afterwards they are asked how the service was. Payloads are only shortcuts: each is checked as if it had been
// typed, so that one made up by hand opens nothing.
package dossier

import (
	"context"
	"errors"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
)

// Name is the flow's key.
const Name = "dossier"

const (
	stepAsk     = "ask"     // a code is awaited
	stepFactor  = "factor"  // the second factor for state.Code is awaited
	stepShown   = "shown"   // the status of state.Code is on the screen
	stepStars   = "stars"   // the rating of state.Code is awaited
	stepComment = "comment" // words to the rating of state.Code are awaited
	version     = 1
)

// state is where the dialogue stands.
type state struct {
	Code dossier.Code `json:"code,omitempty"`
	// Then is what the second factor was asked for.
	Then string `json:"then,omitempty"`
	// Stars is the rating that words may be added to.
	Stars int `json:"stars,omitempty"`
}

// Dossiers is what this flow needs to know of dossiers; *dossier.Service has it.
type Dossiers interface {
	Lookup(ctx context.Context, who bot.CitizenID, eventID string, code dossier.Code) (dossier.View, error)
	Prove(ctx context.Context, who bot.CitizenID, eventID string, code dossier.Code, digits string) (dossier.Detail, error)
	Detail(ctx context.Context, who bot.CitizenID, code dossier.Code) (dossier.Detail, error)
	Kept(ctx context.Context, who bot.CitizenID) ([]dossier.Kept, error)
	Rated(ctx context.Context, who bot.CitizenID, code dossier.Code) (bool, error)
}

// Citizens is what this flow needs to know of consents; *citizen.Store has it.
type Citizens interface {
	Overview(ctx context.Context, who bot.CitizenID) (citizen.Overview, error)
}

// Issuers is what the province knows of who gives out codes.
type Issuers struct {
	Prefixes dossier.Prefixes
	// Name names the issuer behind a prefix ("G22") in a language; empty when
	// nobody knows.
	Name func(lang, prefix string) string
}

// Flow is the dialogue.
type Flow struct {
	dossiers Dossiers
	citizens Citizens
	issuers  Issuers
	about    func(code dossier.Code) string
}

// New returns the flow. About is the keyed hash that stands for a dossier where
// its messages wait to be sent.
func New(d Dossiers, c Citizens, issuers Issuers, about func(code dossier.Code) string) *Flow {
	return &Flow{dossiers: d, citizens: c, issuers: issuers, about: about}
}

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return Name }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent {
	return []bot.Intent{bot.IntentLookup, bot.IntentMine, bot.IntentRate, bot.IntentUnfollow}
}

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string {
	return []string{
		"ask", "nocode", "show", "detail", "steps", "place", "keep", "keep_yes",
		"mine", "drop", "drop_one", "drop_all", "drop_all_now", "wait",
		"follow", "follow_yes", "unfollow", "unfollow_all", "rate", "stars", "no_comment",
		dossier.ActionCallback, dossier.ActionGaveUp,
	}
}

// Begin asks for a code, lists what is kept, asks for a rating, or ends the telling
// of a dossier.
func (f *Flow) Begin(ctx context.Context, t *bot.Turn, intent bot.Intent) error {
	switch intent {
	case bot.IntentMine:
		return f.mine(ctx, t, 1)
	case bot.IntentRate:
		return f.rateSome(ctx, t)
	case bot.IntentUnfollow:
		return f.unfollowSome(ctx, t)
	}
	return f.ask(t)
}

// Recognize reports whether text holds a dossier code or something meant as one.
func (f *Flow) Recognize(text string) bool {
	if _, _, _, payload := bot.ParsePayload(text); payload {
		return false
	}
	return len(dossier.Find(text, time.Time{})) > 0
}

// Take answers a text that holds codes: the first well-formed one is shown, the
// others are offered; where none is, what is wrong with the first is said.
func (f *Flow) Take(ctx context.Context, t *bot.Turn) error {
	var codes []dossier.Code
	found := dossier.Find(t.Text(), t.Now)
	for _, one := range found {
		if one.Fault == nil && !contains(codes, one.Code) {
			codes = append(codes, one.Code)
		}
	}
	switch {
	case len(codes) > 0:
		return f.show(ctx, t, codes[0], codes[1:])
	case len(found) > 0:
		return f.explain(t, found[0])
	}
	return f.ask(t)
}

func contains(codes []dossier.Code, code dossier.Code) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// Act carries out a choice.
func (f *Flow) Act(ctx context.Context, t *bot.Turn, action, arg string) error {
	switch action {
	case "nocode":
		return f.noCode(t)
	case "mine":
		return f.mine(ctx, t, page(arg))
	case "drop":
		return f.drop(ctx, t, page(arg))
	case "drop_all":
		return f.askDropAll(ctx, t)
	case "drop_all_now":
		return f.dropAll(t)
	case "unfollow_all":
		return f.unfollowAll(t)
	case "no_comment":
		return f.thank(t)
	case "unfollow", "rate":
		if arg == "" {
			return f.Begin(ctx, t, bot.Intent(action))
		}
	case "follow", "follow_yes", "stars", "show", "detail", "steps", "place", "keep", "keep_yes", "drop_one", "wait",
		dossier.ActionCallback, dossier.ActionGaveUp:
	default:
		return f.ask(t)
	}
	first, rest, _ := strings.Cut(arg, ",")
	code, err := dossier.ParseCode(first, t.Now)
	if err != nil {
		return f.ask(t)
	}
	switch action {
	case "detail":
		return f.detail(ctx, t, code, page(rest))
	case "steps":
		return f.steps(ctx, t, code, page(rest))
	case "place":
		return f.place(ctx, t, code)
	case "keep":
		return f.keep(ctx, t, code)
	case "keep_yes":
		return f.keepAgreed(ctx, t, code)
	case "drop_one":
		return f.dropOne(t, code)
	case "wait":
		return f.wait(t, code)
	case "follow":
		return f.follow(ctx, t, code)
	case "follow_yes":
		return f.followAgreed(ctx, t, code)
	case "unfollow":
		return f.unfollow(t, code)
	case "rate":
		return f.rate(ctx, t, code)
	case "stars":
		return f.stars(ctx, t, code, rest)
	case dossier.ActionCallback:
		return f.callback(ctx, t, code)
	case dossier.ActionGaveUp:
		return f.gaveUp(ctx, t, code)
	}
	return f.show(ctx, t, code, nil)
}

// Resume takes the second factor, a rating and words to it, and what looks like an
// attempt at a code.
func (f *Flow) Resume(ctx context.Context, t *bot.Turn) error {
	st, ok := bot.LoadState[state](t.Conv, Name, version)
	if !ok || t.Text() == "" {
		return bot.ErrNotMine
	}
	switch t.Conv.Step {
	case stepFactor:
		return f.factor(ctx, t, st)
	case stepAsk:
		return f.notACode(t)
	case stepShown:
		return f.shown(ctx, t, st)
	case stepStars:
		return f.notStars(t, st)
	case stepComment:
		return f.comment(t, st)
	}
	return bot.ErrNotMine
}

// enter stands the conversation in step.
func (f *Flow) enter(t *bot.Turn, step string, st state) error {
	return bot.Enter(t.Conv, Name, step, version, st)
}

// payload builds one of the flow's own payloads.
func payload(action string, code dossier.Code) string {
	return bot.Payload(Name, action, string(code))
}

// page reads a page number out of a payload; anything else is the first page.
func page(arg string) int {
	n := 0
	for _, r := range arg {
		if r < '0' || r > '9' || n > 1000 {
			return 1
		}
		n = n*10 + int(r-'0')
	}
	return max(n, 1)
}

// busy answers err where it is one of those that mean "not now"; other errors
// are the caller's.
func (f *Flow) busy(t *bot.Turn, code dossier.Code, err error) error {
	var away *dossier.Unavailable
	var slow *dossier.Throttled
	switch {
	case errors.As(err, &away):
		return f.unavailable(t, code, away.Last)
	case errors.As(err, &slow):
		return f.throttled(t, code, slow.Until)
	case errors.Is(err, dossier.ErrNotFound):
		return f.notFound(t, code)
	}
	return err
}
