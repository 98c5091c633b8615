package runtime

import "time"

// How fast one citizen is answered: twenty at once, then one every three
// seconds. Two bots that answer each other would never stop: whoever gets sixty
// replies in ten minutes gets none for an hour.
const (
	paceBurst  = 20
	paceEvery  = 3 * time.Second
	loopWindow = 10 * time.Minute
	loopMost   = 60
	loopRest   = time.Hour
)

// pace is a citizen's share of replies, kept with the conversation so that all
// instances see the same.
type pace struct {
	Full   time.Time `json:"full,omitzero"`  // when the bucket is full again
	Since  time.Time `json:"since,omitzero"` // start of the window in which replies are counted
	Count  int       `json:"count,omitempty"`
	Silent time.Time `json:"silent,omitzero"` // no replies until then
}

// wait is how long the next reply has to wait, zero when it may go now.
func (p *pace) wait(now time.Time) time.Duration {
	if p.Full.Before(now) {
		return 0
	}
	behind := p.Full.Sub(now) // each reply taken is paceEvery to be made good
	if over := behind - (paceBurst-1)*paceEvery; over > 0 {
		return over
	}
	return 0
}

// left is how many replies may go now.
func (p *pace) left(now time.Time) int {
	if p.Full.Before(now) {
		return paceBurst
	}
	behind := p.Full.Sub(now)
	return paceBurst - int((behind+paceEvery-1)/paceEvery)
}

// take counts a reply.
func (p *pace) take(now time.Time) {
	if p.Full.Before(now) {
		p.Full = now
	}
	p.Full = p.Full.Add(paceEvery)
	if now.Sub(p.Since) > loopWindow {
		p.Since, p.Count = now, 0
	}
	if p.Count++; p.Count > loopMost {
		p.Silent, p.Count, p.Since = now.Add(loopRest), 0, time.Time{}
	}
}

// silent reports whether the citizen gets no replies for now.
func (p *pace) silent(now time.Time) bool { return now.Before(p.Silent) }
