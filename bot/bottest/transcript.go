// Package bottest runs conversations written down as text, so that a reviewer
// reads a test as a dialogue. Nothing here touches network or database.
//
//	# a comment
//	clock 2024-06-20T09:00:00+07:00
//	clock +25h
//	given dossier H42.16-240612-0001 status=4      (what the world holds)
//	> tra cuu h42.16-240612-0001                   (the resident types)
//	< ⏳ Đang giải quyết …                          (the channel answers)
//	<
//	< [Xem chi tiết] [Về đầu]                       (its buttons)
//	! effect citizen.SetLanguage{Lang:"en"}         (what else the turn decided)
//	> [Xem chi tiết]                                (the resident taps; older buttons too)
//
// A resident's line in parentheses is an event that carries no text: see events
// in events.go. "~ text" is a message that arrives late.
//
// Lines that begin with "<" or "!" are what the test expects. With -update they
// are written anew.
package bottest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
	"congdanso/bot/fold"
)

var update = flag.Bool("update", false, "write what the channel says into the transcripts")

// Router hands an event to the flow that answers it; *runtime.Router does.
type Router interface {
	Route(ctx context.Context, t *bot.Turn) error
}

// World is what one transcript runs against.
type World struct {
	Router Router
	Texts  bot.Texts
	// Given makes something true ("dossier H42… status=4"). Nil: nothing can be given.
	Given func(now time.Time, what string) error
	// Apply carries out an effect of a turn. Nil: effects are only written down.
	Apply func(a bot.Applied) error
	// Profile fills in what is known of the citizen before each turn. Nil: nothing.
	Profile func(c *bot.Citizen)
	// Clock is told each new time. Nil: nobody asks.
	Clock func(now time.Time)
}

// Run runs every transcript that matches pattern, each in a world of its own.
func Run(t *testing.T, pattern string, open func(t testing.TB) *World) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts match %q (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Replay(want, open(t))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", file, diff)
			}
		})
	}
}

// Replay plays the resident's part of a transcript and returns it with the
// channel's part written anew. It fails where a line cannot be understood, and
// where the channel says what Zalo or a resident could not take.
func Replay(transcript []byte, w *World) ([]byte, error) {
	p := &player{world: w, now: time.Date(2024, 6, 14, 9, 30, 0, 0, time.UTC), language: bot.Vietnamese, out: &bytes.Buffer{}}
	p.citizen = bot.Citizen{ID: bot.CitizenID{OA: "3612345678901234567", User: "2512345678901234567"},
		Language: p.language, New: true}
	for i, line := range strings.Split(strings.TrimSuffix(string(transcript), "\n"), "\n") {
		if strings.HasPrefix(line, "<") || strings.HasPrefix(line, "!") {
			continue
		}
		fmt.Fprintln(p.out, line)
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", i+1, line, err)
		}
	}
	return p.out.Bytes(), nil
}

// player is a conversation in progress.
type player struct {
	world    *World
	now      time.Time
	citizen  bot.Citizen
	language string // of whoever writes first and of strangers
	conv     bot.Conversation
	sent     []bot.Message
	events   int
	out      *bytes.Buffer
}

func (p *player) line(line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case word == "" || strings.HasPrefix(word, "#"):
		return nil
	case word == "clock":
		return p.clock(rest)
	case word == "given":
		if p.world.Given == nil {
			return fmt.Errorf("nothing can be given here")
		}
		return p.world.Given(p.now, rest)
	case word == "language":
		p.citizen.Language, p.language = rest, rest
		return nil
	case word == "known":
		p.citizen.New = false
		p.citizen.CreatedAt = p.now
		return nil
	case word == "stranger":
		return p.stranger()
	case word == ">":
		return p.turn(rest, false)
	case word == "~":
		return p.turn(rest, true)
	}
	return fmt.Errorf("not a line of a transcript")
}

// clock sets the time, or moves it on by a duration ("+25h").
func (p *player) clock(to string) error {
	if by, ok := strings.CutPrefix(to, "+"); ok {
		d, err := time.ParseDuration(by)
		if err != nil {
			return err
		}
		p.now = p.now.Add(d)
	} else {
		at, err := time.Parse(time.RFC3339, to)
		if err != nil {
			return err
		}
		p.now = at.UTC()
	}
	if p.world.Clock != nil {
		p.world.Clock(p.now)
	}
	return nil
}

// stranger lets somebody else go on with the same world: another phone, with
// nothing said on it yet.
func (p *player) stranger() error {
	p.citizen = bot.Citizen{ID: bot.CitizenID{OA: p.citizen.ID.OA, User: p.citizen.ID.User[:18] + "9"},
		Language: p.language, New: true}
	p.conv = bot.Conversation{}
	return nil
}

func (p *player) turn(said string, late bool) error {
	body, err := p.body(said)
	if err != nil {
		return err
	}
	p.events++
	p.now = p.now.Add(time.Second)
	if p.world.Clock != nil {
		p.world.Clock(p.now)
	}
	if p.citizen.CreatedAt.IsZero() {
		p.citizen.CreatedAt = p.now
	}
	if p.world.Profile != nil {
		p.world.Profile(&p.citizen)
	}
	id := fmt.Sprintf("user_send:%d", p.events)
	turn := &bot.Turn{
		Now: p.now, Citizen: p.citizen, Conv: &p.conv, Texts: p.world.Texts, Late: late,
		Event: bot.Event{ID: id, Citizen: p.citizen.ID, SignedAt: p.now, AcceptedAt: p.now, Body: body},
	}
	if err := p.world.Router.Route(context.Background(), turn); err != nil {
		return err
	}
	p.citizen.New = false
	if err := p.write(turn); err != nil {
		return err
	}
	for _, e := range turn.Effects() {
		fmt.Fprintf(p.out, "! effect %s\n", strings.TrimPrefix(fmt.Sprintf("%#v", e), "*"))
		if p.world.Apply == nil {
			continue
		}
		if err := p.world.Apply(bot.Applied{Citizen: p.citizen.ID, EventID: id, At: p.now, Effect: e}); err != nil {
			return err
		}
	}
	for _, c := range turn.Calls() {
		fmt.Fprintln(p.out, strings.TrimSpace(fmt.Sprintf("! call %s %s", c.Kind, c.Tag)))
	}
	for _, a := range turn.Alerts() {
		fmt.Fprintf(p.out, "! alert %s\n", a.Key)
	}
	if turn.Secret() {
		fmt.Fprintln(p.out, "! the text is not kept")
	}
	// What the runtime carries from turn to turn.
	p.citizen.Language = turn.Citizen.Language
	return nil
}

// write writes the turn's message down, after looking at it as Zalo would.
func (p *player) write(t *bot.Turn) error {
	m := t.Reply()
	if m == nil {
		fmt.Fprintln(p.out, "< (nothing)")
		return nil
	}
	if err := fit(m, t.Unasked); err != nil {
		return err
	}
	p.sent = append(p.sent, *m)
	for _, line := range strings.Split(m.Text, "\n") {
		fmt.Fprintln(p.out, strings.TrimRight("< "+line, " "))
	}
	if m.AskContact != nil {
		fmt.Fprintf(p.out, "< (form: %s / %s)\n", m.AskContact.Title, m.AskContact.Subtitle)
	}
	var buttons []string
	for _, c := range m.Choices {
		buttons = append(buttons, "["+c.Title+"]")
	}
	if len(buttons) > 0 {
		fmt.Fprintln(p.out, "< "+strings.Join(buttons, " "))
	}
	return nil
}

var leftover = regexp.MustCompile(`<no value>|\{\{|\}\}|‹|›|\n\n\n|%!`)

// fit tells what Zalo or a resident could not take.
func fit(m *bot.Message, unasked bool) error {
	if n := utf8.RuneCountInString(m.Text); n > bot.MaxText || n == 0 {
		return fmt.Errorf("a message of %d characters", n)
	}
	if bad := leftover.FindString(m.Text); bad != "" {
		return fmt.Errorf("the message shows %q:\n%s", bad, m.Text)
	}
	if len(m.Choices) > bot.MaxButtons {
		return fmt.Errorf("%d choices", len(m.Choices))
	}
	if m.AskContact != nil && len(m.Choices) > 0 {
		return fmt.Errorf("a form with choices")
	}
	for i, c := range m.Choices {
		n := utf8.RuneCountInString(c.Title)
		switch {
		case n == 0 || n > bot.MaxTitle:
			return fmt.Errorf("a button of %d characters: %q", n, c.Title)
		case utf8.RuneCountInString(c.Payload) > bot.MaxPayload:
			return fmt.Errorf("a payload of %d characters", utf8.RuneCountInString(c.Payload))
		case c.Zero && i != len(m.Choices)-1:
			return fmt.Errorf("choice 0 is not the last: %q", c.Title)
		case !unasked && !strings.Contains(m.Text, fmt.Sprintf("%d. ", bot.Number(m.Choices, i))):
			return fmt.Errorf("choice %q cannot be typed", c.Title)
		}
		for _, other := range m.Choices[:i] {
			if said := shared(c, other); said != "" {
				return fmt.Errorf("%q means two choices, %q and %q", said, other.Title, c.Title)
			}
		}
	}
	return nil
}

// shared is a way of saying both a and b, if there is one.
func shared(a, b bot.Choice) string {
	for _, x := range append([]string{a.Title, a.Label}, a.Words...) {
		for _, y := range append([]string{b.Title, b.Label}, b.Words...) {
			if fold.SameWords(x, y) {
				return x
			}
		}
	}
	return ""
}
