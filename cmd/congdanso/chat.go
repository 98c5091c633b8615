package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"congdanso/integrations/zalo/zalosim"
)

// line is a message as the terminal shows it.
type line struct {
	Mine    bool     `json:"mine"`
	Text    string   `json:"text"`
	Buttons []button `json:"buttons,omitempty"`
	Form    string   `json:"form,omitempty"`
}

type button struct {
	Title   string `json:"title"`
	Payload string `json:"payload,omitempty"`
	Link    string `json:"link,omitempty"`
}

// terminalSay and terminalMessages are how the terminal plays a person at the
// stand-in of a running dev.
func terminalSay(sim *zalosim.Sim) echo.HandlerFunc {
	return func(c echo.Context) error {
		user := c.FormValue("user")
		sim.AddUser(zalosim.User{ID: user, Name: "Terminal"})
		switch c.FormValue("act") {
		case "follow":
			sim.Follow(user)
		case "tap":
			sim.Tap(user, c.FormValue("text"), false)
		default:
			sim.SendText(user, c.FormValue("text"))
		}
		return c.NoContent(http.StatusNoContent)
	}
}

// longPoll is how long a question for new messages is held open.
const longPoll = 20 * time.Second

func terminalMessages(sim *zalosim.Sim) echo.HandlerFunc {
	return func(c echo.Context) error {
		user := c.QueryParam("user")
		after, err := strconv.Atoi(c.QueryParam("after"))
		if err != nil || after < 0 {
			return echo.NewHTTPError(http.StatusBadRequest, "after is a number")
		}
		updates, cancel := sim.Subscribe()
		defer cancel()
		end := time.NewTimer(longPoll)
		defer end.Stop()
		for {
			if all := sim.Messages(user); len(all) > after {
				return c.JSON(http.StatusOK, lines(all[after:]))
			}
			select {
			case <-updates:
			case <-end.C:
				return c.JSON(http.StatusOK, []line{})
			case <-c.Request().Context().Done():
				return nil
			}
		}
	}
}

func lines(messages []zalosim.ChatMessage) []line {
	list := make([]line, len(messages))
	for i, m := range messages {
		l := line{Mine: m.FromUser, Text: m.Text}
		for _, b := range m.Buttons {
			l.Buttons = append(l.Buttons, button{Title: b.Title, Payload: b.Payload, Link: b.URL + b.Phone})
		}
		if m.AskInfo != nil {
			l.Form = m.AskInfo.Title
		}
		list[i] = l
	}
	return list
}

// cmdChat talks to the bot in the terminal, through the same door as Zalo. It
// joins a running dev, else it starts one for itself.
func cmdChat(ctx context.Context, p *program, _ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if base, ok := runningDev(ctx); ok {
		fmt.Fprintln(p.stdout, "Joined", base)
		return chatWith(ctx, p, base)
	}
	fmt.Fprintln(p.stdout, "Starting; the first time takes a few seconds.")
	base := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- runDev(ctx, p, false, io.Discard, func(url string) { base <- url }) }()
	select {
	case err := <-done:
		return err
	case url := <-base:
		err := chatWith(ctx, p, url)
		cancel()
		return errors.Join(err, <-done)
	}
}

// runningDev finds a dev that runs in this folder.
func runningDev(ctx context.Context) (base string, ok bool) {
	raw, err := os.ReadFile(runningFile())
	if err != nil {
		return "", false
	}
	var r running
	if json.Unmarshal(raw, &r) != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/healthz", nil)
	if err != nil {
		return "", false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	resp.Body.Close()
	return r.URL, resp.StatusCode == http.StatusOK
}

// terminal is one person at the keyboard.
type terminal struct {
	p    *program
	base string
	user string
}

func chatWith(ctx context.Context, p *program, base string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &terminal{p: p, base: base, user: strconv.FormatInt(2_500_000_000_000_000_000+time.Now().UnixNano()%1_000_000_000_000, 10)}
	fmt.Fprintln(p.stdout, "Type and press Enter. /tap N taps a button of the last message, /quit leaves.")
	if err := t.say(ctx, "follow", ""); err != nil {
		return err
	}
	shown := make(chan error, 1)
	heard := make(chan line, 16)
	go func() { shown <- t.show(ctx, heard) }()
	typed := make(chan string)
	go func() {
		defer close(typed)
		in := bufio.NewScanner(p.stdin)
		for in.Scan() {
			select {
			case typed <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	var last []button
	var over <-chan time.Time // when the input has ended: until the answer is there
	said, seen := 0, 0        // lines of ours sent, and seen to stand in the chat
	answered := false         // not before the greeting
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case err := <-shown:
			return err
		case l := <-heard:
			if l.Mine {
				seen++
				continue
			}
			last, answered = l.Buttons, seen >= said
			if over != nil && answered {
				over = time.After(anotherAnswer)
			}
		case text, open := <-typed:
			if !open {
				typed, over = nil, time.After(longestAnswer)
				if answered {
					over = time.After(anotherAnswer)
				}
				continue
			}
			if strings.TrimSpace(text) == "/quit" {
				return nil
			}
			sent, err := t.line(ctx, text, last)
			if err != nil {
				return err
			}
			if sent {
				said, answered = said+1, false
			}
		}
	}
}

// When the input was a file, the answer to its last line is waited for, and a
// moment more, for another may follow.
const (
	longestAnswer = 10 * time.Second
	anotherAnswer = time.Second
)

// line sends what was typed, and reports whether it was for the bot.
func (t *terminal) line(ctx context.Context, text string, last []button) (sent bool, err error) {
	if n, ok := strings.CutPrefix(text, "/tap "); ok {
		i, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil || i < 1 || i > len(last) || last[i-1].Payload == "" {
			fmt.Fprintln(t.p.stdout, "(there is no such button)")
			return false, nil
		}
		return true, t.say(ctx, "tap", last[i-1].Payload)
	}
	if strings.TrimSpace(text) == "" {
		return false, nil
	}
	return true, t.say(ctx, "text", text)
}

func (t *terminal) say(ctx context.Context, act, text string) error {
	form := url.Values{"user": {t.user}, "act": {act}, "text": {text}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/dev/say", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reach the running dev: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the dev at %s takes no terminal (status %d)", t.base, resp.StatusCode)
	}
	return nil
}

// show prints what the channel says, as it comes.
func (t *terminal) show(ctx context.Context, heard chan<- line) error {
	for after := 0; ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet,
			t.base+"/dev/messages?user="+t.user+"&after="+strconv.Itoa(after), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the dev has gone: %w", err)
		}
		var list []line
		err = json.NewDecoder(resp.Body).Decode(&list)
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		after += len(list)
		for _, l := range list {
			if !l.Mine {
				t.print(l)
			}
			select {
			case heard <- l:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (t *terminal) print(l line) {
	fmt.Fprintln(t.p.stdout)
	for s := range strings.SplitSeq(l.Text, "\n") {
		fmt.Fprintln(t.p.stdout, "  "+s)
	}
	if l.Form != "" {
		fmt.Fprintln(t.p.stdout, "  (form: "+l.Form+")")
	}
	var titles []string
	for _, b := range l.Buttons {
		titles = append(titles, "["+b.Title+"]")
	}
	if len(titles) > 0 {
		fmt.Fprintln(t.p.stdout, "  "+strings.Join(titles, " "))
	}
	fmt.Fprintln(t.p.stdout)
}
