package dossier

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/push"
)

const (
	textMost   = 1500 // characters of a notice, so that the stop line and more always fit
	statusMost = 30   // characters of a status in a template

	template = "dossier" // the registered template that says it where no message may go
)

// news is what there is to tell.
type news struct {
	kind   string
	state  *told
	before *told   // what followers know
	detail *Detail // nil for a rating
	now    time.Time
}

// expiry is when nobody needs to hear it any more.
func (n *news) expiry() time.Time {
	switch n.kind {
	case KindDue:
		return n.state.Due
	case KindOverdue, KindChanged, KindRating:
		return n.now.AddDate(0, 0, 7)
	}
	return n.now.AddDate(0, 0, 30)
}

// wording says news in one language.
type wording struct {
	texts bot.Texts
	lang  string
}

func (w *Watch) wording(lang string) wording { return wording{w.texts, lang} }

func (w wording) text(key string, pairs ...any) string {
	return strings.TrimSpace(w.texts.Text(w.lang, key, bot.Pairs(pairs...)))
}

// moment says a time in full: nobody knows when a notice is read, so nothing in it
// is "today".
func (w wording) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return w.texts.Moment(w.lang, at, time.Time{})
}

// content is what a follower is told, in a message and, with public parts only,
// in a template's values. Proven opens what only the dossier's people may know;
// of a procedure that notices do not name, papers and officers' words stay behind
// the second factor all the same.
func (w wording) content(code Code, n news, proven bool) push.Content {
	p := &n.state.Public
	shown := p.Code
	if shown == "" {
		shown = code
	}
	parts := []string{w.head(n), w.facts(shown, n, proven)}
	parts = append(parts, w.next(n, proven)...)
	if n.kind != KindEnded {
		parts = append(parts, w.text("told.stop", "Rate", n.kind == KindRating || n.kind == KindReady, "Stop", n.kind != KindRating))
	}
	c := push.Content{Message: bot.Message{Text: stack(parts), Choices: w.choices(code, n.kind)}}
	if n.kind == KindRating {
		return c
	}
	c.Template = template
	c.Params = map[string]string{
		"code": string(shown), "status": short(w.text(shortKey(n), "Words", words(p)), statusMost),
		"agency": cmp.Or(p.AgencyName, w.text("told.none")), "due": cmp.Or(w.due(n), w.text("told.none")),
	}
	return c
}

// head is the first line: the answer, and nothing a neighbour should not read.
func (w wording) head(n news) string {
	p := &n.state.Public
	say := func(key string) string {
		return w.text("told.head."+key, "Due", w.due(n), "Old", w.moment(n.before.Public.DueAt), "Words", words(p), "Returned", w.moment(p.ReturnedAt))
	}
	switch n.kind {
	case KindDue:
		return say("due")
	case KindRating:
		return say("rating")
	case KindFee:
		return say("fee")
	case KindSupplement:
		return say("supplement")
	case KindOverdue:
		if moved(n.before, n.state) {
			return say("new_date")
		}
		return say("overdue")
	}
	timing := p.Timing(n.now)
	switch p.Status {
	case StatusReady:
		switch timing {
		case TimingOnTime:
			return say("ready_on_time")
		case TimingDoneLate:
			return say("ready_late")
		}
		return say("ready")
	case StatusReturned:
		return say("returned")
	case StatusRefused:
		return say("refused")
	case StatusWithdrawn:
		return say("withdrawn")
	case StatusStopped:
		return say("stopped")
	}
	switch {
	case timing == TimingLate:
		return say("late")
	case p.Status == n.before.Public.Status && moved(n.before, n.state):
		return say("moved")
	case p.Status == StatusReceived:
		return say("received")
	case p.Status == StatusProcessing:
		return say("processing")
	case p.Status == StatusSupplement:
		return say("supplement")
	case p.Status == StatusPayment:
		return say("fee")
	case p.Status == StatusFiled:
		return say("filed")
	}
	return say("unknown")
}

// words are the system's own for the status; of a procedure that notices do not
// name nobody knows what they give away.
func words(p *Public) string {
	if p.Private {
		return ""
	}
	return p.StatusName
}

// due is the date told; nothing where the system's is before the receipt.
func (w wording) due(n news) string {
	if n.state.Public.Timing(n.now) == TimingDoubtful {
		return ""
	}
	return w.moment(n.state.Public.DueAt)
}

// facts are code, procedure, agency, who handles it, and the times of receipt,
// processing and return (NĐ 224/2026 art. 15.1g).
func (w wording) facts(code Code, n news, proven bool) string {
	p := &n.state.Public
	procedure := p.ProcedureName
	if p.Private {
		procedure = ""
	}
	officer := ""
	if proven && n.detail != nil {
		officer = n.detail.Officer
	}
	key := "told.facts"
	if n.kind == KindRating {
		key = "told.facts_short"
	}
	handled := p.UpdatedAt
	if !p.FinishedAt.IsZero() {
		handled = time.Time{}
	}
	return w.text(key, "Code", string(code), "Procedure", procedure, "Agency", p.AgencyName, "Officer", officer,
		"Received", w.moment(p.ReceivedAt), "Handled", w.moment(handled), "Due", w.due(n),
		"Finished", w.moment(p.FinishedAt), "Returned", w.moment(p.ReturnedAt))
}

// next is what to do, and by when.
func (w wording) next(n news, proven bool) []string {
	open := proven && !n.state.Public.Private && n.detail != nil && n.detail.Complete
	switch n.kind {
	case KindSupplement:
		if !open {
			return []string{w.text("told.next.supplement"), w.text("told.how", "Proven", proven)}
		}
		return append(w.requests(n.detail), w.text("told.next.supplement"))
	case KindFee:
		if !proven || n.detail == nil || !n.detail.FeesKnown {
			return []string{w.text("told.next.fee"), w.text("told.how", "Proven", proven)}
		}
		return []string{w.fees(n.detail), w.text("told.next.fee")}
	case KindReady:
		return []string{w.text("told.place")}
	case KindOverdue:
		return []string{w.text("told.next.overdue", "New", moved(n.before, n.state))}
	case KindRating:
		return []string{w.text("told.next.rating", "Shown", RatingsShown)}
	}
	switch n.state.Public.Status {
	case StatusRefused:
		return []string{w.text("told.next.refused")}
	case StatusStopped:
		return []string{w.text("told.next.stopped")}
	case StatusReturned:
		return []string{w.text("told.next.returned")}
	}
	return nil
}

// requests are all requests for papers so far, the open one first, in the
// officers' own words. What does not fit is left to the dossier's own screen.
func (w wording) requests(d *Detail) []string {
	var parts []string
	open := d.OpenSupplement()
	left := textMost - 700
	said := func(key string, s *Supplement) {
		var papers []string
		for _, p := range s.Papers {
			name := p.Name
			if p.Count > 1 {
				name = w.text("told.paper", "Name", p.Name, "Count", p.Count)
			}
			papers = append(papers, name)
		}
		text := w.text(key, "By", s.By, "When", w.moment(s.At), "Words", strings.TrimSpace(s.Words), "Dot", !strings.HasSuffix(strings.TrimSpace(s.Words), "."),
			"Papers", strings.Join(papers, "; "), "NewDue", w.moment(s.NewDue))
		if left -= len([]rune(text)); left >= 0 {
			parts = append(parts, text)
		}
	}
	if open != nil {
		said("told.asked", open)
	}
	for i := len(d.Supplements) - 1; i >= 0; i-- {
		if s := &d.Supplements[i]; s != open {
			said("told.asked_before", s)
		}
	}
	if left < 0 {
		parts = append(parts, w.text("told.more"))
	}
	return parts
}

// fees are what is to be paid, each with its note.
func (w wording) fees(d *Detail) string {
	var lines []string
	for _, f := range d.Fees {
		if f.Required && !f.Paid && f.Amount > 0 && len(lines) < 5 {
			lines = append(lines, w.text("told.fee", "Name", f.Name, "Amount", Money(w.lang, f.Amount), "Note", short(strings.TrimSpace(f.Note), 150)))
		}
	}
	return strings.Join(lines, "\n")
}

// choices stand alone: a numbered one could meet a question that is open.
func (w wording) choices(code Code, kind string) []bot.Choice {
	choice := func(button, action string) bot.Choice {
		return bot.Choice{Title: w.text(button), Payload: bot.Payload(Feature, action, string(code))}
	}
	show, rate, stop := choice("told.button.show", "show"), choice("told.button.rate", "rate"), choice("told.button.unfollow", "unfollow")
	switch kind {
	case KindRating:
		return []bot.Choice{rate}
	case KindSupplement, KindFee:
		return []bot.Choice{choice("told.button.detail", "detail"), stop}
	case KindReady:
		return []bot.Choice{show, rate, stop}
	case KindEnded:
		return []bot.Choice{show}
	}
	return []bot.Choice{show, stop}
}

// shortKey is the key of a status in a template.
func shortKey(n news) string {
	status := n.state.Public.Status
	switch {
	case n.kind == KindDue:
		return "told.short.due"
	case n.kind == KindOverdue && moved(n.before, n.state):
		return "told.short.new_date"
	case n.kind == KindOverdue:
		return "told.short.overdue"
	case !status.Known():
		return "told.short.unknown"
	}
	return "told.short." + strconv.Itoa(int(status))
}

// stack puts the parts that say something under each other, an empty line between.
func stack(parts []string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n\n")
}

// short cuts s to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return strings.TrimSpace(string(r[:n-1])) + "…"
	}
	return s
}

// Money writes an amount in đồng with the language's own grouping: 75.000, 75,000.
func Money(lang string, amount int64) string {
	separator := "."
	if lang == bot.English {
		separator = ","
	}
	digits := strconv.FormatInt(amount, 10)
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && r != '-' && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteString(separator)
		}
		b.WriteRune(r)
	}
	return b.String()
}
