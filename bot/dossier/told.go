package dossier

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"congdanso/bot/setting"
)

// Kinds of notices about a followed dossier.
const (
	KindChanged    = "dossier.changed"
	KindSupplement = "dossier.supplement" // papers are wanted
	KindFee        = "dossier.fee"        // a fee is to be paid
	KindDue        = "dossier.due"        // the result is due tomorrow
	KindOverdue    = "dossier.overdue"    // it is late, or was and has a new date
	KindReady      = "dossier.ready"      // the result is there
	KindEnded      = "dossier.ended"      // nothing more is coming
	KindRating     = "dossier.rating"     // how was it?
)

// NoticePrefix begins the kinds of all notices about dossiers.
const NoticePrefix = "dossier."

// What is told. Off where the province's own system sends such messages.
var (
	tellChange  = setting.Bool("notices.change", true)
	tellDue     = setting.Bool("notices.due", true)
	tellOverdue = setting.Bool("notices.overdue", true)
	tellReady   = setting.Bool("notices.ready", true)
	tellRating  = setting.Bool("notices.rating", true)
)

// wanted reports whether notices of a kind are told.
func wanted(kind string, v setting.Values) bool {
	switch kind {
	case KindDue:
		return tellDue.Of(v)
	case KindOverdue:
		return tellOverdue.Of(v)
	case KindReady:
		return tellReady.Of(v)
	case KindRating:
		return tellRating.Of(v)
	}
	return tellChange.Of(v)
}

// told is the state of a dossier as its followers know it: what decides whether
// there is something new. It rests sealed.
type told struct {
	Public Public    `json:"public"`
	Due    time.Time `json:"due,omitzero"`    // the date that decides on lateness
	Asked  string    `json:"asked,omitempty"` // the open requests for papers, as one string
	Owed   string    `json:"owed,omitempty"`  // the fees to be paid, as one string
}

// toldOf makes the state out of a detail. What could not be read is taken from
// the state before.
func toldOf(d *Detail, before *told) told {
	p := d.inForce()
	t := told{Public: d.Public, Due: p.DueAt}
	if p.Timing(p.ReceivedAt) == TimingDoubtful {
		t.Due = time.Time{}
	}
	if d.Complete {
		var asked []string
		for _, s := range d.Supplements {
			if s.DoneAt.IsZero() {
				asked = append(asked, strconv.FormatInt(s.At.Unix(), 10)+" "+strings.TrimSpace(s.Words)+fmt.Sprint(s.Papers))
			}
		}
		t.Asked = strings.Join(asked, "\n")
	} else if before != nil {
		t.Asked = before.Asked
		if t.Public.Status == before.Public.Status {
			t.Public.DueAt, t.Due = before.Public.DueAt, before.Due
		}
	}
	if d.FeesKnown {
		var owed []string
		for _, f := range d.Fees {
			if f.Required && !f.Paid && f.Amount > 0 {
				owed = append(owed, f.Name+" "+strconv.FormatInt(f.Amount, 10))
			}
		}
		t.Owed = strings.Join(owed, "\n")
	} else if before != nil {
		t.Owed = before.Owed
	}
	return t
}

// fingerprint is the keyed hash of what people are told about: two states with
// the same one are the same to them. The system's name of a status counts only
// where the national status is not known; who has the dossier, or when it was
// touched, is no news.
func (s *Store) fingerprint(code Code, t *told) []byte {
	name := ""
	if !t.Public.Status.Known() {
		name = t.Public.StatusName
	}
	return s.ring.Hash("dossier.told", string(code), strconv.Itoa(int(t.Public.Status)), name,
		unix(t.Public.DueAt), t.Asked, t.Owed)
}

func unix(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

const purposeTold = "dossier.told"

func (s *Store) sealTold(t *told) []byte {
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings, numbers and times can be encoded
	}
	return s.ring.Seal(purposeTold, raw)
}

func (s *Store) openTold(sealed []byte) (*told, error) {
	if sealed == nil {
		return nil, nil
	}
	raw, err := s.ring.Open(purposeTold, sealed)
	if err != nil {
		return nil, err
	}
	t := &told{}
	if err := json.Unmarshal(raw, t); err != nil {
		return nil, fmt.Errorf("decode told state: %w", err)
	}
	return t, nil
}

// kindOf says what kind of news a state is after another.
func kindOf(before, now *told, at time.Time) string {
	p, old := &now.Public, &before.Public
	changed := p.Status != old.Status
	switch {
	case p.Status.Ended() && changed:
		return KindEnded
	case p.Status == StatusReady && changed:
		return KindReady
	case p.Status == StatusSupplement && (changed || now.Asked != before.Asked && now.Asked != ""):
		return KindSupplement
	case p.Status == StatusPayment && changed, now.Owed != before.Owed && now.Owed != "" && !p.Status.Ended():
		return KindFee
	case moved(before, now) && at.After(old.DueAt):
		return KindOverdue
	}
	return KindChanged
}

// moved reports whether the due date was put off.
func moved(before, now *told) bool {
	return !before.Public.DueAt.IsZero() && now.Public.DueAt.After(before.Public.DueAt)
}

// remindAt is when something is to be told though nothing changes: the morning
// before the due date, and a while after it has passed. Zero: nothing.
func (t *told) remindAt(dueTold, lateTold, now time.Time) time.Time {
	p := t.Public
	p.DueAt = t.Due
	switch p.Timing(now) {
	case TimingOpen:
		if !dueTold.Equal(t.Due) {
			return later(morningBefore(t.Due), now)
		}
	case TimingLate:
	default:
		return time.Time{}
	}
	if lateTold.Equal(t.Due) {
		return time.Time{}
	}
	return later(t.Due.Add(lateAfter), now)
}

// lateAfter is how long after the due date it is told that it has passed: offices
// close their books late in the day.
const lateAfter = 30 * time.Minute

// morningBefore is 08:00 on the day before t, where the people live.
func morningBefore(t time.Time) time.Time {
	y, m, d := t.In(Local).Date()
	return time.Date(y, m, d-1, 8, 0, 0, 0, Local)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reminder is what is due to be told at now though nothing changed; empty: nothing.
func (t *told) reminder(dueTold, lateTold, now time.Time) string {
	p := t.Public
	p.DueAt = t.Due
	switch p.Timing(now) {
	case TimingOpen:
		if !dueTold.Equal(t.Due) && !now.Before(morningBefore(t.Due)) {
			return KindDue
		}
	case TimingLate:
		if !lateTold.Equal(t.Due) && !now.Before(t.Due.Add(lateAfter)) {
			return KindOverdue
		}
	}
	return ""
}

// settled marks what a follower who knows the state at now need not be told of:
// that it is due tomorrow, or late.
func (t *told) settled(dueTold, lateTold, now time.Time) (due, late time.Time) {
	switch t.reminder(dueTold, lateTold, now) {
	case KindDue:
		return t.Due, lateTold
	case KindOverdue:
		return dueTold, t.Due
	}
	return dueTold, lateTold
}

// ratedAt is when the rating is asked for: the morning after the result was
// handed over.
func ratedAt(now time.Time) time.Time {
	y, m, d := now.In(Local).Date()
	return time.Date(y, m, d+1, 9, 0, 0, 0, Local)
}
