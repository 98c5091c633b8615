package broadcast

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"congdanso/bot"
	"congdanso/bot/push"
)

// Bounds of a schedule.
const (
	shortestPause = time.Hour // between occurrences
	shortestLate  = 10 * time.Minute
	longestLate   = 24 * time.Hour
	// looked at to find two that come too close; the first two tell nearly always.
	occurrencesChecked = 50
)

// shownOccurrences is how many of the next runs people are told.
const shownOccurrences = 5

// Recurring reports whether it has more than one occurrence.
func (sc Schedule) Recurring() bool { return sc.Cron != "" }

// parse reads the cron expression. Only the five plain fields are taken: names for
// intervals and zones of their own would not be what the approver reads.
func (sc Schedule) parse() (cron.Schedule, error) {
	if len(strings.Fields(sc.Cron)) != 5 || strings.Contains(sc.Cron, "=") {
		return nil, refuse("cron", "Cron", sc.Cron)
	}
	parsed, err := cron.ParseStandard(sc.Cron)
	if err != nil {
		return nil, refuse("cron", "Cron", sc.Cron)
	}
	return parsed, nil
}

// check refuses a schedule that cannot be meant.
func (sc Schedule) check(now time.Time) error {
	if sc.LatestStart < shortestLate || sc.LatestStart > longestLate {
		return refuse("latest_start", "Least", int(shortestLate.Minutes()), "Most", int(longestLate.Hours()))
	}
	switch {
	case sc.Cron != "" && !sc.At.IsZero():
		return refuse("two_schedules")
	case sc.Cron == "":
		if !sc.At.IsZero() && !sc.At.After(now) {
			return refuse("past")
		}
		return nil
	}
	parsed, err := sc.parse()
	if err != nil {
		return err
	}
	last := parsed.Next(now.In(push.Local))
	if last.IsZero() {
		return refuse("never_fires", "Cron", sc.Cron)
	}
	for range occurrencesChecked {
		next := parsed.Next(last)
		if next.IsZero() {
			break
		}
		if next.Sub(last) < shortestPause {
			return refuse("too_often", "Cron", sc.Cron)
		}
		last = next
	}
	return nil
}

// next is the first occurrence after a moment; zero when there is none. What goes
// as soon as it is approved has its occurrence at the approval.
func (sc Schedule) next(after time.Time) time.Time {
	if sc.Cron == "" {
		if sc.At.After(after) {
			return sc.At
		}
		return time.Time{}
	}
	parsed, err := sc.parse()
	if err != nil {
		return time.Time{}
	}
	at := parsed.Next(after.In(push.Local))
	if at.IsZero() {
		return at
	}
	return at.UTC()
}

// Occurrences are the next five times at which it goes.
func (sc Schedule) Occurrences(now time.Time) []time.Time {
	var list []time.Time
	for at := sc.next(now); !at.IsZero() && len(list) < shownOccurrences; at = sc.next(at) {
		list = append(list, at)
	}
	return list
}

// Words tells when it goes, a line an occurrence.
func (sc Schedule) Words(texts bot.Texts, lang string, now time.Time) []string {
	if sc.Cron == "" && sc.At.IsZero() {
		return []string{texts.Text(lang, "broadcast.schedule.at_once", nil)}
	}
	var words []string
	for _, at := range sc.Occurrences(now) {
		words = append(words, texts.Moment(lang, at, now))
	}
	return words
}
