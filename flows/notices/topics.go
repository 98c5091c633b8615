package notices

import (
	"context"
	"slices"
	"strings"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

// consent is the text that asks for consent to notices about a topic.
const consent = "notices.ask.consent"

// subscribed are the topics somebody asked for and that still exist.
func (f *Flow) subscribed(o notice.Overview) []Topic {
	var now []Topic
	for _, topic := range f.topics {
		if o.Has(topic.Key) {
			now = append(now, topic)
		}
	}
	return now
}

func (f *Flow) names(t *bot.Turn, topics []Topic) string {
	names := make([]string, len(topics))
	for i, topic := range topics {
		names[i] = t.T(topic.Name)
	}
	return list(names)
}

func needsPlaces(topics []Topic) bool {
	return slices.ContainsFunc(topics, func(topic Topic) bool { return topic.Places })
}

// listTopics lists the topics under a first line, if there is one. Areas that were
// named before wait in the state.
func (f *Flow) listTopics(ctx context.Context, t *bot.Turn, st state, first string) error {
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	all := make([]string, len(f.topics))
	for i, topic := range f.topics {
		if o.Has(topic.Key) {
			all[i] = t.T("notices.topics.line_on", "N", i+1, "Name", t.T(topic.Name))
		} else {
			all[i] = t.T("notices.topics.line", "N", i+1, "Name", t.T(topic.Name), "About", t.T(topic.About))
		}
	}
	return ask(t, stepTopics, st, lines(first, t.T("notices.topics.list", "Lines", strings.Join(all, "\n"))),
		way.Zero(to(t, "notices.button.done", "show", "")))
}

// takeTopics takes numbers of the list, or names: what is not had yet is asked
// for, what is had is ended, unless a word says which of the two is meant.
func (f *Flow) takeTopics(ctx context.Context, t *bot.Turn, st state) error {
	s := f.hear(t)
	picked := s.topics
	numbers, ok := s.numbers()
	switch {
	case len(picked) > 0:
	case ok:
		for _, n := range numbers {
			if n < 1 || n > len(f.topics) {
				return f.listTopics(ctx, t, st, t.T("notices.topics.numbers", "Most", len(f.topics)))
			}
			if topic := f.topics[n-1]; !slices.Contains(picked, topic) {
				picked = append(picked, topic)
			}
		}
	case s.says("notices.words.all"):
		picked = f.topics
	default:
		return bot.ErrNotMine
	}
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if s.ends() {
		return f.choose(ctx, t, nil, picked, nil)
	}
	var on, off []Topic
	for _, topic := range picked {
		if o.Has(topic.Key) {
			off = append(off, topic)
		} else {
			on = append(on, topic)
		}
	}
	if len(picked) == len(f.topics) {
		off = nil // "all of them" ends nothing
	}
	if len(on) > 0 && len(s.topics) > 0 {
		off = nil // named beside new ones, it is to stay
	}
	return f.choose(ctx, t, on, off, st.Areas)
}

// wantThere asks for the topics of a sentence, and for the commune in it.
func (f *Flow) wantThere(ctx context.Context, t *bot.Turn, s *said) error {
	matches := f.find(t, s)
	if len(matches) == 0 {
		return f.choose(ctx, t, s.topics, nil, nil)
	}
	if len(matches) == 1 && matches[0].Whole {
		return f.choose(ctx, t, s.topics, nil, []string{matches[0].Today[0].Code})
	}
	text, choices := f.which(t, matches, func(code string) string {
		return bot.Payload(Name, "want", pack(s.topics, []string{code}))
	})
	t.Conv.Leave()
	t.Say(bot.Message{Text: text, Choices: append(choices, way.Home(t))})
	return nil
}

// pack writes topics and communes into a payload: "weather,power@14329".
func pack(topics []Topic, areas []string) string {
	keys := make([]string, len(topics))
	for i, topic := range topics {
		keys[i] = topic.Key
	}
	packed := strings.Join(keys, ",")
	if len(areas) > 0 {
		packed += "@" + strings.Join(areas, ",")
	}
	return packed
}

// wanted reads what pack wrote, leaving out what does not exist.
func (f *Flow) wanted(t *bot.Turn, packed string) (topics []Topic, areas []string) {
	keys, codes, _ := strings.Cut(packed, "@")
	wanted := strings.Split(keys, ",")
	for _, topic := range f.topics {
		if slices.Contains(wanted, topic.Key) {
			topics = append(topics, topic)
		}
	}
	for _, code := range strings.Split(codes, ",") {
		if len(areas) < notice.MaxAreas && f.isPlace(t, code) && !slices.Contains(areas, code) {
			areas = append(areas, code)
		}
	}
	return topics, areas
}

// choose ends the topics in off, and asks consent to those in on that are not had
// yet, for areas too.
func (f *Flow) choose(ctx context.Context, t *bot.Turn, on, off []Topic, areas []string) error {
	o, p, err := f.known(ctx, t)
	if err != nil {
		return err
	}
	var dropped, missing, fresh []Topic
	for _, topic := range off {
		if o.Has(topic.Key) {
			dropped = append(dropped, topic)
			t.Do(notice.Unsubscribe{Topic: topic.Key})
			t.Do(citizen.WithdrawConsent{Purpose: citizen.PurposeTopic(topic.Key)})
		} else {
			missing = append(missing, topic)
		}
	}
	if len(dropped) > 0 && len(dropped) == len(o.Topics) {
		t.Do(notice.ClearAreas{}) // kept for no purpose any more
	}
	for _, topic := range on {
		if !o.Has(topic.Key) {
			fresh = append(fresh, topic)
		}
	}
	first := ""
	switch {
	case len(dropped) > 0:
		first = t.T("notices.topics.dropped", "Topics", f.names(t, dropped))
	case len(missing) > 0:
		first = t.T("notices.topics.not_had", "Topics", f.names(t, missing))
	}
	switch {
	case len(fresh) > 0:
		return f.askConsent(t, first, fresh, areas)
	case len(on) > 0 && len(areas) > 0 && !slices.Contains(o.Areas, areas[0]):
		return f.addPlace(ctx, t, areas[0], nil)
	case len(on) > 0:
		text := t.T("notices.topics.already", "Topics", f.names(t, on))
		if len(areas) > 0 {
			text = t.T("notices.topics.already_in", "Topics", f.names(t, on), "Areas", list(f.areaNames(t, areas)))
		}
		return done(t, lines(first, text, paused(t, p)), onward(t, f.subscribed(o))...)
	case first == "":
		return f.show(ctx, t)
	}
	left := slices.DeleteFunc(f.subscribed(o), func(topic Topic) bool { return slices.Contains(dropped, topic) })
	return done(t, first, onward(t, left)...)
}

// onward are the ways on for somebody who gets topics: what can be chosen.
func onward(t *bot.Turn, topics []Topic) []bot.Choice {
	choices := []bot.Choice{to(t, "notices.button.topics", "topics", "")}
	if needsPlaces(topics) {
		choices = append(choices, to(t, "notices.button.places", "places", ""))
	}
	if len(topics) > 0 {
		choices = append(choices, to(t, "notices.button.when", "when", ""))
	}
	return choices
}

// paused says that nothing comes for now, if that is so.
func paused(t *bot.Turn, p push.Preferences) string {
	if !p.StoppedAt.IsZero() || !t.Now.Before(p.PausedUntil) {
		return ""
	}
	return t.T("notices.show.paused", "Until", t.Moment(p.PausedUntil))
}

func (f *Flow) askConsent(t *bot.Turn, first string, topics []Topic, areas []string) error {
	question := t.T("notices.ask.topics", "Topics", f.names(t, topics))
	if names := f.areaNames(t, areas); len(names) > 0 {
		question = t.T("notices.ask.topics_in", "Topics", f.names(t, topics), "Areas", list(names))
	}
	text, _ := way.Consent(t, consent)
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: way.Signed(t, lines(first, question, text)),
		Choices: []bot.Choice{
			to(t, "notices.button.agree", "agree", pack(topics, areas)),
			way.Zero(to(t, "notices.button.refuse", "show", "")),
		},
	})
	return nil
}

// agree records the consents just given, and asks for a commune where the topics
// need one.
func (f *Flow) agree(ctx context.Context, t *bot.Turn, packed string) error {
	topics, areas := f.wanted(t, packed)
	if len(topics) == 0 {
		return f.listTopics(ctx, t, state{}, "")
	}
	o, p, err := f.known(ctx, t)
	if err != nil {
		return err
	}
	_, textVersion := way.Consent(t, consent)
	for _, topic := range topics {
		t.Do(citizen.GiveConsent{Purpose: citizen.PurposeTopic(topic.Key), TextVersion: textVersion, Channel: way.Channel})
		t.Do(notice.Subscribe{Topic: topic.Key})
	}
	areas = slices.DeleteFunc(areas, func(code string) bool { return slices.Contains(o.Areas, code) })
	areas = areas[:min(len(areas), max(0, notice.MaxAreas-len(o.Areas)))]
	for _, code := range areas {
		t.Do(notice.AddArea{Code: code})
	}
	if !p.StoppedAt.IsZero() {
		t.Do(push.Resume{})
	}
	first := t.T("notices.topics.added", "Topics", f.names(t, topics))
	if names := f.areaNames(t, areas); len(names) > 0 {
		first = t.T("notices.topics.added_in", "Topics", f.names(t, topics), "Areas", list(names))
	}
	first = lines(first, paused(t, p))
	if needsPlaces(topics) && len(o.Areas)+len(areas) == 0 {
		return ask(t, stepPlaces, state{}, first+"\n\n"+t.T("notices.places.ask"),
			way.Zero(to(t, "notices.button.later", "show", "")))
	}
	return done(t, lines(first, t.T("notices.show.stop")), onward(t, slices.Concat(f.subscribed(o), topics))...)
}
