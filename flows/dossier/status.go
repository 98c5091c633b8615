package dossier

import (
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
)

// head is the first line about a dossier: the answer, and nothing a neighbour
// should not read on a lock screen.
func head(t *bot.Turn, p *dossier.Public) string {
	timing := p.Timing(t.Now)
	due := []any{
		"Due", moment(t, p.DueAt), "Old", moment(t, p.OldDueAt),
		"Doubtful", timing == dossier.TimingDoubtful, "Words", p.StatusName,
		"Returned", moment(t, p.ReturnedAt),
	}
	say := func(key string) string { return t.T(key, due...) }
	if timing == dossier.TimingLate {
		if p.Status == dossier.StatusPayment {
			return say("dossier.head.payment_late")
		}
		if !p.Status.Known() {
			return say("dossier.head.unknown_late")
		}
		return say("dossier.head.late")
	}
	switch p.Status {
	case dossier.StatusFiled:
		return say("dossier.head.filed")
	case dossier.StatusReceived:
		return say("dossier.head.received")
	case dossier.StatusRefused:
		return say("dossier.head.refused")
	case dossier.StatusProcessing:
		return say("dossier.head.processing")
	case dossier.StatusSupplement:
		return say("dossier.head.supplement")
	case dossier.StatusPayment:
		return say("dossier.head.payment")
	case dossier.StatusWithdrawn:
		return say("dossier.head.withdrawn")
	case dossier.StatusStopped:
		return say("dossier.head.stopped")
	case dossier.StatusReady, dossier.StatusReturned:
		return done(t, p, timing, say)
	}
	return say("dossier.head.unknown")
}

// done is the first line about a dossier whose result is there.
func done(t *bot.Turn, p *dossier.Public, timing dossier.Timing, say func(string) string) string {
	returned := p.Status == dossier.StatusReturned
	switch {
	case timing == dossier.TimingOnTime && returned:
		return say("dossier.head.returned_on_time")
	case timing == dossier.TimingDoneLate && returned:
		return say("dossier.head.returned_late")
	case returned:
		return say("dossier.head.returned")
	case timing == dossier.TimingOnTime:
		return say("dossier.head.ready_on_time")
	case timing == dossier.TimingDoneLate:
		return say("dossier.head.ready_late")
	}
	return say("dossier.head.ready")
}

// short says a state inside a sentence or a list: "đang giải quyết, hẹn trả thứ
// Hai 17/06/2024".
func short(t *bot.Turn, p *dossier.Public) string {
	text := t.T(shortKey(p.Status), "Words", p.StatusName)
	switch p.Timing(t.Now) {
	case dossier.TimingOpen:
		return text + t.T("dossier.short.due", "Day", t.Day(p.DueAt))
	case dossier.TimingLate:
		return text + t.T("dossier.short.late", "Day", t.Day(p.DueAt))
	}
	return text
}

func shortKey(s dossier.Status) string {
	switch s {
	case dossier.StatusFiled:
		return "dossier.short.filed"
	case dossier.StatusReceived:
		return "dossier.short.received"
	case dossier.StatusRefused:
		return "dossier.short.refused"
	case dossier.StatusProcessing:
		return "dossier.short.processing"
	case dossier.StatusSupplement:
		return "dossier.short.supplement"
	case dossier.StatusPayment:
		return "dossier.short.payment"
	case dossier.StatusWithdrawn:
		return "dossier.short.withdrawn"
	case dossier.StatusStopped:
		return "dossier.short.stopped"
	case dossier.StatusReady:
		return "dossier.short.ready"
	case dossier.StatusReturned:
		return "dossier.short.returned"
	}
	return "dossier.short.unknown"
}

// next says what the resident does now, in this status.
func next(t *bot.Turn, d *dossier.Detail) string {
	if d.Timing(t.Now) == dossier.TimingLate && d.Status != dossier.StatusPayment {
		return t.T("dossier.next.late")
	}
	switch d.Status {
	case dossier.StatusFiled:
		return t.T("dossier.next.filed")
	case dossier.StatusReceived:
		return t.T("dossier.next.received")
	case dossier.StatusRefused:
		return t.T("dossier.next.refused")
	case dossier.StatusProcessing:
		if !d.Complete {
			return "" // whether anything is wanted cannot be seen now
		}
		return t.T("dossier.next.processing")
	case dossier.StatusSupplement:
		return t.T("dossier.next.supplement")
	case dossier.StatusPayment:
		return t.T("dossier.next.payment")
	case dossier.StatusStopped:
		return t.T("dossier.next.stopped")
	case dossier.StatusReady:
		return t.T("dossier.next.ready", "Agency", d.AgencyName)
	case dossier.StatusReturned:
		return t.T("dossier.next.returned")
	}
	return ""
}

// when says a time after a verb: "lúc 16:20 hôm nay", "thứ Hai 17/06/2024, 17:00".
func when(t *bot.Turn, at time.Time) string {
	said := t.Moment(at)
	if strings.HasPrefix(said, t.Day(at)) {
		return t.T("time.on_day", "Moment", said)
	}
	return t.T("time.at_clock", "Moment", said)
}
