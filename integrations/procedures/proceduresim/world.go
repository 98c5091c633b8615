package proceduresim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

var local = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600)

// The world: dossiers of a working day, and how far back they are listed and
// found.
const (
	perDay     = 9
	listedDays = 70
	foundDays  = 1000
)

// dossier is a dossier with its whole life, of which the clock has uncovered a
// part.
type dossier struct {
	id, code, nationCode string
	procedure            procedure
	procedureID          string
	agency               agency
	owner                person
	filer                *person // nil: the owner filed
	online               bool
	life                 []event
	note                 string
	quirk                Kind // a fault this dossier always has
}

type person struct{ name, phone, identity string }

// event is one thing that happens to a dossier. due, when set, becomes the date
// in force.
type event struct {
	at      time.Time
	status  int
	name    string // the system's words for the status
	step    string
	officer string
	words   string
	papers  []string
	due     time.Time
	applied bool
	paid    bool
}

// names are the system's words for the national statuses.
var names = map[int]string{
	1: "Mới đăng ký", 2: "Được tiếp nhận", 3: "Từ chối tiếp nhận", 4: "Đang xử lý", 5: "Chờ bổ sung giấy tờ",
	6: "Yêu cầu thực hiện nghĩa vụ tài chính", 7: "Công dân yêu cầu rút hồ sơ", 8: "Dừng xử lý", 9: "Đã có kết quả", 10: "Đã trả kết quả",
}

// day returns the dossiers received on t's day, making them when first asked.
// The caller holds s.mu.
func (s *Sim) day(t time.Time) []*dossier {
	t = t.In(local)
	y, m, d := t.Date()
	start := time.Date(y, m, d, 0, 0, 0, 0, local)
	if wd := start.Weekday(); wd == time.Saturday || wd == time.Sunday {
		return nil
	}
	key := start.Format("20060102")
	if have, ok := s.days[key]; ok {
		return have
	}
	r := rand.New(rand.NewPCG(s.o.Seed, uint64(start.Unix())))
	var out []*dossier
	for i := range perDay {
		out = append(out, s.invent(r, start, i))
	}
	s.days[key] = out
	return out
}

// invent makes the i-th dossier of a day.
func (s *Sim) invent(r *rand.Rand, start time.Time, i int) *dossier {
	n := r.IntN(len(catalogue))
	d := &dossier{procedure: catalogue[n], procedureID: procedureID(n), online: r.IntN(10) < 8}
	d.agency = communes[r.IntN(len(communes))]
	if d.procedure.provincial {
		d.agency = departments[r.IntN(len(departments))]
	}
	date, seq := start.Format("060102"), fmt.Sprintf("%04d", 3+i*7+r.IntN(6))
	d.code = d.agency.code + "-" + date + "-" + seq
	switch r.IntN(12) {
	case 0: // came from the national portal
		d.nationCode = "G22.99.05-" + date + "-" + seq
	case 1: // of the former provinces
		d.code = strings.Replace(d.code, "H42", []string{"H40", "H25"}[r.IntN(2)], 1)
	}
	d.owner = invent(r)
	if r.IntN(5) == 0 {
		filer := invent(r)
		d.filer = &filer
	}
	d.id = objectID(start, d.code)
	d.live(r, i, start.Add(time.Duration(7*60+30+r.IntN(8*60))*time.Minute))
	return d
}

func invent(r *rand.Rand) person {
	n := 2 + r.IntN(9998)
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	return person{
		name:     strings.ToUpper(pick(families) + " " + pick(middles) + " " + pick(givens)),
		phone:    fmt.Sprintf("+8490000%04d", n),
		identity: fmt.Sprintf("03719000%04d", r.IntN(10000)),
	}
}

// live writes the life of the day's i-th dossier from the moment it was filed.
func (d *dossier) live(r *rand.Rand, i int, filed time.Time) {
	officer := officers[r.IntN(len(officers))]
	paper := missing[r.IntN(len(missing))]
	received := filed.Add(time.Duration(20+r.IntN(100)) * time.Minute)
	due := workdays(received, d.procedure.days)
	at := func(share float64) time.Time {
		return received.Add(time.Duration(share * float64(due.Sub(received))))
	}
	add := func(t time.Time, status int, step, words string) *event {
		d.life = append(d.life, event{at: t, status: status, name: names[status], step: step, officer: officer, words: words})
		return &d.life[len(d.life)-1]
	}
	add(filed, 1, "Nộp hồ sơ", "").applied = true
	kind := r.IntN(20)
	if i == 0 { // every day one that nobody looks at until the next
		kind = 0
		received = workdays(received, 1)
		due = workdays(received, d.procedure.days)
	}
	if kind == 1 { // refused
		add(received, 3, "Tiếp nhận", "Hồ sơ không thuộc thẩm quyền giải quyết của cơ quan")
		return
	}
	add(received, 2, "Tiếp nhận hồ sơ", "").due = due
	add(received.Add(40*time.Minute), 4, "Thẩm định hồ sơ", "Chuyển xử lý")
	finish := func(t time.Time) {
		add(t, 9, "Trình ký, trả kết quả", "")
		if r.IntN(5) > 0 { // some results are never collected
			add(t.Add(26*time.Hour), 10, "Trả kết quả", "")
		}
	}
	switch kind {
	case 2, 3, 4: // late, then done
		finish(due.Add(time.Duration(20+r.IntN(90)) * time.Hour))
	case 5: // late, and nobody says why
	case 6, 7, 8: // papers wanted
		e := add(at(0.4), 5, "Yêu cầu bổ sung", "Bổ sung: "+paper)
		e.papers = []string{paper}
		if kind == 8 {
			return
		}
		back := e.at.Add(50 * time.Hour)
		add(back, 4, "Thẩm định hồ sơ", "Đã nhận giấy tờ bổ sung").due = due.Add(50 * time.Hour)
		finish(due.Add(45 * time.Hour))
	case 9, 10: // a fee to pay
		add(at(0.3), 6, "Thông báo phí, lệ phí", "Nộp lệ phí để tiếp tục giải quyết")
		add(at(0.6), 4, "Thẩm định hồ sơ", "").paid = true
		finish(at(0.95))
	case 11:
		add(at(0.5), 7, "Rút hồ sơ", "Công dân xin rút hồ sơ")
	case 12:
		add(at(0.7), 8, "Dừng xử lý", "Đất đang có tranh chấp, dừng giải quyết theo thông báo")
	case 13: // apology and a new date
		add(due.Add(-time.Hour), 4, "Thẩm định hồ sơ", "Xin lỗi và hẹn lại ngày trả").due = workdays(due, 5)
		finish(workdays(due, 4))
	default:
		finish(at(0.5 + 0.45*r.Float64()))
	}
}

// workdays adds n working days and ends at 17:00, holidays left aside.
func workdays(t time.Time, n int) time.Time {
	t = t.In(local)
	for n > 0 {
		t = t.AddDate(0, 0, 1)
		if t.Weekday() != time.Saturday && t.Weekday() != time.Sunday {
			n--
		}
	}
	y, m, d := t.Date()
	return time.Date(y, m, d, 17, 0, 0, 0, local)
}

// objectID makes an id as MongoDB does, time first, so that the day it belongs
// to can be read off it.
func objectID(day time.Time, code string) string {
	sum := sha256.Sum256([]byte(code))
	return fmt.Sprintf("%08x", uint32(day.Unix())) + hex.EncodeToString(sum[:8])
}

// byCode finds by code or national code, newest first as the system sorts.
func (s *Sim) byCode(code string) []*dossier {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	var out []*dossier
	known := append(slices.Clone(s.fixed), s.day(dayOf(code, now))...)
	if i, ok := s.filled.byCode(code); ok {
		known = append(known, s.filled.dossier(i))
	}
	for _, d := range known {
		own := strings.EqualFold(d.code, code) && d.quirk != NationCodeOnly && !s.quirksOf(d.code)[NationCodeOnly]
		national := d.nationCode != "" && strings.EqualFold(d.nationCode, code)
		if (own || national) && s.begun(d, now) {
			out = append(out, d)
		}
	}
	return out
}

// begun reports whether the dossier exists by now. The caller holds s.mu.
func (s *Sim) begun(d *dossier, now time.Time) bool { return !d.updated(now, s.set[d.code]).IsZero() }

// dayOf reads the day in a code; the zero time where there is none to be found.
func dayOf(code string, now time.Time) time.Time {
	parts := strings.Split(code, "-")
	if len(parts) < 3 {
		return time.Time{}
	}
	date := parts[len(parts)-2]
	if len(date) == 6 {
		date = "20" + date
	}
	t, err := time.ParseInLocation("20060102", date, local)
	if err != nil || t.After(now) || t.Before(now.AddDate(0, 0, -foundDays)) {
		return time.Time{}
	}
	return t
}

func (s *Sim) byID(id string) *dossier {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	for _, d := range s.fixed {
		if d.id == id && s.begun(d, now) {
			return d
		}
	}
	if i, ok := s.filled.byID(id); ok {
		return s.filled.dossier(i)
	}
	var unix uint32
	if _, err := fmt.Sscanf(id, "%08x", &unix); err != nil || len(id) != 24 {
		return nil
	}
	t := time.Unix(int64(unix), 0)
	if t.After(now) || t.Before(now.AddDate(0, 0, -foundDays)) {
		return nil
	}
	for _, d := range s.day(t) {
		if d.id == id && s.begun(d, now) {
			return d
		}
	}
	return nil
}

// listed returns the dossiers of the last days that exist by now. The caller
// holds s.mu.
func (s *Sim) listed() []*dossier {
	now := s.o.Now()
	all := slices.Clone(s.fixed)
	for i := range listedDays {
		all = append(all, s.day(now.AddDate(0, 0, -i))...)
	}
	return slices.DeleteFunc(all, func(d *dossier) bool { return !s.begun(d, now) })
}

// past returns what has happened by now, in order. Once somebody has Set the
// dossier, what was planned after that no longer happens.
func (d *dossier) past(now time.Time, set []event) []event {
	var out []event
	for _, e := range d.life {
		if e.happened(now, set) {
			out = append(out, e)
		}
	}
	for _, e := range set {
		if !e.at.After(now) {
			out = append(out, e)
		}
	}
	return out
}

// updated returns the moment of the last of past; the zero time where there is
// none.
func (d *dossier) updated(now time.Time, set []event) time.Time {
	for i := len(set) - 1; i >= 0; i-- {
		if !set[i].at.After(now) {
			return set[i].at
		}
	}
	for i := len(d.life) - 1; i >= 0; i-- {
		if d.life[i].happened(now, set) {
			return d.life[i].at
		}
	}
	return time.Time{}
}

// happened reports whether a planned event came about.
func (e *event) happened(now time.Time, set []event) bool {
	return !e.at.After(now) && (len(set) == 0 || !e.at.After(set[0].at))
}
