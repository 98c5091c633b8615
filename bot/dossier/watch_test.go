package dossier_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/content"

	"github.com/jackc/pgx/v5"
)

// recorder takes notices as push.Store does: equal keys are one.
type recorder struct {
	mu   sync.Mutex
	told []push.Told
	keys map[string]bool
	fail error
}

func (r *recorder) Add(_ context.Context, _ pgx.Tx, told []push.Told, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	for _, one := range told {
		key := one.To.OA + "/" + one.To.User + "/" + one.Key
		if !r.keys[key] {
			r.keys[key] = true
			r.told = append(r.told, one)
		}
	}
	return nil
}

// take returns the kinds of what was told to who since the last call.
func (r *recorder) take() []push.Told {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

// watching is a bench with a watch.
type watching struct {
	*bench
	*dossier.Watch
	*recorder
	list   *list
	values func() setting.Values
}

func watch(t *testing.T) *watching {
	t.Helper()
	b := start(t, func(o *dossier.Options) { o.Private = nil })
	b.system.set(func(s *system) { // what a resident sees every day: nothing private
		r := &s.held[code][0]
		r.ProcedureCode, r.ProcedureName = "1.004194", "Đăng ký tạm trú"
		r.UpdatedAt = b.clock.now().Add(-time.Hour)
	})
	w := &watching{bench: b, recorder: &recorder{keys: map[string]bool{}}, list: &list{none: true},
		values: func() setting.Values { return setting.Values{} }}
	w.Watch = w.another(b.Service)
	return w
}

// another makes one more watch, as another instance has.
func (w *watching) another(s *dossier.Service) *dossier.Watch {
	return dossier.NewWatch(dossier.WatchOptions{
		Service: s, Changes: w.list, Notices: w.recorder, Texts: texts(w.t),
		Values: func() setting.Values { return w.values() }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

var library = sync.OnceValues(func() (*content.Library, error) {
	return content.Load(content.Files(""), dossier.Local, content.WithSample())
})

func texts(t *testing.T) bot.Texts {
	t.Helper()
	l, err := library()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// look lets d pass, and looks.
func (w *watching) look(d time.Duration) int {
	w.t.Helper()
	w.clock.add(d)
	n, err := w.Look(w.t.Context(), w.clock.now())
	if err != nil {
		w.t.Fatalf("look: %v", err)
	}
	return n
}

// followed has who follow code, and its state known.
func (w *watching) followed(who ...bot.CitizenID) {
	w.t.Helper()
	for _, one := range who {
		w.apply(one, w.event(), dossier.Follow{Code: code})
	}
	w.look(10 * time.Second)
	w.tells("a follow")
}

// change changes the dossier in the procedure system.
func (w *watching) change(f func(r *dossier.Record)) {
	w.system.set(func(s *system) {
		r := &s.held[code][0]
		r.UpdatedAt = w.clock.now()
		f(r)
	})
}

// pushed is a push about code.
func (w *watching) pushed() {
	w.t.Helper()
	if status, body := w.post(w.signed(pushBody(string(code), 9))); status != 200 || body != "{}" {
		w.t.Fatalf("push: %d %s", status, body)
	}
}

// tells compares what was told since the last call, as "user kind".
func (w *watching) tells(what string, want ...string) []push.Told {
	w.t.Helper()
	told := w.take()
	var got []string
	for _, one := range told {
		got = append(got, one.To.User+" "+one.Kind)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s: told %q, want %q", what, got, want)
	}
	return told
}

func TestAFollowerIsToldOfAChangeOnce(t *testing.T) {
	w := watch(t)
	w.followed(anna, ben)
	w.apply(ben, w.event(), dossier.Keep{Code: bare})
	w.pushed()
	w.look(10 * time.Second)
	w.tells("an equal state")
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady; r.FinishedAt = w.clock.now() })
	for range 5 {
		w.pushed()
	}
	w.look(10 * time.Second)
	told := w.tells("five pushes", "100 dossier.ready", "200 dossier.ready")
	if about := told[0].About; about != string(code) || told[0].Class != push.Notice || !told[0].ExpiresAt.After(w.clock.now()) {
		t.Errorf("told %+v", told[0])
	}
	w.pushed()
	w.look(time.Minute)
	w.look(time.Hour)
	w.tells("later pushes")
	if k := w.kept(anna); !k.Followed || !k.ToldAt.Equal(w.clock.now().Add(-time.Hour-time.Minute)) {
		t.Errorf("kept: %+v", k)
	}
}

func (w *watching) kept(who bot.CitizenID) dossier.Kept {
	w.t.Helper()
	kept, err := w.Kept(w.t.Context(), who)
	if err != nil || len(kept) != 1 {
		w.t.Fatalf("kept %+v, %v", kept, err)
	}
	return kept[0]
}

// What a push says is not believed: here each says "result ready", as some
// provinces do for every status.
func TestAPushIsAHintOnly(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.change(func(r *dossier.Record) {
		r.Status = dossier.StatusSupplement
		r.Supplements = []dossier.Supplement{{Words: "Bổ sung hợp đồng thuê nhà", At: w.clock.now(), Papers: []dossier.Paper{{Name: "Hợp đồng thuê nhà"}}}}
	})
	w.pushed()
	w.look(10 * time.Second)
	w.tells("papers wanted", "100 dossier.supplement")
	w.change(func(r *dossier.Record) {
		r.Supplements = append(r.Supplements, dossier.Supplement{Words: "Và bản sao căn cước", At: w.clock.now()})
	})
	w.pushed()
	w.look(10 * time.Second)
	w.tells("more papers wanted, the status the same", "100 dossier.supplement")
	w.change(func(r *dossier.Record) {
		r.Status = dossier.StatusProcessing
		for i := range r.Supplements {
			r.Supplements[i].DoneAt = w.clock.now()
		}
	})
	w.pushed()
	w.look(10 * time.Second)
	w.tells("papers handed in", "100 dossier.changed")
	// The same state as once before is news all the same.
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusPayment })
	w.pushed()
	w.look(10 * time.Second)
	w.tells("a fee", "100 dossier.fee")
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
	w.pushed()
	w.look(10 * time.Second)
	w.tells("paid", "100 dossier.changed")
}

func TestAnUnknownStatusIsToldInItsOwnWords(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.change(func(r *dossier.Record) { r.Status, r.StatusName = dossier.StatusUnknown, "Chờ liên thông thuế" })
	w.pushed()
	w.look(10 * time.Second)
	told := w.tells("unknown status", "100 dossier.changed")
	contains(t, told[0].Content.Message.Text, `"Chờ liên thông thuế"`)
	if got := told[0].Content.Params["status"]; got != "Chờ liên thông thuế" {
		t.Errorf("template status %q", got)
	}
	w.change(func(r *dossier.Record) { r.DueAt = r.ReceivedAt.Add(-24 * time.Hour) }) // before the receipt: doubtful
	w.pushed()
	w.look(10 * time.Second)
	told = w.tells("a due date before the receipt", "100 dossier.changed")
	excludes(t, told[0].Content.Message.Text, "11/06/2024")
	w.look(72 * time.Hour)
	w.tells("nothing is due at a doubtful date")
}

func TestReminders(t *testing.T) {
	w := watch(t) // Friday 16:30; due Monday 17:00
	w.followed(anna)
	steps := func(n int, each time.Duration) {
		for range n {
			w.look(each)
		}
	}
	steps(39, time.Hour) // Sunday 07:30
	w.tells("two days before")
	steps(1, time.Hour)
	w.tells("the morning before", "100 dossier.due")
	steps(32, time.Hour) // Monday 16:30
	w.tells("only once")
	steps(2, 31*time.Minute) // 17:32
	w.tells("half an hour late", "100 dossier.overdue")
	steps(20, time.Hour)
	w.tells("only once")
	w.change(func(r *dossier.Record) {
		r.OldDueAt = r.DueAt
		r.DueAt = time.Date(2024, 6, 20, 10, 0, 0, 0, time.UTC)
	})
	w.pushed()
	w.look(10 * time.Second)
	told := w.tells("an apology", "100 dossier.overdue")
	contains(t, told[0].Content.Message.Text, "hẹn lại: thứ Năm 20/06/2024, 17:00")
	steps(60, time.Hour) // Friday
	if told := w.take(); len(told) != 2 || told[0].Kind != dossier.KindDue || told[1].Kind != dossier.KindOverdue {
		t.Errorf("after the new date: %+v", told)
	}
	if at := told[0].ExpiresAt; !at.After(w.clock.now().AddDate(0, 0, -5)) {
		t.Errorf("expires %s", at)
	}
}

func TestAReminderIsWorthlessAfterItsMoment(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.look(40 * time.Hour)
	if told := w.tells("the day before", "100 dossier.due"); !told[0].ExpiresAt.Equal(w.system.held[code][0].DueAt) {
		t.Errorf("expires %s", told[0].ExpiresAt)
	}
}

func TestWhoFollowsLateIsNotRemindedOfWhatTheyRead(t *testing.T) {
	w := watch(t)
	w.clock.add(45 * time.Hour) // Sunday 13:30
	w.followed(anna)
	w.look(time.Hour)
	w.tells("due tomorrow, as they have just read")
	w.look(28 * time.Hour)
	w.tells("overdue", "100 dossier.overdue")
}

func TestALaggingSystemIsWaitedFor(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	var held []dossier.Record
	w.system.set(func(s *system) { held = s.held[code]; s.held[code] = nil })
	w.pushed()
	w.look(10 * time.Second)
	for range 20 {
		w.look(15 * time.Minute)
	}
	w.tells("missing")
	w.system.set(func(s *system) { s.held[code] = held })
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.look(20 * time.Minute)
	w.tells("there again", "100 dossier.ready")
}

func TestAnOutageIsOutlasted(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.system.set(func(s *system) { s.down = errors.New("502") })
	w.pushed()
	asked := w.asked()
	for range 12 {
		w.look(10 * time.Minute)
	}
	if n := w.asked() - asked; n < 6 || n > 12 {
		t.Errorf("asked %d times in two hours", n)
	}
	w.tells("an outage")
	w.system.set(func(s *system) { s.down = nil })
	w.look(20 * time.Minute)
	w.tells("after the outage", "100 dossier.ready")
}

func (w *watching) asked() int { return w.system.asked() }

func TestTwoInstancesTellOnce(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	other := w.another(w.instance())
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	release, began := make(chan struct{}), make(chan struct{}, 2)
	w.system.set(func(s *system) { s.block, s.began = release, began })
	var wg sync.WaitGroup
	for _, one := range []*dossier.Watch{w.Watch, other} { // a push comes while the first looks
		w.pushed()
		w.clock.add(10 * time.Second)
		now := w.clock.now()
		wg.Go(func() {
			if n, err := one.Look(t.Context(), now); err != nil || n < 1 {
				t.Errorf("looked at %d, %v", n, err)
			}
		})
		<-began
	}
	w.system.set(func(s *system) { s.block, s.began = nil, nil })
	close(release)
	wg.Wait()
	w.look(time.Minute)
	w.tells("two instances", "100 dossier.ready")
}

func TestTheRateHoldsOverAllInstances(t *testing.T) {
	w := watch(t)
	var codes []dossier.Code
	w.system.set(func(s *system) {
		for i := range 300 {
			c := dossier.Code("H42.16-240612-1" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)))
			codes = append(codes, c)
			s.held[c] = []dossier.Record{record(string(c), c)}
		}
	})
	var applied []bot.Applied
	for _, c := range codes {
		applied = append(applied, bot.Applied{Citizen: anna, At: w.clock.now(), Effect: dossier.Follow{Code: c}})
	}
	w.applyAll(applied)
	other := w.another(w.instance())
	var times []time.Time
	for range 150 {
		w.clock.add(2 * time.Second)
		before := w.asked()
		w.look(0)
		if _, err := other.Look(t.Context(), w.clock.now()); err != nil {
			t.Fatal(err)
		}
		for range w.asked() - before {
			times = append(times, w.clock.now())
		}
	}
	for i := range times {
		n := 0
		for _, at := range times[i:] {
			if at.Sub(times[i]) < time.Minute {
				n++
			}
		}
		if n > 60 {
			t.Fatalf("%d looks in a minute", n)
		}
	}
	if len(times) < 250 {
		t.Errorf("%d looks in five minutes: the rate is not used", len(times))
	}
}

// Nothing is told where the notices could not be written: state and notices are
// one transaction.
func TestANoticeThatCannotBeWrittenIsMadeAgain(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.pushed()
	w.fail = errors.New("no room")
	w.clock.add(time.Second)
	if _, err := w.Look(t.Context(), w.clock.now()); err == nil {
		t.Error("no error")
	}
	w.fail = nil
	w.look(3 * time.Minute)
	w.tells("the second time", "100 dossier.ready")
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func excludes(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q stands in:\n%s", part, text)
		}
	}
}

// A row that cannot be opened any more holds up nobody.
func TestAnUnreadableRow(t *testing.T) {
	w := watch(t)
	w.apply(ben, w.event(), dossier.Follow{Code: bare})
	w.followed(anna)
	_, err := w.pool.Exec(t.Context(), `
		UPDATE dossier_watch SET code = CASE WHEN code_hash <> $1 THEN '\x00' ELSE code END, hint_at = $2`,
		seal.ForTest().Hash("dossier.code", string(code)), w.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.look(time.Second)
	w.tells("beside an unreadable row", "100 dossier.ready")
	if _, err := w.pool.Exec(t.Context(), `UPDATE dossier_watch SET state = '\x00', hint_at = $1`, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.look(time.Second)
	w.tells("an unreadable state: begun anew")
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
	w.pushed()
	w.look(time.Second)
	w.tells("and gone on", "100 dossier.changed")
}
