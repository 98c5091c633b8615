package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is many people who each ask for one dossier after the other, without
// waiting for what the bot says.
type crowd struct {
	w      *world
	g      *gateway
	people []*asker
	wg     sync.WaitGroup
}

// asker is one of them.
type asker struct {
	*resident
	codes []string // what to ask for, each code once
	asked []string // ids of the messages, in the order of writing
}

// newCrowd makes people who ask for questions dossiers each, so many that a reply
// tells by its code which question it answers.
func newCrowd(g *gateway, people, questions int) *crowd {
	g.w.t.Helper()
	var codes []string
	for _, d := range g.w.proc.Dossiers() {
		if !slices.Contains(codes, d.Code) {
			codes = append(codes, d.Code)
		}
	}
	if len(codes) < questions || questions > 19 {
		g.w.t.Fatalf("%d dossiers, %d questions a person; nobody is answered more than twenty times at once", len(codes), questions)
	}
	c := &crowd{w: g.w, g: g}
	for i := range people {
		a := &asker{resident: g.w.newcomer(i + 1)}
		for q := range questions {
			a.codes = append(a.codes, codes[(i*questions+q)%len(codes)])
		}
		c.people = append(c.people, a)
	}
	return c
}

// total is how many questions there are.
func (c *crowd) total() (n int) {
	for _, a := range c.people {
		n += len(a.codes)
	}
	return n
}

// ask lets some people ask so many more questions, each as soon as the delivery of
// the one before has its answer. It returns at once; see settle.
func (c *crowd) ask(people []*asker, questions int) {
	ctx := c.w.t.Context()
	for _, a := range people {
		next := a.codes[len(a.asked):min(len(a.asked)+questions, len(a.codes))]
		c.wg.Go(func() {
			for _, code := range next {
				id := c.w.zalo.SendText(a.id, "ho so "+code)
				a.asked = append(a.asked, id)
				select {
				case <-c.g.answered(id):
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// askAtOnce lets everybody ask all questions, one second of Zalo's clock after the
// other, whatever becomes of the deliveries.
func (c *crowd) askAtOnce() {
	for q := range c.people[0].codes {
		for _, a := range c.people {
			a.asked = append(a.asked, c.w.zalo.SendText(a.id, "ho so "+a.codes[q]))
		}
		c.w.zalo.Clock().Advance(time.Second)
	}
}

// done waits until everybody has asked.
func (c *crowd) done() {
	c.w.t.Helper()
	all := make(chan struct{})
	go func() { c.wg.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(time.Minute):
		c.w.t.Fatalf("the deliveries do not get through: %d of %d acknowledged", c.g.acked.Load(), c.total())
	}
}

// delivered waits until every message asked so far has its last answer.
func (c *crowd) delivered() {
	c.w.t.Helper()
	c.done()
	for _, a := range c.people {
		for _, id := range a.asked {
			select {
			case <-c.g.answered(id):
			case <-time.After(time.Minute):
				c.w.t.Fatal("a message is not delivered")
			}
		}
	}
}

// settle waits until everything was delivered and nothing waits any more, with the
// time that leases need to lapse.
func (c *crowd) settle() {
	c.w.t.Helper()
	c.delivered()
	c.quiet()
	c.w.settled(time.Minute)
	c.quiet() // echoes and receipts of what was sent last
}

// quiet waits until no webhook is under way.
func (c *crowd) quiet() {
	c.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := c.w.zalo.Settle(ctx); err != nil {
		c.w.t.Fatalf("webhooks are under way for long: %v", err)
	}
}

// outcome is what became of the questions.
type outcome struct {
	twice   int // replies that Zalo took more than once
	unknown int // replies of which nobody can know whether Zalo took them
}

// account checks what became of all questions, once nothing waits any more: each
// had exactly one turn in the database and was answered, each person's answers
// went out in the order of asking. What a crash may cost it returns.
func (c *crowd) account() (o outcome) {
	t := c.w.t
	t.Helper()
	for _, a := range c.people {
		twice, unknown := c.accountOf(a, a.codes)
		o.twice += twice
		o.unknown += unknown
	}
	c.turnedOnce()
	return o
}

// turnedOnce checks in the database that every question had exactly one turn, and
// every turn exactly one reply.
func (c *crowd) turnedOnce() {
	t, total := c.w.t, c.total()
	t.Helper()
	for what, n := range map[string]int{
		"events turned":       c.w.count(`SELECT count(*) FROM turned_event`),
		"questions written":   c.w.count(`SELECT count(*) FROM history WHERE NOT outgoing`),
		"different questions": c.w.count(`SELECT count(DISTINCT (citizen, msg_id)) FROM history WHERE NOT outgoing`),
		"replies decided":     c.w.count(`SELECT count(*) FROM history WHERE outgoing AND kind = 'message'`),
	} {
		if n != total {
			t.Errorf("%s: %d, want %d", what, n, total)
		}
	}
	if n := c.w.count(`SELECT count(*) FROM conversation`); n != len(c.people) {
		t.Errorf("%d conversations for %d people", n, len(c.people))
	}
	if n := c.w.count(`SELECT count(*) FROM dead_letter`); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if n := c.w.count(`SELECT count(*) FROM history WHERE outgoing AND outcome NOT IN ('sent', 'unknown')`); n != 0 {
		t.Errorf("%d replies were given up", n)
	}
}

// accountOf checks one person's answers: one to each of the codes, in their order.
func (c *crowd) accountOf(a *asker, codes []string) (twice, unknown int) {
	t := c.w.t
	t.Helper()
	unknown = c.w.count(`SELECT count(*) FROM history WHERE citizen = $1 AND outgoing AND outcome = 'unknown'`, a.id)
	got, twice := a.answers(codes)
	lost := 0
	rest := got
	for _, code := range codes {
		if len(rest) > 0 && rest[0] == code {
			rest = rest[1:]
		} else {
			lost++
		}
	}
	switch {
	case len(rest) > 0:
		t.Errorf("replies out of order:\n got %v\nwant %v\n%s", got, codes, a.chat())
	case lost > unknown:
		t.Errorf("%d replies lost, %d unknown:\n got %v\nwant %v\n%s", lost, unknown, got, codes, a.chat())
	}
	return twice, unknown
}

// answers lists which of the codes Zalo took answers to, in order; an answer sent
// once more before anything else counts as one, and under twice.
func (a *asker) answers(codes []string) (got []string, twice int) {
	a.w.t.Helper()
	for _, m := range a.sends() {
		code := codeIn(m.Text, a.codes)
		switch {
		case code == "":
			a.w.t.Errorf("a reply answers nothing that was asked:\n%s", m.Text)
		case !slices.Contains(codes, code):
		case len(got) > 0 && got[len(got)-1] == code:
			twice++
		default:
			got = append(got, code)
		}
	}
	return got, twice
}

// chat is what was said when, for whoever looks into a failure.
func (a *asker) chat() string {
	var b strings.Builder
	for _, m := range a.w.zalo.Messages(a.id) {
		who := "bot"
		if m.FromUser {
			who = "person"
		}
		fmt.Fprintf(&b, "  %s %s: %s\n", m.At.Format("15:04:05.000"), who, codeIn(m.Text, a.codes))
	}
	return b.String()
}

// codeIn is the first of the codes that stands in a text.
func codeIn(text string, codes []string) (found string) {
	first := len(text)
	for _, code := range codes {
		if i := strings.Index(text, code); i >= 0 && i < first {
			first, found = i, code
		}
	}
	return found
}

// report writes the figures of a proof into the test's log.
func (o outcome) report(t testing.TB, what string, args ...any) {
	t.Helper()
	t.Logf("%s: sent twice %d, unknown %d", fmt.Sprintf(what, args...), o.twice, o.unknown)
}

// within fails when more is in doubt than so many interrupted instances can leave.
func (o outcome) within(t testing.TB, interruptions int) {
	t.Helper()
	if o.twice+o.unknown > interruptions*callsInAir {
		t.Errorf("%d replies sent twice and %d unknown after %d interruptions with %d calls in the air each",
			o.twice, o.unknown, interruptions, callsInAir)
	}
}

// nothingInDoubt fails when anything is in doubt.
func (o outcome) nothingInDoubt(t testing.TB) {
	t.Helper()
	if o != (outcome{}) {
		t.Errorf("sent twice %d, unknown %d; nothing was interrupted", o.twice, o.unknown)
	}
}
