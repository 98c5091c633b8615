package dossier

import "time"

// Timing says how a dossier stands to its due date.
type Timing string

// The timings. Only TimingLate and TimingDoneLate mean late.
const (
	TimingNone     Timing = "none"      // no due date, or nothing can be said
	TimingDoubtful Timing = "doubtful"  // the due date lies before the receipt: the system's data is wrong
	TimingOpen     Timing = "open"      // not due yet
	TimingLate     Timing = "late"      // open and past its date
	TimingPaused   Timing = "paused"    // papers are wanted: the clock stands still
	TimingOnTime   Timing = "on_time"   // finished in time
	TimingDoneLate Timing = "done_late" // finished after its date
)

// Timing tells how the dossier stands at now, by the rules of the national
// scores (QĐ 766/QĐ-TTg): finished by the due date is on time; while open it is
// late once the date has passed; while papers are wanted the clock stops.
func (p *Public) Timing(now time.Time) Timing {
	switch {
	case p.DueAt.IsZero():
		return TimingNone
	case !p.ReceivedAt.IsZero() && p.DueAt.Before(p.ReceivedAt):
		return TimingDoubtful
	case !p.FinishedAt.IsZero():
		if p.FinishedAt.After(p.DueAt) {
			return TimingDoneLate
		}
		return TimingOnTime
	case p.Status == StatusReady || p.Status == StatusReturned:
		// Finished, but the system does not say when: handed over in time, or
		// not yet due, proves it was in time; nothing proves the opposite.
		if !p.ReturnedAt.IsZero() && !p.ReturnedAt.After(p.DueAt) || !now.After(p.DueAt) {
			return TimingOnTime
		}
		return TimingNone
	case p.Status.Ended():
		return TimingNone
	case p.Status == StatusSupplement:
		return TimingPaused
	case now.After(p.DueAt):
		return TimingLate
	}
	return TimingOpen
}

// Late reports whether the dossier is, or was finished, late.
func (p *Public) Late(now time.Time) bool {
	t := p.Timing(now)
	return t == TimingLate || t == TimingDoneLate
}

// Timing is Public.Timing with what only the detail knows: the time spent waiting
// for papers is taken out, where the system has not moved the date itself.
func (d *Detail) Timing(now time.Time) Timing {
	p := d.inForce()
	return p.Timing(now)
}

// inForce is the public part with the due date that decides on lateness.
func (d *Detail) inForce() Public {
	p := d.Public
	moved := !p.OldDueAt.IsZero()
	var waited time.Duration
	for _, s := range d.Supplements {
		moved = moved || !s.NewDue.IsZero()
		if s.DoneAt.After(s.At) && !s.At.IsZero() {
			waited += s.DoneAt.Sub(s.At)
		}
	}
	if !moved && !p.DueAt.IsZero() {
		p.DueAt = p.DueAt.Add(waited)
	}
	return p
}

// Late reports whether the dossier is, or was finished, late.
func (d *Detail) Late(now time.Time) bool {
	t := d.Timing(now)
	return t == TimingLate || t == TimingDoneLate
}

// ScoredLate reports whether the national scores count the dossier as late: they
// do so also where papers were asked for more than once.
func (d *Detail) ScoredLate(now time.Time) bool { return len(d.Supplements) > 1 || d.Late(now) }
