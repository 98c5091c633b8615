package broadcast_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/content"
)

// TestEveryCodeHasWords: whatever a plan, a report or the screen of a broadcast can
// name is said in both languages.
func TestEveryCodeHasWords(t *testing.T) {
	t.Parallel()
	texts, err := content.Load(content.Files(""), push.Local)
	if err != nil {
		t.Fatal(err)
	}
	rungs := []string{"held"}
	for _, r := range []push.Rung{push.RungFree, push.RungPackage, push.RungTemplate, push.RungPhone, push.RungRead} {
		rungs = append(rungs, string(r))
	}
	for section, codes := range map[string][]string{
		"skip": slices.Concat(push.Reasons, []string{broadcast.SkipStopped, broadcast.SkipPaused, broadcast.SkipNoConsent, "late"}),
		"cause": {push.ReasonQuota, push.ReasonBudget, push.CauseTemplate, "staff", "corrected", "restored", "late", "recipients", "cost",
			"article_night", "article_day", "article_month", "article_quota", "article_not_ready", "article_refused", "article_unknown"},
		"rung": rungs,
	} {
		for _, code := range codes {
			for _, lang := range content.Languages {
				key := "broadcast." + section + "." + code
				if words := texts.Text(lang, key, nil); words == key || strings.TrimSpace(words) == "" {
					t.Errorf("%s has no words in %s", key, lang)
				}
			}
		}
	}
}

// TestTroubleIsTold: what keeps a run that goes from going stands on its screen: ways
// that Zalo closed, and what it said to messages that wait, as of a suspended account.
func TestTroubleIsTold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	id, run := o.running(sample())
	told := func() string {
		t.Helper()
		trouble, err := o.Trouble(t.Context(), o.lastRun(id), morning)
		o.must(err)
		lines := trouble.Words(o.Texts, "en", morning)
		if vi := trouble.Words(o.Texts, "vi", morning); len(vi) != len(lines) {
			t.Errorf("in Vietnamese: %q", vi)
		}
		return strings.Join(lines, "\n")
	}
	if words := told(); words != "" {
		t.Errorf("trouble where there is none: %q", words)
	}
	o.exec(`INSERT INTO push_rung (oa_id, rung, what, until, cause) VALUES
($1, 'package', '', $2, 'quota'), ($1, 'template', '88', $2, 'template'), ($1, 'free', '', $3, 'quota'), ('other', 'free', '', $2, 'quota')`,
		oa, morning.Add(time.Hour), morning.Add(-time.Hour))
	o.exec(`INSERT INTO outbox (oa_id, citizen, id, priority, kind, state, due_at, created_at, expires_at, cause, body, refs)
SELECT $1, 'c000000' || i, i, 3, 'message', 'pending', $2, $2, $2, 'OA has been suspended', '', ARRAY[$3::bigint] FROM generate_series(1, 2) i`,
		oa, morning.Add(5*time.Minute), run)
	words := told()
	for _, want := range []string{"from the package", "quota", "10:00", "2 messages", "09:05", "OA has been suspended"} {
		if !strings.Contains(words, want) {
			t.Errorf("told %q, want %q in it", words, want)
		}
	}
	if strings.Count(words, "\n") != 1 {
		t.Errorf("told %q, want two lines: other templates, accounts and times are no trouble of this run", words)
	}
}
