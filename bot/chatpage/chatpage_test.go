package chatpage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"congdanso/bot/chatpage"
	"congdanso/integrations/zalo/zalosim"
)

func TestWithoutScript(t *testing.T) {
	b := newBench(t)
	status, page := b.get("")
	if status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	contains(t, page, "Nguyễn Thị Lan", "Trần Văn Bình", "H42.16-240612-0001", "Chưa quan tâm", `lang="vi"`)

	// The page that comes back after a form already shows the answer.
	_, page = b.submit(user(lan, "follow"))
	contains(t, page, "Đang quan tâm", "Xin chào! Đây là kênh", `value="#Tra cứu hồ sơ"`, `href="https://congdanso.ninhbinh.gov.vn/privacy"`)

	_, page = b.submit(user(lan, "say"), "text", "dòng một\r\ndòng hai")
	contains(t, page, "Ông/bà vừa nhắn: dòng một\ndòng hai")
	b.until("the acknowledged webhook", func() bool { return strings.Contains(b.lastEvent("user_send_text"), "dòng hai") })
	_, page = b.get("/u/" + lan)
	contains(t, page, "Đã nhận")

	_, page = b.submit(user(lan, "tap"), "hide", "#Gặp cán bộ")
	contains(t, page, "Ông/bà vừa nhắn: #Gặp cán bộ")
	if strings.Contains(page, `data-mine>#Gặp`) {
		t.Error("a hidden tap is shown")
	}

	_, page = b.submit(user(lan, "say"), "text", "xin thông tin")
	contains(t, page, "Kết nối với Công dân số", "Chia sẻ thông tin", `name="ward"`)
	_, page = b.submit(user(lan, "info"), "name", "Nguyễn Thị Lan", "phone", "0912 345 678", "ward", "Phường Hoa Lư")
	contains(t, page, "Đã ghi: Nguyễn Thị Lan, 84912345678")

	for _, kind := range []string{"image", "location"} {
		_, page = b.submit(user(lan, "send"), "kind", kind)
		contains(t, page, "Kênh đã nhận user_send_"+kind)
	}
	contains(t, page, "/chat/assets/receipt.svg")

	_, page = b.submit(user(lan, "unfollow"))
	contains(t, page, "Chưa quan tâm")
}

func TestWithdrawAndStaff(t *testing.T) {
	b := newBench(t)
	b.submit(user(lan, "withdraw"))
	b.until("user_withdraw", func() bool { return strings.Contains(b.lastEvent("user_withdraw"), lan) })

	_, page := b.submit(user(lan, "staff"), "admin", "Cán bộ trực", "text", "Chào bà, tôi xem giúp ngay.")
	contains(t, page, "Chào bà, tôi xem giúp ngay.", "Cán bộ nhắn")
	b.until("the echo", func() bool { return strings.Contains(b.lastEvent("oa_send_text"), `"admin_id":"44`) })
	first := b.sim.Messages(lan)[0].AdminID
	b.submit(user(lan, "staff"), "admin", "Cán bộ trực", "text", "Xong rồi.")
	if again := b.sim.Messages(lan)[1].AdminID; again != first {
		t.Errorf("the same officer has the ids %s and %s", first, again)
	}
}

func TestUnreadUntilLookedAt(t *testing.T) {
	b := newBench(t)
	b.sim.Follow(binh)
	b.until("the greeting", func() bool { return len(b.sim.Messages(binh)) == 1 })
	_, page := b.get("/u/" + lan)
	contains(t, page, "1 tin chưa đọc")
	if m := b.sim.Messages(binh)[0]; !m.Seen.IsZero() {
		t.Fatal("seen before anybody looked")
	}
	_, page = b.get("/u/" + binh)
	if m := b.sim.Messages(binh)[0]; m.Seen.IsZero() {
		t.Error("looked at, but not seen")
	}
	contains(t, page, "Đã xem")
	if strings.Contains(page, "chưa đọc") {
		t.Error("the badge stays on the chat that is open")
	}
}

func TestSeveralCitizens(t *testing.T) {
	b := newBench(t)
	_, page := b.submit("/citizens", "name", "  Lê   Thị Hoa ")
	contains(t, page, "<title>Lê Thị Hoa ·")
	_, page = b.submit("/citizens", "name", "")
	contains(t, page, "Người dân 4")
	users := b.sim.Users()
	if len(users) != 4 || len(users[2].ID) != 19 {
		t.Fatalf("users %+v, want four with ids as Zalo's", users)
	}
	b.submit(user(users[2].ID, "say"), "text", "chỉ của Hoa")
	if _, page := b.get("/u/" + lan); strings.Contains(page, `<p class="words">chỉ của Hoa`) {
		t.Error("a message stands in another's chat")
	}
	if status, _ := b.submit("/citizens", "name", strings.Repeat("a", 61)); status != http.StatusBadRequest {
		t.Errorf("a name of 61 letters: status %d, want 400", status)
	}
}

func TestNobodyYet(t *testing.T) {
	b := newBench(t)
	texts := b.opt.Texts
	page := chatpage.New(zalosim.New(zalosim.Options{}), chatpage.Options{Texts: texts})
	server := httptest.NewServer(page)
	defer server.Close()
	resp, err := http.Get(server.URL + "/chat")
	if err != nil {
		t.Fatal(err)
	}
	_, body := read(t, resp)
	contains(t, body, "Chưa có ai", "/chat/citizens")
}

// What people write is text, wherever it appears.
func TestEscaping(t *testing.T) {
	b := newBench(t)
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>"'</textarea>`
	b.submit(user(lan, "say"), "text", evil)
	b.submit("/citizens", "name", `<b>Đậm</b>`)
	b.reply(lan, "nút", `<i>nghiêng</i>" onclick="alert(3)`)
	b.submit(user(lan, "staff"), "admin", "<u>x</u>", "text", evil)
	b.until("the webhook log", func() bool { return strings.Contains(b.lastEvent("oa_send_text"), "admin_id") })
	_, page := b.get("/u/" + lan)
	for name, html := range map[string]string{"page": page, "live connection": b.firstBatch(lan)} {
		for _, raw := range []string{"<script>alert", "<img src=x", "<b>Đậm", "<i>nghiêng", `" onclick="`} {
			if strings.Contains(html, raw) {
				t.Errorf("%s: %q stands unescaped", name, raw)
			}
		}
		contains(t, html, "&lt;script&gt;alert(1)", "&lt;b&gt;Đậm")
	}

	b.reply(lan, "javascript:alert(1) và http://xau.example/\"onmouseover=alert(4)")
	_, page = b.get("/u/" + lan)
	if strings.Contains(page, `href="javascript`) || strings.Contains(page, `"onmouseover`) {
		t.Error("a link runs script")
	}
}

// sent is one event of a live connection: a piece, or the mark that all are sent.
type sent struct {
	ready    bool
	ID, HTML string
}

// live opens a live connection and hands over what it sends until ctx ends.
func (b *bench) live(ctx context.Context, id string) <-chan sent {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+user(id, "live"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		b.t.Fatalf("content type %q, want text/event-stream", got)
	}
	events := make(chan sent)
	go func() {
		defer resp.Body.Close()
		defer close(events)
		scan := bufio.NewScanner(resp.Body)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			ev := sent{ready: scan.Text() == "event: ready"}
			data, piece := strings.CutPrefix(scan.Text(), "data: ")
			if piece {
				if err := json.Unmarshal([]byte(data), &ev); err != nil {
					b.t.Errorf("live connection: %v in %s", err, data)
					return
				}
			}
			if !piece && !ev.ready {
				continue
			}
			select {
			case events <- ev:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}

// firstBatch reads the HTML that a live connection sends first.
func (b *bench) firstBatch(id string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var all strings.Builder
	for ev := range b.live(ctx, id) {
		if ev.ready {
			return all.String()
		}
		all.WriteString(ev.HTML)
	}
	b.t.Fatal("the live connection ended early")
	return ""
}

func TestLiveSendsOnlyChanges(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	events := b.live(ctx, lan)
	times := map[string]int{} // how often each message was sent
	await := func(text string) {
		for ev := range events {
			if strings.HasPrefix(ev.ID, "m-") {
				times[ev.ID]++
			}
			if text == "" && ev.ready || text != "" && strings.HasPrefix(ev.ID, "m-") && strings.Contains(ev.HTML, text) {
				return
			}
		}
		t.Fatalf("the connection ended before %q came", text)
	}
	await("")
	for _, text := range []string{"tin thứ nhất", "tin thứ hai", "tin thứ ba"} {
		b.sim.SendText(lan, text)
		await("Ông/bà vừa nhắn: " + text)
	}
	if len(times) != 6 {
		t.Errorf("%d messages came, want 6", len(times))
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("message %s came %d times", id, n)
		}
	}
	b.page.Close() // a server that shuts down ends the connection
	for range events {
	}
	if ctx.Err() != nil {
		t.Error("Close left the connection open")
	}
}

func TestTicksFollowTheWebhook(t *testing.T) {
	b := newBench(t)
	b.answerWith(http.StatusServiceUnavailable)
	b.sim.SendText(lan, "im lặng")
	b.until("the refused webhook", func() bool { return len(b.sim.Webhooks()) == 1 })
	_, page := b.get("/u/" + lan)
	contains(t, page, "Đang gửi", ">503<")
	if strings.Contains(page, "✓") {
		t.Error("a refused message is ticked")
	}
}

func TestLanguageAndType(t *testing.T) {
	b := newBench(t)
	_, page := b.get("?lang=en&type=large")
	contains(t, page, `<html lang="en" class="large">`, "Sample dossiers", "Not following")
	_, page = b.get("/u/" + binh) // remembered
	contains(t, page, `<html lang="en" class="large">`)
	_, page = b.get("/u/" + binh + "?lang=vi&type=normal")
	contains(t, page, `<html lang="vi">`)
	if i := strings.Index(page, "chatpage."); i >= 0 {
		t.Errorf("a text is missing near %q", page[i:min(len(page), i+60)])
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		path   string
		fields []string
		status int
	}{
		{user(lan, "say"), []string{"text", " \n "}, http.StatusBadRequest},
		{user(lan, "say"), []string{"text", strings.Repeat("a", 70_000)}, http.StatusBadRequest},
		{user(lan, "tap"), nil, http.StatusBadRequest},
		{user(lan, "send"), []string{"kind", "bomb"}, http.StatusBadRequest},
		{user(lan, "staff"), []string{"text", "ai nói?"}, http.StatusBadRequest},
		{user(lan, "dance"), nil, http.StatusNotFound},
		{user("999", "say"), []string{"text", "xin chào"}, http.StatusNotFound},
	} {
		if status, page := b.submit(c.path, c.fields...); status != c.status {
			t.Errorf("%s %.20v: status %d, want %d", c.path, c.fields, status, c.status)
		} else if status == http.StatusBadRequest {
			contains(t, page, "Chưa gửi được")
		}
	}
	if n := len(b.sim.Messages(lan)); n != 0 {
		t.Errorf("%d messages went out", n)
	}
	if len(b.sim.Users()) != 2 {
		t.Error("a stranger was added by writing")
	}
}

func TestOnlyThisMachine(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		remote, host string
		anywhere     bool
		status       int
	}{
		{"127.0.0.1:5000", "localhost:8080", false, http.StatusOK},
		{"127.0.0.1:5000", "dev.localhost:8080", false, http.StatusOK},
		{"[::1]:5000", "[::1]:8080", false, http.StatusOK},
		{"192.0.2.7:5000", "localhost:8080", false, http.StatusForbidden},
		{"127.0.0.1:5000", "rebound.example:8080", false, http.StatusForbidden},
		{"192.0.2.7:5000", "dev.example:8080", true, http.StatusOK},
	} {
		opt := b.opt
		opt.Remote = c.anywhere
		req := httptest.NewRequest(http.MethodGet, "/chat/u/"+lan, nil)
		req.RemoteAddr, req.Host = c.remote, c.host
		w := httptest.NewRecorder()
		chatpage.New(b.sim, opt).ServeHTTP(w, req)
		if w.Code != c.status {
			t.Errorf("from %s to %s: status %d, want %d", c.remote, c.host, w.Code, c.status)
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
			t.Errorf("policy %q", got)
		}
	}
}

func TestForeignFormsAreRefused(t *testing.T) {
	b := newBench(t)
	req, err := http.NewRequest(http.MethodPost, b.url+user(lan, "say"), strings.NewReader("text=tin+la"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := read(t, resp); status != http.StatusForbidden {
		t.Errorf("status %d, want 403", status)
	}
	if n := len(b.sim.Messages(lan)); n != 0 {
		t.Errorf("%d messages went out", n)
	}
}
