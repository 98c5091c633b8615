package broadcast_test

import (
	"slices"
	"testing"
	"time"
)

// TestWhatWasRolledBackIsToldToNobody lets commits fail at their very end: no mail
// goes, and the try that succeeds sends one.
func TestWhatWasRolledBackIsToldToNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(10)
	later := sample()
	later.Schedule.At = morning.Add(2 * time.Hour)
	lapses, misses := o.approved(later), o.approved(later)
	o.tick(morning)
	asks := o.approved(sample())
	o.more(3, morning)
	_, stops := o.running(urgent())
	o.exec(`UPDATE broadcast SET state = 'paused' WHERE id = $1`, misses)
	o.exec(`UPDATE broadcast SET definition = jsonb_set(definition, '{title}', '"Khác"') WHERE id = $1`, lapses)
	o.exec(`UPDATE broadcast_run SET state = 'freezing', cause = NULL WHERE broadcast = $1`, asks)
	o.mu.Lock()
	o.alarms = nil
	o.mu.Unlock()
	o.exec(`
CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gone away at the commit';
END $$`)
	o.exec(`CREATE CONSTRAINT TRIGGER gone AFTER UPDATE OR DELETE ON broadcast_run DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gone()`)
	do := func() (errs []error) {
		return []error{
			o.Tick(t.Context(), morning.Add(10*time.Minute)), // asks
			o.Tick(t.Context(), morning.Add(2*time.Hour)),    // lapses
			o.Tick(t.Context(), morning.Add(4*time.Hour)),    // misses
			o.Stop(t.Context(), stops, "quota"),
		}
	}
	for i, err := range do() {
		if err == nil {
			t.Errorf("step %d committed", i)
		}
	}
	if len(o.alarms) != 0 {
		t.Errorf("told though nothing was committed: %v", o.alarms)
	}
	o.exec(`DROP TRIGGER gone ON broadcast_run`)
	for _, err := range do() {
		o.must(err)
	}
	slices.Sort(o.alarms)
	want := []string{"broadcast.alert.asking", "broadcast.alert.lapsed", "broadcast.alert.missed", "broadcast.alert.missed", "broadcast.alert.stopped"}
	if !slices.Equal(o.alarms, want) {
		t.Errorf("told %v, want %v", o.alarms, want)
	}
}
