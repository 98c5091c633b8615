package broadcast_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/setting"
)

// TestPlanAgainstCountingOneByOne makes people of all sorts and compares the plan
// with what a loop over them finds.
func TestPlanAgainstCountingOneByOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	const n = 600
	want := broadcast.Plan{Rungs: map[push.Rung]int64{}, Skipped: map[string]int64{}}
	for i := range n {
		id := fmt.Sprintf("c%04d", i)
		following, stopped, consent := r.IntN(4) > 0, r.IntN(10) == 0, r.IntN(5) > 0
		lang := []string{"vi", "vi", "en"}[r.IntN(3)]
		o.exec(`INSERT INTO citizen (oa_id, citizen, following, language, created_at) VALUES ($1, $2, $3, $4, $5)`, oa, id, following, lang, morning.AddDate(0, -1, 0))
		ago := time.Duration(-1)
		if r.IntN(5) > 0 {
			ago = time.Duration(r.IntN(10*24*60)) * time.Minute
			if r.IntN(4) == 0 { // at the edges of the windows
				ago = []time.Duration{48*time.Hour - 2*time.Minute, 48*time.Hour - 3*time.Minute, 7*24*time.Hour - 2*time.Minute, 7*24*time.Hour - 3*time.Minute}[r.IntN(4)]
			}
			o.exec(`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at) VALUES ($1, $2, $3, $3)`, oa, id, morning.Add(-ago))
		}
		if stopped {
			o.exec(`INSERT INTO push_person (oa_id, citizen, stopped_at) VALUES ($1, $2, $3)`, oa, id, morning.Add(-time.Hour))
		}
		if consent {
			o.exec(`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at) VALUES ($1, $2, 'topic.health', 'v1', 'zalo', $3)`, oa, id, morning.Add(-time.Hour))
		}
		if lang != "vi" {
			continue
		}
		want.Audience++
		switch {
		case stopped:
			want.Skipped["stopped"]++
		case !consent:
			want.Skipped["no_consent"]++
		case ago < 0:
			want.Recipients++
			want.Rungs["held"]++
		case ago < 48*time.Hour-2*time.Minute:
			want.Recipients++
			want.Rungs[push.RungFree]++
		case ago < 7*24*time.Hour-2*time.Minute:
			want.Recipients++
			want.Rungs[push.RungPackage]++
			want.Cost += 55
		default:
			want.Recipients++
			want.Rungs["held"]++
		}
	}
	d := sample()
	d.Audience.Include.Language = "vi"
	p, err := o.Plan(t.Context(), o.get(o.draft(d)), morning, 100)
	o.must(err)
	got := broadcast.Plan{Audience: p.Audience, Recipients: p.Recipients, Rungs: p.Rungs, Skipped: p.Skipped, Cost: p.Cost}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed %d: %s", seed, diff)
	}
	// What is frozen is what was planned.
	id := o.approved(d)
	o.tick(morning)
	if run := o.lastRun(id); run.Recipients != want.Recipients || run.Cost != want.Cost {
		t.Errorf("seed %d: frozen %d at %d đồng, planned %d at %d", seed, run.Recipients, run.Cost, want.Recipients, want.Cost)
	}
}

func TestPlanTells(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(1000)
	o.exec(`UPDATE conversation SET interacted_at = $1 WHERE citizen > 'c0000400'`, morning.Add(-72*time.Hour))
	o.exec(`INSERT INTO push_budget (oa_id, rung, day, used) VALUES ($1, 'package', '2026-11-24', 100), ($1, 'package', '2026-11-02', 300)`, oa)
	plan := func(d broadcast.Definition, now time.Time, rate int) broadcast.Plan {
		t.Helper()
		p, err := o.Plan(t.Context(), o.get(o.draft(d)), now, rate)
		o.must(err)
		return p
	}
	evening := time.Date(2026, 11, 24, 14, 55, 0, 0, time.UTC) // 21:55
	for name, c := range map[string]struct {
		d       broadcast.Definition
		now     time.Time
		rate    int
		ends    time.Time
		before  bool
		inTime  int64
		article int64
	}{
		"by day":         {sample(), morning, 100, morning.Add(10 * time.Minute), true, 1000, 0},
		"over the night": {sample(), evening, 100, time.Date(2026, 11, 24, 23, 5, 0, 0, time.UTC), false, 500, 1000},
		"in the night":   {sample(), evening.Add(time.Hour), 100, time.Date(2026, 11, 24, 23, 10, 0, 0, time.UTC), true, 1000, 0},
		"slow":           {sample(), morning, 1, time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC).Add(220 * time.Minute), false, 780, 1000},
		"urgent":         {urgent(), evening, 100, evening.Add(10 * time.Minute), true, 1000, 0},
	} {
		p := plan(c.d, c.now, c.rate)
		if !p.Ends.Equal(c.ends) || p.BeforeNight != c.before || p.InTime != c.inTime || p.Article != c.article {
			t.Errorf("%s: ends %s, before the night %v, in time %d, article %d; want %s, %v, %d, %d", name,
				p.Ends, p.BeforeNight, p.InTime, p.Article, c.ends, c.before, c.inTime, c.article)
		}
	}
	p := plan(sample(), morning, 100)
	if diff := cmp.Diff(map[push.Rung]int64{push.RungPackage: 200}, p.Over); diff != "" {
		t.Errorf("beyond the budget (500 a day, 100 used): %s", diff)
	}
	d := sample()
	d.Kind = broadcast.Article
	d.Schedule = broadcast.Schedule{Cron: "0 8 * * 1", LatestStart: time.Hour}
	if p := plan(d, morning, 100); p.Recipients != 1000 || len(p.Next) != 5 {
		t.Errorf("article: %+v", p)
	}
	for _, lang := range []string{"vi", "en"} {
		words := strings.Join(plan(sample(), evening, 100).Words(o.Texts, lang, evening), "\n")
		for _, number := range []string{"1000", "400", "600", "33000", "500"} {
			if !strings.Contains(words, number) {
				t.Errorf("%s: the plan does not tell %s:\n%s", lang, number, words)
			}
		}
		if strings.Contains(words, "broadcast.") {
			t.Errorf("%s: words are missing:\n%s", lang, words)
		}
	}
}

// TestPlanKnowsWhatZaloAsksForATemplate: the plan, the check at the launch and the
// books know one price, Zalo's, and a template that Zalo does not let be sent is no
// way in the plan either.
func TestPlanKnowsWhatZaloAsksForATemplate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	settings := setting.NewStore(o.pool)
	for name, value := range map[string]string{"template.bulletin": "77", "cost.template": "200"} {
		o.must(settings.Set(t.Context(), "operator:root", name, value, nil))
	}
	values, err := settings.Load(t.Context())
	o.must(err)
	o.Values = func() setting.Values { return values }
	o.people(30)
	o.exec(`UPDATE conversation SET interacted_at = $1`, morning.Add(-30*24*time.Hour))
	d := sample()
	d.Template = "bulletin"
	plan := func() broadcast.Plan {
		t.Helper()
		p, err := o.Plan(t.Context(), o.get(o.draft(d)), morning, 100)
		o.must(err)
		return p
	}
	if p := plan(); p.Rungs["held"] != 30 || p.Cost != 0 {
		t.Errorf("before Zalo described the template: %v at %d đồng, want everybody held", p.Rungs, p.Cost)
	}
	describe := func(status string, price int) {
		o.exec(`
INSERT INTO push_template (oa_id, template_id, params, price_user, price_phone, status, checked_at) VALUES ($1, '77', '[]', $2, 0, $3, $4)
ON CONFLICT (oa_id, template_id) DO UPDATE SET price_user = EXCLUDED.price_user, status = EXCLUDED.status`, oa, price, status, morning)
	}
	describe("ENABLE", 315)
	if p := plan(); p.Rungs[push.RungTemplate] != 30 || p.Cost != 30*315 {
		t.Errorf("plan: %v at %d đồng, want 30 by template at 315 each", p.Rungs, p.Cost)
	}
	id, run := o.running(d)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	tariff, err := push.NewStore(o.pool, o.Keys).Tariff(t.Context(), oa, values)
	o.must(err)
	if r := o.lastRun(id); r.ID != run || r.Cost != 30*315 || tariff.Cost(push.RungTemplate, "bulletin") != 315 {
		t.Errorf("at the launch: %d đồng, want 30 at 315", r.Cost)
	}
	// Zalo raises the price between approval and launch: it asks.
	dearer := o.approved(d)
	describe("ENABLE", 400)
	o.tick(morning)
	if r := o.lastRun(dearer); r.State != broadcast.RunAsking || r.Cause != "cost" || r.Cost != 30*400 {
		t.Errorf("dearer than approved: %s (%s) at %d đồng, want it to ask", r.State, r.Cause, r.Cost)
	}
	describe("DISABLE", 400)
	if p := plan(); p.Rungs["held"] != 30 || p.Cost != 0 {
		t.Errorf("switched off at Zalo: %v at %d đồng, want everybody held", p.Rungs, p.Cost)
	}
}
