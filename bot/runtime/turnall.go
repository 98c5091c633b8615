package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/inbox"
	"congdanso/bot/push"
)

// turnAll turns the events of one claim, one after the other. Whatever goes
// wrong, the claim ends: given back by the last commit, resting, or lapsing.
func (r *Runtime) turnAll(ctx context.Context, c *inbox.Claim, prof *bot.Citizen, rec record) {
	known := prof != nil
	if !known {
		prof = &bot.Citizen{ID: c.Who, Language: bot.Vietnamese, CreatedAt: c.Events[0].SignedAt, New: true}
	}
	if wait := rec.Pace.wait(r.cfg.Now()); wait > 0 && !c.Again {
		r.rest(ctx, c, min(wait, paceEvery)) // what comes meanwhile is answered together
		return
	}
	events, err := r.alive(ctx, c, prof)
	if err != nil {
		r.rest(ctx, c, restAway)
		return
	}
	if c.Again {
		if err := r.inbox.Charge(ctx, c.Who, c.Events[0].Key); err != nil {
			slog.Error("cannot charge", "error", err)
		}
		c.Events[0].Tries++
	}
	if len(events) > 1 && len(events) > rec.Pace.left(r.cfg.Now()) && !c.Again {
		if r.together(ctx, c, prof, rec, events, known) {
			return
		}
	}
	for i, w := range events {
		last := i == len(events)-1
		turned, ok := r.turnOne(ctx, c, prof, &rec, w, known, c.Again && i == 0, last)
		if !ok {
			return
		}
		if turned {
			known, prof.New = true, false
		}
	}
}

// alive decodes nothing: it drops the events signed before the citizen was
// erased, and returns the rest.
func (r *Runtime) alive(ctx context.Context, c *inbox.Claim, prof *bot.Citizen) ([]inbox.Waiting, error) {
	first := slices.MinFunc(c.Events, func(a, b inbox.Waiting) int { return a.SignedAt.Compare(b.SignedAt) })
	if c.Who.IsZero() || !prof.New && !first.SignedAt.Before(prof.CreatedAt) {
		return c.Events, nil
	}
	erased, err := r.citizens.Erased(ctx, []bot.CitizenID{c.Who})
	if err != nil {
		slog.Error("cannot look for tombstones", "error", err)
		return nil, err
	}
	at, was := erased[c.Who]
	if !was {
		return c.Events, nil
	}
	var events []inbox.Waiting
	var gone [][]byte
	for _, w := range c.Events {
		if w.SignedAt.After(at) {
			events = append(events, w)
		} else {
			gone = append(gone, w.Key)
		}
	}
	if err := r.inbox.Drop(ctx, c, gone, len(events) == 0); err != nil {
		slog.Error("cannot drop", "error", err)
		return nil, err
	}
	return events, nil
}

// turnOne turns one event and commits it. turned is false when it was buried
// instead; ok is false when the claim is over: the event fell out, was charged, or
// everything is gone.
func (r *Runtime) turnOne(ctx context.Context, c *inbox.Claim, prof *bot.Citizen, rec *record, w inbox.Waiting,
	known, alone, last bool) (turned, ok bool) {
	ev, err := r.decode(c, w)
	if err == nil && w.Tries >= maxTries {
		err = fmt.Errorf("its turn failed %d times", w.Tries)
	}
	if err != nil {
		if err := r.bury(ctx, c, w, err, prof.Language, rec, last); err != nil {
			slog.Error("cannot bury", "error", err)
			r.rest(ctx, c, restAway)
			return false, false
		}
		return false, true
	}
	before := *rec
	made, err := r.decide(ctx, prof, rec, ev)
	if err != nil {
		*rec = before
		r.failed(ctx, c, w, err)
		return false, false
	}
	made.waiting = w
	u := r.unit(c, rec, []*decision{&made}, last)
	u.alone = alone
	if !known && !c.Who.IsZero() {
		u.created = prof
	}
	if err := r.commits.Do(ctx, u); err != nil {
		r.failed(ctx, c, w, err)
		return false, false
	}
	r.observe(&made)
	if u.outcome == inbox.Lost || u.erase != nil {
		return false, false
	}
	if u.outcome == inbox.Again {
		*rec = before
	}
	return true, true
}

// together turns several waiting events of a citizen who writes faster than we
// answer, and answers them in one message. It reports false when they have to be
// turned one by one after all.
func (r *Runtime) together(ctx context.Context, c *inbox.Claim, prof *bot.Citizen, rec record,
	events []inbox.Waiting, known bool) bool {
	var made []*decision
	try, profile := rec, *prof
	for _, w := range events {
		ev, err := r.decode(c, w)
		if err != nil || w.Tries > 0 {
			return false
		}
		d, err := r.decide(ctx, &profile, &try, ev)
		if err != nil || d.erase != nil {
			return false
		}
		d.waiting = w
		made = append(made, &d)
	}
	u := r.unit(c, &try, made, true)
	u.alone = true
	if !known {
		u.created = prof
	}
	if err := r.commits.Do(ctx, u); err != nil {
		if errors.Is(err, errNotAllFresh) {
			return false
		}
		r.failed(ctx, c, events[0], err)
		return true
	}
	for _, d := range made {
		r.observe(d)
	}
	return true
}

// unit gathers what decisions of one citizen write.
func (r *Runtime) unit(c *inbox.Claim, rec *record, made []*decision, last bool) *unit {
	now := r.cfg.Now().UTC()
	u := &unit{claim: c, last: last, at: now}
	var replies []*bot.Message
	var calls []bot.Call
	for _, d := range made {
		u.events = append(u.events, inbox.Turned{Claim: c, Key: d.waiting.Key, SignedAt: d.waiting.SignedAt})
		if d.incoming != "" {
			u.history = append(u.history, delivery.Incoming{From: c.Who, At: d.event.SignedAt, MsgID: msgID(d.event.Body), Text: d.incoming})
		}
		if d.turn == nil {
			continue
		}
		if m := d.turn.Reply(); m != nil && m.Text != "" || m != nil && m.AskContact != nil {
			replies = append(replies, m)
		}
		calls = append(calls, d.turn.Calls()...)
		u.alerts = append(u.alerts, d.turn.Alerts()...)
		for _, e := range d.turn.Effects() {
			u.effects = append(u.effects, bot.Applied{Citizen: c.Who, EventID: d.event.ID, At: now, Effect: e})
		}
		if d.erase != nil {
			u.erase, u.last, u.history = d.erase, true, nil
		}
	}
	if m := joined(replies); m != nil {
		rec.Pace.take(now)
		r.tellWaiting(m, made, rec, now)
		u.items = append(u.items, delivery.Item{To: c.Who, Priority: delivery.Reply, Message: m,
			InReplyAt: rec.interacted, NoHistory: u.erase != nil, EventID: inbox.ShortID(u.events[len(u.events)-1].Key)})
	}
	for _, call := range calls {
		u.items = append(u.items, delivery.Item{To: c.Who, Priority: delivery.Reply, Call: &call, InReplyAt: rec.interacted, EventID: inbox.ShortID(u.events[len(u.events)-1].Key)})
	}
	u.rec = *rec
	return u
}

// tellWaiting puts one line under an answer that says what waits to be read. The
// answer comes first; a dialogue about pushes says it itself.
func (r *Runtime) tellWaiting(m *bot.Message, made []*decision, rec *record, now time.Time) {
	last := made[len(made)-1].turn
	if last == nil || rec.waiting == 0 || m.AskContact != nil || last.Unasked || rec.Conv.Question != nil && rec.Conv.Question.Name {
		return
	}
	for _, d := range made {
		if d.erase != nil {
			return
		}
		if d.turn == nil {
			continue
		}
		for _, e := range d.turn.Effects() {
			if e.Feature() == push.Feature {
				return
			}
		}
	}
	line := r.texts.Text(last.Citizen.Language, "runtime.waiting", bot.Pairs("Count", rec.waiting))
	if len([]rune(m.Text))+len([]rune(line))+2 > bot.MaxText-100 || !rec.Told.news(rec.waiting, now) {
		return
	}
	m.Text += "\n\n" + line
}

// joined makes one message of several answers: the last one whole, with its
// choices, after as many of the earlier ones as fit. Menus and fallbacks give
// way to it, for they said nothing that the last one does not.
func joined(replies []*bot.Message) *bot.Message {
	if len(replies) == 0 {
		return nil
	}
	last := *replies[len(replies)-1]
	if len(replies) == 1 {
		return &last
	}
	room := bot.MaxText - 200 - len([]rune(last.Text))
	var before []string
	for _, m := range slices.Backward(replies[:len(replies)-1]) {
		n := len([]rune(m.Text)) + 2
		if m.Kind == bot.KindMenu || m.Kind == bot.KindFallback || n > room || slices.Contains(before, m.Text) || m.Text == last.Text {
			continue
		}
		room -= n
		before = append(before, m.Text)
	}
	slices.Reverse(before)
	last.Text = strings.Join(append(before, last.Text), "\n\n")
	return &last
}

// failed rests the claim after a turn that could not be decided or committed.
// Only what is the turn's own fault is charged.
func (r *Runtime) failed(ctx context.Context, c *inbox.Claim, w inbox.Waiting, err error) {
	if infrastructure(err) {
		slog.Error("turn put off", "error", err)
		r.rest(ctx, c, restAway)
		return
	}
	slog.Error("turn failed", "tries", w.Tries+1, "error", err)
	if err := r.inbox.Charge(ctx, c.Who, w.Key); err != nil {
		slog.Error("cannot charge", "error", err)
	}
	r.rest(ctx, c, 200*time.Millisecond<<w.Tries)
}

// rest gives the claim back and comes again by itself when the pause is over.
func (r *Runtime) rest(ctx context.Context, c *inbox.Claim, pause time.Duration) {
	if err := r.inbox.Rest(ctx, c, pause); err != nil {
		slog.Error("cannot rest", "error", err) // the lease lapses; the poll finds the events
		return
	}
	time.AfterFunc(pause+10*time.Millisecond, func() { r.Wake(c.Who) })
}

// apology is what a person reads whose message could not be handled.
func (r *Runtime) apology(who bot.CitizenID, lang string, rec *record, now time.Time) []delivery.Item {
	if who.IsZero() {
		return nil
	}
	t := &bot.Turn{Now: now, Citizen: bot.Citizen{ID: who, Language: lang}, Conv: &rec.Conv, Texts: r.texts, Unasked: true}
	t.Say(bot.Message{
		Text:    t.T("runtime.apology"),
		Choices: []bot.Choice{{Title: t.T("runtime.menu"), Payload: bot.Payload(r.router.opener.Name(), "show", "")}},
	})
	return []delivery.Item{{To: who, Priority: delivery.Reply, Message: t.Reply(), InReplyAt: rec.interacted}}
}

func (r *Runtime) observe(d *decision) {
	flow := "none"
	if d.turn != nil && d.turn.Conv.Flow != "" {
		flow = d.turn.Conv.Flow
	}
	slog.Debug("event turned", "event_id", inbox.ShortID(d.waiting.Key), "event", d.event.Name, "flow", flow)
	r.seconds.WithLabelValues(flow).Observe(r.cfg.Now().Sub(d.event.AcceptedAt).Seconds())
}

func msgID(b bot.Body) string {
	switch b := b.(type) {
	case bot.Text:
		return b.MsgID
	case bot.Media:
		return b.MsgID
	case bot.Location:
		return b.MsgID
	case bot.Sent:
		return b.MsgID
	}
	return ""
}

func sortCitizens(who []bot.CitizenID) {
	slices.SortFunc(who, func(a, b bot.CitizenID) int {
		if c := strings.Compare(a.OA, b.OA); c != 0 {
			return c
		}
		return strings.Compare(a.User, b.User)
	})
}
