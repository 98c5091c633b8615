package proceduresim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Change is what happens to a dossier in a test or on the developers' page.
type Change struct {
	Status     int       // national number; 0 keeps the status
	StatusName string    // default: the usual words for Status
	Step       string    // default "Cập nhật"
	Officer    string    // default: a sample officer
	Words      string    // the officer's words
	Papers     []string  // papers wanted, with status 5
	Due        time.Time // new due date, if not zero
	Paid       bool      // the fee was paid
}

// Set lets something happen to a dossier now, and pushes it if PushTo said where
// to. From then on the dossier has no plans of its own.
func (s *Sim) Set(code string, c Change) error {
	found := s.byCode(code)
	if len(found) == 0 {
		return fmt.Errorf("no dossier %s", code)
	}
	d := found[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	past := d.past(now, s.set[d.code])
	last := past[len(past)-1]
	e := event{
		at: now, status: c.Status, name: c.StatusName, step: cmp.Or(c.Step, "Cập nhật"),
		officer: cmp.Or(c.Officer, officers[0]), words: c.Words, papers: c.Papers, due: c.Due, paid: c.Paid,
	}
	if e.status == 0 {
		e.status = last.status
		e.name = cmp.Or(e.name, last.name)
	}
	e.name = cmp.Or(e.name, names[e.status])
	s.set[d.code] = append(s.set[d.code], e)
	if i, ok := s.filled.byCode(d.code); ok {
		s.filled.touch(now, i)
	}
	s.enqueue(d)
	return nil
}

// change is a dossier's place in the list of changes.
type change struct {
	at   time.Time
	make func() *dossier
}

// changedSince returns n dossiers changed since then, newest first, after the
// first skip of them, and whether more follow.
func (s *Sim) changedSince(from time.Time, skip, n int) (page []*dossier, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	var moved []change
	for _, d := range s.listed() {
		if at := d.updated(now, s.set[d.code]); !at.Before(from) {
			moved = append(moved, change{at, func() *dossier { return d }})
		}
	}
	moved = append(moved, s.filled.touchedSince(from, now)...)
	slices.SortStableFunc(moved, func(a, b change) int { return b.at.Compare(a.at) })
	// Most of what Fill made lies still, in order of its last change, and is
	// merged in as far as the page reaches.
	still := s.filled.still(from, now)
	next, have := still()
	for i := 0; ; i++ {
		var c change
		switch {
		case len(moved) > 0 && (!have || !moved[0].at.Before(next.at)):
			c, moved = moved[0], moved[1:]
		case have:
			c = next
			next, have = still()
		default:
			return page, false
		}
		if i >= skip+n {
			return page, true
		}
		if i >= skip {
			page = append(page, c.make())
		}
	}
}
