package zalosim

import (
	"context"
	"math/rand/v2"
)

// SetWebhookURL changes where webhooks go and switches the webhook on, as saving
// the address in the console does. Deliveries under way to the old address and
// their retries are dropped.
func (s *Sim) SetWebhookURL(url string) {
	p := s.post
	p.mu.Lock()
	if p.url != "" {
		p.forget()
	}
	p.url, p.off = url, false
	p.mu.Unlock()
	s.watch.tell(UpdateWebhook, "")
}

// SwitchedOff reports whether failed deliveries have ended the subscription.
// While it is off, events are lost.
func (s *Sim) SwitchedOff() bool {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	return s.post.off
}

// SwitchOn does what the operator does in the console after an outage.
func (s *Sim) SwitchOn() {
	s.post.mu.Lock()
	s.post.off = false
	s.post.mu.Unlock()
	s.watch.tell(UpdateWebhook, "")
}

// HoldWebhooks keeps new events back until it is called with false; held events
// then leave in order.
func (s *Sim) HoldWebhooks(hold bool) {
	p := s.post
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = hold
	if hold {
		return
	}
	held := p.held
	p.held = nil
	for _, d := range held {
		p.ready(d)
	}
}

// Disturb changes how events travel from now on. The zero value ends it and lets
// go what was collected for shuffling.
func (s *Sim) Disturb(d Disturbance) {
	p := s.post
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letGo()
	p.disturb, p.rng = d, nil
	if d.Drop > 0 || d.Duplicate > 0 || d.Delay > 0 || d.Shuffle > 1 {
		p.rng = rand.New(rand.NewPCG(d.Seed, 1))
	}
}

// Settle does what was put off and is due by the clock, and waits until no webhook
// is due or in the air, or ctx ends. Retries and delays that lie ahead of the
// clock, and events held back, do not count.
func (s *Sim) Settle(ctx context.Context) error {
	s.agenda.doDue()
	p := s.post
	for {
		p.mu.Lock()
		p.moveDue()
		idle, again := p.busy == 0, p.idleAgain
		p.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-again:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// probe delivers a body once, outside the queue and the ladder.
func (s *Sim) probe(ctx context.Context, body []byte, mac string) (int, error) {
	s.post.mu.Lock()
	url := s.post.url
	s.post.mu.Unlock()
	line := s.post.wire.line()
	defer line.close()
	return line.post(ctx, url, body, mac, 0)
}

// ProbeSave sends what Zalo sends when the webhook's address is saved: an
// unsigned {}. It returns the status answered.
func (s *Sim) ProbeSave(ctx context.Context) (int, error) {
	return s.probe(ctx, []byte(`{}`), "")
}

// ProbeSample sends the console's signed sample: a message between two ids that
// belong to nobody we know.
func (s *Sim) ProbeSample(ctx context.Context) (int, error) {
	return s.ProbeEvent(ctx, "user_send_text")
}

// ProbeEvent sends the signed sample behind an event's "Test" button. Sender and
// recipient belong to no one.
func (s *Sim) ProbeEvent(ctx context.Context, name string) (int, error) {
	body := newObject(400, false).
		str("app_id", s.opt.AppID).
		open("sender").str("id", "246845883529197922").close().
		open("recipient").str("id", "388613280878808645").close().
		str("user_id_by_app", "552177279717587730").
		str("event_name", name).
		str("timestamp", "154390853474").
		open("message").str("msg_id", "This is message id").str("text", "This is testing message").close().
		bytes()
	return s.probe(ctx, body, Sign(s.opt.AppID, body, timestampOf(body), s.opt.OASecretKey))
}
