package dossier

import (
	"context"
	"strconv"
	"strings"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// consentKeep is the text that asks for consent to keep dossiers.
const consentKeep = "dossier.keep.consent"

// keep keeps the dossier, asking for consent the first time.
func (f *Flow) keep(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if agreed(o, citizen.PurposeKeep) {
		return f.store(ctx, t, code, "")
	}
	text, _ := way.Consent(t, consentKeep)
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: join(t.T("dossier.keep.ask", "Code", string(code)), text),
		Choices: []bot.Choice{
			way.To(t, "dossier.button.agree", payload("keep_yes", code)),
			way.To(t, "dossier.button.refuse", payload("show", code)),
		},
	})
	return nil
}

// keepAgreed records the consent just given and keeps the dossier.
func (f *Flow) keepAgreed(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	_, version := way.Consent(t, consentKeep)
	return f.store(ctx, t, code, version)
}

// store keeps a dossier that exists. Agreed is the version of the text agreed to
// in this turn, if any.
func (f *Flow) store(ctx context.Context, t *bot.Turn, code dossier.Code, agreed string) error {
	if _, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code); err != nil {
		return f.busy(t, code, err)
	}
	if agreed != "" {
		t.Do(citizen.GiveConsent{Purpose: citizen.PurposeKeep, TextVersion: agreed, Channel: way.Channel})
	}
	t.Do(dossier.Keep{Code: code})
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: t.T("dossier.keep.done", "Code", string(code)),
		Choices: []bot.Choice{
			way.Mine(t), way.To(t, "dossier.button.follow", payload("follow", code)), way.Another(t), way.Home(t),
		},
	})
	return nil
}

// isFollowed reports whether the citizen is told when the dossier changes.
func (f *Flow) isFollowed(ctx context.Context, t *bot.Turn, code dossier.Code) (bool, error) {
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil {
		return false, err
	}
	for _, k := range kept {
		if k.Code == code {
			return k.Followed, nil
		}
	}
	return false, nil
}

// perPage is how many kept dossiers stand in one message.
const perPage = 3

// some are the kept dossiers of a page, and whether more follow.
func (f *Flow) some(ctx context.Context, t *bot.Turn, page int) (kept, part []dossier.Kept, more bool, err error) {
	kept, err = f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil || len(kept) == 0 {
		return kept, nil, false, err
	}
	from := (page - 1) * perPage
	if from >= len(kept) {
		from = 0
	}
	to := min(from+perPage, len(kept))
	return kept, kept[from:to], to < len(kept), nil
}

// mine lists the dossiers the citizen keeps, codes and states only.
func (f *Flow) mine(ctx context.Context, t *bot.Turn, page int) error {
	kept, part, more, err := f.some(ctx, t, page)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		if err := f.enter(t, stepAsk, state{}); err != nil {
			return err
		}
		t.Say(bot.Message{Text: way.Signed(t, t.T("dossier.mine.none")), Choices: []bot.Choice{way.Lookup(t), way.Home(t)}})
		return nil
	}
	var lines []string
	var choices []bot.Choice
	for _, k := range part {
		line := t.T("dossier.mine.unknown", "Code", string(k.Code), "Followed", k.Followed)
		if k.Last != nil {
			line = t.T("dossier.mine.line", "Code", string(k.Code),
				"State", short(t, &k.Last.Public), "Seen", moment(t, k.Last.SeenAt), "Followed", k.Followed)
		}
		lines = append(lines, line)
		choices = append(choices, codeChoice("show", k.Code))
	}
	choices = append(choices, way.To(t, "dossier.button.drop", bot.Payload(Name, "drop", "")))
	choices = append(choices, onward(t, "mine", page, more))
	t.Conv.Leave()
	t.Say(bot.Message{
		Text:    join(t.T("dossier.mine.title", "Count", len(kept)), strings.Join(lines, "\n")),
		Choices: choices,
	})
	return nil
}

// onward is the last choice under a page of a list: the next page, or home.
func onward(t *bot.Turn, action string, page int, more bool) bot.Choice {
	if !more {
		return way.Home(t)
	}
	return way.To(t, "dossier.button.more", bot.Payload(Name, action, strconv.Itoa(page+1)))
}

// drop offers the kept dossiers to be let go.
func (f *Flow) drop(ctx context.Context, t *bot.Turn, page int) error {
	kept, part, more, err := f.some(ctx, t, page)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return f.mine(ctx, t, 1)
	}
	var choices []bot.Choice
	for _, k := range part {
		choices = append(choices, codeChoice("drop_one", k.Code))
	}
	if len(kept) > 1 {
		choices = append(choices, way.To(t, "dossier.button.drop_all", bot.Payload(Name, "drop_all", "")))
	}
	choices = append(choices, onward(t, "drop", page, more))
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.drop.which"), Choices: choices})
	return nil
}

func (f *Flow) dropOne(t *bot.Turn, code dossier.Code) error {
	t.Do(dossier.Drop{Code: code})
	t.Conv.Leave()
	t.Say(bot.Message{
		Text:    t.T("dossier.drop.done", "Code", string(code)),
		Choices: []bot.Choice{way.Mine(t), way.Home(t)},
	})
	return nil
}

func (f *Flow) askDropAll(ctx context.Context, t *bot.Turn) error {
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return f.mine(ctx, t, 1)
	}
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.drop.ask_all", "Count", len(kept)), Choices: []bot.Choice{
		way.To(t, "dossier.button.drop_all_now", bot.Payload(Name, "drop_all_now", "")),
		way.Zero(way.To(t, "dossier.button.keep_all", bot.Payload(Name, "mine", ""))),
	}})
	return nil
}

func (f *Flow) dropAll(t *bot.Turn) error {
	t.Do(dossier.DropAll{})
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.drop.done_all"), Choices: []bot.Choice{way.Lookup(t), way.Home(t)}})
	return nil
}
