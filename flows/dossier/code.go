package dossier

import (
	"strings"
	"time"
	"unicode"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// ask asks for a code.
func (f *Flow) ask(t *bot.Turn) error {
	if err := f.enter(t, stepAsk, state{}); err != nil {
		return err
	}
	t.Say(bot.Message{Text: way.Signed(t, t.T("dossier.ask")), Choices: f.asking(t)})
	return nil
}

// asking are the ways on where a code is awaited.
func (f *Flow) asking(t *bot.Turn) []bot.Choice {
	return []bot.Choice{
		way.Mine(t),
		way.To(t, "dossier.button.nocode", bot.Payload(Name, "nocode", "")),
		way.Home(t),
	}
}

// noCode helps whoever has no code at hand.
func (f *Flow) noCode(t *bot.Turn) error {
	if err := f.enter(t, stepAsk, state{}); err != nil {
		return err
	}
	t.Say(bot.Message{Text: t.T("dossier.nocode"), Choices: []bot.Choice{way.Office(t), way.Human(t), way.Home(t)}})
	return nil
}

// notACode answers, where a code is awaited, what looks like a try but is none:
// mostly digits. Sentences are left to the understanding of free text.
func (f *Flow) notACode(t *bot.Turn) error {
	digits, letters := 0, 0
	for _, r := range t.Text() {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsLetter(r):
			letters++
		}
	}
	if digits < 3 || letters > 6 {
		return bot.ErrNotMine
	}
	t.KeepSecret() // may well be a phone or an identity number
	t.Say(bot.Message{Text: t.T("dossier.fault.none"), Choices: f.asking(t), Kind: bot.KindFallback})
	return nil
}

// explain says what is wrong with a code, and shows a right one.
func (f *Flow) explain(t *bot.Turn, found dossier.Found) error {
	if err := f.enter(t, stepAsk, state{}); err != nil {
		return err
	}
	fault := found.Fault
	choices := []bot.Choice{way.To(t, "dossier.button.nocode", bot.Payload(Name, "nocode", "")), way.Home(t)}
	var text string
	switch fault.Kind {
	case dossier.FaultShort:
		text = t.T("dossier.fault.short", "Count", fault.Missing)
	case dossier.FaultLong:
		text = t.T("dossier.fault.long", "Digits", fault.Digits)
	case dossier.FaultLetter:
		text = t.T("dossier.fault.letter", "Letter", fault.Letter, "Digit", fault.Digit, "Suggestion", string(fault.Suggestion))
	case dossier.FaultDate:
		text = t.T("dossier.fault.date", "Digits", fault.Digits)
	case dossier.FaultFuture:
		text = t.T("dossier.fault.future", "Digits", fault.Digits, "Day", t.Day(fault.Date))
	default:
		text = t.T("dossier.fault.shape", "Raw", cut(found.Raw, 40), "Suggestion", string(fault.Suggestion))
	}
	if fault.Suggestion != "" {
		choices = []bot.Choice{
			way.To(t, "dossier.button.meant", payload("show", fault.Suggestion)),
			way.To(t, "dossier.button.retype", bot.Payload(Name, "ask", "")),
			way.Home(t),
		}
	}
	t.Say(bot.Message{Text: way.Signed(t, text), Choices: choices})
	return nil
}

// notFound answers for a well-formed code that the procedure system does not
// have. Only now its prefix decides what is said.
func (f *Flow) notFound(t *bot.Turn, code dossier.Code) error {
	if t.Unasked {
		t.Say(bot.Message{Text: t.T("dossier.callback.not_found", "Code", string(code))})
		return nil
	}
	if err := f.enter(t, stepAsk, state{}); err != nil {
		return err
	}
	head := code.Head()
	name := ""
	if f.issuers.Name != nil {
		name = f.issuers.Name(t.Citizen.Language, head)
	}
	var text string
	choices := []bot.Choice{way.To(t, "dossier.button.nocode", bot.Payload(Name, "nocode", "")), way.Human(t), way.Home(t)}
	switch code.Issuer(f.issuers.Prefixes) {
	case dossier.IssuerOwn:
		text = t.T("dossier.not_found.own", "Code", string(code))
	case dossier.IssuerProvince:
		text = t.T("dossier.not_found.province", "Code", string(code), "Head", head, "Name", name)
	case dossier.IssuerMinistry:
		text = t.T("dossier.not_found.ministry", "Code", string(code), "Head", head, "Name", name)
	case dossier.IssuerNational:
		text = t.T("dossier.not_found.national", "Code", string(code))
	default:
		text = t.T("dossier.not_found.unknown", "Code", string(code), "Head", head)
	}
	t.Say(bot.Message{Text: way.Signed(t, text), Choices: choices})
	return nil
}

// throttled answers somebody who tried many codes that do not exist.
func (f *Flow) throttled(t *bot.Turn, code dossier.Code, until time.Time) error {
	if t.Unasked {
		t.Do(dossier.AskCallback{Code: code}) // the promise stands
		return nil
	}
	wait := int(until.Sub(t.Now).Seconds()) + 1
	t.Say(bot.Message{
		Text:    t.T("dossier.throttled", "Count", max(wait, 1)),
		Choices: []bot.Choice{way.To(t, "dossier.button.nocode", bot.Payload(Name, "nocode", "")), way.Human(t), way.Home(t)},
		Kind:    bot.KindFallback,
	})
	return nil
}

// codeTitle fits a code on a button: whole, or its end.
func codeTitle(code dossier.Code) string {
	s := string(code)
	if len(s) <= bot.MaxTitle {
		return s
	}
	return "…" + s[len(s)-(bot.MaxTitle-1):]
}

// codeChoice is the choice that stands for a code.
func codeChoice(action string, code dossier.Code) bot.Choice {
	return bot.Choice{Title: codeTitle(code), Label: string(code), Payload: payload(action, code)}
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
