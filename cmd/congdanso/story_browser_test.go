package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"congdanso/bot/chatpage/chatpagetest"
	"congdanso/integrations/postgres/pgtest"
)

// screenshots is where the pictures of the chat page go that README and docs show:
//
//	go test ./cmd/congdanso -run TestStoryInABrowser -screenshots ../../docs
var screenshots = flag.String("screenshots", "", "folder for pictures of the chat page; empty: none are kept")

// TestStoryInABrowser is what a newcomer sees after `make run`: the chat page of a
// real dev, in a real browser, with two people at once.
func TestStoryInABrowser(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"HTTP_ADDR": freePort(t)}
	_, base := startDev(t, pgtest.Folder(t), vars)
	browser := chatpagetest.Start(t)
	mau := browser.Open(t, base+"/chat", 1280, 800)
	mau.Wait("somebody's phone", `document.querySelector(".phone")?.getAttribute("aria-label").includes("Nguyễn Thị Mẫu")`)

	mau.Follow()
	mau.WaitReply("Xin chào! Đây là kênh")
	mau.Say("tra giup ho so " + papersWanted + " voi")
	mau.WaitReply("Cấp Giấy xác nhận tình trạng hôn nhân")
	mau.Wait("the ticks", `document.querySelector("#messages > li:last-child .tick.seen") !== null`)
	picture := func(name string) {
		if *screenshots != "" {
			mau.Screenshot(filepath.Join(*screenshots, name))
		}
	}
	picture("chat.png")
	mau.Tap("Xem cần nộp gì")
	mau.WaitReply("4 số cuối")
	mau.Say(rightDigits)
	mau.WaitReply("N*** T** M**")
	mau.Wait("the whole answer", `document.querySelector("#messages > li:last-child").innerText.includes("Bổ sung bản sao trích lục ly hôn")`)
	mau.Wait("the tick under what was sent", `[...document.querySelectorAll("#messages > li[data-mine] .tick")].at(-1).className.includes("delivered")`)

	// Being told is asked for, agreed to, and confirmed.
	mau.Tap("Báo khi có thay đổi")
	mau.WaitReply("có thay đổi?")
	mau.Tap("Đồng ý")
	mau.WaitReply("✅ Kênh sẽ báo khi hồ sơ")

	// Nothing of content is left unsaid on the page: no key shows in place of a text.
	unsaid := `[...document.querySelectorAll("button, a, h1, h2, p, label, summary")].map(e => e.textContent.trim()).filter(s => /^[a-z_]+(\.[a-z_]+)+$/.test(s) || s === "<no value>")`
	if keys := chatpagetest.Eval[[]string](mau, unsaid); len(keys) > 0 {
		t.Errorf("keys stand in place of texts: %q", keys)
	}
	if empty := chatpagetest.Eval[int](mau, `[...document.querySelectorAll("button")].filter(b => !b.textContent.trim() && !b.ariaLabel).length`); empty > 0 {
		t.Errorf("%d buttons say nothing", empty)
	}

	// The example broadcast comes by itself, and its button leads on.
	mau.WaitReply("Bão số 9 đổ bộ chiều mai")
	picture("broadcast.png")
	mau.Tap("Chọn tin muốn nhận")
	mau.WaitReply("Chọn chủ đề")

	// Somebody else at the same time, on a phone's small screen.
	other := chatpagetest.Eval[string](mau, `[...document.querySelectorAll("#citizens a")].map(a => a.getAttribute("href")).find(h => !location.pathname.endsWith(h)) ?? ""`)
	thu := browser.Open(t, base+other, 360, 740)
	thu.Follow()
	thu.WaitReply("Xin chào! Đây là kênh")
	thu.Say(papersWanted)
	thu.WaitReply("Cấp Giấy xác nhận tình trạng hôn nhân")
	thu.Tap("Xem cần nộp gì")
	thu.WaitReply("4 số cuối")
	thu.Say("9999")
	thu.WaitReply(text(t, "dossier.factor.wrong", "Count", 4))
	for _, secret := range []string{"N*** T** M**", "trích lục ly hôn"} {
		if chatpagetest.Eval[bool](thu, fmt.Sprintf(`document.getElementById("messages").innerText.includes(%q)`, secret)) {
			t.Errorf("the other person reads %q", secret)
		}
	}
	// The account's menu under the chat leads where it says.
	thu.Do(chromedp.Click(chromedp.CSS(".oa-menu button")))
	thu.WaitReply(text(t, "dossier.ask")[:40])

	if wide := chatpagetest.Eval[float64](thu, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("the page is %v pixels wider than a phone", wide)
	}
	if wide := chatpagetest.Eval[float64](mau, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("the page is %v pixels wider than the window", wide)
	}
}
