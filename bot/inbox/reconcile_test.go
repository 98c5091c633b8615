package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"congdanso/bot/inbox"
)

// chats is Zalo's memory of conversations.
type chats struct {
	messages []inbox.ChatMessage // newest first
	calls    int
	during   func() // happens once, after the first page was read
}

func page(list []inbox.ChatMessage, offset, count int) []inbox.ChatMessage {
	if offset >= len(list) {
		return nil
	}
	return list[offset:min(len(list), offset+count)]
}

func (c *chats) RecentChats(_ context.Context, offset, count int) ([]inbox.ChatMessage, error) {
	c.calls++
	if c.during != nil && offset > 0 {
		c.during()
		c.during = nil
	}
	seen := map[string]bool{}
	var newest []inbox.ChatMessage
	for _, m := range c.messages {
		if !seen[m.User] {
			seen[m.User] = true
			newest = append(newest, m)
		}
	}
	return page(newest, offset, count), nil
}

func (c *chats) Conversation(_ context.Context, user string, offset, count int) ([]inbox.ChatMessage, error) {
	c.calls++
	var mine []inbox.ChatMessage
	for _, m := range c.messages {
		if m.User == user {
			mine = append(mine, m)
		}
	}
	return page(mine, offset, count), nil
}

func (f *fixture) reconciler(c *chats, slots *int) *inbox.Reconciler {
	return &inbox.Reconciler{Inbox: f.Inbox, Chats: c, AppID: "app", OAID: oa, Now: func() time.Time { return f.now.Add(time.Hour) },
		Slot: func(context.Context) error { *slots++; return nil }}
}

func (f *fixture) refused(t *testing.T, since time.Time) {
	t.Helper()
	if _, err := f.pool.Exec(t.Context(), `UPDATE installation SET refused_since = $1`, since); err != nil {
		t.Fatal(err)
	}
}

func TestReconcilingFeedsWhatWasMissed(t *testing.T) {
	f := newFixture(t)
	known := f.text("7", "known", time.Minute)
	f.accept(t, known)
	c := &chats{}
	say := func(user, id string, after time.Duration, fromUser bool) {
		c.messages = append(c.messages, inbox.ChatMessage{User: user, FromUser: fromUser, At: f.now.Add(after), Type: "text", Text: "x", MsgID: id})
	}
	for i := range 23 { // 23 people, each with one message during the outage and one long before
		say(fmt.Sprint("u", i), fmt.Sprint("during", i), time.Minute, true)
		say(fmt.Sprint("u", i), fmt.Sprint("before", i), -time.Hour, true)
	}
	for i := range 15 { // and one who wrote a lot
		say("7", fmt.Sprint("much", i), 2*time.Minute-time.Duration(i)*time.Second, true)
	}
	say("7", "known", time.Minute, true)
	say("7", "ours", 30*time.Second, false)
	slices.SortStableFunc(c.messages, func(a, b inbox.ChatMessage) int { return b.At.Compare(a.At) })

	var slots int
	if fed, err := f.reconciler(c, &slots).Run(t.Context()); err != nil || fed != 0 || c.calls != 0 {
		t.Fatalf("without an outage: fed %d with %d calls, %v", fed, c.calls, err)
	}
	f.refused(t, f.now)
	fed, err := f.reconciler(c, &slots).Run(t.Context())
	if err != nil || fed != 23+15 {
		t.Fatalf("fed %d, %v, want 38", fed, err)
	}
	if slots != c.calls || slots == 0 {
		t.Errorf("%d slots for %d calls", slots, c.calls)
	}
	if n := f.count(t, "inbox"); n != 23+15+1 {
		t.Errorf("%d events wait, want 39", n)
	}
	if fed, err = f.reconciler(c, &slots).Run(t.Context()); err != nil || fed != 0 {
		t.Errorf("the outage was reconciled twice: %d, %v", fed, err)
	}
}

func TestReconcilingAfterARestoreDoesNotAnswerTwice(t *testing.T) {
	f := newFixture(t)
	c := &chats{messages: []inbox.ChatMessage{
		{User: "1", FromUser: true, At: f.now.Add(3 * time.Minute), Type: "text", Text: "b", MsgID: "unanswered"},
		{User: "1", At: f.now.Add(2 * time.Minute), Type: "text", Text: "answer", MsgID: "ours"},
		{User: "1", FromUser: true, At: f.now.Add(time.Minute), Type: "text", Text: "a", MsgID: "answered"},
	}}
	f.refused(t, f.now)
	if _, err := f.pool.Exec(t.Context(), `UPDATE installation SET resumed_at = $1`, f.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var slots int
	if fed, err := f.reconciler(c, &slots).Run(t.Context()); err != nil || fed != 1 {
		t.Fatalf("fed %d, %v, want only what nobody answered", fed, err)
	}
}

// What was read back is turned as it was written: whole, and the oldest first.
func TestReconciledEventsAreWholeAndInOrder(t *testing.T) {
	f := newFixture(t)
	c := &chats{messages: []inbox.ChatMessage{
		{User: "1", FromUser: true, At: f.now.Add(3 * time.Minute), Type: "text", Text: "c", MsgID: "third"},
		{User: "1", FromUser: true, At: f.now.Add(2 * time.Minute), Type: "text", Text: "b", MsgID: "second"},
		{User: "1", FromUser: true, At: f.now.Add(time.Minute), Type: "text", Text: "a", MsgID: "first"},
	}}
	f.refused(t, f.now)
	var slots int
	if fed, err := f.reconciler(c, &slots).Run(t.Context()); err != nil || fed != 3 {
		t.Fatalf("fed %d, %v", fed, err)
	}
	// ctid tells the order in which rows came into a table from which none has gone.
	if n := f.count(t, `(SELECT signed_at < lag(signed_at) OVER (ORDER BY ctid) AS back FROM inbox) i WHERE back`); n != 0 {
		t.Errorf("%d came after a later one", n)
	}
	for _, w := range f.claim(t, "1")[0].Events {
		if w.Event != nil && w.Event.Body == nil {
			t.Error("an event is handed on without its body")
		}
	}
}

// Who writes again while the chats are read moves to the front of the list, past
// the place that is being read; what they had written before is found all the same.
func TestReconcilingFindsWhoWritesMeanwhile(t *testing.T) {
	f := newFixture(t)
	c := &chats{}
	for i := range 30 {
		c.messages = append(c.messages, inbox.ChatMessage{User: fmt.Sprint("u", i), FromUser: true,
			At: f.now.Add(time.Hour - time.Duration(i)*time.Second), Type: "text", Text: "x", MsgID: fmt.Sprint("missed", i)})
	}
	c.during = func() {
		c.messages = slices.Insert(c.messages, 0, inbox.ChatMessage{User: "u29", FromUser: true,
			At: f.now.Add(time.Hour + time.Minute), Type: "text", Text: "hello?", MsgID: "again"})
	}
	f.refused(t, f.now)
	var slots int
	if fed, err := f.reconciler(c, &slots).Run(t.Context()); err != nil || fed != 31 {
		t.Errorf("fed %d, %v, want 31", fed, err)
	}
}
