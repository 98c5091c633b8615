package notices

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

// Bounds, in minutes of the day, days and messages.
const (
	day        = 24 * 60
	maxPause   = 60
	maxDaily   = 20
	atOnce     = "now"
	noDaily    = "0"
	noQuiet    = "none"
	oneDay     = "1"
	oneWeek    = "7"
	quietNoon  = "720-840"
	quietNight = "1200-420"
)

// clock writes a minute of the day as people do: "07:30".
func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// within reports whether a minute of the day lies in hours that may pass midnight.
func within(minute, from, to int) bool {
	if from <= to {
		return from <= minute && minute < to
	}
	return minute >= from || minute < to
}

// when says when one is told, and what can be changed about it.
func (f *Flow) when(ctx context.Context, t *bot.Turn) error {
	p, err := f.pushes.Preferences(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	digest, quiet, daily := t.T("notices.when.at_once"), "", t.T("notices.when.no_daily")
	if p.DigestAt >= 0 {
		digest = t.T("notices.when.digest", "At", clock(p.DigestAt))
	}
	if p.QuietFrom != p.QuietTo {
		quiet = t.T("notices.when.quiet", "From", clock(p.QuietFrom), "To", clock(p.QuietTo))
	}
	if p.DailyMost > 0 {
		daily = t.T("notices.when.daily", "Count", p.DailyMost)
	}
	last := to(t, "notices.button.pause", "pause", "")
	if t.Now.Before(p.PausedUntil) {
		last = to(t, "notices.button.resume", "resume", "")
	}
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: lines(paused(t, p), digest, quiet, f.atNight(t), daily),
		Choices: []bot.Choice{
			to(t, "notices.button.digest", "digest", ""),
			to(t, "notices.button.quiet", "quiet", ""),
			to(t, "notices.button.daily", "daily", ""),
			last,
			way.Zero(back(t)),
		},
	})
	return nil
}

// atNight says when nothing but urgent pushes goes.
func (f *Flow) atNight(t *bot.Turn) string {
	from, to := f.night()
	if from == to {
		return ""
	}
	return t.T("notices.when.night", "From", clock(from), "To", clock(to))
}

// settled says what was changed, with the way to change more.
func settled(t *bot.Turn, text string) error {
	return done(t, text, to(t, "notices.button.when", "when", ""), back(t))
}

func (f *Flow) askDigest(t *bot.Turn) error { return f.digestAgain(t, t.T("notices.when.ask_digest")) }

func (f *Flow) digestAgain(t *bot.Turn, text string) error {
	return ask(t, stepDigest, state{}, text,
		to(t, "notices.button.at_once", "digest_at", atOnce),
		to(t, "notices.button.morning", "digest_at", strconv.Itoa(7*60)),
		to(t, "notices.button.noon", "digest_at", strconv.Itoa(12*60)),
		to(t, "notices.button.evening", "digest_at", strconv.Itoa(19*60)),
		way.Zero(back(t)))
}

// digestSaid sets the hour of a sentence, or asks for one.
func (f *Flow) digestSaid(ctx context.Context, t *bot.Turn, s *said) error {
	if at := s.clocks(); len(at) == 1 {
		return f.digestAt(ctx, t, strconv.Itoa(at[0]))
	}
	return f.askDigest(t)
}

func (f *Flow) takeDigest(ctx context.Context, t *bot.Turn) error {
	at := f.hear(t).clocks()
	switch {
	case len(at) == 1:
		return f.digestAt(ctx, t, strconv.Itoa(at[0]))
	case strings.ContainsAny(t.Text(), "0123456789"):
		return f.digestAgain(t, t.T("notices.when.bad_clock"))
	}
	return bot.ErrNotMine
}

func (f *Flow) digestAt(ctx context.Context, t *bot.Turn, arg string) error {
	if arg == atOnce {
		t.Do(push.SetDigest{At: -1})
		return settled(t, t.T("notices.when.digest_at_once"))
	}
	at, err := strconv.Atoi(arg)
	if err != nil || at < 0 || at >= day {
		return f.digestAgain(t, t.T("notices.when.bad_clock"))
	}
	if from, to := f.night(); from != to && within(at, from, to) {
		return f.digestAgain(t, t.T("notices.when.digest_night", "From", clock(from), "To", clock(to)))
	}
	p, err := f.pushes.Preferences(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if p.QuietFrom != p.QuietTo && within(at, p.QuietFrom, p.QuietTo) {
		return f.digestAgain(t, t.T("notices.when.digest_quiet", "From", clock(p.QuietFrom), "To", clock(p.QuietTo)))
	}
	t.Do(push.SetDigest{At: at})
	return settled(t, t.T("notices.when.digest_done", "At", clock(at)))
}

func (f *Flow) askQuiet(t *bot.Turn) error {
	return f.quietAgain(t, lines(t.T("notices.when.ask_quiet"), f.atNight(t)))
}

func (f *Flow) quietAgain(t *bot.Turn, text string) error {
	return ask(t, stepQuiet, state{}, text,
		to(t, "notices.button.quiet_noon", "quiet_at", quietNoon),
		to(t, "notices.button.quiet_evening", "quiet_at", quietNight),
		to(t, "notices.button.quiet_none", "quiet_at", noQuiet),
		way.Zero(back(t)))
}

// quietSaid sets the hours of a sentence, or asks for them.
func (f *Flow) quietSaid(t *bot.Turn, s *said) error {
	if at := s.clocks(); len(at) == 2 {
		return f.quietAt(t, fmt.Sprintf("%d-%d", at[0], at[1]))
	}
	return f.askQuiet(t)
}

func (f *Flow) takeQuiet(t *bot.Turn) error {
	at := f.hear(t).clocks()
	switch {
	case len(at) == 2:
		return f.quietAt(t, fmt.Sprintf("%d-%d", at[0], at[1]))
	case strings.ContainsAny(t.Text(), "0123456789"):
		return f.quietAgain(t, t.T("notices.when.bad_clocks"))
	}
	return bot.ErrNotMine
}

func (f *Flow) quietAt(t *bot.Turn, arg string) error {
	if arg == noQuiet {
		t.Do(push.SetQuiet{})
		return settled(t, lines(t.T("notices.when.quiet_none"), f.atNight(t)))
	}
	first, second, _ := strings.Cut(arg, "-")
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(second)
	if err != nil || err2 != nil || from < 0 || to < 0 || from >= day || to >= day || from == to {
		return f.quietAgain(t, t.T("notices.when.bad_clocks"))
	}
	t.Do(push.SetQuiet{From: from, To: to})
	return settled(t, t.T("notices.when.quiet_done", "From", clock(from), "To", clock(to)))
}

func (f *Flow) askDaily(t *bot.Turn) error { return f.dailyAgain(t, t.T("notices.when.ask_daily")) }

// dailyAgain asks for a number: so no choice but 0 has one.
func (f *Flow) dailyAgain(t *bot.Turn, text string) error {
	return ask(t, stepDaily, state{}, text, way.Zero(to(t, "notices.button.no_daily", "daily_at", noDaily)))
}

func (f *Flow) takeDaily(t *bot.Turn) error {
	numbers, ok := f.hear(t).numbers()
	switch {
	case ok && len(numbers) == 1:
		return f.dailyAt(t, strconv.Itoa(numbers[0]))
	case strings.ContainsAny(t.Text(), "0123456789"):
		return f.dailyAgain(t, t.T("notices.when.bad_daily"))
	}
	return bot.ErrNotMine
}

func (f *Flow) dailyAt(t *bot.Turn, arg string) error {
	if arg == noDaily {
		t.Do(push.SetDaily{})
		return settled(t, t.T("notices.when.daily_none"))
	}
	most := number(arg, maxDaily)
	if most == 0 {
		return f.dailyAgain(t, t.T("notices.when.bad_daily"))
	}
	t.Do(push.SetDaily{Most: most})
	return settled(t, t.T("notices.when.daily_done", "Count", most))
}

func (f *Flow) askPause(ctx context.Context, t *bot.Turn) error {
	p, err := f.pushes.Preferences(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if !p.StoppedAt.IsZero() {
		return done(t, t.T("notices.when.pause_nothing"), to(t, "notices.button.topics", "topics", ""))
	}
	return f.pauseAgain(t, t.T("notices.when.ask_pause"))
}

func (f *Flow) pauseAgain(t *bot.Turn, text string) error {
	return ask(t, stepPause, state{}, text,
		to(t, "notices.button.one_day", "pause_for", oneDay),
		to(t, "notices.button.one_week", "pause_for", oneWeek),
		way.Zero(back(t)))
}

func (f *Flow) takePause(ctx context.Context, t *bot.Turn) error {
	s := f.hear(t)
	numbers, ok := s.numbers()
	switch {
	case s.days() > 0:
		return f.pauseFor(ctx, t, s.days())
	case ok && len(numbers) == 1:
		return f.pauseFor(ctx, t, numbers[0])
	case strings.ContainsAny(t.Text(), "0123456789"):
		return f.pauseAgain(t, t.T("notices.when.bad_pause"))
	}
	return bot.ErrNotMine
}

// pauseFor pauses for some days, until the same time of day.
func (f *Flow) pauseFor(ctx context.Context, t *bot.Turn, days int) error {
	p, err := f.pushes.Preferences(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if !p.StoppedAt.IsZero() {
		return f.askPause(ctx, t)
	}
	if days < 1 || days > maxPause {
		return f.pauseAgain(t, t.T("notices.when.bad_pause"))
	}
	until := t.Now.Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Minute)
	t.Do(push.Pause{Until: until})
	return settled(t, t.T("notices.when.pause_done", "Until", t.Moment(until)))
}

// resume ends a pause. After a stop there is nothing to go on with: what was
// chosen is gone, and is chosen anew.
func (f *Flow) resume(ctx context.Context, t *bot.Turn) error {
	o, p, err := f.known(ctx, t)
	if err != nil {
		return err
	}
	if !p.StoppedAt.IsZero() || len(f.subscribed(o)) == 0 && !t.Now.Before(p.PausedUntil) {
		return f.listTopics(ctx, t, state{}, "")
	}
	t.Do(push.Resume{})
	return settled(t, t.T("notices.when.resumed"))
}
