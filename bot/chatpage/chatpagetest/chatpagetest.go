// Package chatpagetest drives the chat page in a real browser, for tests and for
// pictures of it.
//
// A page opened here is watched to its end: an error on its console, an exception,
// a failed request or a request to another host fails the test.
package chatpagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long one step on a page may take, in a busy test run too.
const patience = 30 * time.Second

// Browser is a headless Chromium of a test's own.
type Browser struct{ ctx context.Context }

// Start runs a Chromium with a fresh profile until the test ends. It fails the
// test when there is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(find(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "vi"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Browser{ctx: ctx}
}

func find(t testing.TB) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no browser: none of %s is in PATH; install one: apt-get install chromium", strings.Join(names, ", "))
	return ""
}

// Phone is one tab on the chat page.
type Phone struct {
	t   testing.TB
	ctx context.Context

	host string

	mu      sync.Mutex
	faults  []string
	allowed string
}

// Open opens address in a tab of its own, width by height pixels, and watches it
// until t ends.
func (b *Browser) Open(t testing.TB, address string, width, height int64) *Phone {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("open %q: %v", address, err)
	}
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &Phone{t: t, ctx: ctx, host: u.Host}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.faults {
			t.Errorf("chat page: %s", f)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if err := chromedp.Listen(ctx, p.watch); err != nil {
		t.Fatalf("watch the tab: %v", err)
	}
	p.Do(chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
	p.live()
	return p
}

// watch notes what must not happen on the page.
func (p *Phone) watch(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			fault += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			fault = fmt.Sprintf("console: %v", e.Args)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			fault = "console: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && u.Scheme != "about" && u.Host != p.host {
			fault = "request to another host: " + e.Request.URL
		}
	}
	if fault == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.allowed == "" || !strings.Contains(fault, p.allowed) {
		p.faults = append(p.faults, fault)
	}
}

// Allow lets faults that hold text pass from now on: a test that makes the server
// refuse something sees the browser's word about it.
func (p *Phone) Allow(text string) {
	p.mu.Lock()
	p.allowed = text
	p.mu.Unlock()
}

// Do runs any actions on the page.
func (p *Phone) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("chat page: %v", err)
	}
}

// Eval evaluates a JavaScript expression on p's page.
func Eval[T any](p *Phone, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("chat page: evaluate %s: %v", expression, err)
	}
	return value
}

// Wait waits until a JavaScript expression is true; what says it in the failure.
func (p *Phone) Wait(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(0))); err != nil {
		shown, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.getElementById("messages")?.innerText ?? document.body.innerText`))
		p.t.Fatalf("chat page: waiting for %s: %v\nit shows:\n%s", what, err, shown)
	}
}

// live waits until the page has its live connection.
func (p *Phone) live() {
	p.t.Helper()
	p.Wait("the live connection", `!document.body.dataset.live || document.querySelector("#light.on") !== null`)
}

// Follow presses "Quan tâm".
func (p *Phone) Follow() {
	p.t.Helper()
	p.Do(chromedp.Click(chromedp.CSS("#follow")))
}

// Visit runs actions that lead to another page, and waits until it is live.
func (p *Phone) Visit(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, actions...); err != nil {
		p.t.Fatalf("chat page: %v", err)
	}
	p.live()
}

// Say types text and sends it with Enter.
func (p *Phone) Say(text string) {
	p.t.Helper()
	p.Do(chromedp.Focus(chromedp.CSS("#text")), chromedp.SetValue(chromedp.CSS("#text"), text), Enter(false))
}

// shiftKey is the browser's bit for Shift held down.
const shiftKey = 8

// Enter presses Enter, or Shift+Enter, as a keyboard does: what the page prevents
// does not happen.
func Enter(shift bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			key := input.DispatchKeyEventParams{Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13}
			if shift {
				key.Modifiers = shiftKey
			}
			if kind == input.DispatchKeyEventTypeKeyDown {
				key.Text = "\r"
			}
			if _, err := cdp.Call(ctx, tab, input.DispatchKeyEvent, key); err != nil {
				return fmt.Errorf("press Enter: %w", err)
			}
		}
		return nil
	})
}

// Tap taps the newest button or link with this title under a message.
func (p *Phone) Tap(title string) {
	p.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll(".buttons button, .buttons a")].filter(b => b.textContent.trim() === %s).at(-1)`, quote(title))
	p.Wait("the button "+title, find+" !== undefined")
	Eval[chromedp.Void](p, find+".click()")
}

// WaitReply waits until the newest message is the account's and holds text. After
// a tap that leaves nothing in the chat, text must differ from what stood there.
func (p *Phone) WaitReply(text string) {
	p.t.Helper()
	p.Wait("the reply "+text, fmt.Sprintf(
		`(m => m && !("mine" in m.dataset) && m.innerText.includes(%s))(document.querySelector("#messages > li:last-child"))`, quote(text)))
}

// Screenshot writes what the page shows now as a PNG, once its pictures and
// letters are there.
func (p *Phone) Screenshot(path string) {
	p.t.Helper()
	p.Wait("pictures", `document.fonts.status === "loaded" && [...document.images].every(i => i.complete)`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("chat page: take a picture: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatalf("chat page: keep a picture: %v", err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		p.t.Fatalf("chat page: keep a picture: %v", err)
	}
}

// quote writes s as a JavaScript string.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}
