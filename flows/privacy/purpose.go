package privacy

import (
	"slices"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
)

// topicsTogether stands for the consents to all topics, which are told and
// withdrawn as one.
const topicsTogether = "topics"

// subject is something agreed to, as it is told: one purpose, or all topics.
type subject struct {
	purpose string // or topicsTogether
	given   time.Time
	topics  []string // keys
}

// subjects are the consents that stand, newest first, topics together.
func subjects(all []citizen.Consent) []subject {
	var now []subject
	for _, c := range all {
		if !c.WithdrawnAt.IsZero() {
			continue
		}
		purpose := c.Purpose
		topic, isTopic := citizen.TopicOf(purpose)
		if isTopic {
			purpose = topicsTogether
		}
		at := slices.IndexFunc(now, func(s subject) bool { return s.purpose == purpose })
		if at < 0 {
			at = len(now)
			now = append(now, subject{purpose: purpose, given: c.GivenAt})
		}
		if isTopic && !slices.Contains(now[at].topics, topic) {
			now[at].topics = append(now[at].topics, topic)
		}
	}
	return now
}

// purpose is how a purpose of consent is said.
func (f *Flow) purpose(t *bot.Turn, p string) string {
	switch p {
	case citizen.PurposeKeep:
		return t.T("privacy.purpose.keep")
	case citizen.PurposeContact:
		return t.T("privacy.purpose.contact")
	case citizen.PurposeCallback:
		return t.T("privacy.purpose.callback")
	case citizen.PurposeFollow:
		return t.T("privacy.purpose.follow")
	}
	if topic, ok := citizen.TopicOf(p); ok {
		return t.T("privacy.purpose.topic", "Topics", f.names(t, []string{topic}))
	}
	return p
}

// said is how a subject is told.
func (f *Flow) said(t *bot.Turn, s subject) string {
	if s.purpose == topicsTogether {
		return t.T("privacy.purpose.topic", "Topics", f.names(t, s.topics))
	}
	return f.purpose(t, s.purpose)
}

// names are the names of topics, in the order in which they are offered. One that
// is no longer offered is called so.
func (f *Flow) names(t *bot.Turn, keys []string) string {
	var names []string
	for _, topic := range f.topics {
		if slices.Contains(keys, topic.Key) {
			names = append(names, t.T(topic.Name))
		}
	}
	if len(names) < len(keys) {
		names = append(names, t.T("privacy.purpose.gone"))
	}
	return strings.Join(names, ", ")
}

// buttonOf is the button of a subject; empty for one that nobody knows.
func buttonOf(purpose string) string {
	switch purpose {
	case citizen.PurposeKeep:
		return "privacy.button.purpose_keep"
	case citizen.PurposeContact:
		return "privacy.button.purpose_contact"
	case citizen.PurposeCallback:
		return "privacy.button.purpose_callback"
	case citizen.PurposeFollow:
		return "privacy.button.purpose_follow"
	case topicsTogether:
		return "privacy.button.purpose_topics"
	}
	return ""
}
