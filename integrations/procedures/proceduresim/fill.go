package proceduresim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filling is the crowd of dossiers Fill makes. None is kept: the i-th is made
// anew, from i alone, whenever somebody asks, and its code and id tell i. The
// later its number, the later it was received and last changed, so that the list
// of changes needs no index.
type filling struct {
	n       int
	around  time.Time
	touches []touch      // changes by Set, oldest first
	touched map[int]bool // those of touches
}

type touch struct {
	at time.Time
	i  int
}

// Bounds of the crowd: received in the thirty days that end receivedBefore days
// before around; due in the thirty days that begin dueBefore days before it.
const (
	filledDays     = 30
	receivedBefore = 15
	dueBefore      = 10
	filledFrom     = 1_000_000 // running number of the first
)

// Fill adds n dossiers that are being processed, at most a million, in place of
// those an earlier Fill added, and returns their codes. Their due dates are
// spread from ten days before around to twenty days after it. They cost no memory
// until Set changes them.
func (s *Sim) Fill(n int, around time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filled = filling{n: min(n, 1_000_000), around: around.In(local).Truncate(time.Second), touched: map[int]bool{}}
	codes := make([]string, s.filled.n)
	for i := range codes {
		codes[i] = s.filled.code(i)
	}
	return codes
}

func (f *filling) received(i int) time.Time {
	began := f.around.AddDate(0, 0, -receivedBefore-filledDays)
	return began.Add(filledDays * 24 * time.Hour * time.Duration(i) / time.Duration(f.n)).Truncate(time.Second)
}

// updated is when it was last changed, Set aside.
func (f *filling) updated(i int) time.Time { return f.received(i).Add(time.Hour) }

func (f *filling) agency(i int) agency { return communes[i%len(communes)] }

func (f *filling) code(i int) string {
	return fmt.Sprintf("%s-%s-%d", f.agency(i).code, f.received(i).Format("060102"), filledFrom+i)
}

// byCode tells which of the crowd has this code.
func (f *filling) byCode(code string) (i int, ok bool) {
	n, err := strconv.Atoi(code[strings.LastIndexByte(code, '-')+1:])
	i = n - filledFrom
	if err != nil || i < 0 || i >= f.n || !strings.EqualFold(code, f.code(i)) {
		return 0, false
	}
	return i, true
}

// filledID begins the ids of the crowd; as a time it lies far ahead.
const filledID = "f111ed00"

func (f *filling) id(i int) string { return fmt.Sprintf("%s%016x", filledID, i) }

func (f *filling) byID(id string) (i int, ok bool) {
	rest, mine := strings.CutPrefix(id, filledID)
	n, err := strconv.ParseUint(rest, 16, 63)
	if !mine || err != nil || n >= uint64(f.n) {
		return 0, false
	}
	return int(n), true
}

func (f *filling) dossier(i int) *dossier {
	p := i % len(catalogue)
	received := f.received(i)
	// A stride that shares no factor with the days keeps due dates apart from the
	// order of receipt.
	y, m, day := f.around.AddDate(0, 0, i*7%filledDays-dueBefore).Date()
	officer := officers[i%len(officers)]
	return &dossier{
		id: f.id(i), code: f.code(i), procedure: catalogue[p], procedureID: procedureID(p), agency: f.agency(i), online: true,
		owner: person{
			name:     strings.ToUpper(families[i%len(families)] + " " + middles[i%len(middles)] + " " + givens[i%len(givens)]),
			phone:    fmt.Sprintf("+84900%06d", i%1_000_000),
			identity: fmt.Sprintf("037190%06d", i%1_000_000),
		},
		life: []event{
			{at: received.Add(-time.Hour), status: 1, name: names[1], step: "Nộp hồ sơ", applied: true},
			{at: received, status: 2, name: names[2], step: "Tiếp nhận hồ sơ", officer: officer, due: time.Date(y, m, day, 17, 0, 0, 0, local)},
			{at: f.updated(i), status: 4, name: names[4], step: "Thẩm định hồ sơ", officer: officer, words: "Chuyển xử lý"},
		},
	}
}

func (f *filling) touch(at time.Time, i int) {
	place, _ := slices.BinarySearchFunc(f.touches, at, func(t touch, at time.Time) int {
		if t.at.After(at) {
			return 1
		}
		return -1
	})
	f.touches = slices.Insert(f.touches, place, touch{at, i})
	f.touched[i] = true
}

// touchedSince returns those Set has changed between the two moments, each once,
// newest first.
func (f *filling) touchedSince(from, to time.Time) []change {
	var out []change
	seen := map[int]bool{}
	for _, t := range slices.Backward(f.touches) {
		if t.at.Before(from) {
			break
		}
		if !t.at.After(to) && !seen[t.i] {
			seen[t.i] = true
			out = append(out, change{t.at, func() *dossier { return f.dossier(t.i) }})
		}
	}
	return out
}

// still yields those last changed between the two moments that Set has not
// changed, newest first.
func (f *filling) still(from, to time.Time) func() (change, bool) {
	i := f.n - 1
	return func() (change, bool) {
		for ; i >= 0; i-- {
			at := f.updated(i)
			if at.Before(from) {
				break
			}
			if at.After(to) || f.touched[i] {
				continue
			}
			mine := i
			i--
			return change{at, func() *dossier { return f.dossier(mine) }}, true
		}
		return change{}, false
	}
}
