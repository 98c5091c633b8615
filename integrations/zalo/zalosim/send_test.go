package zalosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func buttons(n int, one string) string {
	return `{"recipient":{"user_id":"` + lan + `"},"message":{"text":"Chọn","attachment":{"type":"template","payload":{"buttons":[` +
		strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}}}}`
}

func template(payload string) string {
	return `{"recipient":{"user_id":"` + lan + `"},"message":{"attachment":{"type":"template","payload":` + payload + `}}}`
}

func TestSendChecksFields(t *testing.T) {
	b := start(t, Options{RatePerMinute: -1})
	b.SendText(lan, "chào")
	const hide = `{"title":"A","type":"oa.query.hide","payload":"#a.b"}`
	text := func(s string) string {
		raw, _ := json.Marshal(s)
		return `{"recipient":{"user_id":"` + lan + `"},"message":{"text":` + string(raw) + `}}`
	}
	for name, tt := range map[string]struct {
		body string
		code int
		word string // in the message
	}{
		"text":                 {text("Chào bạn"), 0, ""},
		"text of 2000":         {text(strings.Repeat("à", 2000)), 0, ""},
		"text of 2001":         {text(strings.Repeat("à", 2001)), -210, ""},
		"1001 emoji":           {text(strings.Repeat("😀", 1001)), -210, ""},
		"empty text":           {text(""), -201, "text"},
		"blank text":           {text(" \n"), -201, "text"},
		"null attachment":      {`{"recipient":{"user_id":"` + lan + `"},"message":{"text":"a","attachment":null}}`, 0, ""},
		"not JSON":             {`{"recipient":`, -201, "body"},
		"no recipient":         {`{"message":{"text":"a"}}`, -201, "user_id"},
		"user_id a number":     {`{"recipient":{"user_id":25},"message":{"text":"a"}}`, -201, "user_id"},
		"no message":           {`{"recipient":{"user_id":"` + lan + `"}}`, -201, "message"},
		"text a number":        {`{"recipient":{"user_id":"` + lan + `"},"message":{"text":5}}`, -201, "text"},
		"stranger":             {`{"recipient":{"user_id":"999999999999999"},"message":{"text":"a"}}`, -201, "user_id"},
		"5 buttons":            {buttons(5, hide), 0, ""},
		"6 buttons":            {buttons(6, hide), -210, ""},
		"no buttons":           {buttons(0, hide), -201, "buttons"},
		"long title":           {buttons(1, `{"title":"`+strings.Repeat("a", 101)+`","type":"oa.query.hide","payload":"#a"}`), -210, ""},
		"no title":             {buttons(1, `{"title":"","type":"oa.query.hide","payload":"#a"}`), -201, "title"},
		"payload an object":    {buttons(1, `{"title":"A","type":"oa.query.hide","payload":{"a":1}}`), -201, "payload"},
		"payload of 1000":      {buttons(1, `{"title":"A","type":"oa.query.show","payload":"`+strings.Repeat("a", 1000)+`"}`), 0, ""},
		"payload of 1001":      {buttons(1, `{"title":"A","type":"oa.query.show","payload":"`+strings.Repeat("a", 1001)+`"}`), -210, ""},
		"url":                  {buttons(1, `{"title":"A","type":"oa.open.url","payload":{"url":"https://dichvucong.example/x"}}`), 0, ""},
		"url over http":        {buttons(1, `{"title":"A","type":"oa.open.url","payload":{"url":"http://dichvucong.example/x"}}`), -201, "url"},
		"url a string":         {buttons(1, `{"title":"A","type":"oa.open.url","payload":"https://a.example"}`), -201, "payload"},
		"phone":                {buttons(1, `{"title":"A","type":"oa.open.phone","payload":{"phone_code":"84229385000"}}`), 0, ""},
		"phone with 0":         {buttons(1, `{"title":"A","type":"oa.open.phone","payload":{"phone_code":"0229385000"}}`), -201, "phone_code"},
		"sms":                  {buttons(1, `{"title":"A","type":"oa.open.sms","payload":{"content":"x","phone_code":"84229385000"}}`), 0, ""},
		"sms of 161":           {buttons(1, `{"title":"A","type":"oa.open.sms","payload":{"content":"`+strings.Repeat("a", 161)+`","phone_code":"84229385000"}}`), -210, ""},
		"sms without content":  {buttons(1, `{"title":"A","type":"oa.open.sms","payload":{"phone_code":"84229385000"}}`), -201, "content"},
		"unknown button":       {buttons(1, `{"title":"A","type":"oa.open.app","payload":{}}`), -201, "type"},
		"template_type button": {template(`{"template_type":"button","buttons":[` + hide + `]}`), -233, ""},
		"list":                 {template(`{"template_type":"list","elements":[{"title":"a","subtitle":"b"}]}`), -233, ""},
		"attachment kind":      {`{"recipient":{"user_id":"` + lan + `"},"message":{"attachment":{"type":"image","payload":{}}}}`, -233, ""},
		"image":                {template(`{"template_type":"media","elements":[{"media_type":"image","url":"https://a.example/x.jpg"}]}`), 0, ""},
		"two images":           {template(`{"template_type":"media","elements":[{"media_type":"image","url":"https://a.example/x.jpg"},{"media_type":"image","url":"https://a.example/x.jpg"}]}`), -201, "elements"},
		"image both ways":      {template(`{"template_type":"media","elements":[{"media_type":"image","url":"https://a.example/x.jpg","attachment_id":"x"}]}`), -201, "url"},
		"image neither way":    {template(`{"template_type":"media","elements":[{"media_type":"image"}]}`), -201, "url"},
		"image never uploaded": {template(`{"template_type":"media","elements":[{"media_type":"image","attachment_id":"x"}]}`), -100, ""},
		"video":                {template(`{"template_type":"media","elements":[{"media_type":"video","url":"https://a.example/x"}]}`), -233, ""},
		"file":                 {`{"recipient":{"user_id":"` + lan + `"},"message":{"attachment":{"type":"file","payload":{"token":"x"}}}}`, -100, ""},
		"form":                 {template(`{"template_type":"request_user_info","elements":[{"title":"a","subtitle":"b"}]}`), 0, ""},
		"form without title":   {template(`{"template_type":"request_user_info","elements":[{"subtitle":"b"}]}`), -201, "title"},
		"form, long subtitle":  {template(`{"template_type":"request_user_info","elements":[{"title":"a","subtitle":"` + strings.Repeat("b", 501) + `"}]}`), -210, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.call("POST", PathSend, tt.body)
			if a.Error != tt.code || !strings.Contains(a.Message, tt.word) {
				t.Errorf("error %d %q, want %d with %q", a.Error, a.Message, tt.code, tt.word)
			}
			if (a.Data == nil) != (tt.code != 0) {
				t.Errorf("data %s with error %d", a.Data, a.Error)
			}
		})
	}
}

func TestSendOptions(t *testing.T) {
	const hide = `{"title":"A","type":"oa.query.hide","payload":"#a.b"}`
	b := start(t, Options{NoButtons: true, Lists: true, LoopbackLinks: true})
	b.SendText(lan, "chào")
	if a := b.call("POST", PathSend, buttons(1, hide)); a.Error != -233 {
		t.Errorf("buttons: %d, want -233 while they are switched off", a.Error)
	}
	if a := b.call("POST", PathSend, template(`{"template_type":"list","elements":[{"title":"a","subtitle":"b"}]}`)); a.Error != 0 {
		t.Errorf("list: %d %s, want it taken", a.Error, a.Message)
	}
	image := `{"template_type":"media","elements":[{"media_type":"image","url":"%s"}]}`
	if a := b.call("POST", PathSend, template(fmt.Sprintf(image, "http://127.0.0.1:8080/x.png"))); a.Error != 0 {
		t.Errorf("loopback picture: %d %s, want it taken", a.Error, a.Message)
	}
	if a := b.call("POST", PathSend, template(fmt.Sprintf(image, "http://10.0.0.1/x.png"))); a.Error != -201 {
		t.Errorf("picture over http: %d, want -201", a.Error)
	}
}

func TestSendAnswersAndEchoes(t *testing.T) {
	b := start(t, Options{})
	b.SendText(lan, "tra cứu")
	a := b.say(lan, "Mời nhắn mã hồ sơ")
	var data struct {
		MessageID string `json:"message_id"`
		UserID    string `json:"user_id"`
		SentTime  string `json:"sent_time"`
		Quota     struct {
			Type   string `json:"quota_type"`
			Remain string `json:"remain"`
		} `json:"quota"`
	}
	if err := json.Unmarshal(a.Data, &data); err != nil {
		t.Fatalf("%v in %s: ids and times are strings", err, a.Data)
	}
	if data.UserID != lan || data.SentTime != "1795401600000" || data.Quota.Type != "reply" || data.Quota.Remain != "8" {
		t.Errorf("answer %+v", data)
	}
	b.settle()
	if got, want := b.door.names(), "user_send_text oa_send_text user_received_message user_seen_message"; got != want {
		t.Fatalf("webhooks %q, want %q", got, want)
	}
	got := b.door.all()
	want := []string{
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"event_name":"oa_send_text","timestamp":"1795401600000","message":{"msg_id":"` + data.MessageID + `","text":"Mời nhắn mã hồ sơ"}}`,
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_received_message","timestamp":"1795401600000","message":{"msg_id":"` + data.MessageID + `"}}`,
		`{"app_id":"1234567890123456789","sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_seen_message","timestamp":"1795401600000","message":{"msg_ids":["` + data.MessageID + `"]}}`,
	}
	for i, w := range want {
		if got[i+1].body != w {
			t.Errorf("webhook %d\n got %s\nwant %s", i+1, got[i+1].body, w)
		}
	}
	chat := b.Messages(lan)
	if len(chat) != 2 || !chat[0].FromUser || chat[1].FromUser || chat[1].ID != data.MessageID || chat[1].Seen.IsZero() {
		t.Errorf("chat %+v", chat)
	}
	if sends := b.Sends(lan); len(sends) != 1 || sends[0].Text != "Mời nhắn mã hồ sơ" || b.Accepted() != 1 {
		t.Errorf("sends %+v, accepted %d", sends, b.Accepted())
	}
}

func TestEchoesAndReceiptsCanBeLeftOut(t *testing.T) {
	for name, tt := range map[string]struct {
		opt  Options
		want string
	}{
		"no echoes":    {Options{NoEchoes: true}, "user_received_message user_seen_message"},
		"no receipts":  {Options{NoReceipts: true}, "oa_send_text"},
		"neither":      {Options{NoEchoes: true, NoReceipts: true}, ""},
		"seen by hand": {Options{SeenByHand: true}, "oa_send_text user_received_message"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, tt.opt)
			b.SendText(lan, "a")
			b.say(lan, "b")
			b.settle()
			if got := strings.TrimSpace(strings.TrimPrefix(b.door.names(), "user_send_text")); got != tt.want {
				t.Errorf("webhooks %q, want %q", got, tt.want)
			}
		})
	}
	b := start(t, Options{SeenByHand: true})
	b.SendText(lan, "a")
	b.say(lan, "b")
	b.say(lan, "c")
	b.See(lan)
	b.See(lan) // nothing is left to see
	b.settle()
	var seen int
	for _, r := range b.door.all() {
		if r.name == "user_seen_message" {
			seen++
			if n := strings.Count(r.body, b.idPrefix); n != 2 {
				t.Errorf("%d messages in %s, want 2", n, r.body)
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d seen receipts, want 1", seen)
	}
}

func TestWindowsAndQuotas(t *testing.T) {
	quotaOf := func(a answered) string {
		var d struct {
			Quota struct {
				Type string `json:"quota_type"`
			} `json:"quota"`
		}
		json.Unmarshal(a.Data, &d)
		return d.Quota.Type
	}
	b := start(t, Options{PaidMessages: 2})
	b.AddUser(User{ID: lan, Name: "Lan"})
	if a := b.say(lan, "x"); a.Error != -232 {
		t.Errorf("never interacted: %d, want -232", a.Error)
	}
	b.Follow(lan)
	for i := range 3 {
		if a := b.say(lan, "x"); a.Error != 0 || quotaOf(a) != "welcome_msg" {
			t.Errorf("welcome message %d: %d %s", i+1, a.Error, quotaOf(a))
		}
	}
	if a := b.say(lan, "x"); a.Error != -218 {
		t.Errorf("fourth welcome message: %d, want -218", a.Error)
	}
	b.SendText(lan, "chào")
	b.Clock().Advance(48 * time.Hour)
	b.token = b.AccessToken() // the first lived 25 hours
	if a := b.say(lan, "x"); quotaOf(a) != "reply" {
		t.Errorf("at 48 h: %q, want reply", quotaOf(a))
	}
	b.Clock().Advance(time.Millisecond)
	b.token = b.AccessToken()
	for range 2 {
		if a := b.say(lan, "x"); quotaOf(a) != "sub_quota" {
			t.Errorf("past 48 h: %q, want sub_quota", quotaOf(a))
		}
	}
	if a := b.say(lan, "x"); a.Error != -211 {
		t.Errorf("package used up: %d, want -211", a.Error)
	}
	b.Clock().Advance(5*24*time.Hour + time.Millisecond)
	b.token = b.AccessToken()
	if a := b.say(lan, "x"); a.Error != -230 {
		t.Errorf("past 7 days: %d, want -230", a.Error)
	}
	b.Tap(lan, "#menu.open", false)
	if a := b.say(lan, "x"); a.Error != 0 {
		t.Errorf("after a tap: %d, want the window open", a.Error)
	}
	b.Block(lan, true)
	if a := b.say(lan, "x"); a.Error != -217 {
		t.Errorf("blocked: %d, want -217", a.Error)
	}
	b.Block(lan, false)
	b.AddUser(User{ID: lan, Name: "Lan", Restricted: true})
	if a := b.say(lan, "x"); a.Error != -244 {
		t.Errorf("restricted: %d, want -244", a.Error)
	}
}

func TestRateHoldsOverAnySixtySeconds(t *testing.T) {
	b := start(t, Options{RatePerMinute: 5})
	b.SendText(lan, "a")
	for i := range 5 {
		a := b.say(lan, "x")
		if got, want := a.header.Get("X-RateLimit-Remain"), fmt.Sprint(4-i); a.Error != 0 || got != want || a.header.Get("X-RateLimit-Limit") != "5" {
			t.Errorf("request %d: error %d, remain %q, want %q of 5", i, a.Error, got, want)
		}
		b.Clock().Advance(10 * time.Second)
	}
	if a := b.say(lan, "x"); a.Error != -32 || !strings.Contains(a.Message, "Your application") || a.header.Get("X-RateLimit-Remain") != "0" {
		t.Errorf("sixth in 50 s: %d %q", a.Error, a.Message)
	}
	b.Clock().Advance(10 * time.Second) // the first is 60 s old
	if a := b.say(lan, "x"); a.Error != 0 {
		t.Errorf("after the first has aged: %d, want room for one", a.Error)
	}
	if a := b.say(lan, "x"); a.Error != -32 {
		t.Errorf("and no more than one: %d, want -32", a.Error)
	}
	b = start(t, Options{OARatePerMinute: 1})
	b.SendText(lan, "a")
	b.say(lan, "x")
	if a := b.say(lan, "x"); a.Error != -32 || !strings.Contains(a.Message, "Your OA") {
		t.Errorf("account's limit: %d %q", a.Error, a.Message)
	}
}

func TestFaults(t *testing.T) {
	type outcome struct {
		status int
		code   int
		cut    bool
		taken  int64
	}
	for name, tt := range map[string]struct {
		fault Fault
		want  outcome
	}{
		"code":             {Fault{Code: -200}, outcome{status: 200, code: -200}},
		"code, but taken":  {Fault{Code: -200, Taken: true}, outcome{status: 200, code: -200, taken: 1}},
		"5xx":              {Fault{Status: 502}, outcome{status: 502}},
		"5xx, but taken":   {Fault{Status: 504, Taken: true}, outcome{status: 504, taken: 1}},
		"HTML":             {Fault{Body: "<html>"}, outcome{status: 200}},
		"cut before":       {Fault{CutBefore: true}, outcome{cut: true}},
		"cut after":        {Fault{CutAfter: true}, outcome{cut: true, taken: 1}},
		"another person's": {Fault{User: minh, Code: -200}, outcome{status: 200, taken: 1}},
		"another path's":   {Fault{Path: PathOA, Code: -200}, outcome{status: 200, taken: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, Options{})
			b.SendText(lan, "a")
			f := b.Fault(tt.fault)
			body := `{"recipient":{"user_id":"` + lan + `"},"message":{"text":"x"}}`
			got := outcome{}
			res, raw, err := b.do("POST", PathSend, body, b.token)
			if got.cut = err != nil; !got.cut {
				got.status = res.StatusCode
				var a answered
				json.Unmarshal(raw, &a)
				got.code = a.Error
			}
			got.taken = b.Accepted()
			if got != tt.want {
				t.Errorf("got %+v, want %+v (%v)", got, tt.want, err)
			}
			hits := f.Hits()
			if a := b.say(lan, "x"); a.Error != 0 {
				t.Errorf("the next call: %d, want the fault used up (hits before: %d)", a.Error, hits)
			}
		})
	}
}

func TestHangingCalls(t *testing.T) {
	for _, taken := range []bool{false, true} {
		b := start(t, Options{})
		b.SendText(lan, "a")
		f := b.Fault(Fault{Hang: true, Taken: taken})
		done := make(chan answered)
		go func() { done <- b.say(lan, "x") }()
		<-f.Struck()
		f.Release()
		if a := <-done; a.Error != 0 || b.Accepted() != 1 {
			t.Errorf("taken=%v: error %d, accepted %d; want it answered and taken once", taken, a.Error, b.Accepted())
		}
	}
	b := start(t, Options{})
	b.SendText(lan, "a")
	f := b.Fault(Fault{Hang: true, Times: -1})
	done := make(chan error)
	go func() {
		_, _, err := b.do("POST", PathSend, `{"recipient":{"user_id":"`+lan+`"},"message":{"text":"x"}}`, b.token)
		done <- err
	}()
	<-f.Struck()
	b.Close()
	if err := <-done; err == nil {
		t.Error("a call that hung when the stand-in closed got an answer")
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	b := start(t, Options{})
	for _, tt := range [][2]string{{"POST", "/v3.0/oa/message/promotion"}, {"GET", PathSend}, {"POST", PathOA}} {
		res, raw, err := b.do(tt[0], tt[1], "{}", b.token)
		if err != nil || res.StatusCode != http.StatusNotFound || !json.Valid(raw) {
			t.Errorf("%s %s: %v %v %s, want a small JSON with 404", tt[0], tt[1], res.StatusCode, err, raw)
		}
	}
}
