package procedures

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"congdanso/bot/dossier"

	"golang.org/x/text/unicode/norm"
)

// wireDossier is a dossier as iGate writes it. The list and the detail share it;
// the last two fields come with the detail only. The names of the supplement
// requests are those of the national synchronisation format (DongBoHoSoMC).
type wireDossier struct {
	ID         flexString             `json:"id"`
	Code       flexString             `json:"code"`
	NationCode flexString             `json:"nationCode"`
	Applicant  lenient[wireApplicant] `json:"applicant"`
	Procedure  lenient[wireProcedure] `json:"procedure"`
	Agency     lenient[wireAgency]    `json:"agency"`

	AppliedDate     moment `json:"appliedDate"`
	AcceptedDate    moment `json:"acceptedDate"`
	AppointmentDate moment `json:"appointmentDate"`
	DueDate         moment `json:"dueDate"`
	CompletedDate   moment `json:"completedDate"`
	ReturnedDate    moment `json:"returnedDate"`
	UpdatedDate     moment `json:"updatedDate"`
	// UndefinedCompleteTime is spelled so on the wire; 1: no time was promised.
	UndefinedCompleteTime flexString `json:"undefindedCompleteTime"`

	Status      lenient[wireStatus] `json:"dossierStatus"`
	TaskStatus  lenient[wireStatus] `json:"dossierTaskStatus"`
	CurrentTask list[wireTask]      `json:"currentTask"`

	Task        list[wireTask]       `json:"task"`
	Supplements list[wireSupplement] `json:"DanhSachHoSoBoSung"`
}

type wireApplicant struct {
	Data lenient[struct {
		Fullname            name       `json:"fullname"`
		OwnerFullname       name       `json:"ownerFullname"`
		PhoneNumber         flexString `json:"phoneNumber"`
		IdentityNumber      flexString `json:"identityNumber"`
		OwnerPhoneNumber    flexString `json:"ownerPhoneNumber"`
		OwnerIdentityNumber flexString `json:"ownerIdentityNumber"`
	}] `json:"data"`
}

type wireProcedure struct {
	Code      flexString `json:"code"`
	Translate name       `json:"translate"`
	Name      name       `json:"name"`
}

type wireAgency struct {
	Code flexString `json:"code"`
	Name name       `json:"name"`
}

type wireStatus struct {
	ID   flexString `json:"id"`
	Name name       `json:"name"`
}

type wireTask struct {
	Agency   lenient[wireAgency] `json:"agency"`
	Assignee lenient[struct {
		Fullname name `json:"fullname"`
	}] `json:"assignee"`
	IsCurrent      flexString `json:"isCurrent"`
	Comment        flexString `json:"comment"`
	CreatedDate    moment     `json:"createdDate"`
	UpdatedDate    moment     `json:"updatedDate"`
	DefinitionTask lenient[struct {
		Name name `json:"name"`
	}] `json:"definitionTask"`
	ProcessTask lenient[struct {
		Name name `json:"name"`
	}] `json:"bpmProcessDefinitionTask"`
}

type wireSupplement struct {
	AskedBy    flexString `json:"NguoiYeuCauBoSung"`
	Words      flexString `json:"NoiDungBoSung"`
	AskedAt    moment     `json:"NgayBoSung"`
	ReceivedAt moment     `json:"NgayTiepNhanBoSung"`
	OldDue     moment     `json:"NgayHenTraTruoc"`
	NewDue     moment     `json:"NgayHenTraMoi"`
	Papers     list[struct {
		Name  flexString `json:"TenGiayTo"`
		Count flexString `json:"SoLuong"`
	}] `json:"DanhSachGiayToBoSung"`
}

type wireFee struct {
	Dossier lenient[struct {
		ID flexString `json:"id"`
	}] `json:"dossier"`
	ProCost lenient[struct {
		Name name `json:"name"`
	}] `json:"procost"`
	Amount   flexString `json:"amount"`
	Paid     flexString `json:"paid"`
	Required flexString `json:"required"`
	Note     flexString `json:"note"`
}

// decodeSlice reads a Spring Slice or Page, or a bare array. Elements that cannot
// be read are left out; when none can, or there is no content at all, that is an
// error, for it does not mean "not found".
func decodeSlice[T any](body []byte) ([]T, error) {
	content := json.RawMessage(body)
	if len(content) > 0 && content[0] == '{' {
		var s struct {
			Content json.RawMessage `json:"content"`
		}
		if err := json.Unmarshal(content, &s); err != nil {
			return nil, err
		}
		if s.Content == nil {
			return nil, errors.New("no content")
		}
		content = s.Content
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(content, &raw); err != nil {
		return nil, err
	}
	var out []T
	var last error
	for _, r := range raw {
		var v T
		if err := json.Unmarshal(r, &v); err != nil {
			last = err
			continue
		}
		out = append(out, v)
	}
	if len(out) == 0 && last != nil {
		return nil, last
	}
	return out, nil
}

// lenient decodes an object, and stays empty where something else stands.
type lenient[T any] struct{ V T }

// UnmarshalJSON never fails on well-formed JSON.
func (l *lenient[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.V = v
	}
	return nil
}

// list decodes an array, leaving out elements of another shape, or one object.
type list[T any] []T

// UnmarshalJSON never fails on well-formed JSON.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	var raw []json.RawMessage
	if json.Unmarshal(b, &raw) != nil {
		raw = []json.RawMessage{b}
	}
	for _, r := range raw {
		var v *T
		if json.Unmarshal(r, &v) == nil && v != nil {
			*l = append(*l, *v)
		}
	}
	return nil
}

// flexString takes a string, a number or a boolean, tidied (see tidy); all else
// is empty.
type flexString string

// UnmarshalJSON never fails on well-formed JSON.
func (f *flexString) UnmarshalJSON(b []byte) error {
	*f = ""
	var s string
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
	case b[0] == '"':
		if json.Unmarshal(b, &s) == nil {
			*f = flexString(tidy(s))
		}
	default:
		*f = flexString(b)
	}
	return nil
}

// grouped is a number with its thousands set apart, "75.000" or "1,250,000".
var grouped = regexp.MustCompile(`^\d{1,3}([., ]\d{3})+$`)

// number reads an amount in đồng, which has no fraction. What is no number is 0.
func (f flexString) number() int64 {
	s := string(f)
	if grouped.MatchString(s) {
		s = strings.NewReplacer(".", "", ",", "", " ", "").Replace(s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > -1e15 && v < 1e15) {
		return 0
	}
	return int64(v)
}

func (f flexString) yes() bool {
	return f == "1" || strings.EqualFold(string(f), "true")
}

// short is a word fit for a log line.
func (f flexString) short() string {
	s := string(f)
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e || r < 0x20 }) {
		return ""
	}
	return s
}

// Languages of names, as iGate numbers them.
const vietnameseID = "228"

// name is a name in one of the shapes seen: a string, {"name": …} nested, or an
// array of {"languageId", "name"}; the Vietnamese one is taken.
type name string

// UnmarshalJSON never fails on well-formed JSON.
func (n *name) UnmarshalJSON(b []byte) error {
	*n = name(readName(b, 4))
	return nil
}

func readName(b json.RawMessage, depth int) string {
	if len(b) == 0 || depth == 0 {
		return ""
	}
	switch b[0] {
	case '"':
		var s flexString
		_ = s.UnmarshalJSON(b) // never fails
		return string(s)
	case '{':
		var o struct {
			Name json.RawMessage `json:"name"`
		}
		if json.Unmarshal(b, &o) != nil {
			return ""
		}
		return readName(o.Name, depth-1)
	case '[':
		var all []json.RawMessage
		if json.Unmarshal(b, &all) != nil {
			return ""
		}
		first := ""
		for _, r := range all {
			s := readName(r, depth-1)
			if s == "" {
				continue
			}
			var lang struct {
				ID flexString `json:"languageId"`
			}
			if json.Unmarshal(r, &lang) == nil && lang.ID == vietnameseID {
				return s
			}
			if first == "" {
				first = s
			}
		}
		return first
	}
	return ""
}

// tidy composes Unicode, drops what cannot be seen, and trims; lines stay lines.
func tidy(s string) string {
	s = norm.NFC.String(strings.ToValidUTF8(s, ""))
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// moment is a time in one of the forms seen; what is none is the zero time.
type moment time.Time

var layouts = []string{
	"2006-01-02T15:04:05.999999999-0700", // iGate: a zone without colon
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05",
	"20060102150405", // national format: local time
	"2006-01-02",
	"02/01/2006 15:04:05",
	"02/01/2006 15:04",
	"02/01/2006",
}

// UnmarshalJSON never fails on well-formed JSON. Forms without a zone are local
// time; a number is milliseconds since 1970.
func (m *moment) UnmarshalJSON(b []byte) error {
	*m = moment{}
	var f flexString
	_ = f.UnmarshalJSON(b) // never fails
	s := string(f)
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, dossier.Local); err == nil {
			m.set(t)
			return nil
		}
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) == 13 {
		m.set(time.UnixMilli(ms))
	}
	return nil
}

// set keeps t if it lies in a century in which procedure systems exist; zero
// dates of other platforms ("0001-01-01", 1970) are none.
func (m *moment) set(t time.Time) {
	if y := t.Year(); y >= 2000 && y < 2200 {
		*m = moment(t.UTC())
	}
}

func (m moment) time() time.Time { return time.Time(m) }
