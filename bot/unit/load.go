package unit

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"congdanso/bot/fold"
)

// The files, under the root of the content.
const (
	unitsFile      = "units/units.csv"
	successorsFile = "units/successors.csv"
	wordsFile      = "units/words.toml"
)

// Load reads the tables. The error tells all faults at once.
func Load(fsys fs.FS) (*Units, error) {
	us, faults := load(fsys)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return us, nil
}

// Check tells what is wrong with the tables, one error a fault.
func Check(fsys fs.FS) []error {
	_, faults := load(fsys)
	return faults
}

// loader collects faults while it fills Units.
type loader struct {
	*Units
	fsys   fs.FS
	faults []error
}

func (l *loader) fault(file string, line int, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

// load is Load with its faults apart.
func load(fsys fs.FS) (*Units, []error) {
	l := &loader{Units: &Units{byRef: map[string]int{}, byCode: map[string][]int{}}, fsys: fsys}
	l.readWords()
	l.readUnits()
	if len(l.faults) > 0 {
		return nil, l.faults // what follows would only repeat them
	}
	l.findParents()
	l.readSuccessors()
	l.checkEnds()
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	l.lookAbove()
	l.indexNames()
	return l.Units, nil
}

// row is a line of a table by the names of its columns.
type row struct {
	line   int
	fields map[string]string
}

// rows reads a table that must have the given columns.
func (l *loader) rows(file string, columns ...string) []row {
	f, err := l.fsys.Open(file)
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("open %s: %w", file, err))
		return nil
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		l.fault(file, 1, "%v", err)
		return nil
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // spreadsheets put it there
	for _, c := range columns {
		if !slices.Contains(head, c) {
			l.fault(file, 1, "no column %q", c)
			return nil
		}
	}
	records, err := r.ReadAll()
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("%s: %w", file, err))
		return nil
	}
	rows := make([]row, len(records))
	for n, record := range records {
		rows[n] = row{line: n + 2, fields: make(map[string]string, len(head))}
		for c, value := range record {
			rows[n].fields[head[c]] = strings.TrimSpace(value)
		}
	}
	return rows
}

// day reads a date; empty is the zero time.
func (l *loader) day(file string, r row, column string) time.Time {
	if r.fields[column] == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.DateOnly, r.fields[column], Zone)
	if err != nil {
		l.fault(file, r.line, "%s %q is not a date such as 2025-07-01", column, r.fields[column])
	}
	return t
}

// readUnits reads the table of units and puts them in order.
func (l *loader) readUnits() {
	type placed struct {
		Unit
		line int
	}
	var list []placed
	for _, r := range l.rows(unitsFile, "code", "name", "kind", "parent", "valid_from", "valid_to") {
		u := Unit{Code: r.fields["code"], Kind: r.fields["kind"], Parent: r.fields["parent"],
			From: l.day(unitsFile, r, "valid_from"), To: l.day(unitsFile, r, "valid_to")}
		if u.Code == "" || strings.ContainsAny(u.Code, "@ ") {
			l.fault(unitsFile, r.line, "code %q", u.Code)
		}
		if !u.To.IsZero() && u.To.Before(u.From) {
			l.fault(unitsFile, r.line, "%s ends before it begins", u.Code)
		}
		if _, ok := kinds[u.Kind]; !ok {
			l.fault(unitsFile, r.line, "unknown kind %q", u.Kind)
			continue
		}
		if word := l.words.first[u.Kind]; word != "" {
			var ok bool
			if u.Name, ok = cutKind(r.fields["name"], word); !ok {
				l.fault(unitsFile, r.line, "name %q does not begin with its kind, %q", r.fields["name"], word)
			}
		}
		if u.IsCommune() && u.Parent == "" {
			l.fault(unitsFile, r.line, "%s has no parent", u.Code)
		}
		list = append(list, placed{u, r.line})
	}
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].Code != list[j].Code {
			return list[i].Code < list[j].Code
		}
		return list[i].From.Before(list[j].From)
	})
	for i, p := range list {
		if i > 0 && list[i-1].Code == p.Code {
			before := list[i-1]
			switch {
			case before.From.Equal(p.From):
				l.fault(unitsFile, p.line, "%s is given twice for the same period (line %d)", p.Code, before.line)
			case before.overlaps(p.Unit):
				l.fault(unitsFile, p.line, "%s overlaps its period in line %d", p.Code, before.line)
			}
		}
		l.all = append(l.all, p.Unit)
		l.byRef[p.Ref()] = i
		l.byCode[p.Code] = append(l.byCode[p.Code], i)
	}
	l.children = make([][]int, len(l.all))
	l.next = make([][]link, len(l.all))
	l.prev = make([][]int, len(l.all))
}

// cutKind takes the word of its kind from a name.
func cutKind(name, word string) (string, bool) {
	head, rest := name, ""
	if len(name) > len(word) {
		head, rest = name[:len(word)], name[len(word):]
	}
	if !strings.EqualFold(head, word) || !strings.HasPrefix(rest, " ") {
		return name, false
	}
	rest = strings.TrimSpace(rest)
	return rest, fold.Fold(rest) != ""
}

// findParents joins every unit to those it belonged to.
func (l *loader) findParents() {
	for i, u := range l.all {
		if u.Parent == "" {
			continue
		}
		found := false
		for _, p := range l.byCode[u.Parent] {
			if parent := l.all[p]; parent.overlaps(u) && parent.level() > u.level() {
				l.children[p] = append(l.children[p], i)
				found = true
			}
		}
		if !found {
			l.faults = append(l.faults, fmt.Errorf("%s: %s: no unit %q above it in its time", unitsFile, u.Ref(), u.Parent))
		}
	}
}

// readSuccessors joins every commune that ended to those it became.
func (l *loader) readSuccessors() {
	rows := l.rows(successorsFile, "old_code", "old_name", "new_code", "new_name", "extent", "changed_on")
	type change struct {
		from int
		part bool
	}
	count := map[change]int{}
	for _, r := range rows {
		on := l.day(successorsFile, r, "changed_on")
		if on.IsZero() {
			l.fault(successorsFile, r.line, "no day in changed_on")
			continue
		}
		from := l.at(r, "old", func(u Unit) bool { return u.To.Equal(on.AddDate(0, 0, -1)) })
		to := l.at(r, "new", func(u Unit) bool { return u.In(on) })
		extent := r.fields["extent"]
		if extent != "whole" && extent != "part" {
			l.fault(successorsFile, r.line, "extent %q is neither whole nor part", extent)
		}
		if from < 0 || to < 0 {
			continue
		}
		if slices.Contains(l.next[from], link{to, on}) {
			l.fault(successorsFile, r.line, "%s to %s is given twice", r.fields["old_code"], r.fields["new_code"])
			continue
		}
		count[change{from, extent == "part"}]++
		l.next[from] = append(l.next[from], link{to, on})
		l.prev[to] = append(l.prev[to], from)
	}
	for i, u := range l.all {
		whole, parts := count[change{i, false}], count[change{i, true}]
		if whole > 1 || parts == 1 || whole > 0 && parts > 0 {
			l.faults = append(l.faults, fmt.Errorf("%s: %s became %d units as a whole and %d in part", successorsFile, u.Ref(), whole, parts))
		}
	}
}

// at is the commune that one side of a row of successors names, -1 when none.
func (l *loader) at(r row, side string, inTime func(Unit) bool) int {
	code, name := r.fields[side+"_code"], r.fields[side+"_name"]
	for _, i := range l.byCode[code] {
		u := l.all[i]
		if !inTime(u) || !u.IsCommune() {
			continue
		}
		if want := l.words.first[u.Kind] + " " + u.Name; fold.Tone(name) != fold.Tone(want) {
			l.fault(successorsFile, r.line, "%s is %q, not %q", code, want, name)
		}
		return i
	}
	l.fault(successorsFile, r.line, "no %s commune %s %q at the change of %s", side, code, name, r.fields["changed_on"])
	return -1
}

// checkEnds tells units that have ended and lead nowhere.
func (l *loader) checkEnds() {
	for i, u := range l.all {
		switch {
		case u.IsCommune() && !u.To.IsZero() && len(l.next[i]) == 0:
			l.faults = append(l.faults, fmt.Errorf("%s: %s %q has ended and has no successor", successorsFile, u.Ref(), u.Name))
		case !u.IsCommune() && len(l.children[i]) == 0:
			l.faults = append(l.faults, fmt.Errorf("%s: nothing belongs to %s %q", unitsFile, u.Ref(), u.Name))
		}
	}
}

// lookAbove finds, for every unit, the units whose name may follow its own in an
// address: those it belonged to, and those the communes before it belonged to.
func (l *loader) lookAbove() {
	l.above = make([][]int, len(l.all))
	parents := make([][]int, len(l.all))
	for p, children := range l.children {
		for _, c := range children {
			parents[c] = append(parents[c], p)
		}
	}
	for i := range l.all {
		seen := map[int]bool{}
		var up func(int)
		up = func(i int) {
			for _, p := range parents[i] {
				if !seen[p] {
					seen[p] = true
					up(p)
				}
			}
			for _, p := range l.prev[i] {
				up(p)
			}
		}
		up(i)
		for p := range seen {
			l.above[i] = append(l.above[i], p)
		}
		slices.Sort(l.above[i])
	}
}
