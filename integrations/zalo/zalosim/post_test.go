package zalosim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLadderUnderAMovedClock(t *testing.T) {
	b := start(t, Options{})
	b.door.respond(func(n int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	b.SendText(lan, "mất điện")
	b.settle()
	steps := []time.Duration{30 * time.Second, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	for i, step := range steps {
		b.Clock().Advance(step - time.Millisecond)
		b.settle()
		if got := len(b.door.all()); got != i+1 {
			t.Fatalf("%d tries just before retry %d, want %d", got, i+1, i+1)
		}
		if b.SwitchedOff() {
			t.Fatalf("switched off before retry %d", i+1)
		}
		b.Clock().Advance(time.Millisecond)
		b.settle()
	}
	tries := b.door.all()
	if len(tries) != 6 {
		t.Fatalf("%d tries, want one and five retries", len(tries))
	}
	for i, r := range tries {
		want := ""
		if i > 0 {
			want = fmt.Sprint(i)
		}
		if r.retry != want || r.body != tries[0].body || r.mac != tries[0].mac {
			t.Errorf("try %d: num_retry %q, want %q, with the same body and mac", i, r.retry, want)
		}
	}
	if !b.SwitchedOff() {
		t.Fatal("still subscribed after the fifth retry failed")
	}
	b.SendText(lan, "lost")
	b.door.respond(nil)
	b.SwitchOn()
	b.SendText(lan, "đã có điện")
	b.settle()
	if tries := b.door.all(); len(tries) != 7 || !strings.Contains(tries[6].body, "đã có điện") {
		t.Errorf("%d deliveries after switching on, want the new event and not the lost one", len(tries)-6)
	}
}

func TestRetryEndsWithSuccess(t *testing.T) {
	b := start(t, Options{})
	b.door.respond(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(500)
		}
	})
	b.SendText(lan, "a")
	for range 5 {
		b.settle()
		b.Clock().Advance(time.Hour)
	}
	b.settle()
	if got := len(b.door.all()); got != 3 || b.SwitchedOff() {
		t.Errorf("%d tries, switched off %v; want 3 and on", got, b.SwitchedOff())
	}
	logs := b.Webhooks()
	if len(logs) != 3 || logs[0].Status != 500 || logs[2].Status != 200 || logs[2].Try != 2 || logs[2].User != lan {
		t.Errorf("log %+v", logs)
	}
}

func TestSlowAndBrokenDoors(t *testing.T) {
	release := make(chan struct{})
	b := start(t, Options{WebhookTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { close(release) }) // before the door closes
	for name, answer := range map[string]func(int, http.ResponseWriter, *http.Request){
		"slow":    func(_ int, w http.ResponseWriter, r *http.Request) { <-release },
		"hang up": func(_ int, w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"garbage": func(_ int, w http.ResponseWriter, r *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "hello\n")
			conn.Close()
		},
		"204": func(_ int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
	} {
		b.door.respond(answer)
		before := len(b.door.all())
		b.SendText(lan, name)
		b.settle()
		b.door.respond(nil)
		b.Clock().Advance(30 * time.Second)
		b.settle()
		got := b.door.all()[before:]
		if len(got) < 2 || got[len(got)-1].retry != "1" {
			t.Errorf("%s: %d tries, want a retry", name, len(got))
		}
	}
}

func TestNoRetryOnStatus(t *testing.T) {
	b := start(t, Options{NoRetryOnStatus: true})
	b.door.respond(func(n int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	b.SendText(lan, "a")
	b.settle()
	b.Clock().Advance(2 * time.Hour)
	b.settle()
	if got := len(b.door.all()); got != 1 {
		t.Errorf("%d tries, want no retry after an answer", got)
	}
}

func TestDisturbances(t *testing.T) {
	texts := func(b *bench) []string {
		var out []string
		for _, r := range b.door.all() {
			_, rest, _ := strings.Cut(r.body, `"text":"`)
			text, _, _ := strings.Cut(rest, `"`)
			out = append(out, text)
		}
		return out
	}
	send := func(b *bench) {
		for i := range 20 {
			b.SendText(lan, fmt.Sprintf("%02d", i))
		}
		b.settle()
	}
	b := start(t, Options{})
	b.Disturb(Disturbance{Drop: 1})
	send(b)
	if got := texts(b); len(got) != 0 {
		t.Errorf("dropped all, got %v", got)
	}
	b.Disturb(Disturbance{Drop: 1, Events: []string{"follow"}})
	send(b)
	if got := texts(b); len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("other events: got %v, want all in order", got)
	}

	b = start(t, Options{})
	b.Disturb(Disturbance{Duplicate: 1})
	send(b)
	if got := texts(b); len(got) != 40 {
		t.Errorf("%d deliveries, want each twice", len(got))
	}

	b = start(t, Options{})
	b.Disturb(Disturbance{Shuffle: 8, Seed: 3})
	send(b)
	if got := texts(b); len(got) != 16 || slices.IsSorted(got) {
		t.Errorf("shuffled: %v, want sixteen out of order and four still collected", got)
	}
	b.Disturb(Disturbance{})
	b.settle()
	if got := texts(b); len(got) != 20 {
		t.Errorf("%d deliveries after the end, want all", len(got))
	}

	b = start(t, Options{})
	b.Disturb(Disturbance{Delay: 1, MaxDelay: time.Hour})
	send(b)
	if got := len(texts(b)); got != 0 {
		t.Errorf("%d deliveries, want all delayed", got)
	}
	b.Clock().Advance(time.Hour)
	b.settle()
	if got := texts(b); len(got) != 20 || slices.IsSorted(got) {
		t.Errorf("after an hour: %v, want all, out of order", got)
	}
}

func TestHoldAndRelease(t *testing.T) {
	b := start(t, Options{})
	b.HoldWebhooks(true)
	b.SendText(lan, "1")
	b.SendText(lan, "2")
	b.settle()
	if got := len(b.door.all()); got != 0 {
		t.Fatalf("%d deliveries while held", got)
	}
	b.HoldWebhooks(false)
	b.settle()
	if got := b.door.all(); len(got) != 2 || !strings.Contains(got[0].body, `"text":"1"`) {
		t.Errorf("released %d, want two in order", len(got))
	}
}

func TestRunningClockRetriesByItself(t *testing.T) {
	clock := NewClock()
	b := start(t, Options{Clock: clock})
	b.door.respond(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	updates, cancel := b.Subscribe()
	defer cancel()
	b.SendText(lan, "a")
	b.settle()
	clock.Advance(29*time.Second + 990*time.Millisecond)
	for n := 0; n < 2; {
		if u := <-updates; u.Kind == UpdateWebhook {
			n++
		}
	}
	if got := b.door.all(); len(got) != 2 || got[1].retry != "1" {
		t.Errorf("%d tries, want the retry when its time has come", len(got))
	}
}

func TestProbes(t *testing.T) {
	b := start(t, Options{})
	ctx := context.Background()
	if status, err := b.ProbeSave(ctx); status != 200 || err != nil {
		t.Errorf("save: %d %v", status, err)
	}
	if status, err := b.ProbeSample(ctx); status != 200 || err != nil {
		t.Errorf("sample: %d %v", status, err)
	}
	if status, err := b.ProbeEvent(ctx, "user_send_image"); status != 200 || err != nil {
		t.Errorf("event: %d %v", status, err)
	}
	got := b.door.all()
	if len(got) != 3 || got[0].body != "{}" || got[0].mac != "" {
		t.Fatalf("save probe %+v, want an unsigned {}", got[0])
	}
	for _, r := range got[1:] {
		if !strings.Contains(r.body, "This is testing message") || strings.Contains(r.body, ExampleOAID) ||
			r.mac != Sign(ExampleAppID, []byte(r.body), "154390853474", ExampleOASecret) {
			t.Errorf("probe %+v, want a signed sample of a foreign account", r)
		}
	}
}

// What people do arrives as Zalo tells it.
func TestEventsOfPeople(t *testing.T) {
	b := start(t, Options{})
	b.OpenChat(lan)
	b.Follow(lan)
	b.Unfollow(lan)
	b.Withdraw(lan)
	b.SendMedia(lan, "image", "giấy hẹn", "https://photo.talk.zdn.vn/f.jpg")
	b.SendMedia(lan, "business_card", "", "https://photo.talk.zdn.vn/q.jpg")
	b.SendMedia(lan, "file", "", "https://file.zdn.vn/f.pdf")
	b.SendMedia(lan, "sticker", "", "https://s.zdn.vn/s.png")
	b.SendMedia(lan, "audio", "", "https://a.zdn.vn/a.amr")
	b.SendLocation(lan, "20.2506", "105.9745")
	b.SubmitInfo(lan, Info{Name: "Nguyễn Văn A", Phone: "84912345678", City: "Tỉnh Ninh Bình", Ward: "Phường Hoa Lư"})
	b.React(lan, "b1b2", "/-heart")
	staff := b.StaffSays(lan, "4412345678901234567", "Chào bạn")
	b.OpenChat(lan) // told only once
	b.Raw([]byte(`{"event_name":"brand_new","timestamp":12345}`))
	b.settle()
	want := map[string][]string{
		"user_click_chatnow":      {`"oa_id":"3612345678901234567","user_id":"2512345678901234567"`},
		"follow":                  {`"follower":{"id":"2512345678901234567"}`, `"source":"oa_profile"`},
		"unfollow":                {`"follower":`},
		"user_withdraw":           {`"user_id":"2512345678901234567"`},
		"user_send_image":         {`"text":"giấy hẹn"`, `"attachments":[{"payload":{"thumbnail":"https://photo.talk.zdn.vn/f.jpg","url":"https://photo.talk.zdn.vn/f.jpg"},"type":"image"}]`},
		"user_send_business_card": {`"type":"link"`, `\"phone\":\"84912345678\"`},
		"user_send_file":          {`"checksum":`, `"name":"giay-to.pdf"`},
		"user_send_sticker":       {`"type":"sticker"`},
		"user_send_audio":         {`"type":"audio"`},
		"user_send_location":      {`"coordinates":{"latitude":"20.2506","longitude":"105.9745"}`},
		"user_submit_info":        {`"phone":"84912345678"`, `"full_address":{"user_city":"Tỉnh Ninh Bình","user_ward":"Phường Hoa Lư"}`},
		"user_reacted_message":    {`"react_icon":"/-heart"`},
		"oa_send_text":            {`"sender":{"id":"3612345678901234567","admin_id":"4412345678901234567"}`, `"msg_id":"` + staff + `"`},
		"brand_new":               {`{"event_name":"brand_new","timestamp":12345}`},
	}
	seen := map[string]bool{}
	for _, r := range b.door.all() {
		if seen[r.name] {
			t.Errorf("%s came twice", r.name)
		}
		seen[r.name] = true
		for _, part := range want[r.name] {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s: %s\nlacks %s", r.name, r.body, part)
			}
		}
		stamp := "1795401600000"
		if r.name == "brand_new" {
			stamp = "12345"
		}
		if r.mac != Sign(ExampleAppID, []byte(r.body), stamp, ExampleOASecret) {
			t.Errorf("%s: wrong mac", r.name)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s never came", name)
		}
	}
}

func TestTimestampAsTyped(t *testing.T) {
	for body, want := range map[string]string{
		`{"timestamp":"1795401600000"}`:                              "1795401600000",
		`{"timestamp":1795401600000}`:                                "1795401600000",
		`{"message":{"text":"\"timestamp\":\"1\""},"timestamp":"2"}`: "2",
		`{"timestamp":"1","timestamp":"2"}`:                          "2",
		`{}`:                                                         "",
		`nope`:                                                       "",
	} {
		if got := timestampOf([]byte(body)); got != want {
			t.Errorf("timestamp of %s = %q, want %q", body, got, want)
		}
	}
}

func TestWebhookAnswersOfAllShapes(t *testing.T) {
	b := start(t, Options{})
	for name, answer := range map[string]func(int, http.ResponseWriter, *http.Request){
		"empty": func(_ int, w http.ResponseWriter, r *http.Request) {},
		"chunked": func(_ int, w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			io.WriteString(w, "}")
		},
		"close": func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, "{}")
		},
		"long": func(_ int, w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<17)) },
	} {
		b.door.respond(answer)
		before := len(b.door.all())
		for range 3 { // over the same worker, so that connections are used again
			b.SendText(lan, name)
			b.settle()
		}
		b.Clock().Advance(30 * time.Second)
		b.settle()
		if got := len(b.door.all()) - before; got != 3 {
			t.Errorf("%s: %d deliveries, want three and no retry", name, got)
		}
	}
}

// A door that closed an idle connection costs no try.
func TestIdleConnectionClosedByTheDoor(t *testing.T) {
	d := &door{}
	srv := httptest.NewServer(d)
	defer srv.Close()
	b := start(t, Options{WebhookURL: srv.URL})
	b.SendText(lan, "1")
	b.settle()
	srv.CloseClientConnections()
	b.SendText(lan, "2")
	b.settle()
	if got := d.all(); len(got) != 2 || got[1].retry != "" {
		t.Errorf("%d deliveries, want the second on a new connection without a retry", len(got))
	}
}

// With https, or a client of the caller's, deliveries go through that client.
func TestWebhooksThroughAClient(t *testing.T) {
	d := &door{}
	srv := httptest.NewTLSServer(d)
	defer srv.Close()
	b := start(t, Options{WebhookURL: srv.URL + "/hook", HTTPClient: srv.Client()})
	d.respond(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	b.SendText(lan, "1")
	b.settle()
	b.Clock().Advance(30 * time.Second)
	b.settle()
	if got := d.all(); len(got) != 2 || got[1].retry != "1" || got[1].mac != got[0].mac || got[0].mac == "" {
		t.Errorf("deliveries %+v, want a signed one and its retry", got)
	}
}

func TestChangingTheAddress(t *testing.T) {
	b := start(t, Options{})
	b.door.respond(func(n int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	b.SendText(lan, "old")
	b.settle()
	d := newDoor(t)
	b.SetWebhookURL(d.url)
	b.SendText(lan, "new")
	b.Clock().Advance(2 * time.Hour)
	b.settle()
	if got := d.all(); len(got) != 1 || !strings.Contains(got[0].body, "new") {
		t.Errorf("the new address got %+v, want only the new event", got)
	}
	if b.door.names() != "user_send_text" {
		t.Errorf("the old address got %q, want no retry", b.door.names())
	}
}
