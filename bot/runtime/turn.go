package runtime

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/inbox"
)

const (
	// turnLimit bounds a turn: it must end well within the claim's lease.
	turnLimit = 8 * time.Second
	// staffQuiet is how long the bot says nothing after staff wrote.
	staffQuiet = 30 * time.Minute
	// sameTap is how close two identical messages are taken for one: a nervous
	// finger, not a second wish.
	sameTap = 2 * time.Second
)

// decision is what one event's turn came to.
type decision struct {
	event    bot.Event
	waiting  inbox.Waiting
	turn     *bot.Turn // nil when nobody was asked (quiet, repeated tap, staff's own message)
	incoming string    // what the history keeps of the event; empty: nothing
	erase    *citizen.Erase
}

// decode reads a waiting event. Errors are the event's own fault.
func (r *Runtime) decode(c *inbox.Claim, w inbox.Waiting) (bot.Event, error) {
	if w.Raw == nil {
		return bot.Event{}, errors.New("the stored body does not open")
	}
	if w.Event != nil && w.Tries == 0 {
		return *w.Event, nil
	}
	if w.Ours {
		var due bot.Due
		if err := json.Unmarshal(w.Raw, &due); err != nil {
			return bot.Event{}, fmt.Errorf("decode promise: %w", err)
		}
		return bot.Event{ID: hex.EncodeToString(w.Key), Name: "due", Citizen: c.Who,
			SignedAt: w.SignedAt, AcceptedAt: w.AcceptedAt, Body: due}, nil
	}
	ev, ours, err := r.cfg.Decode(w.Raw, c.Who.OA, w.AcceptedAt)
	if err != nil {
		return ev, err
	}
	if !ours || ev.Citizen != c.Who {
		return ev, errors.New("the stored body belongs to somebody else")
	}
	ev.SignedAt = w.SignedAt
	return ev, nil
}

// decide runs one event's turn. It changes rec and prof in place; nothing is
// written.
func (r *Runtime) decide(ctx context.Context, prof *bot.Citizen, rec *record, ev bot.Event) (d decision, err error) {
	d.event = ev
	now := r.cfg.Now().UTC()
	late := ev.SignedAt.Before(rec.turned)
	if !late {
		rec.turned = ev.SignedAt
	}
	if interacts(ev.Body) && ev.SignedAt.After(rec.interacted) {
		rec.interacted = ev.SignedAt
	}
	d.incoming = said(ev.Body)
	t := &bot.Turn{Now: now, Event: ev, Citizen: *prof, Conv: &rec.Conv, Texts: r.texts, Late: late}
	switch b := ev.Body.(type) {
	case bot.Sent: // staff wrote: a person owns the conversation now
		if until := ev.SignedAt.Add(staffQuiet); until.After(rec.quiet) {
			rec.quiet = until
		}
		rec.Conv.WaitingForPerson = time.Time{}
		return d, nil
	case bot.Followed:
		t.Do(citizen.SetFollowing{Following: true})
	case bot.Unfollowed:
		t.Do(citizen.SetFollowing{Following: false})
	case bot.Account:
		slog.Info("account event", "event", b.Kind, "detail", b.Detail)
		return d, nil
	}
	d.turn = t
	if r.repeated(rec, ev, now) || r.keepsQuiet(rec, t, now) || rec.Pace.silent(now) && !isDataRequest(ev.Body) {
		return d, nil
	}
	before := rec.Conv
	ctx, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			slog.Error("turn panicked", "event", ev.Name, "stack", string(debug.Stack()))
		}
		if err != nil {
			rec.Conv = before
		}
	}()
	if err := r.router.Route(ctx, t); err != nil {
		return d, err
	}
	for _, e := range t.Effects() {
		switch e := e.(type) {
		case citizen.Erase:
			d.erase = &e
		case citizen.SetLanguage:
			prof.Language = e.Lang
		}
	}
	if t.Secret() {
		d.incoming = ""
	}
	return d, nil
}

// keepsQuiet reports whether a person of the staff is writing with the citizen,
// so that the bot says nothing. Asking for the menu ends it; stop words act.
func (r *Runtime) keepsQuiet(rec *record, t *bot.Turn, now time.Time) bool {
	if !now.Before(rec.quiet) || isDataRequest(t.Event.Body) {
		return false
	}
	text := t.Text()
	if text != "" && r.router.AsksMenu(text) {
		rec.quiet = time.Time{}
		return false
	}
	return text == "" || !r.router.Stops(text)
}

// isDataRequest: a person's demand to Zalo that their data go is carried out
// whoever is writing.
func isDataRequest(b bot.Body) bool {
	_, ok := b.(bot.Withdrawn)
	return ok
}

// interacts reports whether an event is an interaction in Zalo's sense, which
// opens the windows in which the account may write.
func interacts(b bot.Body) bool {
	switch b.(type) {
	case bot.Text, bot.Media, bot.Location, bot.Followed, bot.ChatOpened, bot.InfoSubmitted, bot.Interacted:
		return true
	}
	return false
}

// repeated reports whether ev says the same as the event before it, within the
// reach of a nervous finger and before the answer could be read: a second "1" must
// not answer a question that nobody has seen.
func (r *Runtime) repeated(rec *record, ev bot.Event, now time.Time) bool {
	b, ok := ev.Body.(bot.Text)
	if !ok {
		return false
	}
	hash := r.convs.keys.Hash("last text", ev.Citizen.OA, ev.Citizen.User, strings.TrimSpace(b.Text))
	return rec.Last.repeats(hash, ev.SignedAt, now)
}

// said is what the history keeps of an event: words, or the kind in brackets.
func said(b bot.Body) string {
	switch b := b.(type) {
	case bot.Text:
		return b.Text
	case bot.Media:
		return strings.TrimSpace("[" + string(b.Kind) + "] " + b.Text)
	case bot.Location:
		return "[location]"
	case bot.Followed, bot.ChatOpened, bot.Unfollowed:
		return ""
	case bot.Sent:
		return "[staff] " + b.Text
	}
	return ""
}
