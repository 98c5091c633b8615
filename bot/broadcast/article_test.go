package broadcast

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/delivery"
	"congdanso/bot/staff"
	"congdanso/bot/unit"
)

// An article stands at Zalo, hidden, before its time; it is kept in step with what
// is written, shown when its run begins, and sent once.
func TestArticleFromDraftToSent(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	run := n.run(RunScheduled, noon.Add(time.Hour), nil)
	n.working = 2
	if got := n.ticks(noon, time.Minute); got != "create verify verify verify" {
		t.Errorf("calls %q", got)
	}
	n.stands(run, "ready - scheduled scheduled")
	if p := n.pages["article0"]; p.Show || p.Title != "Tiêm chủng tháng 12" {
		t.Errorf("page %+v", p)
	}
	n.exec(`UPDATE broadcast SET definition = jsonb_set(definition, '{body,vi,title}', '"Tiêm chủng tháng Giêng"')`)
	if got := n.ticks(noon.Add(2*time.Minute), time.Minute); got != "update verify" {
		t.Errorf("calls after an edit %q", got)
	}
	n.exec(`UPDATE broadcast SET definition = definition || '{"target": {"cities": [8]}}'`)
	n.begin(run)
	if got := n.ticks(noon.Add(time.Hour), time.Minute); got != "show verify shown broadcast" {
		t.Errorf("calls at its time %q", got)
	}
	if diff := cmp.Diff([]Target{{Cities: []int{8}}}, n.targets); diff != "" {
		t.Error(diff)
	}
	n.stands(run, "sent - done done")
	if p := n.pages["article0"]; !p.Show || p.Title != "Tiêm chủng tháng Giêng" {
		t.Errorf("page %+v", p)
	}
	if got := n.ticks(noon.Add(2*time.Hour), time.Hour); got != "" {
		t.Errorf("calls after it was sent %q", got)
	}
}

func TestArticleThatNeverBecomesReady(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	run := n.run(RunRunning, noon, nil)
	n.working = 1 << 20
	n.ticks(noon, readyWithin+time.Minute)
	n.stands(run, "failed article_not_ready paused paused")
	if slices.Contains(n.calls, "broadcast") {
		t.Error("it was sent")
	}
	// Staff let it begin anew.
	n.working = 0
	n.begin(run)
	if got := n.ticks(noon.Add(time.Hour), time.Minute); got != "create verify shown broadcast" {
		t.Errorf("calls %q", got)
	}
	n.stands(run, "sent - done done")
}

// What fails before its time is told, and tried again when its time has come.
func TestArticleThatCannotBePrepared(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var alarms []string
	n.Alarm = func(key string, _ ...any) { alarms = append(alarms, key) }
	run := n.run(RunScheduled, noon.Add(time.Hour), nil)
	n.failAt, n.fail = "create", &delivery.Refusal{Class: delivery.ClassHuman, Code: -223}
	if got := n.ticks(noon, 5*time.Minute); got != "create" || !slices.Equal(alarms, []string{"broadcast.alert.article_failed"}) {
		t.Errorf("calls %q, alarms %q", got, alarms)
	}
	n.fail = nil
	n.begin(run)
	n.ticks(noon.Add(time.Hour), time.Minute)
	n.stands(run, "sent - done done")
}

func TestArticleWaitsForItsHourAndItsDay(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	night := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC) // 22:00
	run := n.run(RunRunning, night, func(d *Definition) { d.Target.Cities = []int{2, 8} })
	n.exec(`UPDATE broadcast_run SET latest_at = $1`, night.Add(48*time.Hour))
	if got := n.ticks(night, time.Minute); got != "create verify" {
		t.Errorf("calls at night %q", got)
	}
	n.stands(run, "ready article_night running running")
	if n.ticks(night.Add(8*time.Hour-6*time.Second), 5*time.Second) != "" {
		t.Error("called before 06:00")
	}
	if got := n.ticks(night.Add(8*time.Hour), 5*time.Second); got != "shown broadcast" {
		t.Errorf("calls at 06:00 %q", got)
	}
	// Another for the same people waits for the next day, one for others does not.
	morning := night.Add(9 * time.Hour)
	same := n.run(RunRunning, morning, func(d *Definition) { d.Target.Cities = []int{8} })
	other := n.run(RunRunning, morning, func(d *Definition) { d.Target.Cities = []int{56} })
	n.exec(`UPDATE broadcast_run SET latest_at = $1`, night.Add(90*24*time.Hour))
	n.ticks(morning, time.Minute)
	n.stands(same, "ready article_day running running")
	n.stands(other, "sent - done done")
	n.ticks(morning.Add(23*time.Hour), 5*time.Second)
	n.stands(same, "sent - done done")
	// And after as many as there may be in a month, for the next one.
	n.exec(`INSERT INTO article_run (run, broadcast, oa_id, state, target, due_at, starts_at, latest_start, made_at, called_at)
SELECT 1000 + i, 1, $1, 'sent', '{}', $2, $2, $2, $2, $2::timestamptz - make_interval(days => i) FROM generate_series(1, 2) i`, testOA, morning)
	last := n.run(RunRunning, morning.AddDate(0, 0, 3), nil)
	n.exec(`UPDATE broadcast_run SET latest_at = $1`, night.Add(90*24*time.Hour))
	n.ticks(morning.AddDate(0, 0, 3), time.Minute)
	n.stands(last, "ready article_month running running")
	december := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC) // 06:00 of the 1st
	n.ticks(december, 5*time.Second)
	n.stands(last, "sent - done done")
}

func TestArticleOutcomes(t *testing.T) {
	t.Parallel()
	ambiguous := &delivery.Refusal{Class: delivery.ClassAmbiguous, Err: context.DeadlineExceeded}
	d, runs := newDesk(t), int64(0)
	for name, c := range map[string]struct {
		at    string
		fail  error
		want  string
		calls int // of the call that fails, in two minutes
	}{
		"cut off while sending":  {"broadcast", ambiguous, "unknown article_unknown done done", 1},
		"refused for good":       {"broadcast", &delivery.Refusal{Class: delivery.ClassDrop, Code: -201}, "failed article_refused paused paused", 1},
		"suspended":              {"broadcast", &delivery.Refusal{Class: delivery.ClassHuman, Code: -204}, "failed article_refused paused paused", 1},
		"quota":                  {"broadcast", &delivery.Refusal{Class: delivery.ClassQuota, Code: -211}, "ready article_quota running running", 1},
		"night by Zalo's clock":  {"broadcast", &delivery.Refusal{Class: delivery.ClassNight, Code: -234}, "ready article_night running running", 1},
		"not taken":              {"broadcast", &delivery.Refusal{Class: delivery.ClassNotSent, Code: -32}, "ready - running running", 12},
		"cut off while writing":  {"create", ambiguous, "failed article_refused paused paused", mostArticleTries},
		"writing refused":        {"create", &delivery.Refusal{Class: delivery.ClassHuman, Code: -223}, "failed article_refused paused paused", 1},
		"verifying is cut off":   {"verify", ambiguous, "created - running running", 24},
		"looking at it goes bad": {"shown", ambiguous, "failed article_not_ready paused paused", mostArticleTries + 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := &newsroom{desk: d, press: newPress(), runs: runs}
			n.articles = &Articles{Store: n.Store, Zalo: n.press, Slot: func(context.Context) error { return nil }}
			n.exec(`DELETE FROM article_run`) // what went out counts for no other
			n.exec(`UPDATE broadcast_run SET state = 'done'`)
			run := n.run(RunRunning, noon, nil)
			runs = n.runs
			n.failAt, n.fail = c.at, c.fail
			of := 2 * time.Minute
			if c.at == "create" {
				of = 30 * time.Minute
			}
			n.ticks(noon, of)
			n.stands(run, c.want)
			made := 0
			for _, call := range n.calls {
				if call == c.at {
					made++
				}
			}
			if c.calls <= mostArticleTries+1 && made != c.calls || made > c.calls {
				t.Errorf("%d calls of %s, want %d", made, c.at, c.calls)
			}
		})
	}
}

// A used-up quota is counted anew at midnight: the call is tried again at 06:00 of
// the next day, and where that is after the latest start, it is missed when that has
// passed.
func TestArticleBeyondZalosQuota(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var alarms []string
	n.Alarm = func(key string, _ ...any) { alarms = append(alarms, key) }
	run := n.run(RunRunning, noon, nil)
	n.exec(`UPDATE broadcast_run SET latest_at = $1`, noon.Add(72*time.Hour))
	n.failAt, n.fail = "broadcast", &delivery.Refusal{Class: delivery.ClassQuota, Code: -211}
	n.ticks(noon, time.Minute)
	n.stands(run, "ready article_quota running running")
	n.fail = nil
	local := noon.In(unit.Zone)
	six := time.Date(local.Year(), local.Month(), local.Day()+1, 6, 0, 0, 0, unit.Zone)
	if got := n.ticks(six.Add(-10*time.Second), 5*time.Second); got != "" {
		t.Errorf("calls before 06:00 %q", got)
	}
	if got := n.ticks(six, 5*time.Second); got != "shown broadcast" {
		t.Errorf("calls at 06:00 of the next day %q", got)
	}
	n.stands(run, "sent - done done")
	short := n.run(RunRunning, six.Add(24*time.Hour), nil) // for six hours
	n.fail = &delivery.Refusal{Class: delivery.ClassQuota, Code: -211}
	n.ticks(six.Add(24*time.Hour), time.Minute)
	n.stands(short, "ready article_quota running running")
	n.ticks(six.Add(30*time.Hour), 10*time.Second)
	n.stands(short, "cancelled article_quota missed missed")
	if !slices.Equal(alarms, []string{"broadcast.alert.missed"}) {
		t.Errorf("alarms %q", alarms)
	}
	// At 06:00 by our clock, Zalo's may show 05:59.
	early := n.run(RunRunning, six.Add(72*time.Hour), nil)
	n.fail = &delivery.Refusal{Class: delivery.ClassNight, Code: -234}
	n.ticks(six.Add(72*time.Hour), 10*time.Second)
	n.stands(early, "ready article_night running running")
	n.fail = nil
	n.ticks(six.Add(72*time.Hour+20*time.Second), time.Minute)
	n.stands(early, "sent - done done")
}

// Killed in the middle of the call, it is not called again.
func TestArticleAfterACrash(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var alarms []string
	n.Alarm = func(key string, _ ...any) { alarms = append(alarms, key) }
	run := n.run(RunRunning, noon, nil)
	n.ticks(noon, 2*time.Second)
	n.exec(`UPDATE article_run SET state = 'sending', article_id = 'article0', due_at = $1, called_at = $1`, noon.Add(callWithin))
	if got := n.ticks(noon.Add(time.Second), time.Minute); got != "" {
		t.Errorf("another instance called %q while the call was under way", got)
	}
	// Operators are told once it is known to be written down.
	n.exec(`CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'gone away'; END $$`)
	n.exec(`CREATE CONSTRAINT TRIGGER gone AFTER UPDATE ON article_run DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gone()`)
	if err := n.articles.Tick(t.Context(), noon.Add(callWithin)); err == nil || len(alarms) != 0 {
		t.Errorf("rolled back (%v), and told %q", err, alarms)
	}
	n.exec(`DROP TRIGGER gone ON article_run`)
	n.ticks(noon.Add(callWithin), time.Minute)
	n.stands(run, "unknown article_unknown done done")
	if !slices.Equal(alarms, []string{"broadcast.alert.article_unknown"}) {
		t.Errorf("alarms %q", alarms)
	}
	if diff := cmp.Diff([]string(nil), n.calls); diff != "" {
		t.Error(diff)
	}
	// In the middle of writing it, it is written again: a second one is hidden.
	again := n.run(RunScheduled, noon.Add(time.Hour), nil)
	n.ticks(noon, 0)
	n.exec(`UPDATE article_run SET state = 'creating', token = NULL WHERE run = $1`, again)
	if got := n.ticks(noon.Add(callWithin), 10*time.Second); got != "create verify" {
		t.Errorf("calls %q", got)
	}
}

func TestArticleCancelledPausedMissed(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	run := n.run(RunRunning, noon, nil)
	n.working = 1 << 20
	n.ticks(noon, time.Minute)
	n.exec(`UPDATE broadcast_run SET state = 'paused'`)
	if got := n.ticks(noon.Add(time.Minute), time.Minute); strings.Contains(got, "broadcast") {
		t.Errorf("calls while paused %q", got)
	}
	n.working = 0
	n.exec(`UPDATE broadcast_run SET state = 'running'`)
	n.failAt, n.fail = "shown", &delivery.Refusal{Class: delivery.ClassWait}
	n.ticks(noon.Add(3*time.Minute), 2*time.Second)
	n.fail = nil
	n.exec(`UPDATE broadcast_run SET state = 'cancelled'`)
	if got := n.ticks(noon.Add(4*time.Minute), 2*time.Minute); got != "update" || n.pages["article0"].Show {
		t.Errorf("calls once cancelled %q, shown %v", got, n.pages["article0"].Show)
	}
	n.stands(run, "cancelled - cancelled running")
	late := n.run(RunRunning, noon, nil)
	n.ticks(noon.Add(7*time.Hour), time.Minute)
	if slices.Contains(n.calls, "broadcast") {
		t.Error("sent after its latest start")
	}
	n.stands(late, "cancelled - missed missed")
}

// An article goes to the province, unless its author says to where, or everywhere.
// The approver sees it, and an approval is bound to it.
func TestArticleIsNarrowedToTheProvince(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.Cities = n.texts.Province().Zalo.Cities
	n.exec(`INSERT INTO agency (id, name_vi, name_en, level) VALUES ('so', 'Sở', 'D', 'department')`)
	n.exec(`INSERT INTO staff (id, agency, name, mail, mail_hash, created_at) VALUES ('an', 'so', '', '', 'an', now())`)
	n.exec(`INSERT INTO staff_role (staff, role, agency, granted_by, granted_at) VALUES ('an', 'editor', 'so', 'x', now())`)
	an := staff.Actor{ID: "an"}
	of := func(d Definition) Broadcast {
		t.Helper()
		d.Agency = "so"
		id, err := n.Create(t.Context(), an, testOA, d, noon)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hashes := map[string]bool{}
	for name, c := range map[string]struct {
		target Target
		kind   Kind
		want   Target
	}{
		"nothing said": {Target{Ages: []int{3}}, Article, Target{Ages: []int{3}, Cities: []int{2, 8, 56}}},
		"one of them":  {Target{Cities: []int{8}}, Article, Target{Cities: []int{8}}},
		"everywhere":   {Target{Everywhere: true}, Article, Target{Everywhere: true}},
		"no article":   {Target{}, Personal, Target{}},
	} {
		d := articleDefinition()
		d.Kind, d.Target = c.kind, c.target
		b := of(d)
		if diff := cmp.Diff(c.want, b.Target); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		p, err := n.Plan(t.Context(), b, noon, 100)
		if err != nil {
			t.Fatal(err)
		}
		hashes[string(p.Hash)] = true
		words := strings.Join(p.Words(n.texts, "vi", noon), "\n")
		if narrowed := strings.Contains(words, "tỉnh số"); narrowed != (len(c.want.Cities) > 0) {
			t.Errorf("%s: the plan says %q", name, words)
		}
	}
	if len(hashes) != 4 {
		t.Errorf("%d different hashes of four targets", len(hashes))
	}
	// An edit that names no province is narrowed too.
	b := of(articleDefinition())
	d := articleDefinition()
	d.Agency, d.Target = "so", Target{Gender: 2}
	if err := n.Edit(t.Context(), an, b.ID, b.Version, d, noon); err != nil {
		t.Fatal(err)
	}
	b, err := n.Get(t.Context(), b.ID)
	if diff := cmp.Diff(Target{Gender: 2, Cities: []int{2, 8, 56}}, b.Target); err != nil || diff != "" {
		t.Errorf("after an edit: %v %s", err, diff)
	}
	d.Target = Target{Everywhere: true, Cities: []int{2}}
	if faults := CheckBody(n.texts, d, nil, nil); !slices.ContainsFunc(faults, func(f Fault) bool { return f.Key == "article_target" }) {
		t.Errorf("everywhere and one province: %v", faults)
	}
}

// The plan says when people get it, and why not when they should.
func TestPlanOfAnArticle(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.exec(`INSERT INTO citizen (oa_id, citizen, following, created_at) VALUES ($1, 'u1', true, $2), ($1, 'u2', false, $2)`, testOA, noon)
	b := Broadcast{OA: testOA, Definition: articleDefinition()}
	b.Schedule.At = time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC) // 23:00
	p, err := n.Plan(t.Context(), b, noon, 100)
	if err != nil {
		t.Fatal(err)
	}
	six := time.Date(2026, 11, 25, 23, 0, 0, 0, time.UTC)
	if !p.Start.Equal(six) || !p.Ends.Equal(six.Add(30*time.Minute)) || p.Waits != causeArticleNight || p.Recipients != 1 {
		t.Errorf("plan %+v", p)
	}
	words := strings.Join(p.Words(n.texts, "vi", noon), "\n")
	if !strings.Contains(words, "khoảng 30 phút") || !strings.Contains(words, "chờ đến 6 giờ") || strings.Contains(words, "broadcast.") {
		t.Error(words)
	}
}
