package dossier

import (
	"context"
	"time"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/bot/fold"
	"congdanso/bot/push"
	"congdanso/flows/way"
)

// consentFollow is the text that asks for consent to tell of changes. It speaks
// of keeping the dossier too, which is part of it.
const consentFollow = "dossier.follow.consent"

// follow has the citizen told when the dossier changes, asking for consent the
// first time.
func (f *Flow) follow(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	o, err := f.citizens.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if agreed(o, citizen.PurposeFollow) {
		return f.followNow(ctx, t, code, "")
	}
	text, _ := way.Consent(t, consentFollow)
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: join(t.T("dossier.follow.ask", "Code", string(code)), text),
		Choices: []bot.Choice{
			way.To(t, "dossier.button.agree", payload("follow_yes", code)),
			way.To(t, "dossier.button.keep_only", payload("keep", code)),
			way.To(t, "dossier.button.refuse", payload("show", code)),
		},
	})
	return nil
}

// agreed reports whether consent for a purpose stands.
func agreed(o citizen.Overview, purpose string) bool {
	for _, c := range o.Consents {
		if c.Purpose == purpose && c.WithdrawnAt.IsZero() {
			return true
		}
	}
	return false
}

// followAgreed records the consent just given, for telling and for keeping, and
// follows the dossier.
func (f *Flow) followAgreed(ctx context.Context, t *bot.Turn, code dossier.Code) error {
	_, version := way.Consent(t, consentFollow)
	return f.followNow(ctx, t, code, version)
}

// followNow follows a dossier that exists and has not ended. Version is that of
// the text agreed to in this turn, if any.
func (f *Flow) followNow(ctx context.Context, t *bot.Turn, code dossier.Code, version string) error {
	v, err := f.dossiers.Lookup(ctx, t.Citizen.ID, t.Event.ID, code)
	if err != nil {
		return f.busy(t, code, err)
	}
	t.Conv.Leave()
	if v.Status.Ended() {
		t.Say(bot.Message{
			Text:    t.T("dossier.follow.ended", "Code", string(code), "State", short(t, &v.Public)),
			Choices: []bot.Choice{way.To(t, "dossier.button.keep", payload("keep", code)), way.Another(t), way.Home(t)},
		})
		return nil
	}
	if version != "" {
		for _, purpose := range []string{citizen.PurposeFollow, citizen.PurposeKeep} {
			t.Do(citizen.GiveConsent{Purpose: purpose, TextVersion: version, Channel: way.Channel})
		}
	}
	t.Do(dossier.Follow{Code: code})
	choices := []bot.Choice{way.Mine(t), way.Another(t), way.Home(t)}
	if !v.Proven {
		choices = append([]bot.Choice{way.To(t, "dossier.button.open", payload("detail", code))}, choices...)
	}
	t.Say(bot.Message{
		Text:    t.T("dossier.follow.done", "Code", string(code), "Proven", v.Proven),
		Choices: choices,
	})
	return nil
}

// recent is how long "stop telling me" means the dossier told of last.
const recent = 7 * 24 * time.Hour

// unfollowSome ends the telling of the dossier told of last, or asks which.
func (f *Flow) unfollowSome(ctx context.Context, t *bot.Turn) error {
	kept, err := f.dossiers.Kept(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	var followed []dossier.Kept
	var last dossier.Kept
	for _, k := range kept {
		if !k.Followed {
			continue
		}
		followed = append(followed, k)
		if k.ToldAt.After(last.ToldAt) {
			last = k
		}
	}
	switch {
	case len(followed) == 0:
		t.Conv.Leave()
		t.Say(bot.Message{Text: t.T("dossier.unfollow.none"), Choices: []bot.Choice{way.Mine(t), way.Lookup(t), way.Home(t)}})
		return nil
	case len(followed) == 1:
		return f.unfollow(t, followed[0].Code)
	case t.Now.Sub(last.ToldAt) < recent:
		return f.unfollow(t, last.Code)
	}
	var choices []bot.Choice
	for _, k := range followed[:min(len(followed), bot.MaxButtons-2)] {
		choices = append(choices, codeChoice("unfollow", k.Code))
	}
	t.Conv.Leave()
	t.Say(bot.Message{
		Text:    t.T("dossier.unfollow.which", "Count", len(followed), "More", len(followed) > len(choices)),
		Choices: append(choices, way.To(t, "dossier.button.unfollow_all", bot.Payload(Name, "unfollow_all", "")), way.Home(t)),
	})
	return nil
}

// unfollow ends the telling of one dossier.
func (f *Flow) unfollow(t *bot.Turn, code dossier.Code) error {
	t.Do(dossier.Unfollow{Code: code})
	t.Do(push.Drop{About: string(code)})
	t.Conv.Leave()
	t.Say(bot.Message{
		Text: t.T("dossier.unfollow.done", "Code", string(code)),
		Choices: []bot.Choice{
			way.To(t, "dossier.button.again", payload("follow", code)),
			way.Mine(t),
			way.Home(t),
		},
	})
	return nil
}

func (f *Flow) unfollowAll(t *bot.Turn) error {
	t.Do(dossier.UnfollowAll{})
	t.Do(push.Drop{Kind: dossier.NoticePrefix})
	t.Conv.Leave()
	t.Say(bot.Message{Text: t.T("dossier.unfollow.done_all"), Choices: []bot.Choice{way.Mine(t), way.Home(t)}})
	return nil
}

// shown takes "save" under a status, where the choice offered is to be told.
func (f *Flow) shown(ctx context.Context, t *bot.Turn, st state) error {
	for _, c := range []bot.Choice{way.To(t, "dossier.button.keep", "")} {
		for _, said := range append([]string{c.Title}, c.Words...) {
			if fold.SameWords(t.Text(), said) {
				return f.keep(ctx, t, st.Code)
			}
		}
	}
	return bot.ErrNotMine
}
