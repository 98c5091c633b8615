package dossier

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// detail shows what only the dossier's people may know, or asks for the second
// factor first.
func (f *Flow) detail(ctx context.Context, t *bot.Turn, code dossier.Code, page int) error {
	d, err := f.dossiers.Detail(ctx, t.Citizen.ID, code)
	if errors.Is(err, dossier.ErrNoProof) {
		return f.askFactor(t, code, "detail")
	}
	if err != nil {
		return f.busy(t, code, err)
	}
	return f.tell(ctx, t, code, &d, page)
}

// askFactor asks for the last four digits of a number on the dossier.
func (f *Flow) askFactor(t *bot.Turn, code dossier.Code, then string) error {
	return f.inFactor(t, state{Code: code, Then: then}, t.T("dossier.factor.ask", "Code", string(code)))
}

// inFactor says text and stands where the digits are awaited.
func (f *Flow) inFactor(t *bot.Turn, st state, text string) error {
	if err := f.enter(t, stepFactor, st); err != nil {
		return err
	}
	t.Say(bot.Message{Text: text, Choices: []bot.Choice{
		way.Zero(way.To(t, "dossier.button.leave", payload("show", st.Code))),
	}})
	return nil
}

// factor checks the digits that were typed. They are kept out of the history
// whatever comes of them.
func (f *Flow) factor(ctx context.Context, t *bot.Turn, st state) error {
	digits, _, ok := dossier.FactorDigits(t.Text())
	if !ok {
		if !strings.ContainsAny(t.Text(), "0123456789") {
			return bot.ErrNotMine
		}
		t.KeepSecret()
		return f.inFactor(t, st, t.T("dossier.factor.shape"))
	}
	t.KeepSecret()
	d, err := f.dossiers.Prove(ctx, t.Citizen.ID, t.Event.ID, st.Code, digits)
	var wrong *dossier.Wrong
	var locked *dossier.Locked
	var closed *dossier.Closed
	switch {
	case err == nil:
		t.Do(dossier.GrantProof{Code: st.Code})
		if d.HasPhone(t.Citizen.Phone) {
			t.Do(citizen.ProvePhone{})
		}
		if st.Then == "steps" {
			return f.tellSteps(ctx, t, st.Code, &d, 1)
		}
		return f.tell(ctx, t, st.Code, &d, 1)
	case errors.As(err, &wrong):
		return f.inFactor(t, st, t.T("dossier.factor.wrong", "Count", wrong.Left))
	case errors.As(err, &locked):
		return f.shut(t, st.Code, t.T("dossier.factor.locked", "Until", t.Moment(locked.Until)))
	case errors.As(err, &closed):
		if closed.Alert {
			t.Alert("alert.closed", "Code", string(st.Code))
		}
		return f.shut(t, st.Code, t.T("dossier.factor.closed", "Until", t.Moment(closed.Until)))
	}
	return f.busy(t, st.Code, err)
}

// shut says why the second factor cannot be tried now.
func (f *Flow) shut(t *bot.Turn, code dossier.Code, text string) error {
	t.Conv.Leave()
	t.Say(bot.Message{Text: text, Choices: []bot.Choice{
		way.To(t, "dossier.button.back", payload("show", code)),
		way.Another(t),
		way.Human(t),
		way.Home(t),
	}})
	return nil
}

// tell shows a page of the detail.
func (f *Flow) tell(ctx context.Context, t *bot.Turn, code dossier.Code, d *dossier.Detail, page int) error {
	blocks := []string{
		detailHead(t, d),
		t.T("dossier.people", "Code", string(d.Code), "Owner", d.Owner, "Officer", d.Officer),
	}
	if d.Complete {
		blocks = append(blocks, words(t, d)...)
	} else {
		blocks = append(blocks, t.T("dossier.incomplete"))
	}
	blocks = append(blocks, fees(t, d))
	blocks = append(blocks, next(t, d))
	choices := []bot.Choice{
		way.To(t, "dossier.button.steps", payload("steps", code)),
		way.To(t, "dossier.button.place", payload("place", code)),
	}
	followed, err := f.isFollowed(ctx, t, code)
	if err != nil {
		return err
	}
	if !followed && !d.Status.Ended() {
		choices = append(choices, way.To(t, "dossier.button.follow", payload("follow", code)))
	}
	switch {
	case d.Late(t.Now), d.Status == dossier.StatusRefused, d.Status == dossier.StatusStopped, d.Status == dossier.StatusReturned:
		choices = append(choices, way.To(t, "dossier.button.write", bot.Payload("human", "ask", "")))
	}
	f.sayPage(t, "detail", code, blocks, page, choices)
	return nil
}

// detailHead is the first line of the detail: what is wanted, by name and sum.
func detailHead(t *bot.Turn, d *dossier.Detail) string {
	switch d.Status {
	case dossier.StatusSupplement:
		if s := d.OpenSupplement(); s != nil && len(s.Papers) > 0 {
			var papers []string
			for _, p := range s.Papers {
				if p.Count > 1 {
					papers = append(papers, t.T("dossier.paper", "Name", p.Name, "Count", p.Count))
				} else {
					papers = append(papers, p.Name)
				}
			}
			return t.T("dossier.head.papers", "Papers", strings.Join(papers, "; "))
		}
	case dossier.StatusRefused:
		return t.T("dossier.head.refused_read")
	case dossier.StatusStopped:
		return t.T("dossier.head.stopped_read")
	case dossier.StatusPayment:
		var sum int64
		for _, fee := range d.Fees {
			if fee.Required && !fee.Paid {
				sum += fee.Amount
			}
		}
		if d.FeesKnown && sum > 0 {
			return t.T("dossier.head.sum", "Amount", dossier.Money(t.Citizen.Language, sum))
		}
	}
	return head(t, &d.Public)
}

// words are the officers' own words, quoted whole as theirs: the open request
// for papers or the reason first, then earlier requests.
func words(t *bot.Turn, d *dossier.Detail) []string {
	var blocks []string
	quote := func(key string, at time.Time, by, said string) {
		if said = strings.TrimSpace(said); said != "" {
			blocks = append(blocks, t.T(key, "By", by, "When", whenKnown(t, at), "Words", said, "Dot", !strings.HasSuffix(said, ".")))
		}
	}
	open := d.OpenSupplement()
	if open != nil && d.Status == dossier.StatusSupplement {
		quote("dossier.words.said", open.At, open.By, open.Words)
		if !open.NewDue.IsZero() {
			blocks = append(blocks, t.T("dossier.words.new_due", "Due", t.Moment(open.NewDue), "Old", moment(t, open.OldDue)))
		}
	} else if step := lastWords(d.Steps); step != nil {
		quote("dossier.words.said", step.At, step.Officer, step.Comment)
	} else if d.Status == dossier.StatusRefused || d.Status == dossier.StatusStopped {
		blocks = append(blocks, t.T("dossier.words.no_reason"))
	}
	var before []string
	for i := range d.Supplements {
		s := &d.Supplements[i]
		if open == s && d.Status == dossier.StatusSupplement || strings.TrimSpace(s.Words) == "" {
			continue
		}
		before = append(before, t.T("dossier.words.earlier", "Day", t.Day(s.At), "Words", strings.TrimSpace(s.Words)))
	}
	if len(before) > 0 {
		blocks = append(blocks, t.T("dossier.words.earlier_title")+"\n"+strings.Join(before, "\n"))
	}
	return blocks
}

// lastWords is the newest step with words of the officer's own.
func lastWords(steps []dossier.Step) *dossier.Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if strings.TrimSpace(steps[i].Comment) != "" {
			return &steps[i]
		}
	}
	return nil
}

func whenKnown(t *bot.Turn, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return when(t, at)
}

// fees tells each fee with its note. A sum of zero is told as what the system
// holds, for it is often a placeholder.
func fees(t *bot.Turn, d *dossier.Detail) string {
	if !d.FeesKnown {
		if d.Status == dossier.StatusPayment {
			return t.T("dossier.fee.unknown")
		}
		return ""
	}
	var lines []string
	for _, fee := range d.Fees {
		name := fee.Name
		if name == "" {
			name = t.T("dossier.fee.name")
		}
		key := "dossier.fee.none"
		switch {
		case fee.Amount > 0 && fee.Paid:
			key = "dossier.fee.paid"
		case d.Status.Ended():
			continue // nobody should pay for what is over
		case fee.Amount > 0 && fee.Required:
			key = "dossier.fee.owed"
		case fee.Amount > 0:
			key = "dossier.fee.optional"
		}
		lines = append(lines, t.T(key, "Name", name, "Amount", dossier.Money(t.Citizen.Language, fee.Amount), "Note", strings.TrimSpace(fee.Note)))
	}
	if len(lines) == 0 {
		return ""
	}
	return t.T("dossier.fee.title") + "\n" + strings.Join(lines, "\n")
}

// steps shows the steps so far, oldest first.
func (f *Flow) steps(ctx context.Context, t *bot.Turn, code dossier.Code, page int) error {
	d, err := f.dossiers.Detail(ctx, t.Citizen.ID, code)
	if errors.Is(err, dossier.ErrNoProof) {
		return f.askFactor(t, code, "steps")
	}
	if err != nil {
		return f.busy(t, code, err)
	}
	return f.tellSteps(ctx, t, code, &d, page)
}

func (f *Flow) tellSteps(_ context.Context, t *bot.Turn, code dossier.Code, d *dossier.Detail, page int) error {
	blocks := []string{t.T("dossier.steps.title", "Code", string(d.Code), "Count", len(d.Steps))}
	for i, s := range d.Steps {
		blocks = append(blocks, t.T("dossier.steps.line",
			"Number", strconv.Itoa(i+1), "Name", s.Name, "Agency", s.Agency, "Officer", s.Officer,
			"At", moment(t, s.At), "Done", s.Done, "Words", strings.TrimSpace(s.Comment)))
	}
	switch {
	case !d.Complete:
		blocks = []string{t.T("dossier.incomplete")}
	case len(d.Steps) == 0:
		blocks = []string{t.T("dossier.steps.none", "Code", string(d.Code))}
	}
	f.sayPage(t, "steps", code, blocks, page, []bot.Choice{
		way.To(t, "dossier.button.detail", payload("detail", code)),
		way.To(t, "dossier.button.place", payload("place", code)),
	})
	return nil
}
