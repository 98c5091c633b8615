package chatpage_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"congdanso/bot/chatpage"
	"congdanso/bot/chatpage/chatpagetest"
)

// pictures is where the browser tests leave their screenshots, to be looked at.
var pictures = flag.String("pictures", "", "folder for screenshots of the browser tests; empty: none are kept")

func picture(t *testing.T, p *chatpagetest.Phone, name string) {
	t.Helper()
	dir := *pictures
	if dir == "" {
		dir = t.TempDir()
	}
	p.Screenshot(filepath.Join(dir, name+".png"))
}

const (
	// overflow is the width by which the page is wider than its window.
	overflow = `document.documentElement.scrollWidth - innerWidth`
	// cut counts texts of the chat that stick out of their box.
	cut = `[...document.querySelectorAll(".words, .buttons button, .oa-menu button")].filter(e => e.scrollWidth > e.clientWidth + 1).length`
	// atNewest is whether the newest message can be read without scrolling.
	atNewest = `(() => { const m = document.querySelector("#messages > li:last-child").getBoundingClientRect(),
		s = document.querySelector(".scroll").getBoundingClientRect(); return m.bottom <= s.bottom + 1 && m.bottom > s.top; })()`
)

func TestInBrowser(t *testing.T) {
	browser := chatpagetest.Start(t)
	for name, size := range map[string][2]int64{"360x740": {360, 740}, "1280x800": {1280, 800}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := browser.Open(t, b.url, size[0], size[1])
			picture(t, p, name+"-1-new")
			p.Follow()
			p.WaitReply("Xin chào! Đây là kênh")
			p.Wait("the state", `document.querySelector(".state").textContent.includes("Đang quan tâm")`)
			picture(t, p, name+"-2-followed")

			p.Say("tra giup ho so H42.16-240612-0001 voi")
			p.WaitReply("Ông/bà vừa nhắn: tra giup")
			p.Wait("the tick", `document.querySelector("#messages > li[data-mine] .tick.delivered") !== null`)
			p.Wait("the account to hear that it was seen", `document.querySelector("#messages > li:last-child .tick.seen") !== null`)
			p.Tap("Gặp cán bộ")
			p.WaitReply("Ông/bà vừa nhắn: #Gặp cán bộ")

			p.Say("xin thông tin")
			p.WaitReply("Kết nối với Công dân số")
			p.Do(chromedp.Click(chromedp.CSS("li:last-child .ask summary")),
				chromedp.SetValue(chromedp.CSS("li:last-child input[name=phone]"), "0987 000 111"))
			picture(t, p, name+"-3-form")
			p.Do(chromedp.Click(chromedp.CSS("li:last-child .ask form button")))
			p.WaitReply("Đã ghi: Nguyễn Thị Lan, 84987000111")

			p.Do(chromedp.Click(chromedp.CSS(".write summary")))
			picture(t, p, name+"-4-attach")
			p.Do(chromedp.Click(chromedp.CSS(`.write .sheet button[value="image"]`)))
			p.WaitReply("Kênh đã nhận user_send_image")
			p.Do(chromedp.Click(chromedp.CSS(".write summary")), chromedp.Click(chromedp.CSS(`.write .sheet button[value="sticker"]`)))
			p.Say("👍😊")
			p.WaitReply("👍😊")
			p.Say("ảnh")
			p.WaitReply("Sơ đồ đường đi")
			p.Wait("the picture", `document.querySelector("#messages > li:last-child img").naturalWidth > 0`)
			picture(t, p, name+"-5-pictures")

			p.Say("năm nút")
			p.WaitReply("Năm nút dài nhất")
			picture(t, p, name+"-6-buttons")
			long := strings.Repeat("không_có_khoảng_trắng", 4) + strings.Repeat(" Hồ sơ cần nộp thêm bản sao trích lục ly hôn có chứng thực.", 33)
			p.Say(string([]rune(long)[:2000]))
			p.WaitReply("Ông/bà vừa nhắn: không_có")
			picture(t, p, name+"-7-long")
			if wide := chatpagetest.Eval[float64](p, overflow); wide > 0 {
				t.Errorf("the page is %v pixels wider than the window", wide)
			}
			if n := chatpagetest.Eval[int](p, cut); n > 0 {
				t.Errorf("%d texts are cut off", n)
			}
			if !chatpagetest.Eval[bool](p, atNewest) {
				t.Error("the newest message is out of sight")
			}
			if n := chatpagetest.Eval[int](p, `document.querySelectorAll("#typing:not([hidden])").length`); n != 0 {
				t.Error("the dots stay after the answer")
			}
		})
	}
}

func TestTwoCitizensAtOnce(t *testing.T) {
	browser := chatpagetest.Start(t)
	b := newBench(t)
	lansPhone := browser.Open(t, b.url+"/u/"+lan, 1280, 800)
	binhsPhone := browser.Open(t, b.url+"/u/"+binh, 360, 740)
	lansPhone.Say("tôi là Lan")
	binhsPhone.Say("tôi là Bình")
	lansPhone.WaitReply("Ông/bà vừa nhắn: tôi là Lan")
	binhsPhone.WaitReply("Ông/bà vừa nhắn: tôi là Bình")
	for phone, stranger := range map[*chatpagetest.Phone]string{lansPhone: "Bình", binhsPhone: "Lan"} {
		if chatpagetest.Eval[bool](phone, `document.getElementById("messages").innerText.includes("tôi là `+stranger+`")`) {
			t.Errorf("%s's message stands in the other's chat", stranger)
		}
	}

	// A third person's unread message shows on their name until they are opened.
	_, _ = b.submit("/citizens", "name", "Lê Thị Hoa")
	hoa := b.sim.Users()[2].ID
	b.sim.Follow(hoa)
	badge := `document.querySelector("#citizen-` + hoa + ` .badge")`
	lansPhone.Wait("the badge", badge+`?.textContent === "1"`)
	lansPhone.Visit(chromedp.Click(chromedp.CSS("#citizen-" + hoa + " a")))
	lansPhone.Wait("Hoa's phone", `document.querySelector(".phone")?.getAttribute("aria-label") === "Điện thoại của Lê Thị Hoa"`)
	lansPhone.WaitReply("Xin chào!")
	lansPhone.Wait("no badge", badge+` === null`)
	picture(t, lansPhone, "two-citizens")
}

func TestPanels(t *testing.T) {
	browser := chatpagetest.Start(t)
	b := newBench(t)
	p := browser.Open(t, b.url, 1280, 800)

	// A sample is sent by tapping it.
	p.Do(chromedp.Click(chromedp.CSS(`.samples button[value="H42.16-240612-0001"]`)))
	p.WaitReply("Ông/bà vừa nhắn: H42.16-240612-0001")
	p.Do(chromedp.Click(chromedp.CSS(`.samples button[value="0001"]`)))
	p.WaitReply("Ông/bà vừa nhắn: 0001")

	// Staff write as a person.
	p.Do(chromedp.SetValue(chromedp.CSS(".staff textarea"), "Chào bà, tôi xem giúp."), chromedp.Click(chromedp.CSS(".staff button")))
	p.WaitReply("Chào bà, tôi xem giúp.")

	// The logs open, stay open while others arrive, and copy.
	p.Wait("the events", `document.querySelectorAll("#events li").length >= 4 && document.querySelectorAll("#calls li").length >= 2`)
	p.Do(chromedp.Click(chromedp.CSS("#calls li:last-child summary")))
	p.Wait("the body", `document.querySelector("#calls li:last-child pre").innerText.includes("H42.16-240612-0001")`)
	b.sim.SendText(binh, "im lặng")
	p.Wait("Bình's event", `document.querySelector("#events li:first-child").innerText.includes("Trần Văn Bình")`)
	if !chatpagetest.Eval[bool](p, `document.querySelector("#calls li:last-child details").open`) {
		t.Error("an entry closed by itself")
	}
	shown := `[...document.querySelectorAll("#events li")].filter(e => e.offsetParent && e.innerText.includes("Bình")).length`
	p.Do(chromedp.Click(chromedp.CSS("#only")))
	if n := chatpagetest.Eval[int](p, shown); n != 0 {
		t.Errorf("%d of Bình's events are shown among Lan's only", n)
	}
	picture(t, p, "panels")

	// On a phone the panels stand below the chat.
	small := browser.Open(t, b.url, 360, 740)
	small.Do(chromedp.Click(chromedp.CSS(".top .to-panels")))
	small.Wait("the panels", `document.getElementById("panels").getBoundingClientRect().top < 10`)
	if wide := chatpagetest.Eval[float64](small, overflow); wide > 0 {
		t.Errorf("the page is %v pixels wider than the window", wide)
	}
	picture(t, small, "panels-360")
	small.Do(chromedp.Click(chromedp.CSS(`.samples button[value="H42.16-240610-0002"]`)))
	small.WaitReply("Ông/bà vừa nhắn: H42.16-240610-0002")
	small.Wait("the phone", `document.getElementById("phone").getBoundingClientRect().top > -10`)

	// Refused input says so and gives the text back.
	p.Allow("status of 400")
	p.Say(strings.Repeat("a", 70_000))
	p.Wait("the notice", `document.getElementById("notice").innerText.startsWith("Chưa gửi được")`)
	if n := chatpagetest.Eval[int](p, `document.getElementById("text").value.length`); n != 70_000 {
		t.Errorf("%d letters are left of what was typed", n)
	}
}

func TestLargeTypeInEnglish(t *testing.T) {
	browser := chatpagetest.Start(t)
	b := newBench(t)
	p := browser.Open(t, b.url+"/u/"+lan+"?lang=en&type=large", 360, 740)
	p.Follow()
	p.WaitReply("Xin chào!")
	p.Wait("English", `document.querySelector(".state").innerText.includes("Following")`)
	if wide := chatpagetest.Eval[float64](p, overflow); wide > 0 {
		t.Errorf("the page is %v pixels wider than the window", wide)
	}
	picture(t, p, "large-360")
	desk := browser.Open(t, b.url+"/u/"+lan+"?lang=en&type=large", 1280, 800)
	picture(t, desk, "large-1280")
}

func TestManySamples(t *testing.T) {
	browser := chatpagetest.Start(t)
	b := newBench(t, func(o *chatpage.Options) {
		for i := range 300 {
			o.Samples = append(o.Samples, chatpage.Sample{Code: fmt.Sprintf("H42.20-240501-%04d", i), What: "Đang giải quyết", Factor: "1234"})
		}
	})
	for _, width := range []int64{360, 1280} {
		p := browser.Open(t, b.url, width, 800)
		p.Do(chromedp.SendKeys(chromedp.CSS("#find"), "qua hen, chua"))
		p.Wait("the one that is late", `[...document.getElementById("samples").rows].filter(r => r.offsetParent).length === 1`)
		if code := chatpagetest.Eval[string](p, `[...document.getElementById("samples").rows].find(r => r.offsetParent).innerText`); !strings.Contains(code, "H42.17.08-240520-0107") {
			t.Errorf("found %q", code)
		}
		picture(t, p, fmt.Sprintf("samples-%d", width))
	}
}

// Everything that acts can be reached with the keyboard and has a name.
func TestNamesAndKeyboard(t *testing.T) {
	browser := chatpagetest.Start(t)
	b := newBench(t)
	p := browser.Open(t, b.url, 1280, 800)
	p.Follow()
	p.WaitReply("Xin chào!")
	nameless := `[...document.querySelectorAll("button, a, summary, input, textarea")].filter(e =>
		!(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML).join("\n")`
	if html := chatpagetest.Eval[string](p, nameless); html != "" {
		t.Errorf("without a name:\n%s", html)
	}
	// Shift+Enter starts a line, Escape closes a sheet.
	p.Do(chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent("một"),
		chatpagetest.Enter(true), chromedp.KeyEvent("hai"), chatpagetest.Enter(false))
	p.WaitReply("Ông/bà vừa nhắn: một\nhai")
	p.Do(chromedp.Focus(chromedp.CSS(".head summary")), chatpagetest.Enter(false))
	p.Wait("the open sheet", `document.querySelector(".head .menu").open`)
	picture(t, p, "sheet")
	p.Do(chromedp.KeyEvent("\u001b"))
	p.Wait("the closed sheet", `!document.querySelector(".head .menu").open && document.activeElement.matches(".head summary")`)
}
