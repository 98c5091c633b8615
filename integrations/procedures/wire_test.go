package procedures

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"congdanso/bot/dossier"
)

func TestMomentsInEveryForm(t *testing.T) {
	want := time.Date(2024, 6, 12, 1, 30, 0, 0, time.UTC)
	for _, s := range []string{
		`"2024-06-12T08:30:00.000+0700"`, `"2024-06-12T01:30:00.000+0000"`, `"2024-06-12T08:30:00+07:00"`, `"2024-06-12T01:30:00Z"`,
		`"2024-06-12T08:30:00"`, `"2024-06-12 08:30:00"`, `"20240612083000"`, `"12/06/2024 08:30:00"`, `"12/06/2024 08:30"`, `1718155800000`, `" 2024-06-12T08:30:00.000+0700 "`,
	} {
		var m moment
		if err := json.Unmarshal([]byte(s), &m); err != nil || !m.time().Equal(want) {
			t.Errorf("%s: %s %v", s, m.time(), err)
		}
	}
	for _, s := range []string{`null`, `""`, `"hôm qua"`, `"0001-01-01T00:00:00"`, `"1970-01-01T00:00:00.000+0000"`, `0`, `-5`, `{}`, `[]`, `true`, `"99999999999999"`, `"2024-13-45"`} {
		m := moment(want)
		if err := json.Unmarshal([]byte(s), &m); err != nil || !m.time().IsZero() {
			t.Errorf("%s: %s %v, want none", s, m.time(), err)
		}
	}
}

func TestNamesInEveryShape(t *testing.T) {
	for s, want := range map[string]string{
		`[{"languageId":46,"name":"Ward"},{"languageId":228,"name":"Phường"}]`: "Phường",
		`[{"languageId":"228","name":" Phường "}]`:                             "Phường",
		`{"languageId":228,"name":"Phường"}`:                                   "Phường",
		`[{"languageId":46,"name":"Ward"}]`:                                    "Ward",
		`"Phường"`:                                                             "Phường",
		`{"name":{"name":"Thẩm định"}}`:                                        "Thẩm định",
		`"Phu\u031bo\u031b\u0300ng"`:                                           "Phường",
		`"Phường\u0000\u200b"`:                                                 "Phường",
		`null`:                                                                 "",
		`[]`:                                                                   "",
		`[null,5,{"name":null}]`:                                               "",
		`{"name":{"name":{"name":{"name":""}}}}`:                               "",
	} {
		var n name
		if err := json.Unmarshal([]byte(s), &n); err != nil || string(n) != want {
			t.Errorf("%s: %q %v, want %q", s, n, err, want)
		}
	}
	deep := strings.Repeat(`{"name":`, 5000) + `"x"` + strings.Repeat(`}`, 5000)
	var n name
	if err := json.Unmarshal([]byte(deep), &n); err != nil || n != "" {
		t.Errorf("deep: %q %v", n, err)
	}
}

func TestAmounts(t *testing.T) {
	for s, want := range map[string]int64{
		`75000`: 75000, `75000.0`: 75000, `75000.000`: 75000, `"75000"`: 75000, `"75.000"`: 75000, `"1,250,000"`: 1250000, `7.5e4`: 75000,
		`null`: 0, `"miễn phí"`: 0, `1e300`: 0, `"NaN"`: 0, `{}`: 0, `""`: 0, `-5`: -5,
	} {
		var f flexString
		if err := json.Unmarshal([]byte(s), &f); err != nil || f.number() != want {
			t.Errorf("%s: %d %v, want %d", s, f.number(), err, want)
		}
	}
}

func TestContentThatIsNoneIsNotNotFound(t *testing.T) {
	for _, s := range []string{`{}`, `{"message":"ok"}`, `{"content":{}}`, `{"content":"x"}`, `[1,2]`, `5`, `{"content":[5]}`} {
		if got, err := decodeSlice[wireDossier]([]byte(s)); err == nil {
			t.Errorf("%s: %v, want an error", s, got)
		}
	}
	for _, s := range []string{`{"content":[]}`, `{"content":null}`, `[]`, `{"content":[],"totalElements":0}`} {
		if got, err := decodeSlice[wireDossier]([]byte(s)); err != nil || len(got) != 0 {
			t.Errorf("%s: %v %v, want nothing", s, got, err)
		}
	}
	got, err := decodeSlice[wireDossier]([]byte(`{"content":[7,{"id":"a","code":"H42.16-240612-0001","applicant":"?","currentTask":{"assignee":{"fullname":"A"}},"agency":[]}]}`))
	if err != nil || len(got) != 1 || len(got[0].CurrentTask) != 1 {
		t.Errorf("got %+v %v, want the one that can be read", got, err)
	}
}

func TestRecordsAreOnlyThoseAskedFor(t *testing.T) {
	m := newMapping(map[string]int{"Đang xử lý": 4, "sai": 99}, map[string]int{"0": 1})
	found, err := decodeSlice[wireDossier]([]byte(`[
		{"id":"1","code":" h42.16-240612-0001 ","dossierStatus":{"id":9,"name":"ĐANG XỬ LÝ"},"acceptedDate":"2024-06-12T08:30:00.000+0700"},
		{"id":"1","code":"H42.16-240612-0001","acceptedDate":"2024-06-12T08:30:00.000+0700"},
		{"id":"2","code":"H42.16-240612-00011"},
		{"id":3,"code":"X","nationCode":"H42.16-240612-0001","dossierStatus":{"id":0}},
		{"code":"H42.16-240612-0001"}]`))
	if err != nil {
		t.Fatal(err)
	}
	got := m.records(found, "H42.16-240612-0001")
	if len(got) != 2 || got[0].ID != "1" || got[1].ID != "3" {
		t.Fatalf("got %+v", got)
	}
	if got[0].Status != dossier.StatusProcessing || got[1].Status != dossier.StatusFiled {
		t.Errorf("statuses %d %d", got[0].Status, got[1].Status)
	}
}

func TestUndefinedTimePromisesNothing(t *testing.T) {
	m := newMapping(nil, nil)
	var w wireDossier
	if err := json.Unmarshal([]byte(`{"id":"1","code":"c","appointmentDate":"2024-06-17T17:00:00.000+0700","undefindedCompleteTime":1}`), &w); err != nil {
		t.Fatal(err)
	}
	if r := m.record(w); !r.DueAt.IsZero() {
		t.Errorf("due %s", r.DueAt)
	}
}

func TestFactors(t *testing.T) {
	got := factors("+84900000001", "0900 000 001", "037190000002", "000000000", "", "1234", "025190003")
	if strings.Join(got, " ") != "0001 0002 0003" {
		t.Errorf("got %v", got)
	}
}

func TestPhonesInEverySpelling(t *testing.T) {
	for in, want := range map[string]string{
		"+84900000001": "84900000001", "84900000001": "84900000001", "0900000001": "84900000001", "900000001": "84900000001",
		"+84 900 000 001": "84900000001", "0900.000.001": "84900000001", "0900-000-001": "84900000001",
		"(+84) 0900 000 001": "84900000001", "0084900000001": "84900000001", "0849000001": "84849000001", "849000001": "84849000001",
		"0229 3871 000": "842293871000", "024 3871 0001": "842438710001",
		"0900000001 / 0900000002": "84900000001 84900000002", "0900000001; +84900000001": "84900000001",
		"": "", "không có": "", "0000000000": "", "0999999999": "", "0123456789": "", "090000000": "", "09000000012": "", "037190000001": "", "+8613800000001": "",
	} {
		if got := strings.Join(phones(flexString(in)), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := strings.Join(phones("+84900000001", "0900 000 001", "0900000002"), " "); got != "84900000001 84900000002" {
		t.Errorf("filer and owner: %q", got)
	}
}

func TestTheDueDateInForceAndTheOneBefore(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2024, 6, d, 10, 0, 0, 0, time.UTC) } // 17:00 local
	const (
		first  = `{"NgayBoSung":"20240614100000","NgayHenTraTruoc":"20240617170000","NgayHenTraMoi":"20240620170000"}`
		second = `{"NgayBoSung":"20240618100000","NgayHenTraTruoc":"20240620170000","NgayHenTraMoi":"20240624170000"}`
		open   = `{"NgayBoSung":"20240618100000","NgayHenTraTruoc":"20240617170000","NgayHenTraMoi":""}`
	)
	for name, c := range map[string]struct {
		body     string
		now, old time.Time
	}{
		"as promised":                    {`"appointmentDate":"20240617170000","dueDate":"20240617170000"`, day(17), time.Time{}},
		"apology letter":                 {`"appointmentDate":"20240617170000","dueDate":"20240624170000"`, day(24), day(17)},
		"only a due date":                {`"dueDate":"20240617170000"`, day(17), time.Time{}},
		"moved in place, a request says": {`"appointmentDate":"20240620170000","dueDate":"20240620170000","DanhSachHoSoBoSung":[` + first + `]`, day(20), day(17)},
		"only a request says":            {`"appointmentDate":"20240617170000","DanhSachHoSoBoSung":[` + first + `]`, day(20), day(17)},
		"two requests, newest first":     {`"appointmentDate":"20240617170000","DanhSachHoSoBoSung":[` + second + `,` + first + `]`, day(24), day(20)},
		"a request still open":           {`"appointmentDate":"20240617170000","DanhSachHoSoBoSung":[` + open + `]`, day(17), time.Time{}},
		"a request, no date of its own":  {`"appointmentDate":null,"DanhSachHoSoBoSung":[` + first + `]`, day(20), day(17)},
	} {
		t.Run(name, func(t *testing.T) {
			var w wireDossier
			if err := json.Unmarshal([]byte(`{"id":"1","code":"c",`+c.body+`}`), &w); err != nil {
				t.Fatal(err)
			}
			if r := newMapping(nil, nil).record(w); !r.DueAt.Equal(c.now) || !r.OldDueAt.Equal(c.old) {
				t.Errorf("due %s, before %s; want %s, %s", r.DueAt, r.OldDueAt, c.now, c.old)
			}
		})
	}
}

func TestTheTimeOfProcessingIsThatOfTheNewestStepWhereNoneIsTold(t *testing.T) {
	steps := `"task":[{"updatedDate":"20240612083000"},{"updatedDate":"20240614162000","isCurrent":1},{"createdDate":"20240613083000"}]`
	for told, want := range map[string]time.Time{
		`"updatedDate":null`:             time.Date(2024, 6, 14, 9, 20, 0, 0, time.UTC),
		`"updatedDate":"20240615080000"`: time.Date(2024, 6, 15, 1, 0, 0, 0, time.UTC),
	} {
		var w wireDossier
		if err := json.Unmarshal([]byte(`{"id":"1","code":"c",`+told+`,`+steps+`}`), &w); err != nil {
			t.Fatal(err)
		}
		if r := newMapping(nil, nil).record(w); !r.UpdatedAt.Equal(want) {
			t.Errorf("%s: %s, want %s", told, r.UpdatedAt, want)
		}
	}
}

// FuzzDossier: whatever stands in an answer, reading it neither panics nor tells
// a code other than the one asked for.
func FuzzDossier(f *testing.F) {
	for _, name := range []string{"search.json", "detail.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"content":[{"id":1,"code":"H42.16-240612-0001","task":[null],"DanhSachHoSoBoSung":{"DanhSachGiayToBoSung":5}}]}`))
	m := newMapping(map[string]int{"Đang xử lý": 4}, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		if found, err := decodeSlice[wireDossier](body); err == nil {
			for _, r := range m.records(found, "H42.16-240612-0001") {
				if r.Code != "H42.16-240612-0001" && r.NationCode != "H42.16-240612-0001" || r.ID == "" {
					t.Fatalf("record %+v", r)
				}
			}
		}
		var w wireDossier
		if json.Unmarshal(body, &w) == nil {
			r := m.record(w)
			for _, factor := range r.Factors {
				if len(factor) != 4 {
					t.Fatalf("factor %q", factor)
				}
			}
			for _, phone := range r.Phones {
				if !phoneRE.MatchString(phone) {
					t.Fatalf("phone %q", phone)
				}
			}
		}
		if fees, err := decodeSlice[wireFee](body); err == nil {
			for _, fee := range m.fees(fees, "x") {
				if fee.Amount < 0 {
					t.Fatalf("fee %+v", fee)
				}
			}
		}
	})
}
