package bot

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrNotMine is what Flow.Resume returns for input that is no answer to its
// step; the event then goes on to the understanding of free text.
var ErrNotMine = errors.New("not an answer to this step")

// Flow is one dialogue: a state machine that knows nothing of HTTP, SQL or Zalo.
// It gets what is known in the turn and says what to do through it. A flow is
// shared by all citizens and holds no state of its own.
type Flow interface {
	// Name is the flow's key in conversations, payloads and logs.
	Name() string
	// Intents lists the readings of free text with which the flow begins.
	Intents() []Intent
	// Begin starts the flow because free text asked for it.
	Begin(ctx context.Context, t *Turn, intent Intent) error
	// Act carries out a choice of the flow's own, tapped or typed. Payloads can be
	// typed by hand: arg is checked like any input.
	Act(ctx context.Context, t *Turn, action, arg string) error
	// Resume takes whatever was sent while the conversation stands in this flow,
	// or returns ErrNotMine. It must leave the turn untouched in that case.
	Resume(ctx context.Context, t *Turn) error
}

// Recognizer is a flow that knows its own input wherever it appears: a dossier
// code inside a sentence. What it recognises is whole in itself and is acted
// upon even when it arrives late.
type Recognizer interface {
	Flow
	// Recognize reports whether text holds such input.
	Recognize(text string) bool
	// Take handles it.
	Take(ctx context.Context, t *Turn) error
}

// Opener is the flow that speaks when somebody follows the account or opens the
// chat, and for everything nobody understood.
type Opener interface {
	Flow
	Greet(ctx context.Context, t *Turn) error
	Fallback(ctx context.Context, t *Turn, u Understanding) error
}

// Texts finds what people read. Keys are go-i18n message ids; data fills the
// template. A missing key is a fault that start-up has already refused.
type Texts interface {
	Text(lang, key string, data map[string]any) string
	// Moment says a time as people do: "thứ Hai 17/06/2024, 17:00"; a time on
	// the same day as now is told as such.
	Moment(lang string, at, now time.Time) string
	// Day says a date: "thứ Hai 17/06/2024".
	Day(lang string, at time.Time) string
}

// Turn is one event handled by one flow: what it reads, and what it decides.
type Turn struct {
	Now     time.Time // the turn's moment; rules that depend on time use it
	Event   Event
	Citizen Citizen
	Conv    *Conversation // changed in place; committed with the turn
	Texts   Texts
	// Late is true when the event was signed before the citizen's last turned
	// one: it is never an answer, only what is whole in itself acts.
	Late bool
	// Unasked is true in a turn that no message of the citizen caused (a Due
	// event): its choices are words and payloads that stand alone, and the open
	// question stays what it was.
	Unasked bool
	// Name, when set before Say, makes the question one that asks for a name.
	Name bool

	reply   *Message
	effects []Effect
	calls   []Call
	alerts  []Alert
	secret  bool
}

// Call is a request to Zalo, other than a message, that a turn causes. It goes
// through the outbox like a reply, after the turn's message.
type Call struct {
	Kind CallKind `json:"kind"`
	Tag  string   `json:"tag,omitempty"`
}

// CallKind names a call.
type CallKind string

// The calls a turn can cause.
const (
	CallTag    CallKind = "tag"    // mark the person at Zalo with Tag
	CallUntag  CallKind = "untag"  // take Tag away
	CallForget CallKind = "forget" // erase what the account stored about the person at Zalo
)

// Alert tells the operators something by mail. It names no person.
type Alert struct {
	Key  string // content key of the mail's subject and body
	Data map[string]any
}

// T finds a text in the citizen's language. Pairs alternate names and values.
func (t *Turn) T(key string, pairs ...any) string {
	return t.Texts.Text(t.Citizen.Language, key, Pairs(pairs...))
}

// Pairs makes template data from alternating names and values.
func Pairs(pairs ...any) map[string]any {
	if len(pairs) == 0 {
		return nil
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// Moment and Day say times in the citizen's language.
func (t *Turn) Moment(at time.Time) string { return t.Texts.Moment(t.Citizen.Language, at, t.Now) }

// Day says a date in the citizen's language.
func (t *Turn) Day(at time.Time) string { return t.Texts.Day(t.Citizen.Language, at) }

// Text is what the citizen typed (or the payload they tapped), trimmed; empty
// for events that carry no text.
func (t *Turn) Text() string {
	switch b := t.Event.Body.(type) {
	case Text:
		return strings.TrimSpace(b.Text)
	case Media:
		return strings.TrimSpace(b.Text)
	}
	return ""
}

// Say decides the turn's message. One turn costs one send: a second call joins
// its text to the first and replaces the choices. The choices are written into
// the text with their numbers and become the open question; in an unasked turn
// they stay buttons only.
func (t *Turn) Say(m Message) {
	m.Text = strings.TrimSpace(m.Text)
	if t.Unasked {
		t.reply = &m
		return
	}
	if len(m.Choices) > 0 {
		t.Conv.Question = &Question{Choices: m.Choices, Name: t.Name}
	} else if t.Name {
		t.Conv.Question = &Question{Name: true}
	} else {
		t.Conv.Question = nil
	}
	if list := listChoices(m.Choices); list != "" {
		if m.Text != "" {
			m.Text += "\n\n"
		}
		m.Text += list
	}
	if t.reply != nil {
		m.Text = t.reply.Text + "\n\n" + m.Text
		m.Kind = KindAnswer
	}
	t.reply = &m
}

// oneLine is how many characters of choices fit on one line of a small phone.
const oneLine = 36

// listChoices writes choices as people read them: on one line when that does not
// wrap on a small phone, else one a line.
func listChoices(choices []Choice) string {
	items := make([]string, len(choices))
	width := 0
	for i, c := range choices {
		label := c.Label
		if label == "" {
			label = c.Title
		}
		items[i] = strconv.Itoa(Number(choices, i)) + ". " + label
		width += len([]rune(items[i])) + 3
	}
	if width-3 > oneLine {
		return strings.Join(items, "\n")
	}
	return strings.Join(items, "   ")
}

// Do adds a domain write to the turn.
func (t *Turn) Do(e Effect) { t.effects = append(t.effects, e) }

// Call adds a request to Zalo that follows the turn's message.
func (t *Turn) Call(c Call) { t.calls = append(t.calls, c) }

// Alert tells the operators by mail, if there is mail.
func (t *Turn) Alert(key string, pairs ...any) {
	t.alerts = append(t.alerts, Alert{Key: key, Data: Pairs(pairs...)})
}

// KeepSecret makes the turn's incoming text stay out of the history (a second
// factor, a petition the channel must not hold).
func (t *Turn) KeepSecret() { t.secret = true }

// Reply, Effects, Calls, Alerts and Secret are what the turn decided, for the
// runtime that commits it and for tests.
func (t *Turn) Reply() *Message   { return t.reply }
func (t *Turn) Effects() []Effect { return t.effects }
func (t *Turn) Calls() []Call     { return t.calls }
func (t *Turn) Alerts() []Alert   { return t.alerts }
func (t *Turn) Secret() bool      { return t.secret }
