package zalo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/integrations/zalo/zalosim"
)

const (
	lansPhone = "84912345678"
	tracking  = lan + "-1z"
)

var statusTemplate = zalosim.Template{ID: "456789", Text: "Hồ sơ {code} của {name}: {status}", Tag: "TRANSACTION",
	PriceUser: 200, PricePhone: 330, Params: []zalosim.TemplateParam{
		{Name: "name", Required: true}, {Name: "code", Required: true, MinLength: 5}, {Name: "status", MaxLength: 60}}}

var filled = bot.Template{ID: "456789", Data: map[string]string{"name": "Nguyễn Văn A", "code": "H42.16-1", "status": "đã có \"kết quả\""}}

// byDay makes the stand-in's clock stand in the morning, when pushes go out.
func byDay(opt zalosim.Options) zalosim.Options {
	opt.Clock = zalosim.NewFrozenClock(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC))
	return opt
}

// dialTemplates dials a stand-in with the template and with Lan's phone.
func dialTemplates(t testing.TB, sopt zalosim.Options, copt Options) *line {
	sopt.Templates = append(sopt.Templates, statusTemplate)
	l := dial(t, byDay(sopt), copt)
	l.sim.AddUser(zalosim.User{ID: lan, Name: "Lan", Phone: lansPhone})
	return l
}

func byPhone(t bot.Template) bot.Template {
	t.Phone, t.TrackingID = lansPhone, tracking
	return t
}

func TestTemplateReachesThePerson(t *testing.T) {
	var sent []zalosim.Send
	l := dialTemplates(t, zalosim.Options{OnSend: func(s zalosim.Send) { sent = append(sent, s) }}, Options{})
	first, err := l.Template(context.Background(), toLan, filled)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Template(context.Background(), toLan, byPhone(filled))
	if err != nil {
		t.Fatal(err)
	}
	at := l.sim.Clock().Now()
	const text = `Hồ sơ H42.16-1 của Nguyễn Văn A: đã có "kết quả"`
	want := []zalosim.Send{
		{Kind: "template", User: lan, MsgID: first.MsgID, Text: text, At: at, Template: "456789"},
		{Kind: "phone", User: lan, MsgID: second.MsgID, Text: text, At: at, Template: "456789", TrackingID: tracking},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, l.sim.Sends(lan)); diff != "" {
		t.Errorf("kept in the chat (-want +got):\n%s", diff)
	}
	if !first.At.Equal(at) || !second.At.Equal(at) || first.MsgID == "" || first.MsgID == second.MsgID {
		t.Errorf("receipts %+v and %+v", first, second)
	}
	if got := l.sim.Received(); got[lan] != 2 || l.sim.Accepted() != 2 {
		t.Errorf("received %v, accepted %d", got, l.sim.Accepted())
	}
}

// What never leaves, and what Zalo refuses.
func TestTemplateRefuses(t *testing.T) {
	l := dialTemplates(t, zalosim.Options{Templates: []zalosim.Template{{ID: "old", NoUserID: true}}}, Options{})
	ctx := context.Background()
	with := func(change func(*bot.Template)) bot.Template {
		c := byPhone(filled)
		change(&c)
		return c
	}
	for name, tt := range map[string]struct {
		to bot.CitizenID
		t  bot.Template
	}{
		"another account":      {bot.CitizenID{OA: "1", User: lan}, filled},
		"nobody":               {bot.CitizenID{OA: zalosim.ExampleOAID}, byPhone(filled)},
		"no template":          {toLan, bot.Template{Data: filled.Data}},
		"phone with 0":         {toLan, with(func(t *bot.Template) { t.Phone = "0912345678" })},
		"phone with letters":   {toLan, with(func(t *bot.Template) { t.Phone = "84912 345 678" })},
		"phone with +":         {toLan, with(func(t *bot.Template) { t.Phone = "+84912345678" })},
		"no tracking id":       {toLan, with(func(t *bot.Template) { t.TrackingID = "" })},
		"tracking id too long": {toLan, with(func(t *bot.Template) { t.TrackingID = strings.Repeat("a", 49) })},
	} {
		_, err := l.Template(ctx, tt.to, tt.t)
		if ref := refused(t, err, delivery.ClassDrop, 0); strings.Contains(ref.Error(), "912345678") {
			t.Errorf("%s: the phone stands in %q", name, ref.Error())
		}
	}
	if n := l.sim.CallCount(zalosim.PathTemplate) + l.sim.CallCount(zalosim.PathPhone); n != 0 {
		t.Errorf("%d calls were made of what cannot be sent", n)
	}
	_, err := l.Template(ctx, toLan, bot.Template{ID: "old", Data: map[string]string{}})
	refused(t, err, delivery.ClassDrop, -249)
	_, err = l.Template(ctx, toLan, bot.Template{ID: "456789", Data: map[string]string{"name": "A"}})
	refused(t, err, delivery.ClassDrop, -1122)
	_, err = l.Template(ctx, toLan, with(func(t *bot.Template) { t.Phone = "84999999999" }))
	refused(t, err, delivery.ClassDrop, -118)
	l.sim.SetTemplateStatus("456789", zalosim.StatusDisabled)
	for _, tmpl := range []bot.Template{filled, byPhone(filled)} {
		_, err = l.Template(ctx, toLan, tmpl)
		refused(t, err, delivery.ClassHuman, -131)
	}
	if n := l.sim.Accepted(); n != 0 {
		t.Errorf("%d were taken", n)
	}
}

// Every code of both tables, as Zalo would answer it on either path.
func TestTemplateClassifiesEveryCode(t *testing.T) {
	var unknown atomic.Int64
	l := dialTemplates(t, zalosim.Options{RatePerMinute: -1}, Options{OnUnknownCode: func(int) { unknown.Add(1) }})
	for path, tt := range map[string]struct {
		classes map[int]delivery.Class
		t       bot.Template
	}{
		zalosim.PathPhone:    {phoneClasses, byPhone(filled)},
		zalosim.PathTemplate: {oaClasses, filled},
	} {
		for code, class := range tt.classes {
			if tokenRefused(code) {
				continue // see TestTemplateRenewsItsToken
			}
			if path == zalosim.PathTemplate && code == codeTryLater {
				class = delivery.ClassWait
			}
			l.sim.Fault(zalosim.Fault{Path: path, Code: code, Message: "84912345678 gì đó"})
			_, err := l.Template(context.Background(), toLan, tt.t)
			if ref := refused(t, err, class, code); strings.Contains(ref.Error(), "912345678") {
				t.Errorf("the phone stands in %q", ref.Error())
			}
		}
	}
	if unknown.Load() != 0 {
		t.Errorf("%d known codes were reported as unknown", unknown.Load())
	}
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathPhone, Code: -777})
	_, err := l.Template(context.Background(), toLan, byPhone(filled))
	refused(t, err, delivery.ClassWait, -777)
	if unknown.Load() != 1 || l.sim.Accepted() != 0 {
		t.Errorf("unknown codes told of: %d, accepted: %d", unknown.Load(), l.sim.Accepted())
	}
}

// -124 is how the host of templates says that a token is no good.
func TestTemplateRenewsItsToken(t *testing.T) {
	stale := "stale"
	for _, tmpl := range []bot.Template{filled, byPhone(filled)} {
		src := &swap{}
		src.token.Store(&stale)
		l := dialTemplates(t, zalosim.Options{}, Options{Tokens: src})
		src.next = l.sim.AccessToken()
		if _, err := l.Template(context.Background(), toLan, tmpl); err != nil || src.renewed.Load() != 1 || l.sim.Accepted() != 1 {
			t.Errorf("%v after %d renewals, %d accepted", err, src.renewed.Load(), l.sim.Accepted())
		}
	}
}

// What the wire does decides as for a consultation message.
func TestTemplateOnABrokenWire(t *testing.T) {
	l := dialTemplates(t, zalosim.Options{}, Options{Timeout: 300 * time.Millisecond})
	for path, tmpl := range map[string]bot.Template{zalosim.PathTemplate: filled, zalosim.PathPhone: byPhone(filled)} {
		for name, tt := range map[string]struct {
			fault zalosim.Fault
			class delivery.Class
		}{
			"cut after it was taken": {zalosim.Fault{CutAfter: true}, delivery.ClassAmbiguous},
			"502":                    {zalosim.Fault{Status: 502}, delivery.ClassAmbiguous},
			"HTML":                   {zalosim.Fault{Body: "<html>"}, delivery.ClassAmbiguous},
			"no answer":              {zalosim.Fault{Hang: true}, delivery.ClassAmbiguous},
			"429":                    {zalosim.Fault{Status: 429}, delivery.ClassNotSent},
		} {
			tt.fault.Path = path
			fault := l.sim.Fault(tt.fault)
			_, err := l.Template(context.Background(), toLan, tmpl)
			if ref, ok := errors.AsType[*delivery.Refusal](err); !ok || ref.Class != tt.class || fault.Hits() != 1 {
				t.Errorf("%s on %s: %v, want %s", name, path, err, tt.class)
			}
			fault.Release()
		}
	}
}

// The channel by phone has limits of its own: what it says is nothing the
// account's rate should follow.
func TestPhonesDoNotCountAgainstTheRate(t *testing.T) {
	var heard, throttled atomic.Int64
	l := dialTemplates(t, zalosim.Options{RatePerMinute: 1}, Options{
		OnLimit:     func(int, int) { heard.Add(1) },
		OnThrottled: func() { throttled.Add(1) },
	})
	for range 5 {
		if _, err := l.Template(context.Background(), toLan, byPhone(filled)); err != nil {
			t.Fatal(err)
		}
	}
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathPhone, Code: -32})
	_, err := l.Template(context.Background(), toLan, byPhone(filled))
	if ref := refused(t, err, delivery.ClassNotSent, -32); ref.RetryAfter <= 0 || heard.Load() != 0 || throttled.Load() != 0 {
		t.Errorf("retry after %s, heard %d, throttled %d", ref.RetryAfter, heard.Load(), throttled.Load())
	}
	if _, err := l.Template(context.Background(), toLan, filled); err != nil || heard.Load() != 1 {
		t.Errorf("by user id: %v, heard %d", err, heard.Load())
	}
	_, err = l.Template(context.Background(), toLan, filled)
	refused(t, err, delivery.ClassNotSent, -32)
	if throttled.Load() != 1 {
		t.Error("the account's limit was not heard")
	}
}

func TestLimitsOfTheOtherHostAreNotHeard(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "5")
		w.Write([]byte(`{"error":0,"data":{"msg_id":"e1"}}`))
	}))
	defer srv.Close()
	heard := 0
	c, err := New(Options{APIURL: srv.URL, ZNSURL: srv.URL, Tokens: FixedToken("x"), OnLimit: func(int, int) { heard++ }})
	if err != nil {
		t.Fatal(err)
	}
	for want, tmpl := range []bot.Template{byPhone(filled), filled} { // only the second counts against the account
		if _, err := c.Template(context.Background(), toLan, tmpl); err != nil || heard != want {
			t.Errorf("heard of %d limits, want %d: %v", heard, want, err)
		}
	}
}

func TestTemplateInfo(t *testing.T) {
	l := dialTemplates(t, zalosim.Options{RatePerMinute: 1}, Options{})
	want := TemplateInfo{ID: "456789", Status: "ENABLE", Tag: "TRANSACTION", Quality: "HIGH", PriceUser: 200, PricePhone: 330,
		Params: []TemplateParam{{"name", true, "STRING", 0, 30}, {"code", true, "STRING", 5, 30}, {"status", false, "STRING", 0, 60}}}
	for range 2 {
		got, err := l.TemplateInfo(context.Background(), "456789")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("template (-want +got):\n%s", diff)
		}
	}
	_, err := l.TemplateInfo(context.Background(), "1&x=2")
	refused(t, err, delivery.ClassDrop, -109)
}

// Prices and lengths come in every form; a part of a đồng is a whole one.
func TestTemplateInfoReadsWhatZaloWrites(t *testing.T) {
	var answer string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(answer)) }))
	defer srv.Close()
	c, err := New(Options{ZNSURL: srv.URL, Tokens: FixedToken("x")})
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]TemplateInfo{
		`{"templateId":77,"price_uid":"165.5","price_sdt":300.0}`:                                                    {ID: "77", PriceUser: 166, PricePhone: 300},
		`{"price":"280","price_uid":null,"status":1}`:                                                                {ID: "5", PricePhone: 280, Status: "1"},
		`{"price_sdt":"free","price_uid":-3,"listParams":[{"name":"a","require":true,"type":"S","maxLength":"20"}]}`: {ID: "5", Params: []TemplateParam{{"a", true, "S", 0, 20}}},
	} {
		answer = `{"error":0,"data":` + data + `}`
		got, err := c.TemplateInfo(context.Background(), "5")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", data, err, diff)
		}
	}
}

func TestAppendTemplate(t *testing.T) {
	raw, err := appendTemplate(nil, lan, bot.Template{ID: `4"5`, Data: map[string]string{"b": "a\u0300", "a": "x\ny"}}) // composed on the way
	if want := `{"user_id":"` + lan + `","template_id":"4\"5","template_data":{"a":"x\ny","b":"à"}}`; err != nil || string(raw) != want {
		t.Errorf("by user id: %v\n got %s\nwant %s", err, raw, want)
	}
	raw, err = appendTemplate(nil, lan, bot.Template{ID: "45", Phone: lansPhone, TrackingID: tracking})
	if want := `{"phone":"84912345678","tracking_id":"` + tracking + `","sending_mode":"1","template_id":"45","template_data":{}}`; err != nil || string(raw) != want {
		t.Errorf("by phone: %v\n got %s\nwant %s", err, raw, want)
	}
	if !json.Valid(raw) {
		t.Errorf("not JSON: %s", raw)
	}
}

func BenchmarkTemplate(b *testing.B) {
	l := dialTemplates(b, zalosim.Options{RatePerMinute: -1, KeepLog: -1, KeepMessages: -1}, Options{})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Template(context.Background(), toLan, filled); err != nil {
				b.Fatal(err)
			}
		}
	})
}
