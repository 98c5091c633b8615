package zalosim

import "time"

// window counts requests over the last 60 seconds, whatever the minute: nobody
// knows where Zalo's minute begins, so the stand-in holds callers to every
// sixty seconds.
type window struct {
	limit int     // requests; negative: none
	at    []int64 // unix nanoseconds of what was let through, oldest first from head
	head  int
}

// room reports how many more requests the window takes now.
func (w *window) room(now time.Time) int {
	if w.limit < 0 {
		return 1
	}
	since := now.Add(-time.Minute).UnixNano()
	for w.head < len(w.at) && w.at[w.head] <= since {
		w.head++
	}
	if w.head > 1024 && w.head > len(w.at)/2 {
		w.at = append(w.at[:0], w.at[w.head:]...)
		w.head = 0
	}
	return w.limit - (len(w.at) - w.head)
}

func (w *window) take(now time.Time) {
	if w.limit >= 0 {
		w.at = append(w.at, now.UnixNano())
	}
}
