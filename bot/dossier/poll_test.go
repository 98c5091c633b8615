package dossier_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"congdanso/bot/dossier"
)

// list is the list of changes a test holds in its hand.
type list struct {
	mu      sync.Mutex
	none    bool
	err     error
	pages   [][]dossier.Change
	asked   []time.Time
	reading int
}

func (l *list) Changes(_ context.Context, since time.Time, page int) ([]dossier.Change, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if page == 0 {
		l.asked = append(l.asked, since)
		l.reading++
	}
	switch {
	case l.none:
		return nil, false, dossier.ErrNoChanges
	case l.err != nil:
		return nil, false, l.err
	case page >= len(l.pages):
		return nil, false, nil
	}
	return l.pages[page], page+1 < len(l.pages), nil
}

func TestWhatTheChangesListSays(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.list.none = false
	poll := func(d time.Duration) int {
		t.Helper()
		w.clock.add(d)
		n, err := w.Poll(t.Context(), w.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := poll(time.Minute); n != 0 {
		t.Errorf("hinted %d by an empty list", n)
	}
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	at := w.clock.now()
	w.list.pages = [][]dossier.Change{{{Code: nowhere, UpdatedAt: at}}, {{Code: "H42.16-240612-0007", NationCode: code, UpdatedAt: at}}}
	if n := poll(30 * time.Second); n != 1 {
		t.Errorf("hinted %d, want the one on the second page, by its national code", n)
	}
	w.look(10 * time.Second)
	w.tells("a line of the list", "100 dossier.ready")
	asked := w.asked()
	for range 10 { // the list is read with overlap; what was seen is not looked at again
		if n := poll(30 * time.Second); n != 0 {
			t.Errorf("hinted %d again", n)
		}
		w.look(10 * time.Second)
	}
	if n := w.asked() - asked; n != 0 {
		t.Errorf("asked %d times for what is known", n)
	}
	if since := w.list.asked[2]; at.Sub(since) > 11*time.Minute || at.Sub(since) < 9*time.Minute {
		t.Errorf("read since %s, want ten minutes before the last reading, %s", since, at)
	}
	// A list that is ahead of the look-up: asked again until it has caught up.
	w.list.pages = [][]dossier.Change{{{Code: code, UpdatedAt: w.clock.now()}}}
	poll(30 * time.Second)
	w.look(10 * time.Second)
	w.tells("not there yet")
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReturned; r.ReturnedAt = w.clock.now() })
	w.look(time.Minute)
	w.tells("caught up", "100 dossier.ended")
	// An error keeps the mark.
	w.list.err = &dossier.Unavailable{Err: errors.New("503")}
	before := w.clock.now()
	w.clock.add(time.Hour)
	if _, err := w.Poll(t.Context(), w.clock.now()); err == nil {
		t.Error("no error of an unavailable list")
	}
	w.list.err, w.list.pages = nil, nil
	poll(time.Hour)
	if since := w.list.asked[len(w.list.asked)-1]; since.After(before) {
		t.Errorf("read since %s though nothing was read after %s", since, before)
	}
}

// Where there is no list any more, dossiers that were left to it come up within a
// day, and the list is tried again now and then.
func TestAListThatIsGone(t *testing.T) {
	w := watch(t)
	w.list.none = false
	poll := func(d time.Duration) {
		t.Helper()
		w.clock.add(d)
		if _, err := w.Poll(t.Context(), w.clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	poll(time.Minute)
	w.change(func(r *dossier.Record) { r.DueAt = w.clock.now().AddDate(0, 0, 40) })
	w.followed(anna)
	asked := w.asked()
	for range 48 {
		w.look(time.Hour)
		poll(time.Second)
	}
	if n := w.asked() - asked; n > 1 {
		t.Errorf("asked %d times in two days with the list", n)
	}
	w.list.none = true
	read := w.list.reading
	asked = w.asked()
	for range 24 {
		w.look(time.Hour)
		poll(time.Second)
	}
	if n := w.asked() - asked; n == 0 {
		t.Error("not looked at in the day after the list was gone")
	}
	for range 60 {
		poll(30 * time.Second)
	}
	if n := w.list.reading - read; n < 24 || n > 30 {
		t.Errorf("the list was tried %d times", n)
	}
	w.tells("nothing changed")
}

func TestOneInstanceReadsTheList(t *testing.T) {
	w := watch(t)
	w.list.none = false
	for range 3 {
		if _, err := w.Poll(t.Context(), w.clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	if w.list.reading != 1 {
		t.Errorf("read %d times at once", w.list.reading)
	}
}
