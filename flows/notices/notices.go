// Package notices is the dialogue about what the channel tells of its own accord:
// which topics, for which communes, when, and a pause; and the reading of what
// waits.
//
// Everything can be typed in one sentence ("báo thời tiết cho xã Gia Vân") or
// chosen step by step. Consent is asked for each topic, once, in words that say
// what it is for and how it ends; ending a topic withdraws it. What a sentence
// leaves open, such as a commune that was split, is asked, never guessed.
// Stopping everything is the dialogue stop's.
package notices

import (
	"context"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/bot/unit"
	"congdanso/flows/way"
)

// Name is the flow's key.
const Name = "notices"

const (
	stepTopics = "topics" // numbers or names of topics are awaited
	stepPlaces = "places" // a commune
	stepDigest = "digest" // a time of day
	stepQuiet  = "quiet"  // two of them
	stepDaily  = "daily"  // a number
	stepPause  = "pause"  // how long
	version    = 1
)

// state is where the dialogue stands.
type state struct {
	// Areas were named before a topic was chosen.
	Areas []string `json:"areas,omitempty"`
}

// Topic is something people can ask to be told about, with the keys of its texts.
type Topic struct {
	Key    string
	Places bool // differs from commune to commune
	// Name, About and Words are keys: what it is called, what belongs to it, and
	// further ways of saying it.
	Name, About, Words string
}

// Pushes is what this flow needs to know of pushes; push.Reader has it.
type Pushes interface {
	Preferences(ctx context.Context, who bot.CitizenID) (push.Preferences, error)
	Held(ctx context.Context, who bot.CitizenID, now time.Time, most int) ([]push.HeldPush, error)
}

// Notices is what this flow needs to know of subscriptions; *notice.Store has it.
type Notices interface {
	Overview(ctx context.Context, who bot.CitizenID) (notice.Overview, error)
}

// Units is what this flow needs to know of communes; *unit.Units has it.
type Units interface {
	Find(text string, today time.Time) []unit.Match
	Current(code string, today time.Time) (unit.Unit, bool)
	Label(texts bot.Texts, lang string, u unit.Unit) string
}

// Flow is the dialogue.
type Flow struct {
	pushes  Pushes
	notices Notices
	units   Units
	topics  []Topic
	night   func() (from, to int)
}

// New returns the flow with the topics, in the order in which they are offered.
// Night says between which minutes of the local day only urgent pushes go.
func New(p Pushes, n Notices, u Units, topics []Topic, night func() (from, to int)) *Flow {
	return &Flow{pushes: p, notices: n, units: u, topics: topics, night: night}
}

// Name is the flow's key in conversations, payloads and logs.
func (f *Flow) Name() string { return Name }

// Intents are the readings of free text with which the flow begins.
func (f *Flow) Intents() []bot.Intent { return []bot.Intent{bot.IntentNotices, bot.IntentRead} }

// Actions are what the flow's payloads may name.
func (f *Flow) Actions() []string {
	return []string{
		"show", "read", "topics", "want", "agree", "places", "place_add", "place_drop", "places_clear",
		"when", "digest", "digest_at", "quiet", "quiet_at", "daily", "daily_at", "pause", "pause_for", "resume",
	}
}

// Begin reads out what waits, or does what the sentence says: topics and communes
// in it are asked for or ended, words about hours lead to the hours.
func (f *Flow) Begin(ctx context.Context, t *bot.Turn, intent bot.Intent) error {
	if intent == bot.IntentRead {
		return f.read(ctx, t)
	}
	s := f.hear(t)
	switch {
	case s.says("notices.words.pause"):
		if days := s.days(); days > 0 {
			return f.pauseFor(ctx, t, days)
		}
		return f.askPause(ctx, t)
	case s.says("notices.words.missing"):
		return f.show(ctx, t)
	case len(s.topics) > 0 && s.ends():
		return f.choose(ctx, t, nil, s.topics, nil)
	case len(s.topics) > 0:
		return f.wantThere(ctx, t, s)
	case s.says("notices.words.quiet"):
		return f.quietSaid(t, s)
	case s.says("notices.words.digest"), s.says("notices.words.when") && len(s.clocks()) > 0:
		return f.digestSaid(ctx, t, s)
	case s.says("notices.words.daily"):
		return f.askDaily(t)
	case s.says("notices.words.when"):
		return f.when(ctx, t)
	case s.says("notices.words.resume"):
		return f.resume(ctx, t)
	case s.says("notices.words.topics"):
		return f.listTopics(ctx, t, state{}, "")
	case s.says("notices.words.places"):
		return f.places(ctx, t)
	}
	if matches := f.find(t, s); len(matches) > 0 {
		return f.placeSaid(ctx, t, matches)
	}
	return f.show(ctx, t)
}

// Act carries out a choice.
func (f *Flow) Act(ctx context.Context, t *bot.Turn, action, arg string) error {
	switch action {
	case "read":
		return f.read(ctx, t)
	case "topics":
		return f.listTopics(ctx, t, state{}, "")
	case "want":
		topics, areas := f.wanted(t, arg)
		return f.choose(ctx, t, topics, nil, areas)
	case "agree":
		return f.agree(ctx, t, arg)
	case "places":
		return f.places(ctx, t)
	case "place_add":
		return f.addPlace(ctx, t, arg, nil)
	case "place_drop":
		return f.dropPlace(ctx, t, arg)
	case "places_clear":
		return f.clearPlaces(t)
	case "when":
		return f.when(ctx, t)
	case "digest":
		return f.askDigest(t)
	case "digest_at":
		return f.digestAt(ctx, t, arg)
	case "quiet":
		return f.askQuiet(t)
	case "quiet_at":
		return f.quietAt(t, arg)
	case "daily":
		return f.askDaily(t)
	case "daily_at":
		return f.dailyAt(t, arg)
	case "pause":
		return f.askPause(ctx, t)
	case "pause_for":
		return f.pauseFor(ctx, t, number(arg, maxPause))
	case "resume":
		return f.resume(ctx, t)
	}
	return f.show(ctx, t)
}

// Resume takes what the step asked for.
func (f *Flow) Resume(ctx context.Context, t *bot.Turn) error {
	st, ok := bot.LoadState[state](t.Conv, Name, version)
	if !ok || t.Text() == "" {
		return bot.ErrNotMine
	}
	if hours, ok := aboutHours[t.Conv.Step]; ok && f.hear(t).changes(hours) {
		return bot.ErrNotMine
	}
	switch t.Conv.Step {
	case stepTopics:
		return f.takeTopics(ctx, t, st)
	case stepPlaces:
		return f.takePlace(ctx, t)
	case stepDigest:
		return f.takeDigest(ctx, t)
	case stepQuiet:
		return f.takeQuiet(t)
	case stepDaily:
		return f.takeDaily(t)
	case stepPause:
		return f.takePause(ctx, t)
	}
	return bot.ErrNotMine
}

// aboutHours are the steps that ask about hours, with the words for what they ask.
var aboutHours = map[string]string{
	stepDigest: "notices.words.digest", stepQuiet: "notices.words.quiet",
	stepDaily: "notices.words.daily", stepPause: "notices.words.pause",
}

// changes reports whether the sentence speaks of other hours than those under key.
func (s *said) changes(key string) bool {
	for _, other := range aboutHours {
		if other != key && s.says(other) {
			return true
		}
	}
	return len(s.topics) > 0
}

// to makes a choice that leads to one of the flow's own actions.
func to(t *bot.Turn, button, action, arg string) bot.Choice {
	return way.To(t, button, bot.Payload(Name, action, arg))
}

// back leads to the overview.
func back(t *bot.Turn) bot.Choice { return to(t, "notices.button.back", "show", "") }

// ask says what a step asks for, and stands the conversation in it.
func ask(t *bot.Turn, step string, st state, text string, choices ...bot.Choice) error {
	if err := bot.Enter(t.Conv, Name, step, version, st); err != nil {
		return err
	}
	t.Say(bot.Message{Text: text, Choices: choices})
	return nil
}

// done says what was done, and leaves.
func done(t *bot.Turn, text string, choices ...bot.Choice) error {
	t.Conv.Leave()
	t.Say(bot.Message{Text: text, Choices: append(choices, way.Home(t))})
	return nil
}

// lines joins the lines that say something.
func lines(all ...string) string {
	var kept []string
	for _, l := range all {
		if l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}
