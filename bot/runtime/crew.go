package runtime

import "time"

// idle is how long a goroutine of the crew waits for the next turn.
const idle = 5 * time.Second

// crew runs functions on goroutines that stay for the next one: a turn needs a
// deep stack, and growing a new one each time costs more than the turn's SQL.
type crew struct{ work chan func() }

func (c *crew) do(f func()) {
	select {
	case c.work <- f:
	default:
		go c.run(f)
	}
}

func (c *crew) run(f func()) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		f()
		timer.Reset(idle)
		select {
		case f = <-c.work:
		case <-timer.C:
			return
		}
	}
}
