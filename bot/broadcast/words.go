package broadcast

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/staff"
)

// Explain says an error of this package to whoever asked for the act; ok is false
// for errors that are no answer to a person.
func Explain(err error, texts bot.Texts, lang string) (words string, ok bool) {
	var refused *Refused
	var forbidden *staff.Forbidden
	switch {
	case errors.As(err, &refused):
		return refused.Text(texts, lang), true
	case errors.As(err, &forbidden):
		return texts.Text(lang, "broadcast.refused.forbidden", bot.Pairs("Agency", forbidden.Agency)), true
	case errors.Is(err, ErrStale):
		return texts.Text(lang, "broadcast.refused.stale", nil), true
	case errors.Is(err, ErrNotFound):
		return texts.Text(lang, "broadcast.refused.unknown_broadcast", nil), true
	}
	return "", false
}

// Word says a code of a section ("state", "run_state", "cause", "rung", "skip"), and
// the code itself where no words are known for it.
func Word(texts bot.Texts, lang, section, code string) string {
	if code == "" {
		return ""
	}
	key := "broadcast." + section + "." + code
	if words := texts.Text(lang, key, nil); words != key {
		return words
	}
	return code
}

// Words tells a plan, a line a fact.
func (p Plan) Words(texts bot.Texts, lang string, now time.Time) []string {
	var lines []string
	say := func(key string, pairs ...any) {
		lines = append(lines, texts.Text(lang, "broadcast.plan."+key, bot.Pairs(pairs...)))
	}
	if p.Rungs == nil {
		say("article_head", "Recipients", p.Recipients)
	} else {
		say("head", "Recipients", p.Recipients, "Audience", p.Audience, "Cost", p.Cost)
	}
	if by := p.Target.Words(texts, lang); by != "" {
		say("article_narrowed", "By", by)
	}
	for _, r := range rungs {
		if n := p.Rungs[r]; n > 0 {
			say("rung", "N", n, "Rung", Word(texts, lang, "rung", string(r)))
		}
		if n := p.Over[r]; n > 0 {
			say("over", "N", n, "Rung", Word(texts, lang, "rung", string(r)))
		}
	}
	for _, why := range slices.Sorted(maps.Keys(p.Skipped)) {
		say("skipped", "N", p.Skipped[why], "Why", Word(texts, lang, "skip", why))
	}
	times := "time"
	if p.Rungs == nil {
		times = "article_time"
	}
	say(times, "Start", texts.Moment(lang, p.Start, now), "Ends", texts.Moment(lang, p.Ends, now), "Minutes", int(p.Moderation.Minutes()))
	if p.Waits != "" {
		say("article_waits", "Why", Word(texts, lang, "cause", p.Waits))
	}
	if !p.BeforeNight {
		say("night", "InTime", p.InTime)
	}
	if p.Article > 0 {
		say("article", "Article", p.Article, "InTime", p.InTime)
	}
	for _, at := range p.Next {
		say("next", "At", texts.Moment(lang, at, now))
	}
	return lines
}

// Words says what narrows an article; empty where nothing does.
func (t Target) Words(texts bot.Texts, lang string) string {
	var by []string
	say := func(key string, numbers ...int) {
		list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
		by = append(by, texts.Text(lang, "broadcast.target."+key, bot.Pairs("Numbers", list)))
	}
	if len(t.Cities) > 0 {
		say("cities", t.Cities...)
	}
	if len(t.Ages) > 0 {
		say("ages", t.Ages...)
	}
	switch t.Gender {
	case 1:
		say("men")
	case 2:
		say("women")
	}
	return strings.Join(by, "; ")
}

// rungs in the order in which a plan tells them.
var rungs = []push.Rung{push.RungFree, push.RungPackage, push.RungTemplate, push.RungPhone, rungHeld}
