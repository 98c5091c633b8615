package chatpage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot/chatpage"
	"congdanso/content"
	"congdanso/integrations/zalo/zalosim"
)

// bench is a chat page over a stand-in whose webhooks go to a small door that
// answers through the API, as the channel does.
type bench struct {
	t    *testing.T
	sim  *zalosim.Sim
	page *chatpage.Page
	url  string // of the chat page
	api  string
	http *http.Client
	opt  chatpage.Options // that the page was made with

	mu     sync.Mutex
	status int // that the door answers
}

const (
	lan  = "2512345678901234567" // Nguyễn Thị Lan
	binh = "2512345678901234568" // Trần Văn Bình
)

func newBench(t *testing.T, change ...func(*chatpage.Options)) *bench {
	t.Helper()
	texts, err := content.Load(content.Files(""), time.FixedZone("GMT+7", 7*3600))
	if err != nil {
		t.Fatal(err)
	}
	sim := zalosim.New(zalosim.Options{OAName: "Công dân số Ninh Bình", SeenByHand: true, LoopbackLinks: true})
	b := &bench{t: t, sim: sim, status: http.StatusOK}
	door := httptest.NewServer(http.HandlerFunc(b.door))
	t.Cleanup(door.Close)
	api := httptest.NewServer(sim)
	t.Cleanup(api.Close)
	b.api = api.URL
	sim.SetWebhookURL(door.URL)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stand-in: %v", err)
		}
	})
	sim.AddUser(zalosim.User{ID: lan, Name: "Nguyễn Thị Lan"})
	sim.AddUser(zalosim.User{ID: binh, Name: "Trần Văn Bình"})

	opt := chatpage.Options{
		Texts:       texts,
		AccountName: "Công dân số Ninh Bình",
		Menu: []chatpage.MenuItem{{Title: "Tra cứu hồ sơ", Payload: "#dossier.ask"}, {Title: "Hồ sơ của tôi", Payload: "#dossier.mine"},
			{Title: "Gặp cán bộ", Payload: "#human.ask"}},
		Samples: []chatpage.Sample{
			{Code: "H42.16-240612-0001", What: "Cần nộp thêm giấy tờ", Factor: "0001"},
			{Code: "H42.16-240610-0002", What: "Đang giải quyết, đúng hẹn", Factor: "4321"},
			{Code: "000.00.16.H42-240603-0012", What: "Đã có kết quả, chờ nhận tại bộ phận một cửa"},
			{Code: "H42.17.08-240520-0107", What: "Quá hẹn, chưa có kết quả", Factor: "7788"},
			{Code: "H42.16-24O612-0001", What: "Mã gõ sai: chữ O ở chỗ số 0"},
		},
	}
	for _, c := range change {
		c(&opt)
	}
	b.opt = opt
	b.page = chatpage.New(sim, opt)
	server := httptest.NewServer(b.page)
	t.Cleanup(server.Close)
	t.Cleanup(b.page.Close) // first: the server waits for live connections
	b.url = server.URL + "/chat"
	jar, _ := cookiejar.New(nil) // without options it cannot fail
	b.http = &http.Client{Jar: jar, Timeout: 20 * time.Second}
	return b
}

// answerWith makes the door answer webhooks with status from now on.
func (b *bench) answerWith(status int) {
	b.mu.Lock()
	b.status = status
	b.mu.Unlock()
}

func (b *bench) door(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Errorf("door: %v", err)
	}
	b.mu.Lock()
	status := b.status
	b.mu.Unlock()
	w.WriteHeader(status)
	if status == http.StatusOK {
		go b.answer(body)
	}
}

// answer is the whole bot of these tests.
func (b *bench) answer(body []byte) {
	var ev struct {
		Name     string              `json:"event_name"`
		Sender   struct{ ID string } `json:"sender"`
		Follower struct{ ID string } `json:"follower"`
		Message  struct{ Text string }
		Info     struct{ Name, Phone string }
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		b.t.Errorf("door: %v in %s", err, body)
		return
	}
	switch text := ev.Message.Text; {
	case ev.Name == "follow":
		b.reply(ev.Follower.ID, greeting, "Tra cứu hồ sơ", "Nhận thông báo", "Thi trắc nghiệm", "Gặp cán bộ", "English")
	case ev.Name == "user_submit_info":
		b.reply(ev.Sender.ID, "Đã ghi: "+ev.Info.Name+", "+ev.Info.Phone)
	case ev.Name == "user_send_location" || ev.Name == "user_send_image":
		b.reply(ev.Sender.ID, "Kênh đã nhận "+ev.Name)
	case ev.Name != "user_send_text" || text == "im lặng":
	case strings.Contains(text, "thông tin"):
		b.post(ev.Sender.ID, map[string]any{"attachment": attachment(map[string]any{"template_type": "request_user_info",
			"elements": []any{map[string]any{"title": "Kết nối với Công dân số", "subtitle": "Mời ông/bà cho biết họ tên và số điện thoại để kênh gọi lại khi cần.",
				"image_url": "https://photo.example.vn/form.jpg"}}})})
	case text == "ảnh":
		b.post(ev.Sender.ID, map[string]any{"text": "Sơ đồ đường đi", "attachment": attachment(map[string]any{"template_type": "media",
			"elements": []any{map[string]any{"media_type": "image", "url": b.url + "/assets/receipt.svg"}}})})
	case text == "năm nút":
		b.reply(ev.Sender.ID, "Năm nút dài nhất:", "Xem giấy tờ cần nộp", "Báo khi có thay đổi", "Địa chỉ, giờ làm việ", "Gặp cán bộ tiếp dân", "Về đầu trang kênh nà")
	default:
		said := []rune("Ông/bà vừa nhắn: " + text)
		b.reply(ev.Sender.ID, string(said[:min(len(said), 2000)]))
	}
}

const greeting = "Xin chào! Đây là kênh \"Công dân số\" của tỉnh Ninh Bình, do Sở Khoa học và Công nghệ vận hành.\n\n" +
	"1. Tra cứu hồ sơ\n2. Nhận thông báo\n3. Thi trắc nghiệm\n4. Gặp cán bộ\n5. English\n\n" +
	"Ông/bà nhắn số, hoặc nhắn luôn mã hồ sơ. Kênh không hỏi mật khẩu, mã OTP, ảnh căn cước và không thu tiền. Kênh lưu gì, để làm gì: https://congdanso.ninhbinh.gov.vn/privacy."

func attachment(payload map[string]any) map[string]any {
	return map[string]any{"type": "template", "payload": payload}
}

// reply sends text with buttons that tap "#<title>".
func (b *bench) reply(user, text string, titles ...string) {
	message := map[string]any{"text": text}
	if len(titles) > 0 {
		var buttons []any
		for _, title := range titles {
			buttons = append(buttons, map[string]any{"title": title, "type": "oa.query.hide", "payload": "#" + title})
		}
		message["attachment"] = attachment(map[string]any{"buttons": buttons})
	}
	b.post(user, message)
}

// post sends a message as the account.
func (b *bench) post(user string, message map[string]any) {
	body, err := json.Marshal(map[string]any{"recipient": map[string]any{"user_id": user}, "message": message})
	if err != nil {
		b.t.Errorf("reply: %v", err)
		return
	}
	req, err := http.NewRequest(http.MethodPost, b.api+zalosim.PathSend, bytes.NewReader(body))
	if err != nil {
		b.t.Errorf("reply: %v", err)
		return
	}
	req.Header.Set("access_token", b.sim.AccessToken())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Errorf("reply: %v", err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(answer, []byte(`"error":0`)) {
		b.t.Errorf("reply: %v, the stand-in answers %s to %s", err, answer, body)
	}
}

// get reads a page of the chat page; path begins with a slash.
func (b *bench) get(path string) (int, string) {
	b.t.Helper()
	resp, err := b.http.Get(b.url + path)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(b.t, resp)
}

// submit sends a form as a browser without script does, and follows where it leads.
func (b *bench) submit(path string, fields ...string) (int, string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	resp, err := b.http.PostForm(b.url+path, form)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(b.t, resp)
}

func read(t *testing.T, resp *http.Response) (int, string) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// until waits until ok is true, looking again at each change in the stand-in.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	updates, cancel := b.sim.Subscribe()
	defer cancel()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-updates:
		case <-deadline.C:
			b.t.Fatalf("waited in vain for %s; the chat holds %+v", what, b.sim.Messages(lan))
		}
	}
}

// lastEvent finds the newest webhook of that name.
func (b *bench) lastEvent(name string) string {
	log := b.sim.Webhooks()
	for i := len(log) - 1; i >= 0; i-- {
		if log[i].Event == name {
			return log[i].Body
		}
	}
	return ""
}

func contains(t *testing.T, page string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(page, w) {
			t.Errorf("the page lacks %q", w)
		}
	}
}

func user(id, act string) string { return fmt.Sprintf("/u/%s/%s", id, act) }
