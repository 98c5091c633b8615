package flows_test

import (
	"fmt"
	"strings"
	"testing"

	"congdanso/bot"
	"congdanso/bot/bottest"
	"congdanso/flows"
	"congdanso/flows/flowtest"
)

// dialogues are all flows, for what they say of themselves.
func dialogues(t testing.TB) []bot.Flow {
	t.Helper()
	return flows.All(flows.Deps{Content: flowtest.Library(t)})
}

// Payloads can be typed by hand: whatever stands in them has a friendly answer.
func TestEveryPayloadHasAnAnswer(t *testing.T) {
	args := []string{
		"", ":", ":,", ":H42.16-240612-0001", ":H42.16-240612-0001,2", ":H42.16-240612-0404", ":h42.16–240612–0001,-1",
		":000.00.16.H42-240612-0001", ":\u202ekeep_dossier", ":keep_dossier", ":contact", ":callback", ":topics", ":topic.weather",
		":weather,power@14488,99999", ":14488", ":720-840", ":2", ":9999", ":' OR 1=1 --",
		":{{.Code}}", ":‹hotline›", ":" + strings.Repeat("9", 1900), ":" + strings.Repeat("ạ\u0301", 400),
	}
	for _, lang := range []string{bot.Vietnamese, bot.English} {
		for _, f := range dialogues(t) {
			actor, ok := f.(interface{ Actions() []string })
			if !ok {
				t.Fatalf("flow %s lists no actions", f.Name())
			}
			for _, action := range append(actor.Actions(), "no_such_action") {
				var b strings.Builder
				fmt.Fprintf(&b, "language %s\ngiven dossier H42.16-240612-0001 status=5 factors=0001\n", lang)
				for _, arg := range args {
					fmt.Fprintf(&b, "> #%s.%s%s\n", f.Name(), action, arg)
				}
				got, err := bottest.Replay([]byte(b.String()), flowtest.Open(t))
				if err != nil {
					t.Errorf("%s: #%s.%s: %v", lang, f.Name(), action, err)
				}
				if strings.Contains(string(got), "không nhắn gì") {
					t.Errorf("%s: #%s.%s leaves somebody without an answer:\n%s", lang, f.Name(), action, got)
				}
			}
		}
	}
}

// Every reading of free text begins some dialogue.
func TestEveryIntentHasADialogue(t *testing.T) {
	begun := map[bot.Intent]string{}
	for _, f := range dialogues(t) {
		for _, intent := range f.Intents() {
			if other := begun[intent]; other != "" {
				t.Errorf("%s begins both %s and %s", intent, other, f.Name())
			}
			begun[intent] = f.Name()
		}
	}
	for _, intent := range []bot.Intent{
		bot.IntentGreet, bot.IntentMenu, bot.IntentLookup, bot.IntentMine, bot.IntentNotices, bot.IntentStop,
		bot.IntentContest, bot.IntentPractice, bot.IntentResult, bot.IntentHuman, bot.IntentWhere, bot.IntentData,
		bot.IntentErase, bot.IntentWithdraw, bot.IntentEnglish, bot.IntentVietnamese, bot.IntentCancel,
		bot.IntentThanks, bot.IntentRead, bot.IntentComplain, bot.IntentPetition, bot.IntentProcedure, bot.IntentEmergency, bot.IntentTrust,
	} {
		if begun[intent] == "" {
			t.Errorf("nobody answers %s", intent)
		}
	}
}

// Whatever is typed, in any step, has an answer that a phone can show.
func FuzzAnything(f *testing.F) {
	for _, s := range []string{
		"H42.16-240612-0001", "1", "0", "b", "0001", "dừng tin", "xoá", "menu", "😀", "\u202eabc", "z̶̢a͈l̷g̸o", "a\x00b\xff",
		"{{.Code}} ‹hotline›", "#dossier.detail:H42.16-240612-0001", "H42.16-24O612-0001 " + strings.Repeat("x", 2000),
		"H42.16-240612-" + strings.Repeat("9", 1500), strings.Repeat("H42.16-2406", 200),
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(3))
		f.Add(s, uint8(8))
		f.Add(s, uint8(9))
		f.Add(s, uint8(11))
	}
	before := []string{
		"", "> #dossier.ask\n", "> #dossier.detail:H42.16-240612-0001\n", "> #privacy.erase\n",
		"> #human.agree\n> Mẫu 0900000001\n> #privacy.name\n", "> #human.agree\n> 0900000001\n> #privacy.phone\n",
		"> #dossier.keep:H42.16-240612-0001\n", "> gặp cán bộ\n", "> #notices.topics\n", "> #notices.agree:weather\n",
		"> #notices.digest\n", "> #notices.quiet\n", "> #notices.daily\n", "> #notices.pause\n",
	}
	f.Fuzz(func(t *testing.T, said string, step uint8) {
		said = strings.NewReplacer("\n", " ", "\r", " ").Replace(said)
		if strings.HasPrefix(said, "[") || strings.HasPrefix(said, "(") {
			return // taps and events of the transcripts
		}
		script := "given dossier H42.16-240612-0001 status=5 factors=0001\n" + before[int(step)%len(before)] + "> " + said + "\n"
		if _, err := bottest.Replay([]byte(script), flowtest.Open(t)); err != nil {
			t.Fatalf("%q: %v", script, err)
		}
	})
}
