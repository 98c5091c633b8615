package procedures

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"congdanso/bot/dossier"
	"congdanso/bot/fold"
)

// mapping gives what the wire says its meaning.
type mapping struct {
	byName map[string]dossier.Status // folded names
	byID   map[string]dossier.Status
}

func newMapping(names, ids map[string]int) mapping {
	m := mapping{byName: map[string]dossier.Status{}, byID: map[string]dossier.Status{}}
	for name, n := range names {
		if s := dossier.Status(n); s.Known() {
			m.byName[fold.Fold(name)] = s
		}
	}
	for id, n := range ids {
		if s := dossier.Status(n); s.Known() {
			m.byID[id] = s
		}
	}
	return m
}

// status maps the dossier's status by its name; where the first name is not
// known, by that of the current task; by number only where there is no name, for
// the numbers differ between installations. The words told are the system's.
func (m mapping) status(w wireDossier) (dossier.Status, string) {
	words := cmp.Or(string(w.Status.V.Name), string(w.TaskStatus.V.Name))
	for _, n := range []name{w.Status.V.Name, w.TaskStatus.V.Name} {
		if s, ok := m.byName[fold.Fold(string(n))]; ok && n != "" {
			return s, words
		}
	}
	if words == "" {
		return m.byID[string(w.Status.V.ID)], ""
	}
	return dossier.StatusUnknown, words
}

// records takes those that are the code's, newest first. The search may also
// return others (some installations match parts of a code).
func (m mapping) records(found []wireDossier, code dossier.Code) []dossier.Record {
	var out []dossier.Record
	for _, w := range found {
		if r := m.record(w); r.ID != "" && (r.Code == code || r.NationCode == code) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b dossier.Record) int {
		if c := newest(b).Compare(newest(a)); c != 0 {
			return c
		}
		return cmp.Compare(finality(a.Status), finality(b.Status))
	})
	return slices.CompactFunc(out, func(a, b dossier.Record) bool { return a.ID == b.ID })
}

func newest(r dossier.Record) time.Time {
	for _, t := range []time.Time{r.ReceivedAt, r.AppliedAt, r.UpdatedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// finality orders final records of one moment as the national scores do: 9
// before 10 before 8 and 3.
func finality(s dossier.Status) int {
	order := []dossier.Status{dossier.StatusReady, dossier.StatusReturned, dossier.StatusStopped, dossier.StatusRefused}
	return slices.Index(order, s) // -1, before all: still open
}

// nationalRE is a national procedure code; what follows it names the owner.
var nationalRE = regexp.MustCompile(`^\d\.\d{6}\b`)

func (m mapping) record(w wireDossier) dossier.Record {
	a := w.Applicant.V.Data.V
	r := dossier.Record{
		ID:    string(w.ID),
		Owner: cmp.Or(oneLine(string(a.OwnerFullname)), oneLine(string(a.Fullname))),
		Public: dossier.Public{
			Code:          codeOf(w.Code),
			NationCode:    codeOf(w.NationCode),
			ProcedureCode: string(w.Procedure.V.Code),
			ProcedureName: cmp.Or(oneLine(string(w.Procedure.V.Translate)), oneLine(string(w.Procedure.V.Name))),
			AgencyCode:    string(w.Agency.V.Code),
			AgencyName:    oneLine(string(w.Agency.V.Name)),
			AppliedAt:     w.AppliedDate.time(),
			ReceivedAt:    w.AcceptedDate.time(),
			FinishedAt:    w.CompletedDate.time(),
			ReturnedAt:    w.ReturnedDate.time(),
			UpdatedAt:     w.UpdatedDate.time(),
		},
		Factors: factors(a.PhoneNumber, a.IdentityNumber, a.OwnerPhoneNumber, a.OwnerIdentityNumber),
		Phones:  phones(a.PhoneNumber, a.OwnerPhoneNumber),
	}
	if national := nationalRE.FindString(r.ProcedureCode); national != "" {
		r.ProcedureCode = national
	}
	r.Code = cmp.Or(r.Code, r.NationCode)
	r.Status, r.StatusName = m.status(w)
	r.DueAt, r.OldDueAt = due(w)
	for _, t := range w.CurrentTask {
		if n := oneLine(string(t.Assignee.V.Fullname)); n != "" {
			r.Officer = n
		}
	}
	r.Steps = steps(w.Task)
	for _, s := range r.Steps {
		if !s.Done && s.Officer != "" && r.Officer == "" {
			r.Officer = s.Officer
		}
	}
	if r.UpdatedAt.IsZero() { // when it was worked on belongs in every notice
		for _, s := range r.Steps {
			if s.At.After(r.UpdatedAt) {
				r.UpdatedAt = s.At
			}
		}
	}
	r.Supplements = supplements(w.Supplements)
	for _, s := range r.Supplements {
		if s.NewDue.After(r.DueAt) {
			r.OldDueAt = cmp.Or(r.DueAt, s.OldDue)
			r.DueAt = s.NewDue
		} else if s.NewDue.Equal(r.DueAt) && r.OldDueAt.IsZero() && s.OldDue.Before(s.NewDue) {
			r.OldDueAt = s.OldDue
		}
	}
	return r
}

// due returns the date in force and the one it replaced. The appointment is what
// the receipt promises; a later due date is a new one (apology letter). Where the
// system says that no time was promised, no date is told.
func due(w wireDossier) (now, old time.Time) {
	if w.UndefinedCompleteTime.yes() {
		return time.Time{}, time.Time{}
	}
	appointment, deadline := w.AppointmentDate.time(), w.DueDate.time()
	switch {
	case appointment.IsZero():
		return deadline, time.Time{}
	case deadline.After(appointment):
		return deadline, appointment
	}
	return appointment, time.Time{}
}

func steps(tasks []wireTask) []dossier.Step {
	var out []dossier.Step
	for _, t := range tasks {
		at := t.UpdatedDate.time()
		if at.IsZero() {
			at = t.CreatedDate.time()
		}
		out = append(out, dossier.Step{
			Name:    cmp.Or(oneLine(string(t.DefinitionTask.V.Name)), oneLine(string(t.ProcessTask.V.Name))),
			Agency:  oneLine(string(t.Agency.V.Name)),
			Officer: oneLine(string(t.Assignee.V.Fullname)),
			At:      at,
			Done:    !t.IsCurrent.yes(),
			Comment: string(t.Comment),
		})
	}
	return out
}

func supplements(in []wireSupplement) []dossier.Supplement {
	var out []dossier.Supplement
	for _, s := range in {
		sup := dossier.Supplement{
			Words: string(s.Words), By: oneLine(string(s.AskedBy)),
			At: s.AskedAt.time(), DoneAt: s.ReceivedAt.time(),
			OldDue: s.OldDue.time(), NewDue: s.NewDue.time(),
		}
		for _, p := range s.Papers {
			if p.Name != "" {
				sup.Papers = append(sup.Papers, dossier.Paper{Name: oneLine(string(p.Name)), Count: int(min(max(p.Count.number(), 0), 1000))})
			}
		}
		out = append(out, sup)
	}
	slices.SortStableFunc(out, func(a, b dossier.Supplement) int { return a.At.Compare(b.At) })
	return out
}

func (m mapping) fees(in []wireFee, id string) []dossier.Fee {
	var out []dossier.Fee
	for _, f := range in {
		if owner := f.Dossier.V.ID; owner != "" && string(owner) != id {
			continue
		}
		out = append(out, dossier.Fee{
			Name: oneLine(string(f.ProCost.V.Name)), Amount: max(f.Amount.number(), 0),
			Paid: f.Paid.yes(), Required: f.Required.yes(), Note: string(f.Note),
		})
	}
	return out
}

// factors takes the last four digits of each number. What is too short to be a
// phone or an identity number, or one digit throughout, is a filler and none.
func factors(numbers ...flexString) []string {
	var out []string
	for _, n := range numbers {
		digits := digitsOf(string(n))
		if len(digits) < 9 || strings.Count(digits, digits[:1]) == len(digits) {
			continue
		}
		if last := digits[len(digits)-4:]; !slices.Contains(out, last) {
			out = append(out, last)
		}
	}
	return out
}

// phoneRE is a number of today in international form: mobile, or a landline.
var phoneRE = regexp.MustCompile(`^84([35789]\d{8}|2\d{8,9})$`)

// phones brings each number into the form 84…; a field may hold several, set
// apart. What is no number of today, or a filler, is left out.
func phones(fields ...flexString) []string {
	var out []string
	for _, f := range fields {
		for _, n := range strings.FieldsFunc(string(f), func(r rune) bool { return strings.ContainsRune("/,;|\n", r) }) {
			digits := strings.TrimPrefix(digitsOf(n), "00")
			if len(digits) > 9 { // nine are a mobile number whose 0 a table has eaten
				digits = strings.TrimPrefix(digits, "84")
			}
			p := "84" + strings.TrimPrefix(digits, "0")
			if phoneRE.MatchString(p) && strings.Count(p[2:], p[2:3]) < len(p[2:]) && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// codeOf brings a code of the system into the form codes are compared in.
func codeOf(f flexString) dossier.Code {
	return dossier.Code(strings.ToUpper(strings.Join(strings.Fields(string(f)), "")))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
