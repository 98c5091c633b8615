package main

import (
	"slices"
	"sync"
	"testing"
	"time"

	"congdanso/integrations/procedures/proceduresim"
	"congdanso/integrations/zalo/zalosim"
)

// TestStoryOfOneDossierThatHangs: the procedure system never answers for one
// dossier. Whoever asks for that one waits and hears an honest sentence; nobody
// else waits.
func TestStoryOfOneDossierThatHangs(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string // whose answer came when
	w, s := open(t, func(o *zalosim.Options, _ map[string]string) {
		o.OnSend = func(m zalosim.Send) {
			mu.Lock()
			order = append(order, m.User)
			mu.Unlock()
		}
	})
	w.proc.Fault(proceduresim.Fault{Kind: proceduresim.Hang, Code: tooLate})
	unlucky := w.newcomer(1)
	w.zalo.SendText(unlucky.id, tooLate)
	var others []*resident
	for i := range 20 {
		r := w.newcomer(100 + i)
		others = append(others, r)
		w.zalo.SendText(r.id, papersWanted)
	}
	for _, r := range others {
		eventually(t, soon, "the others are served", func() bool { return len(r.sends()) == 1 })
		has(t, r.newest(), papersWanted, "UBND phường Mẫu")
	}
	eventually(t, soon, "an honest sentence", func() bool { return len(unlucky.sends()) == 1 })
	has(t, unlucky.newest(), text(t, "dossier.unavailable.unknown", "Code", tooLate))
	mu.Lock()
	last := order[len(order)-1]
	waited := slices.Index(order, unlucky.id)
	mu.Unlock()
	if last != unlucky.id {
		t.Errorf("%d of 20 waited for the dossier that hangs", len(order)-1-waited)
	}
	// The same person asks for another one: served at once.
	has(t, unlucky.says(isReady), isReady, "✅")
	w.stop(s)
}

// TestStoryOfAPromiseKept: the procedure system is down. The resident hears the
// last known state and its time, accepts to be told, and is told, by itself and
// once, over a restart of the server.
func TestStoryOfAPromiseKept(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	lan.follows()
	lan.says(isReady)
	eventually(t, soon, "the state is written down", func() bool { return w.count(`SELECT count(*) FROM dossier_known`) == 1 })
	w.stop(s) // and with it what it remembers as fresh

	down := w.proc.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway})
	s = w.start()
	away := lan.says(isReady)
	has(t, away, "Hiện chưa xem được tình hình mới nhất của hồ sơ "+isReady, "đã có kết quả", "hôm nay",
		text(t, "dossier.callback.consent"))
	hasNone(t, away.Text, "đang bận", "lỗi", "500", "502")
	has(t, lan.says("bao khi xem duoc"), text(t, "dossier.callback.promised", "Code", isReady))
	if n := w.count(`SELECT count(*) FROM consent WHERE purpose = 'callback' AND withdrawn_at IS NULL`); n != 1 {
		t.Errorf("%d consents to be written to", n)
	}

	// One who has never seen the dossier is told so, and does not ask to be called.
	binh := w.newcomer(2)
	has(t, binh.says(tooLate), text(t, "dossier.unavailable.unknown", "Code", tooLate))
	// What needs nobody else goes on meanwhile.
	has(t, binh.says("menu"), text(t, "menu.intro"))
	binh.says("toi muon gap can bo")
	w.quiet()
	w.stop(s)
	told, untold := len(lan.sends()), len(binh.sends())

	// The system comes back. Nobody writes; the waiting time is let pass.
	down()
	w.exec(`UPDATE dossier_callback SET due_at = now()`)
	s = w.start()
	eventually(t, 2*soon, "the promise is kept by itself", func() bool { return len(lan.sends()) > told })
	kept := lan.newest()
	has(t, kept, "✅", isReady, text(t, "dossier.callback.kept", "Code", isReady))
	hasNone(t, kept.Text, "1. ", "0. ") // a number could meet a question that is open
	if n := w.count(`SELECT count(*) FROM dossier_callback`); n != 0 {
		t.Errorf("%d promises are still open", n)
	}
	// A look-up later the promise is not kept again.
	has(t, lan.taps("Xem lại hồ sơ"), isReady)
	w.quiet()
	if n := len(lan.sends()) - told; n != 2 {
		t.Errorf("%d messages, want the promised one and the answer", n)
	}
	if n := len(binh.sends()); n != untold {
		t.Error("somebody who asked for nothing was written to")
	}
	w.stop(s)
}

// TestStoryOfStoppingAPromise: whoever says "dừng tin" is not told any more. The
// others are, by a job that runs again and again.
func TestStoryOfStoppingAPromise(t *testing.T) {
	t.Parallel()
	w, _ := open(t)
	down := w.proc.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway})
	lan, mai := w.newcomer(1), w.newcomer(2)
	for _, r := range []*resident{lan, mai} {
		r.says(isReady)
		r.says("1")
	}
	has(t, lan.says("dừng tin"), text(t, "stop.done"))
	told := len(lan.sends())
	eventually(t, soon, "the job has looked a first time", func() bool {
		return w.count(`SELECT count(*) FROM river_job WHERE args->>'name' = 'callbacks' AND state = 'completed'`) > 0
	})
	down()
	w.exec(`UPDATE dossier_callback SET due_at = now()`)
	before := len(mai.sends())
	eventually(t, time.Minute, "the other promise is kept", func() bool { return len(mai.sends()) > before })
	w.quiet()
	if len(lan.sends()) != told {
		t.Errorf("told after all:\n%s", lan.newest().Text)
	}
}
