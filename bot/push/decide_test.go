package push

import (
	"testing"
	"time"

	"congdanso/bot"
)

// hcm is a moment of the local day.
func hcm(day string, clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", day+" "+clock, Local)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// TestDecide moves the clock over everything by which a push is decided: 22:00 and
// 06:00, 48 hours, seven days, quiet hours over midnight, ends of days and months.
func TestDecide(t *testing.T) {
	t.Parallel()
	noon := hcm("2026-11-25", "12:00:00")
	wrote := func(ago time.Duration) func(*candidate) { return func(c *candidate) { c.interacted = noon.Add(-ago) } }
	for name, c := range map[string]struct {
		now    time.Time
		change func(*candidate)
		closed map[Rung]string
		fits   bool
		want   decision
	}{
		"within 48 hours it is free":    {change: wrote(47 * time.Hour), want: decision{way: send, rung: RungFree}},
		"just before 48 hours":          {change: wrote(48*time.Hour - margin - time.Second), want: decision{way: send, rung: RungFree}},
		"at 48 hours it costs":          {change: wrote(48*time.Hour - margin), want: decision{way: send, rung: RungPackage}},
		"just before seven days":        {change: wrote(7*24*time.Hour - margin - time.Second), want: decision{way: send, rung: RungPackage}},
		"at seven days nothing is left": {change: wrote(7*24*time.Hour - margin), want: decision{way: hold, reason: ReasonNoWay}},
		"at seven days the template":    {change: wrote(8 * 24 * time.Hour), fits: true, want: decision{way: send, rung: RungTemplate}},
		"nobody ever wrote":             {change: func(c *candidate) { c.interacted = time.Time{} }, want: decision{way: hold, reason: ReasonNoWay}},
		"by phone where the id is shut": {change: func(c *candidate) {
			c.interacted, c.phone, c.proven, c.tried = time.Time{}, "84912345678", true, RungTemplate.bit()
		}, fits: true, want: decision{way: send, rung: RungPhone}},
		"not by a phone that is stated": {change: func(c *candidate) { c.interacted, c.phone, c.tried = time.Time{}, "84912345678", RungTemplate.bit() }, fits: true, want: decision{way: hold, reason: ReasonNoWay}},
		"a rung that is switched off":   {change: wrote(time.Hour), closed: map[Rung]string{RungFree: ReasonOff}, want: decision{way: hold, reason: ReasonOff}},
		"a used-up budget waits":        {change: wrote(50 * time.Hour), closed: map[Rung]string{RungPackage: ReasonBudget}, want: decision{way: later, reason: ReasonBudget, due: hcm("2026-11-26", "06:00:00")}},
		"a used-up budget stops a run":  {change: func(c *candidate) { wrote(50 * time.Hour)(c); c.kind, c.class = KindBroadcast, Broadcast }, closed: map[Rung]string{RungPackage: ReasonBudget}, want: decision{way: cannot, reason: ReasonBudget}},
		"one second before ten":         {now: hcm("2026-11-25", "21:59:59"), change: wrote(time.Hour), want: decision{way: send, rung: RungFree}},
		"at ten at night":               {now: hcm("2026-11-25", "22:00:00"), change: wrote(time.Hour), want: decision{way: later, due: hcm("2026-11-26", "06:00:00")}},
		"after midnight":                {now: hcm("2026-11-26", "00:00:00"), change: wrote(time.Hour), want: decision{way: later, due: hcm("2026-11-26", "06:00:00")}},
		"one second before six":         {now: hcm("2026-11-26", "05:59:59"), change: wrote(time.Hour), want: decision{way: later, due: hcm("2026-11-26", "06:00:00")}},
		"at six":                        {now: hcm("2026-11-26", "06:00:00"), change: wrote(time.Hour), want: decision{way: send, rung: RungFree}},
		"what is urgent goes at night":  {now: hcm("2026-11-25", "23:30:00"), change: func(c *candidate) { wrote(time.Hour)(c); c.class = Urgent }, want: decision{way: send, rung: RungFree}},
		"urgent over quiet, digest, own number": {change: func(c *candidate) {
			wrote(time.Hour)(c)
			c.class, c.quietFrom, c.quietTo, c.digestAt, c.dailyMost, c.pushes = Urgent, 11*60, 13*60, 18*60, 1, 1
		}, want: decision{way: send, rung: RungFree}},
		"urgent, never over a stop":     {change: func(c *candidate) { wrote(time.Hour)(c); c.class, c.stopped = Urgent, true }, want: decision{way: skip, reason: ReasonStopped}},
		"urgent, under its own ceiling": {change: func(c *candidate) { wrote(time.Hour)(c); c.class, c.pushes, c.urgent = Urgent, 3, 3 }, want: decision{way: later, due: hcm("2026-11-26", "06:00:00")}},
		"quiet hours over midnight":     {now: hcm("2026-11-25", "21:30:00"), change: func(c *candidate) { wrote(time.Hour)(c); c.quietFrom, c.quietTo = 21*60, 8*60 }, want: decision{way: later, due: hcm("2026-11-26", "08:00:00")}},
		"a digest":                      {change: func(c *candidate) { wrote(time.Hour)(c); c.digestAt = 18 * 60 }, want: decision{way: later, due: hcm("2026-11-25", "18:00:00"), digest: true}},
		"a digest at its hour":          {now: hcm("2026-11-25", "18:00:00"), change: func(c *candidate) { wrote(time.Hour)(c); c.digestAt, c.digest = 18*60, true }, want: decision{way: send, rung: RungFree}},
		"a pause":                       {change: func(c *candidate) { wrote(time.Hour)(c); c.pausedUntil = noon.Add(2 * time.Hour) }, want: decision{way: later, due: noon.Add(2 * time.Hour)}},
		"a pause beyond its time":       {change: func(c *candidate) { wrote(time.Hour)(c); c.pausedUntil = noon.Add(96 * time.Hour) }, want: decision{way: hold, reason: ReasonNoWay}},
		"the ceiling, at the month's end": {now: hcm("2026-11-30", "12:00:00"), change: func(c *candidate) {
			c.interacted, c.expires, c.pushes = hcm("2026-11-30", "11:00:00"), hcm("2026-12-05", "00:00:00"), 6
		}, want: decision{way: later, due: hcm("2026-12-01", "06:00:00")}},
		"a person's own number":          {change: func(c *candidate) { wrote(time.Hour)(c); c.dailyMost, c.pushes = 2, 2 }, want: decision{way: later, due: hcm("2026-11-26", "06:00:00")}},
		"urgent ones do not count there": {change: func(c *candidate) { wrote(time.Hour)(c); c.dailyMost, c.pushes, c.urgent = 2, 3, 2 }, want: decision{way: send, rung: RungFree}},
		"its time is over":               {change: func(c *candidate) { wrote(time.Hour)(c); c.expires = noon }, want: decision{way: skip, reason: ReasonExpired}},
		"nobody of that id":              {change: func(c *candidate) { c.known = false }, want: decision{way: skip, reason: ReasonErased}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := c.now
			if now.IsZero() {
				now = noon
			}
			push := &candidate{who: bot.CitizenID{OA: "1", User: "2"}, kind: "test", class: Notice, expires: noon.Add(72 * time.Hour),
				content: &Content{}, known: true, digestAt: -1}
			c.change(push)
			e := env{
				now:    now,
				closed: func(r Rung, _ string) string { return c.closed[r] },
				fits:   func(*Content, Rung) bool { return c.fits },
			}
			// By phone is off until somebody switches it on.
			if c.want.rung == RungPhone {
				e.settings = withPhone(t)
			}
			if got := e.decide(push); got != c.want {
				t.Errorf("decided %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTemplateTakesWhatFits(t *testing.T) {
	t.Parallel()
	tmpl := Template{Params: []Param{{Name: "code", Required: true, Min: 3, Max: 10}, {Name: "due", Max: 20}}}
	for name, c := range map[string]struct {
		params map[string]string
		want   string
		ok     bool
	}{
		"as it is":            {map[string]string{"code": "H42-1"}, "H42-1", true},
		"too long is cut":     {map[string]string{"code": "H42.16-240612-0001"}, "H42.16-24…", true},
		"cut between letters": {map[string]string{"code": "đường🌧️🌧️🌧️🌧️"}, "đường🌧️…", true},
		"missing":             {map[string]string{"due": "today"}, "", false},
		"too short":           {map[string]string{"code": "H"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, ok := tmpl.fill(c.params)
			if ok != c.ok || ok && data["code"] != c.want {
				t.Errorf("filled %q, %t; want %q, %t", data["code"], ok, c.want, c.ok)
			}
		})
	}
}
