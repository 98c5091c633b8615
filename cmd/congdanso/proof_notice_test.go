package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/procedures/proceduresim"
	"congdanso/integrations/zalo/zalosim"
)

const hookSecret = "procedures-webhook-EXAMPLE"

// TestProofChangesPushedAgainAndAgain: the procedure system pushes each change of a
// followed dossier five times and in no order. The follower is told once, how it
// stands now. Pushes that lie, that nobody signed, or that are about nothing we know
// do no harm.
func TestProofChangesPushedAgainAndAgain(t *testing.T) {
	t.Parallel()
	w, s := open(t, func(_ *zalosim.Options, vars map[string]string) { vars["PROCEDURES_WEBHOOK_SECRET"] = hookSecret })
	w.set(atAnyHour...)
	hook := s.url + "/webhooks/procedures"
	lan, binh := w.newcomer(1), w.newcomer(2)
	for _, r := range []*resident{lan, binh} {
		r.follows()
		r.says(papersWanted)
	}
	lan.taps("Báo khi có thay đổi")
	has(t, lan.taps("Đồng ý"), text(t, "dossier.follow.done", "Code", papersWanted, "Proven", false))
	eventually(t, soon, "it is known how it stands", func() bool {
		return w.count(`SELECT count(*) FROM dossier_watch WHERE fingerprint IS NOT NULL`) == 1
	})
	w.quiet()
	told, untold := len(lan.sends()), len(binh.sends())
	hears := func(what string, phrases ...string) {
		t.Helper()
		eventually(t, soon, what, func() bool { return len(lan.sends()) > told })
		has(t, lan.newest(), append(phrases, papersWanted)...)
		w.pushed(hook)
		if n := len(lan.sends()) - told; n != 1 {
			t.Errorf("%s: told %d times:\n%s", what, n, lan.heard())
		}
		told = len(lan.sends())
	}
	set := func(c proceduresim.Change) {
		t.Helper()
		if err := w.proc.Set(papersWanted, c); err != nil {
			t.Fatal(err)
		}
	}

	// Four changes, each of them pushed five times, shuffled.
	w.proc.PushTo(hook, hookSecret)
	w.proc.Misdeliver(proceduresim.Delivery{Repeat: 5, Shuffle: true})
	set(proceduresim.Change{Status: 4})
	set(proceduresim.Change{Status: 5, Papers: []string{"Tờ khai"}})
	set(proceduresim.Change{Status: 4})
	set(proceduresim.Change{Status: 9})
	w.pushed(hook)
	hears("the newest state", "✅ Hồ sơ đã có kết quả")
	for range 3 { // of what is known already
		if err := w.proc.Push(papersWanted); err != nil {
			t.Fatal(err)
		}
	}
	w.pushed(hook)
	w.lookedAt()
	if n := len(lan.sends()) - told; n != 0 {
		t.Errorf("told %d times of nothing new:\n%s", n, lan.newest().Text)
	}

	// A status nobody knows, in the system's own words; then a date before the receipt,
	// which is no date.
	end := w.proc.Fault(proceduresim.Fault{Kind: proceduresim.UnknownStatus, Code: papersWanted})
	set(proceduresim.Change{Step: "Chuyển"})
	w.pushed(hook)
	hears("a status nobody knows", "ℹ️ Hồ sơ có thay đổi")
	end()
	w.proc.Fault(proceduresim.Fault{Kind: proceduresim.DueBeforeReceipt, Code: papersWanted})
	set(proceduresim.Change{Status: 4})
	w.pushed(hook)
	hears("a date before the receipt", "đang được giải quyết")
	hasNone(t, lan.newest().Text, "Hẹn trả", "hẹn trả")

	// What the door says to pushes it does not want.
	known := []byte(`{"id":"evt_1","type":"dossier.changed","dossier":{"MaHoSo":"` + papersWanted + `","TrangThaiHoSo":"99"}}`)
	other := []byte(`{"id":"evt_2","type":"dossier.changed","dossier":{"MaHoSo":"H42.16-240612-9999","TrangThaiHoSo":"9"}}`)
	now := time.Now()
	for what, post := range map[string]struct {
		body      []byte
		signature string
		want      int
	}{
		"signed by somebody else":  {known, proceduresim.Sign("another", now, known), http.StatusUnauthorized},
		"signed over other bytes":  {known, proceduresim.Sign(hookSecret, now, other), http.StatusUnauthorized},
		"signed an hour ago":       {known, proceduresim.Sign(hookSecret, now.Add(-time.Hour), known), http.StatusUnauthorized},
		"not signed":               {known, "", http.StatusUnauthorized},
		"of a dossier nobody has":  {other, proceduresim.Sign(hookSecret, now, other), http.StatusOK},
		"with a status of its own": {known, proceduresim.Sign(hookSecret, now, known), http.StatusOK},
		"about nothing":            {[]byte(`[]`), proceduresim.Sign(hookSecret, now, []byte(`[]`)), http.StatusOK},
		"not JSON":                 {[]byte(`<x>`), proceduresim.Sign(hookSecret, now, []byte(`<x>`)), http.StatusBadRequest},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook, bytes.NewReader(post.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(proceduresim.SignatureHeader, post.signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != post.want {
			t.Errorf("a push %s is answered %d, want %d", what, resp.StatusCode, post.want)
		}
	}
	w.lookedAt()
	w.quiet()
	if len(lan.sends()) != told || len(binh.sends()) != untold {
		t.Errorf("told of nothing: %d and %d messages\n%s", len(lan.sends())-told, len(binh.sends())-untold, lan.newest().Text)
	}
	hasNone(t, s.Logs(), papersWanted, lan.id)
	if n := strings.Count(lan.heard(), "✅ Hồ sơ đã có kết quả"); n != 1 {
		t.Errorf("told %d times that the result is ready", n)
	}
	w.stop(s)
}

// pushed waits until the procedure system has delivered everything it pushes.
func (w *world) pushed(hook string) {
	w.t.Helper()
	eventually(w.t, soon, "every push to "+hook+" is taken", func() bool { return w.proc.Deliver(context.Background()) == 0 })
}

// lookedAt waits until every dossier that was hinted at has been looked at.
func (w *world) lookedAt() {
	w.t.Helper()
	eventually(w.t, soon, "no hint is left", func() bool {
		return w.count(`SELECT count(*) FROM dossier_watch WHERE hint_at <= now()`) == 0
	})
}
