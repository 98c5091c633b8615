package broadcast_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot/broadcast"
)

// TestProgressOfRunsThatGo: the gauges are the books of runs that go, read a few
// seconds apart at most, and gone with the run.
func TestProgressOfRunsThatGo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(7)
	o.exec(`INSERT INTO push_person (oa_id, citizen, stopped_at) SELECT oa_id, citizen, $1 FROM citizen LIMIT 2`, morning)
	now := morning
	reg := prometheus.NewRegistry()
	reg.MustRegister(broadcast.NewProgress(o.Store, func() time.Time { return now }))
	figures := func() map[string]float64 {
		t.Helper()
		got := map[string]float64{}
		families, err := reg.Gather()
		o.must(err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetGauge().GetValue()
			}
		}
		return got
	}
	nothing := map[string]float64{}
	if diff := cmp.Diff(nothing, figures()); diff != "" {
		t.Errorf("before anything goes: %s", diff)
	}
	_, run := o.running(sample())
	if diff := cmp.Diff(nothing, figures()); diff != "" {
		t.Errorf("they were read again at once: %s", diff)
	}
	now = now.Add(6 * time.Second)
	want := map[string]float64{}
	for state, n := range map[string]float64{"pending": 5, "skipped": 2, "sent": 0, "failed": 0, "held": 0, "unknown": 0} {
		want[fmt.Sprintf("congdanso_broadcast_copies %d %s", run, state)] = n
	}
	if diff := cmp.Diff(want, figures()); diff != "" {
		t.Errorf("while it goes: %s", diff)
	}
	o.must(o.Finish(t.Context(), run, now))
	now = now.Add(6 * time.Second)
	if diff := cmp.Diff(nothing, figures()); diff != "" {
		t.Errorf("once it has ended: %s", diff)
	}
}
