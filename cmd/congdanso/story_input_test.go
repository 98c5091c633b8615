package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"congdanso/integrations/zalo/zalosim"
)

// TestStoryOfBadInput: whatever people send, they get one answer that is theirs
// to use, over the real door.
func TestStoryOfBadInput(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	var fetched atomic.Int64
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer foreign.Close()

	says := func(text string) func(r *resident) { return func(r *resident) { w.zalo.SendText(r.id, text) } }
	sends := func(kind, caption, url string) func(r *resident) {
		return func(r *resident) { w.zalo.SendMedia(r.id, kind, caption, url) }
	}
	signed := func(text string) func(r *resident) {
		return func(r *resident) { w.zalo.Raw(r.event("raw"+r.id, text, time.Now())) }
	}
	const zdn = "https://photo-stal-1.zdn.vn/giay-hen.jpg"
	lost := text(t, "menu.lost_first")
	found := "Cấp Giấy xác nhận tình trạng hôn nhân"
	province := "tỉnh Ninh Bình"

	for name, c := range map[string]struct {
		send func(r *resident)
		want string
	}{
		"2,000 letters":                    {says(strings.Repeat("a", 2000)), lost},
		"2,000 characters of two units":    {says(strings.Repeat("𝕏", 1000)), lost},
		"2,000 characters, a code last":    {says(strings.Repeat("tôi nộp lâu rồi ", 120) + papersWanted), found},
		"500 lines":                        {says(strings.Repeat("\n.", 500)), lost},
		"emoji only":                       {says("😀👨‍👩‍👧‍👦🇻🇳❤️"), lost},
		"one emoji of several code points": {says("👩🏽‍🦽"), lost},
		"right to left":                    {says("أين ملفي؟"), lost},
		"right-to-left marks round a code": {says("\u202e" + papersWanted + "\u202c"), found},
		"zero-width marks inside a code":   {says("H42\u200b.16-2406\u200d12-0001"), found},
		"zalgo":                            {says("z̴̢̧͖̈́͝ä̴́͘l̶̛͚̇g̸̱͠o̷͙͌"), lost},
		"decomposed Vietnamese":            {says(norm.NFD.String("tra cứu hồ sơ")), text(t, "dossier.ask")},
		"decomposed, in capitals":          {says(norm.NFD.String("GẶP CÁN BỘ")), "cán bộ"},
		"nothing":                          {signed(""), lost},
		"white space":                      {signed(` \t\u3000\u00a0 `), lost},
		"a control character":              {signed(`\u0007`), lost},
		"SQL":                              {says(`'; DROP TABLE citizen; --`), lost},
		"a template":                       {says(`{{.Code}} ‹gì› %s ${x}`), lost},
		"markup":                           {says(`<script>alert(1)</script>`), lost},

		"a sticker instead of a code":       {sends("sticker", "", "https://zalo-api.zdn.vn/sticker.png"), text(t, "menu.unread.sticker")},
		"a picture instead of a code":       {sends("image", "", zdn), text(t, "menu.unread.image")},
		"a picture whose caption is a code": {sends("image", papersWanted, zdn), found},
		"a picture from a foreign host":     {sends("image", "", foreign.URL+"/x.jpg"), text(t, "menu.unread.image")},
		"a link to a foreign host":          {sends("link", "", foreign.URL+"/x"), text(t, "menu.unread.link")},
		"a voice message":                   {sends("audio", "", "https://voice-zpc.zdn.vn/a.amr"), text(t, "menu.unread.audio")},
		"a video":                           {sends("video", "", "https://video-zpc.zdn.vn/a.mp4"), text(t, "menu.unread.file")},
		"a file":                            {sends("file", "", "https://f1-zpc.zdn.vn/a.pdf"), text(t, "menu.unread.file")},
		"a moving picture":                  {sends("gif", "", "https://g.zdn.vn/a.gif"), text(t, "menu.unread.sticker")},
		"a visiting card":                   {sends("business_card", "", "https://f1-zpc.zdn.vn/c"), text(t, "menu.unread.card")},
		"a kind Zalo has not invented yet":  {sends("hologram", "", zdn), text(t, "menu.unread.unknown")},
		"a place":                           {func(r *resident) { w.zalo.SendLocation(r.id, "20.25", "105.97") }, text(t, "menu.unread.location")},
		"a form nobody asked for": {func(r *resident) {
			w.zalo.SubmitInfo(r.id, zalosim.Info{Name: herName, Phone: herPhone})
		}, text(t, "menu.unread.form")},

		"a code of another province": {says("H56.14-240512-0001"), text(t, "dossier.not_found.province", "Code", "H56.14-240512-0001", "Head", "H56", "Name", "Thanh Hóa")},
		"a code of nobody we know":   {says("A12.20-240609-0001"), text(t, "dossier.not_found.unknown", "Code", "A12.20-240609-0001", "Head", "A12")},
		"a code of a ministry":       {says("G01.899.108.000-240612-0004"), "Bộ Công an"},
		"a code of the portal":       {says("G22.99.05-231103-0012"), text(t, "dossier.not_found.national")},
		"a code of ours that is not": {says("H42.16-240612-9999"), text(t, "dossier.not_found.own", "Code", "H42.16-240612-9999")},
		"a code cut short":           {says("H42.16-240612-01"), text(t, "dossier.fault.short", "Count", 2)},
		"a code with a letter O":     {says("H42.16-24O612-0001"), text(t, "dossier.fault.letter", "Letter", "O", "Digit", "0", "Suggestion", papersWanted)},
		"a code with no such date":   {says("H42.16-241340-0001"), text(t, "dossier.fault.date", "Digits", "241340")},
		"a code of a day to come":    {says("H42.16-980612-0001"), "ngày"},
		"a code too long":            {says("H42.16-240612-000000001"), text(t, "dossier.fault.long", "Digits", "000000001")},
		"a phone number":             {says("0912345678"), province},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.newcomer(hash(name))
			w.zalo.Follow(r.id)
			eventually(t, soon, "a greeting", func() bool { return len(r.sends()) == 1 })
			c.send(r)
			eventually(t, soon, "an answer", func() bool { return len(r.sends()) == 2 })
			answer := r.newest()
			has(t, answer, c.want)
			if len(answer.Buttons) == 0 || len([]rune(answer.Text)) > 800 {
				t.Errorf("no way on, or too much to read:\n%s", answer.Text)
			}
			hasNone(t, answer.Text, "{{", "<no value>", "‹", "hệ thống đang bận", text(t, "runtime.apology"))
		})
	}
	w.quiet()
	if n := w.count(`SELECT count(*) FROM dead_letter`); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if n := w.count(`SELECT count(*) FROM citizen WHERE name IS NOT NULL OR phone IS NOT NULL`); n != 0 {
		t.Error("a form that nobody asked for was kept")
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("an attachment was fetched from a foreign host %d times", n)
	}
	w.stop(s)
}

// hash makes a number of a name, for ids that stay the same.
func hash(name string) int {
	n := 0
	for _, r := range name {
		n = (n*31 + int(r)) % 1_000_000_007
	}
	return n
}

// TestStoryOfWhatNeedsNoAnswer: what says nothing is answered with nothing, and
// makes nobody known.
func TestStoryOfWhatNeedsNoAnswer(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan, stranger := w.newcomer(1), w.newcomer(2)
	lan.follows()
	before := len(lan.sends())
	w.zalo.React(lan.id, lan.newest().ID, "/-heart")
	w.zalo.See(lan.id)
	for _, body := range []string{
		`{"app_id":"%a","oa_id":"%o","event_name":"change_oa_daily_quota","timestamp":"%t","quota":{"prev_value":"1","new_value":"2"}}`,
		`{"app_id":"%a","event_name":"anonymous_send_text","sender":{"id":"an-1"},"recipient":{"id":"%o"},"message":{"text":"` + papersWanted + `","msg_id":"n1","conversation_id":"c"},"timestamp":"%t"}`,
		`{"app_id":"%a","event_name":"user_send_group_text","sender":{"id":"%u"},"recipient":{"id":"g1"},"oa_id":"%o","message":{"text":"menu","msg_id":"g1"},"timestamp":"%t"}`,
		`{"app_id":"%a","event_name":"something_new","sender":{"id":"%u"},"recipient":{"id":"%o"},"timestamp":"%t"}`,
		`{"app_id":"%a","event_name":"oa_send_text","sender":{"id":"%o"},"recipient":{"id":"%u"},"message":{"text":"menu","msg_id":"e1"},"timestamp":"%t"}`,
		`{"app_id":"%a","event_name":"user_received_message","sender":{"id":"%o"},"recipient":{"id":"%u"},"message":{"msg_id":"e1"},"timestamp":"%t"}`,
		`{"app_id":"%a","event_name":"user_send_text","sender":{"id":"%u"},"recipient":{"id":"3999999999999999999"},"message":{"text":"menu","msg_id":"f1"},"timestamp":"%t"}`,
	} {
		w.zalo.Raw([]byte(strings.NewReplacer("%a", zalosim.ExampleAppID, "%o", zalosim.ExampleOAID, "%u", stranger.id, "%t", itoa(int(time.Now().UnixMilli()))).Replace(body)))
	}
	w.quiet()
	for _, try := range w.zalo.Webhooks() {
		if try.Status != 200 {
			t.Errorf("%s was answered %d", try.Event, try.Status)
		}
	}
	if len(lan.sends()) != before || len(stranger.sends()) != 0 {
		t.Errorf("what needs no answer was answered:\n%s\n%s", lan.newest().Text, stranger.newest().Text)
	}
	if n := w.count(`SELECT count(*) FROM citizen`); n != 1 {
		t.Errorf("%d people are known, want the one who follows", n)
	}
	// While staff write, the bot keeps quiet; "menu" brings it back.
	w.zalo.StaffSays(lan.id, "4401", "Chào bà, tôi xem giúp.")
	w.quiet()
	w.zalo.SendText(lan.id, "vâng, cảm ơn cô")
	w.quiet()
	if len(lan.sends()) != before {
		t.Errorf("the bot talks over staff:\n%s", lan.newest().Text)
	}
	has(t, lan.says("menu"), text(t, "menu.intro"))
	w.stop(s)
}
