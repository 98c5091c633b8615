package zalosim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const lansPhone = "84912345678"

var notice = Template{ID: "77", Text: "Hồ sơ {code} hẹn {day}, phí {fee}đ. {note}", PriceUser: 165, PricePhone: 330, Params: []TemplateParam{
	{Name: "code", Required: true, MinLength: 5}, {Name: "day", Type: "DATE"}, {Name: "fee", Type: "CURRENCY", MaxLength: 9}, {Name: "note", MaxLength: 5}}}

// byUser and byPhone are template messages with some values.
func byUser(user, template, data string) string {
	return `{"user_id":"` + user + `","template_id":"` + template + `","template_data":` + data + `}`
}

func byPhone(phone, template, tracking, data string) string {
	return `{"phone":"` + phone + `","template_id":"` + template + `","tracking_id":"` + tracking + `","sending_mode":"1","template_data":` + data + `}`
}

// flat makes a GET with plain parameters.
func (b *bench) flat(path, query string) answered {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.url+path+"?"+query, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("access_token", b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	a := answered{header: res.Header}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

func TestTemplateChecksFields(t *testing.T) {
	b := start(t, Options{RatePerMinute: -1, Templates: []Template{notice,
		{ID: "off", Status: StatusDisabled}, {ID: "low", Status: StatusDisabled, Quality: "LOW"}, {ID: "new", Status: StatusPending},
		{ID: "otp", NoUserID: true}, {ID: "few", PerDay: 1}}})
	for user, u := range map[string]User{
		"11": {Phone: "84912000011", Blocked: true}, "12": {Phone: "84912000012", Restricted: true},
		"13": {Phone: "84912000013", Inactive: true}, lan: {Phone: lansPhone},
	} {
		u.ID = user
		b.AddUser(u)
	}
	const good = `{"code":"H42.16","day":"23/11/2026","fee":"15000","note":"mang"}`
	long := strings.Repeat("a", 49)
	for name, tt := range map[string]struct {
		path, body string
		code       int
		word       string // in the message
	}{
		"user":                {PathTemplate, byUser(lan, "77", good), 0, ""},
		"few values":          {PathTemplate, byUser(lan, "77", `{"code":"H42.16"}`), 0, ""},
		"not JSON":            {PathTemplate, `{`, -201, "body"},
		"nobody":              {PathTemplate, byUser("", "77", good), -201, "user_id"},
		"id a number":         {PathTemplate, `{"user_id":25,"template_id":"77","template_data":{}}`, -201, "user_id"},
		"stranger":            {PathTemplate, byUser("999", "77", good), -201, "user_id"},
		"unknown template":    {PathTemplate, byUser(lan, "78", good), -201, "template_id"},
		"no data":             {PathTemplate, `{"user_id":"` + lan + `","template_id":"77"}`, -201, "template_data"},
		"value a number":      {PathTemplate, byUser(lan, "77", `{"code":5}`), -201, "template_data"},
		"value too long":      {PathTemplate, byUser(lan, "77", `{"code":"`+strings.Repeat("ã", 31)+`"}`), -1121, "code"},
		"value of 30":         {PathTemplate, byUser(lan, "77", `{"code":"`+strings.Repeat("ã", 30)+`"}`), 0, ""},
		"value too short":     {PathTemplate, byUser(lan, "77", `{"code":"H42"}`), -1124, "code"},
		"value missing":       {PathTemplate, byUser(lan, "77", `{"day":"23/11/2026"}`), -1122, "code"},
		"value empty":         {PathTemplate, byUser(lan, "77", `{"code":""}`), -1122, "code"},
		"no date":             {PathTemplate, byUser(lan, "77", `{"code":"H42.16","day":"2026-11-23"}`), -1124, "day"},
		"no amount":           {PathTemplate, byUser(lan, "77", `{"code":"H42.16","fee":"15k"}`), -1124, "fee"},
		"no such value":       {PathTemplate, byUser(lan, "77", `{"code":"H42.16","name":"A"}`), -132, ""},
		"switched off":        {PathTemplate, byUser(lan, "off", `{}`), -131, ""},
		"low quality":         {PathTemplate, byUser(lan, "low", `{}`), -146, ""},
		"not approved":        {PathTemplate, byUser(lan, "new", `{}`), -131, ""},
		"not by user id":      {PathTemplate, byUser(lan, "otp", `{}`), -249, ""},
		"blocked":             {PathTemplate, byUser("11", "77", good), -217, ""},
		"restricted":          {PathTemplate, byUser("12", "77", good), -244, ""},
		"inactive":            {PathTemplate, byUser("13", "77", good), -227, ""},
		"phone":               {PathPhone, byPhone(lansPhone, "77", "a-1", good), 0, ""},
		"phone with +":        {PathPhone, byPhone("+"+lansPhone, "77", "a-1", good), 0, ""},
		"phone with 0":        {PathPhone, byPhone("0912345678", "77", "a-1", good), -108, ""},
		"phone a number":      {PathPhone, `{"phone":84912345678,"template_id":"77","tracking_id":"a","template_data":{}}`, -108, ""},
		"phone, not JSON":     {PathPhone, `{`, -122, ""},
		"phone of nobody":     {PathPhone, byPhone("84999999999", "77", "a-1", good), -118, ""},
		"phone, template":     {PathPhone, byPhone(lansPhone, "78", "a-1", good), -109, ""},
		"phone, switched off": {PathPhone, byPhone(lansPhone, "off", "a-1", `{}`), -131, ""},
		"phone, low quality":  {PathPhone, byPhone(lansPhone, "low", "a-1", `{}`), -146, ""},
		"phone, only so":      {PathPhone, byPhone(lansPhone, "otp", "a-1", `{}`), 0, ""},
		"no tracking id":      {PathPhone, byPhone(lansPhone, "77", "", good), -132, ""},
		"long tracking id":    {PathPhone, byPhone(lansPhone, "77", long, good), -132, ""},
		"tracking id of 48":   {PathPhone, byPhone(lansPhone, "77", long[1:], good), 0, ""},
		"phone, no data":      {PathPhone, `{"phone":"84912345678","template_id":"77","tracking_id":"a"}`, -112, ""},
		"phone, data a list":  {PathPhone, `{"phone":"84912345678","template_id":"77","tracking_id":"a","template_data":[]}`, -112, ""},
		"sending mode 3":      {PathPhone, `{"phone":"84912345678","template_id":"77","tracking_id":"a","sending_mode":"3","template_data":{}}`, -161, ""},
		"phone, too long":     {PathPhone, byPhone(lansPhone, "77", "a-1", `{"code":"H42.16","note":"mang theo"}`), -1121, "note"},
		"phone, missing":      {PathPhone, byPhone(lansPhone, "77", "a-1", `{}`), -1122, "code"},
		"phone, no date":      {PathPhone, byPhone(lansPhone, "77", "a-1", `{"code":"H42.16","day":"mai"}`), -1124, "day"},
		"phone, blocked":      {PathPhone, byPhone("84912000011", "77", "a-1", good), -141, ""},
		"phone, restricted":   {PathPhone, byPhone("84912000012", "77", "a-1", good), -139, ""},
		"phone, inactive":     {PathPhone, byPhone("84912000013", "77", "a-1", good), -114, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := b.Accepted()
			a := b.call("POST", tt.path, tt.body)
			if a.Error != tt.code || !strings.Contains(a.Message, tt.word) {
				t.Errorf("error %d %q, want %d with %q", a.Error, a.Message, tt.code, tt.word)
			}
			if taken := b.Accepted() - before; (taken == 1) != (tt.code == 0) || (a.Data == nil) != (tt.code != 0) {
				t.Errorf("error %d, yet %d were taken with data %s", a.Error, taken, a.Data)
			}
		})
	}
}

func TestTemplateAnswersAndTells(t *testing.T) {
	b := start(t, Options{Templates: []Template{notice}, PhonePerDay: 500})
	b.AddUser(User{ID: lan, Phone: lansPhone})
	const text = "Hồ sơ H42.16 hẹn , phí đ. "
	var byID, byNumber struct {
		MessageID string `json:"message_id"`
		MsgID     string `json:"msg_id"`
		UserID    string `json:"user_id"`
		SentTime  string `json:"sent_time"`
		Quota     struct {
			Type   string `json:"quota_type"`
			Daily  string `json:"dailyQuota"`
			Remain string `json:"remainingQuota"`
		} `json:"quota"`
	}
	if err := json.Unmarshal(b.call("POST", PathTemplate, byUser(lan, "77", `{"code":"H42.16"}`)).Data, &byID); err != nil {
		t.Fatal(err)
	}
	if byID.MessageID == "" || byID.UserID != lan || byID.SentTime != "1795401600000" || byID.Quota.Type != "purchase_quota" {
		t.Errorf("by user id %+v", byID)
	}
	if err := json.Unmarshal(b.call("POST", PathPhone, byPhone(lansPhone, "77", lan+"-1z", `{"code":"H42.16"}`)).Data, &byNumber); err != nil {
		t.Fatal(err)
	}
	if byNumber.MsgID == "" || byNumber.UserID != "" || byNumber.Quota.Daily != "500" || byNumber.Quota.Remain != "499" {
		t.Errorf("by phone %+v", byNumber)
	}
	b.settle()
	want := []string{
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"event_name":"oa_send_template","timestamp":"1795401600000","message":{"msg_id":"` + byID.MessageID + `","attachments":[{"type":"template","payload":{"zinstant_id":"` + byID.MessageID + `","text":"` + text + `","link_url":"","checksum":""}}]}}`,
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_received_message","timestamp":"1795401600000","message":{"msg_id":"` + byID.MessageID + `"}}`,
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_seen_message","timestamp":"1795401600000","message":{"msg_ids":["` + byID.MessageID + `"]}}`,
		`{"sender":{"id":"3612345678901234567"},"recipient":{"id":"84912345678"},"event_name":"user_received_message","message":{"delivery_time":"1795401600000","msg_id":"` + byNumber.MsgID + `","tracking_id":"` + lan + `-1z"},"app_id":"1234567890123456789","timestamp":"1795401600000"}`,
	}
	var got []string
	for _, r := range b.door.all() {
		got = append(got, r.body)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
	chat := b.Messages(lan)
	if len(chat) != 2 || chat[0].Text != text || chat[1].Text != text || chat[1].Tracking != lan+"-1z" || chat[1].Delivered.IsZero() {
		t.Errorf("chat %+v", chat)
	}
}

// By night a template is taken and the phone stays silent until six.
func TestTemplatesWaitForTheMorning(t *testing.T) {
	late := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC) // ten in the evening
	b := start(t, Options{Clock: NewFrozenClock(late), Templates: []Template{{ID: "1", Text: "a"}, {ID: "3", Tag: "PROMOTION"}}})
	b.AddUser(User{ID: lan, Phone: lansPhone})
	for i, body := range []string{byUser(lan, "1", `{}`), byPhone(lansPhone, "1", "t", `{}`)} {
		if a := b.call("POST", []string{PathTemplate, PathPhone}[i], body); a.Error != 0 {
			t.Errorf("by night: %d %s", a.Error, a.Message)
		}
	}
	if a := b.call("POST", PathTemplate, byUser(lan, "3", `{}`)); a.Error != -234 {
		t.Errorf("promotion by night: %d, want -234", a.Error)
	}
	if a := b.call("POST", PathPhone, byPhone(lansPhone, "3", "t", `{}`)); a.Error != -133 {
		t.Errorf("promotion by phone by night: %d, want -133", a.Error)
	}
	b.Clock().Advance(8*time.Hour - time.Millisecond)
	b.settle()
	if got := b.door.names(); got != "oa_send_template" {
		t.Errorf("before six: %q, want only the echo", got)
	}
	for _, m := range b.Messages(lan) {
		if !m.Delivered.IsZero() {
			t.Errorf("before six: %+v", m)
		}
	}
	b.Clock().Advance(time.Hour)
	b.settle()
	if got := b.door.names(); got != "oa_send_template user_received_message user_seen_message user_received_message" {
		t.Errorf("after six: %q", got)
	}
	six := late.Add(8 * time.Hour)
	if last := b.door.all()[3].body; !strings.Contains(last, `"delivery_time":"`+millis(six)+`"`) {
		t.Errorf("receipt %s, want it at six", last)
	}
	for _, m := range b.Messages(lan) {
		if !m.Delivered.Equal(six) {
			t.Errorf("after six: %+v", m)
		}
	}
	if a := b.call("POST", PathTemplate, byUser(lan, "3", `{}`)); a.Error != 0 {
		t.Errorf("promotion by day: %d", a.Error)
	}
}

// The clock that runs pushes by itself, without anybody asking.
func TestTheMorningComesByItself(t *testing.T) {
	clock := NewFrozenClock(time.Date(2026, 11, 23, 22, 59, 0, 0, time.UTC))
	b := start(t, Options{Clock: clock, Templates: []Template{{ID: "1"}}, NoEchoes: true, SeenByHand: true})
	b.AddUser(User{ID: lan})
	updates, cancel := b.Subscribe()
	defer cancel()
	if a := b.call("POST", PathTemplate, byUser(lan, "1", `{}`)); a.Error != 0 {
		t.Fatal(a.Message)
	}
	clock.Advance(time.Minute)
	for u := range updates {
		if u.Kind == UpdateWebhook {
			break
		}
	}
	if got := b.door.names(); got != "user_received_message" {
		t.Errorf("webhooks %q", got)
	}
}

func TestPhoneQuotas(t *testing.T) {
	b := start(t, Options{RatePerMinute: 1, PhonePerDay: 3, Templates: []Template{{ID: "1"}, {ID: "2", PerDay: 1}}})
	b.AddUser(User{ID: lan, Phone: lansPhone})
	for i, tt := range []struct {
		template string
		code     int
	}{{"2", 0}, {"2", -147}, {"1", 0}, {"1", 0}, {"1", -144}, {"2", -144}} {
		if a := b.call("POST", PathPhone, byPhone(lansPhone, tt.template, "t", `{}`)); a.Error != tt.code || a.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("%d. template %s: %d, want %d; headers %v", i, tt.template, a.Error, tt.code, a.header)
		}
	}
	b.Clock().Advance(15 * time.Hour) // past midnight in Viet Nam, by night
	if a := b.call("POST", PathPhone, byPhone(lansPhone, "2", "t", `{}`)); a.Error != 0 {
		t.Errorf("the next day: %d %s", a.Error, a.Message)
	}
}

func TestTokensOnTheHostOfTemplates(t *testing.T) {
	b := start(t, Options{Templates: []Template{{ID: "1"}}, RequireProof: true})
	if a := b.flat(PathTemplateInfo, "template_id=1"); a.Error != -1241 {
		t.Errorf("without proof: %d, want -1241", a.Error)
	}
	b.token = "none"
	if a := b.flat(PathTemplateInfo, "template_id=1"); a.Error != -124 {
		t.Errorf("without a token: %d, want -124", a.Error)
	}
}

func TestTemplateStatusIsToldOf(t *testing.T) {
	b := start(t, Options{})
	b.PutTemplate(notice)
	b.SetTemplateStatus("77", StatusDisabled)
	b.SetTemplateStatus("none", StatusDisabled)
	b.settle()
	want := `{"oa_id":"3612345678901234567","template_id":"77","event_name":"change_template_status","status":{"prev_status":"ENABLE","new_status":"DISABLE"},"reason":"","app_id":"1234567890123456789","timestamp":"1795401600000"}`
	if got := b.door.all(); len(got) != 1 || got[0].body != want {
		t.Errorf("webhooks %+v", got)
	}
	info := string(b.flat(PathTemplateInfo, "template_id=77").Data)
	for _, part := range []string{`"status":"DISABLE"`, `"price_uid":"165"`, `"price_sdt":"330"`, `"name":"day","require":false,"type":"DATE","maxLength":30,"minLength":0`} {
		if !strings.Contains(info, part) {
			t.Errorf("description %s, want %s", info, part)
		}
	}
	if a := b.flat(PathTemplateInfo, "template_id=78"); a.Error != -109 {
		t.Errorf("unknown template: %d, want -109", a.Error)
	}
}

// What tests of "never twice" count: by person and by what they make of it.
func TestReceived(t *testing.T) {
	b := start(t, Options{RatePerMinute: -1, KeepLog: -1, KeepMessages: -1, NoEchoes: true, NoReceipts: true, Templates: []Template{{ID: "1", Text: "{n}", Params: []TemplateParam{{Name: "n"}}}},
		CountBy: func(s Send) string {
			if s.Text == "x" {
				return ""
			}
			return s.Kind + " " + s.User + " " + s.Text
		}})
	b.AddUser(User{ID: lan, Phone: lansPhone})
	b.SendText(lan, "chào")
	b.say(lan, "x")
	b.say(lan, "một")
	for range 2 {
		b.call("POST", PathTemplate, byUser(lan, "1", `{"n":"hai"}`))
	}
	b.Fault(Fault{Path: PathPhone, User: lan, CutAfter: true})
	if _, _, err := b.do("POST", PathPhone, byPhone(lansPhone, "1", "t", `{"n":"ba"}`), b.token); err == nil {
		t.Error("the call was not cut")
	}
	want := map[string]int{"cs " + lan + " một": 1, "template " + lan + " hai": 2, "phone " + lan + " ba": 1}
	if diff := cmp.Diff(want, b.Received()); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

// A receipt of one sent by the hash of a phone names the hash; it is made by hand
// here, for nothing of ours sends so.
func TestRawReceiptByHash(t *testing.T) {
	b := start(t, Options{})
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(lansPhone)))
	b.Raw(b.phoneReceiptEvent(hash, "e1", "t", noon))
	b.settle()
	if got := b.door.all(); len(got) != 1 || !strings.Contains(got[0].body, `"recipient":{"id":"25cc2f75`) {
		t.Errorf("webhooks %+v", got)
	}
}
