package flowtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/bot/unit"
	"congdanso/content"
)

// table holds the communes; it is read once.
var table = sync.OnceValues(func() (*unit.Units, error) { return unit.Load(content.Files("")) })

func communes(t testing.TB) *unit.Units {
	t.Helper()
	units, err := table()
	if err != nil {
		t.Fatal(err)
	}
	return units
}

// told is what somebody asked to be told, how they may be written to, and what
// waits for their word.
type told struct {
	preferences push.Preferences
	topics      []notice.Subscription
	areas       []string
	held        []push.HeldPush
}

// pushes and noticed are the world as the stores of pushes and notices show it.
type (
	pushes  struct{ *world }
	noticed struct{ *world }
)

// Preferences is how a citizen may be written to.
func (w pushes) Preferences(ctx context.Context, who bot.CitizenID) (push.Preferences, error) {
	p := w.person(who).told.preferences
	held, err := w.Held(ctx, who, w.now, 1000)
	p.Held = len(held)
	return p, err
}

// Held is what waits for a citizen's word; what has expired does not.
func (w pushes) Held(_ context.Context, who bot.CitizenID, now time.Time, most int) ([]push.HeldPush, error) {
	var waiting []push.HeldPush
	for _, h := range w.person(who).told.held {
		if now.Before(h.ExpiresAt) && len(waiting) < most {
			waiting = append(waiting, h)
		}
	}
	return waiting, nil
}

// Overview is what a citizen asked to be told.
func (w noticed) Overview(_ context.Context, who bot.CitizenID) (notice.Overview, error) {
	t := w.person(who).told
	return notice.Overview{Topics: slices.Clone(t.topics), Areas: slices.Clone(t.areas)}, nil
}

// apply carries out an effect on p, whose told t is.
func (t *told) apply(a bot.Applied, p *person) error {
	drop := func(topic string) {
		t.topics = slices.DeleteFunc(t.topics, func(s notice.Subscription) bool { return s.Topic == topic })
	}
	switch e := a.Effect.(type) {
	case notice.Subscribe:
		drop(e.Topic)
		t.topics = append(t.topics, notice.Subscription{Topic: e.Topic, Since: a.At})
	case notice.Unsubscribe:
		drop(e.Topic)
	case notice.UnsubscribeAll:
		t.topics = nil
	case notice.AddArea:
		t.areas = append(t.areas, e.Code)
	case notice.RemoveArea:
		t.areas = slices.DeleteFunc(t.areas, func(code string) bool { return code == e.Code })
	case notice.ClearAreas:
		t.areas = nil
	case push.Stop:
		t.preferences.StoppedAt, t.held = a.At, nil
	case push.Drop: // nothing waits in these worlds but what is held
	case push.Resume:
		t.preferences.StoppedAt, t.preferences.PausedUntil = time.Time{}, time.Time{}
	case push.Pause:
		t.preferences.PausedUntil = e.Until
	case push.SetQuiet:
		t.preferences.QuietFrom, t.preferences.QuietTo = e.From, e.To
	case push.SetDigest:
		t.preferences.DigestAt = e.At
	case push.SetDaily:
		t.preferences.DailyMost = e.Most
	case push.Read:
		t.held = slices.DeleteFunc(t.held, func(h push.HeldPush) bool { return slices.Contains(e.Sources, h.Source) })
	case citizen.WithdrawNotices:
		for _, c := range p.Consents {
			if _, isTopic := citizen.TopicOf(c.Purpose); isTopic || c.Purpose == citizen.PurposeCallback || c.Purpose == citizen.PurposeFollow {
				p.withdraw(c.Purpose, a.At)
			}
		}
	default:
		return fmt.Errorf("nobody applies %T", e)
	}
	return nil
}

// reader is who a transcript's resident is, whom given pushes wait for.
var reader = bot.CitizenID{OA: "3612345678901234567", User: "2512345678901234567"}

// givenHeld lets a push wait: its text, and "title=payload" choices.
func (w *world) givenHeld(f *fields) error {
	p := w.person(reader)
	h := push.HeldPush{
		Source: int64(len(p.told.held) + 1), Kind: "topic", MadeAt: f.time("made"), ExpiresAt: f.time("expires"),
		Message: bot.Message{Text: f.text("text"), ImageURL: f.text("image")},
	}
	if h.ExpiresAt.IsZero() {
		h.ExpiresAt = h.MadeAt.AddDate(0, 0, 3)
	}
	for _, choice := range f.list("choices") {
		title, payload, _ := strings.Cut(choice, ">")
		h.Message.Choices = append(h.Message.Choices, bot.Choice{Title: title, Payload: payload})
	}
	if n := f.number("long"); n > 0 {
		h.Message.Text += strings.Repeat(" Tin dài.", n)
	}
	p.told.held = append(p.told.held, h)
	return f.err
}
