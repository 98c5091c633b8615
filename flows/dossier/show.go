package dossier

import (
	"context"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// show answers a code with what is public. Others are further codes of the same
// message.
func (f *Flow) show(ctx context.Context, t *bot.Turn, code dossier.Code, others []dossier.Code) error {
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	if v.Stale {
		return f.unavailable(t, code, &v)
	}
	t.Conv.Leave()
	if !v.Kept {
		if err := f.enter(t, stepShown, state{Code: code}); err != nil {
			return err
		}
	}
	parts := []string{head(t, &v.Public), f.facts(t, code, &v)}
	if len(others) > 0 {
		parts = append(parts, t.T("dossier.others", "Count", len(others)+1))
	}
	t.Say(bot.Message{
		Text:    way.Signed(t, join(parts...)),
		Choices: f.onStatus(t, code, &v, others),
		Kind:    bot.KindStatus,
		About:   f.about(code),
	})
	return nil
}

// facts are the public lines under the first one.
func (f *Flow) facts(t *bot.Turn, typed dossier.Code, v *dossier.View) string {
	nation := ""
	if v.NationCode != "" && v.NationCode != v.Code && (typed == v.NationCode || typed != v.Code) {
		nation = string(v.NationCode)
	}
	procedure := v.ProcedureName
	if t.Unasked && v.Private {
		procedure = "" // told without asking, the code alone stands for it
	}
	updated, seen := whenKnown(t, v.UpdatedAt), ""
	if t.Now.Sub(v.SeenAt) > old || updated == "" {
		seen = whenKnown(t, v.SeenAt)
	}
	return t.T("dossier.facts",
		"Code", string(v.Code), "Nation", nation, "Procedure", procedure, "Agency", v.AgencyName,
		"Applied", moment(t, v.AppliedAt), "Received", moment(t, v.ReceivedAt), "Updated", updated, "Seen", seen,
		"More", v.Others)
}

// old is the age from which on the time of looking is told beside a state.
const old = 10 * time.Minute

// onStatus are the ways on under a status.
func (f *Flow) onStatus(t *bot.Turn, code dossier.Code, v *dossier.View, others []dossier.Code) []bot.Choice {
	button := "dossier.button.detail"
	switch v.Status {
	case dossier.StatusSupplement:
		button = "dossier.button.papers"
	case dossier.StatusPayment:
		button = "dossier.button.payment"
	case dossier.StatusRefused, dossier.StatusStopped:
		button = "dossier.button.reason"
	}
	choices := []bot.Choice{way.To(t, button, payload("detail", code))}
	switch {
	case v.Followed:
		choices = append(choices, way.To(t, "dossier.button.unfollow", payload("unfollow", code)))
	case !v.Status.Ended():
		choices = append(choices, way.To(t, "dossier.button.follow", payload("follow", code)))
	case !v.Kept:
		choices = append(choices, way.To(t, "dossier.button.keep", payload("keep", code)))
	}
	if len(others) > 0 {
		for _, other := range others[:min(len(others), bot.MaxButtons-1-len(choices))] {
			choices = append(choices, codeChoice("show", other))
		}
		return append(choices, way.Home(t))
	}
	if v.Timing(t.Now) == dossier.TimingLate {
		choices = append(choices,
			way.To(t, "dossier.button.place", payload("place", code)),
			way.To(t, "dossier.button.write", bot.Payload("human", "ask", "")))
	} else {
		if v.Status == dossier.StatusReady || v.Status == dossier.StatusReturned {
			choices = append(choices, way.To(t, "dossier.button.rate", payload("rate", code)))
		}
		choices = append(choices, way.Another(t))
	}
	return append(choices, way.Home(t))
}

// unavailable says honestly that the newest state cannot be seen, tells the last
// known one with its time, and offers to come back.
func (f *Flow) unavailable(t *bot.Turn, code dossier.Code, last *dossier.View) error {
	if t.Unasked {
		// The promise stands: it is asked for anew, and nothing is said.
		t.Do(dossier.AskCallback{Code: code})
		return nil
	}
	t.Conv.Leave()
	consent, _ := way.Consent(t, consentCallback)
	text := t.T("dossier.unavailable.unknown", "Code", string(code))
	if last != nil {
		text = t.T("dossier.unavailable.last", "Code", string(code),
			"Seen", moment(t, last.SeenAt), "State", short(t, &last.Public))
	}
	t.Say(bot.Message{
		Text: way.Signed(t, join(text, consent)),
		Choices: []bot.Choice{
			way.To(t, "dossier.button.wait", payload("wait", code)),
			way.Another(t),
			way.Home(t),
		},
		Kind:  bot.KindStatus,
		About: f.about(code),
	})
	return nil
}

// place says where the dossier is handled, and how address and hours are found.
func (f *Flow) place(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: t.T("dossier.place", "Code", string(v.Code), "Agency", v.AgencyName),
		Choices: []bot.Choice{
			way.To(t, "dossier.button.back", payload("show", code)),
			way.To(t, "dossier.button.write", bot.Payload("human", "ask", "")),
			way.Home(t),
		},
	})
	return nil
}

// moment says a time, or nothing for the zero time.
func moment(t *bot.Turn, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return t.Moment(at)
}

// join puts the parts that say something under each other, an empty line between.
func join(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n\n")
}
