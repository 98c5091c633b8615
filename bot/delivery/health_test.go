package delivery

import (
	"testing"
	"time"
)

// What was in the air when calls began to rest may end well and tells nothing of now.
func TestLateSuccessEndsNoRest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	before := now.Add(-time.Second)
	after := now.Add(2 * time.Minute)

	h := &health{now: func() time.Time { return now }, pause: time.Minute}
	h.person(kindMessage)
	h.answered(kindMessage, before)
	if n, _ := h.allow(10); n != 0 {
		t.Errorf("a call begun before the rest ended it: %d of 10 may go", n)
	}
	now = after
	if n, _ := h.allow(10); n != 1 {
		t.Errorf("%d may go after the rest, want one that tries", n)
	}
	h.answered(kindMessage, now)
	if n, _ := h.allow(10); n != 10 {
		t.Errorf("%d of 10 may go after an answer", n)
	}

	now = before.Add(time.Second)
	for range sick {
		h.failed()
	}
	h.answered(kindMessage, before)
	if n, _ := h.allow(10); n != 0 {
		t.Errorf("a call begun before the way broke mended it: %d of 10 may go", n)
	}

	var b brake
	for range unansweredMost {
		b.cutOff(now)
	}
	b.answered(true, before)
	if n, _ := b.allow(10, now); n != 0 {
		t.Errorf("a push begun before the others were cut off let %d of 10 go", n)
	}
	if n, _ := b.allow(10, after); n != 1 {
		t.Errorf("%d pushes may try, want 1", n)
	}
	b.answered(true, after)
	if n, _ := b.allow(10, after); n != 10 {
		t.Errorf("%d of 10 pushes may go after one was accepted", n)
	}
}
