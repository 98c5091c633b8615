// Package unit knows the administrative units of the province (đơn vị hành
// chính): provinces, the districts there were, and communes, as they are and as
// they were.
//
// A unit is known by its code and its period, never by the code alone: codes
// and names are given again when units merge. What people say is often the name
// of a unit that has ended, so every old commune leads to the communes of today
// through the table of successors, step by step where it changed more than
// once. Where a commune was split, or a name means several units, the answer is
// all of them and the resident is asked; nothing here guesses.
//
// The tables are content (units/ in content): another province brings its own.
package unit

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Zone is the zone in whose days units begin and end.
var Zone = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600)

// The kinds of units, as the tables write them.
const (
	Province    = "tinh"
	City        = "thanh_pho"
	Town        = "thi_xa"
	District    = "huyen"
	Borough     = "quan"
	Commune     = "xa"
	Ward        = "phuong"
	Township    = "thi_tran"
	SpecialZone = "dac_khu"
)

// level is how high a kind of unit stands.
type level int

const (
	communeLevel level = iota
	districtLevel
	provinceLevel
)

// kinds says of every kind its level and the last part of its content key.
var kinds = map[string]struct {
	level level
	key   string
}{
	Province:    {provinceLevel, "province"},
	City:        {districtLevel, "city"},
	Town:        {districtLevel, "town"},
	District:    {districtLevel, "district"},
	Borough:     {districtLevel, "borough"},
	Commune:     {communeLevel, "commune"},
	Ward:        {communeLevel, "ward"},
	Township:    {communeLevel, "township"},
	SpecialZone: {communeLevel, "zone"},
}

// Unit is one unit during one period.
type Unit struct {
	Code   string
	Name   string // without its kind
	Kind   string
	Parent string    // code of the unit it belonged to; empty for a province
	From   time.Time // first day; zero: before the records
	To     time.Time // last day; zero: in force
}

// In reports whether u is in force at a moment.
func (u Unit) In(at time.Time) bool {
	return !at.Before(u.From) && (u.To.IsZero() || at.Before(u.To.AddDate(0, 0, 1)))
}

// IsCommune reports whether u is a commune, ward, township or special zone.
func (u Unit) IsCommune() bool { return kinds[u.Kind].level == communeLevel }

// Ref names u, and no other unit, in payloads and stored audiences: the code of
// a unit without an end, and code@last-day of one that ended.
func (u Unit) Ref() string {
	if u.To.IsZero() {
		return u.Code
	}
	return u.Code + "@" + u.To.Format(time.DateOnly)
}

// level is u's level; a city that belongs to no province is one itself.
func (u Unit) level() level {
	if u.Parent == "" {
		return provinceLevel
	}
	return kinds[u.Kind].level
}

// overlaps reports whether u and v were in force on a common day.
func (u Unit) overlaps(v Unit) bool {
	return (u.To.IsZero() || !v.From.After(u.To)) && (v.To.IsZero() || !u.From.After(v.To))
}

// link is one step of succession: what (a part of) a unit became on a day.
type link struct {
	to int
	on time.Time
}

// Units are the units of the tables. They do not change once loaded, and may be
// used by many at once. Units are addressed by their place in all.
type Units struct {
	all      []Unit // by code, then by period
	byRef    map[string]int
	byCode   map[string][]int // in the order of all, so the latest last
	children [][]int
	next     [][]link
	prev     [][]int
	above    [][]int // units that u, or a unit that became u, belonged to

	words    words
	names    map[string][]int // by key of the name
	joined   []joinedName     // the same names without spaces, sorted
	longest  int              // words of the longest name
	tones    []string         // name of each unit as fold.Tone has it
	homonyms []bool           // another unit has the same kind and name
}

// Get finds a unit by its Ref. A code alone is the unit without an end that
// bears it, else the last that bore it.
func (us *Units) Get(ref string) (Unit, bool) {
	i, ok := us.find(ref)
	if !ok {
		return Unit{}, false
	}
	return us.all[i], true
}

func (us *Units) find(ref string) (int, bool) {
	if i, ok := us.byRef[ref]; ok {
		return i, true
	}
	if list := us.byCode[ref]; len(list) > 0 {
		return list[len(list)-1], true
	}
	return 0, false
}

// Current is the unit that bears code today.
func (us *Units) Current(code string, today time.Time) (Unit, bool) {
	for _, i := range us.byCode[code] {
		if us.all[i].In(today) {
			return us.all[i], true
		}
	}
	return Unit{}, false
}

// Communes are the communes of today, by code.
func (us *Units) Communes(today time.Time) []Unit {
	var list []Unit
	for _, u := range us.all {
		if u.IsCommune() && u.In(today) {
			list = append(list, u)
		}
	}
	return list
}

// Successors are the communes of today that a unit (by Ref or code) leads to, by
// code; whole is false where they are several, and nobody but the resident
// knows which one is theirs. A commune of today leads to itself.
func (us *Units) Successors(ref string, today time.Time) (communes []Unit, whole bool) {
	i, ok := us.find(ref)
	if !ok {
		return nil, false
	}
	reached := us.reach(i, today)
	return us.pick(reached), len(reached) == 1
}

// Predecessors are all communes that became, wholly or in part and over any
// number of steps, the unit named by ref: the latest first, then by code.
func (us *Units) Predecessors(ref string) []Unit {
	i, ok := us.find(ref)
	if !ok {
		return nil
	}
	seen := map[int]bool{}
	var walk func(int)
	walk = func(i int) {
		for _, p := range us.prev[i] {
			if !seen[p] {
				seen[p] = true
				walk(p)
			}
		}
	}
	walk(i)
	list := make([]Unit, 0, len(seen))
	for p := range seen {
		list = append(list, us.all[p])
	}
	slices.SortFunc(list, func(a, b Unit) int {
		return cmp.Or(b.To.Compare(a.To), strings.Compare(a.Code, b.Code))
	})
	return list
}

// Expansion is what a list of codes means today.
type Expansion struct {
	Present []string // codes of communes of today, sorted, each once
	// Split are old communes among those asked for that were divided: all parts
	// are in Present, which so reaches further than was asked.
	Split   []Unit
	Unknown []string // what names no unit, or one that leads nowhere, as given
}

// Expand turns codes and Refs, of any level and any period, into the communes of
// today.
func (us *Units) Expand(codes []string, today time.Time) Expansion {
	var e Expansion
	present, split := map[string]bool{}, map[int]bool{}
	for _, code := range codes {
		i, ok := us.find(strings.TrimSpace(code))
		var reached []int
		if ok {
			reached = us.reach(i, today)
		}
		if len(reached) == 0 {
			e.Unknown = append(e.Unknown, code)
			continue
		}
		for _, r := range reached {
			present[us.all[r].Code] = true
		}
		for _, c := range us.communesOf(i, today) {
			split[c] = split[c] || len(us.reach(c, today)) > 1
		}
	}
	for code := range present {
		e.Present = append(e.Present, code)
	}
	slices.Sort(e.Present)
	for i, u := range us.all {
		if split[i] {
			e.Split = append(e.Split, u)
		}
	}
	return e
}

// reach are the communes of today that unit i leads to, in the order of all.
func (us *Units) reach(i int, today time.Time) []int {
	var reached []int
	var follow func(int)
	follow = func(c int) {
		if us.all[c].In(today) {
			reached = append(reached, c)
			return
		}
		for _, l := range us.next[c] {
			if !today.Before(l.on) {
				follow(l.to)
			}
		}
	}
	for _, c := range us.communesOf(i, today) {
		follow(c)
	}
	slices.Sort(reached)
	return slices.Compact(reached)
}

// communesOf is unit i itself where it is a commune, else the communes it is
// made of today, or was made of where it has ended.
func (us *Units) communesOf(i int, today time.Time) []int {
	if us.all[i].IsCommune() {
		return []int{i}
	}
	var list []int
	for _, c := range us.children[i] {
		if !us.all[i].In(today) || us.all[c].In(today) {
			list = append(list, us.communesOf(c, today)...)
		}
	}
	return list
}

func (us *Units) pick(places []int) []Unit {
	list := make([]Unit, len(places))
	for n, i := range places {
		list[n] = us.all[i]
	}
	return list
}
