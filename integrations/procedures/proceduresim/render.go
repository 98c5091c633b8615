package proceduresim

import (
	"fmt"
	"time"

	"golang.org/x/text/unicode/norm"
)

// wire writes a dossier as iGate does; full adds what the detail has.
func (s *Sim) wire(d *dossier, full bool, q map[Kind]bool) object {
	s.mu.Lock()
	past := d.past(s.o.Now(), s.set[d.code])
	s.mu.Unlock()
	last := past[len(past)-1]
	text := func(v string) any { return names228(v) }
	if q[NamesAsObjects] || d.quirk == NamesAsObjects {
		text = func(v string) any { return object{"languageId": 228, "name": v} }
	}
	if q[Decomposed] || d.quirk == Decomposed {
		text = func(v string) any { return names228(norm.NFD.String(v)) }
	}
	appliedAt, receivedAt, doneAt, returnedAt := milestones(past)
	firstDue, dueAt := dues(past)
	if q[NullDue] || d.quirk == NullDue {
		dueAt, firstDue = time.Time{}, time.Time{}
	}
	if q[DueBeforeReceipt] || d.quirk == DueBeforeReceipt {
		dueAt = receivedAt.AddDate(0, 0, -3)
		firstDue = dueAt
	}
	// Numbers of this "installation", unlike the national ones but for 0 and 2.
	status := object{"id": statusIDs[last.status], "name": text(last.name)}
	if q[UnknownStatus] || d.quirk == UnknownStatus {
		status = object{"id": unknownID, "name": text(unknownName)}
	}
	data := object{"fullname": d.owner.name, "ownerFullname": d.owner.name, "noidungyeucaugiaiquyet": d.procedure.name}
	who := d.owner
	if d.filer != nil {
		who = *d.filer
		data["fullname"] = who.name
		data["ownerPhoneNumber"], data["ownerIdentityNumber"] = d.owner.phone, d.owner.identity
	}
	if who.phone != "" {
		data["phoneNumber"] = who.phone
	}
	if who.identity != "" {
		data["identityNumber"] = who.identity
	}
	if q[Decomposed] || d.quirk == Decomposed {
		data["ownerFullname"] = norm.NFD.String(d.owner.name)
	}
	out := object{
		"id": d.id, "code": d.code, "nationCode": nil,
		"applicant": object{"data": data},
		"procedure": object{"id": d.procedureID, "code": d.procedure.code + ".000.00.00.H42", "translate": text(d.procedure.name),
			"sector": object{"code": "HT", "name": text(d.procedure.field)}},
		"agency":      object{"id": objectID(time.Unix(0, 0), d.agency.code), "code": d.agency.code, "name": text(d.agency.name)},
		"applyMethod": object{"id": 1, "name": "Trực tiếp"},
		"appliedDate": date(appliedAt), "acceptedDate": date(receivedAt),
		"appointmentDate": date(firstDue), "dueDate": date(dueAt), "completedDate": date(doneAt), "returnedDate": date(returnedAt),
		"updatedDate":    date(last.at),
		"processingTime": d.procedure.days, "processingTimeUnit": "d",
		"dossierStatus": status, "dossierTaskStatus": object{"id": "60e409823dfc9609723e4900", "name": status["name"]},
		"currentTask":            []any{s.task(d, last, text, true, false)},
		"undefindedCompleteTime": 0,
	}
	if d.online {
		out["applyMethod"] = object{"id": 0, "name": "Trực tuyến"}
	}
	if d.nationCode != "" {
		out["nationCode"] = d.nationCode
	}
	if q[TrailingSpaces] || d.quirk == Decomposed {
		out["code"] = d.code + "  "
	}
	if q[StatusAtOdds] { // the national side says "ready" for what is not
		out["nationStatus"] = object{"id": 9, "name": text(names[9])}
		out["TrangThaiHoSo"] = "9"
	}
	if full {
		s.wireHistory(out, d, past, text)
	}
	return out
}

// The status nobody has mapped.
const (
	unknownID   = 77
	unknownName = "Chờ ý kiến liên thông cấp ba"
)

// milestones are when a dossier was filed, received, done and handed over; zero
// for what has not come.
func milestones(past []event) (applied, received, done, returned time.Time) {
	for _, e := range past {
		switch {
		case e.applied:
			applied = e.at
		case e.status == 9 && done.IsZero():
			done = e.at
		case e.status == 10:
			returned = e.at
			if done.IsZero() {
				done = e.at
			}
		}
		if !e.due.IsZero() && received.IsZero() {
			received = e.at
		}
	}
	return applied, received, done, returned
}

// dues are the due date of the receipt and the one in force.
func dues(past []event) (first, now time.Time) {
	for _, e := range past {
		if !e.due.IsZero() {
			now = e.due
			if first.IsZero() {
				first = e.due
			}
		}
	}
	return first, now
}

// wireHistory adds the steps and the requests for papers.
func (s *Sim) wireHistory(out object, d *dossier, past []event, text func(string) any) {
	var tasks, requests []any
	var due time.Time
	for i, e := range past {
		ended := e.status == 10 || e.status == 3 || e.status == 7 || e.status == 8
		tasks = append(tasks, s.task(d, e, text, i == len(past)-1 && !ended, true))
		if e.status == 5 {
			papers := []any{}
			for _, p := range e.papers {
				papers = append(papers, object{"TenGiayTo": p, "SoLuong": "1"})
			}
			r := object{
				"HoSoBoSungId": fmt.Sprint(i), "NguoiYeuCauBoSung": e.officer, "NoiDungBoSung": e.words,
				"NgayBoSung": national(e.at), "TrangThaiBoSung": "0", "NgayTiepNhanBoSung": "",
				"DanhSachGiayToBoSung": papers, "NgayHenTraTruoc": national(due), "NgayHenTraMoi": "",
			}
			if i+1 < len(past) {
				r["TrangThaiBoSung"], r["NgayTiepNhanBoSung"] = "1", national(past[i+1].at)
				r["NgayHenTraMoi"] = national(past[i+1].due)
			}
			requests = append(requests, r)
		}
		if !e.due.IsZero() {
			due = e.due
		}
	}
	out["task"] = tasks
	out["DanhSachHoSoBoSung"] = requests
}

func (s *Sim) task(d *dossier, e event, text func(string) any, current, full bool) object {
	t := object{
		"agency":                   object{"name": text("Bộ phận Một cửa, " + d.agency.name)},
		"assignee":                 nil,
		"isCurrent":                0,
		"bpmProcessDefinitionTask": object{"name": object{"name": e.step}},
	}
	if e.officer != "" {
		t["assignee"] = object{"fullname": e.officer}
	}
	if current {
		t["isCurrent"] = 1
	}
	if full {
		t["createdDate"], t["updatedDate"] = date(e.at), date(e.at)
		t["definitionTask"] = object{"name": text(e.step)}
		t["comment"] = e.words
		t["processingTime"] = 8
	}
	return t
}

func (s *Sim) wireFees(d *dossier) []any {
	if d.procedure.fee == 0 && d.procedure.feeNote == "" {
		return nil
	}
	s.mu.Lock()
	past := d.past(s.o.Now(), s.set[d.code])
	s.mu.Unlock()
	paid := 0
	for _, e := range past {
		if e.paid || e.status == 10 {
			paid = 1
		}
	}
	return []any{object{
		"id": objectID(time.Unix(1, 0), d.code), "dossier": object{"id": d.id, "code": d.code},
		"procost": object{"name": names228("Lệ phí")}, "amount": d.procedure.fee, "paid": paid, "required": 1, "note": d.procedure.feeNote,
	}}
}

func wireProcedure(i int, p procedure) object {
	return object{
		"id": procedureID(i), "code": p.code + ".000.00.00.H42", "translate": names228(p.name),
		"sector": object{"name": names228(p.field)}, "processingTime": p.days, "processingTimeUnit": "d",
	}
}

func procedureID(i int) string {
	return objectID(time.Unix(1_645_695_852, 0), fmt.Sprint("procedure ", i))
}

// statusIDs are the numbers of this installation.
var statusIDs = map[int]int{1: 0, 2: 1, 3: 6, 4: 2, 5: 3, 6: 10, 7: 12, 8: 7, 9: 4, 10: 5}

func names228(v string) any {
	return []any{object{"languageId": 46, "name": "(English) " + v}, object{"languageId": 228, "name": v}}
}

// date writes a moment as iGate does; null for none.
func date(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.In(local).Format("2006-01-02T15:04:05.000-0700")
}

// national writes a moment as the national format does; empty for none.
func national(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(local).Format("20060102150405")
}
