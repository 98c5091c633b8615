package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"congdanso/integrations/zalo/zalosim"
)

// The proof tests hold the invariants against real processes that are killed,
// paused, stopped and cut off from what they need, while many people write. They
// count at the stand-in for Zalo and in the database; nothing they assert depends
// on how fast the machine is.

// callsInAir is how many sends one instance may have under way: the most that a
// crash can leave in doubt.
const callsInAir = 64

// gateway stands between Zalo and the instances as a load balancer does, and
// writes down which deliveries were acknowledged.
type gateway struct {
	w *world
	// patient stands for Zalo's ladder of retries with the waiting left out: a
	// delivery is offered again, to the next instance, until one takes it.
	patient bool
	client  *http.Client
	url     string

	mu      sync.Mutex
	targets []string
	next    int
	answers map[string]chan struct{} // closed when a message's delivery has its last answer
	status  map[string]int           // the last answer to a message's delivery
	acked   atomic.Int64             // messages acknowledged
	refused atomic.Int64             // messages refused for good
	echoes  atomic.Int64             // echoes acknowledged
}

// newGateway connects Zalo's webhooks with the instances that are named by to.
func newGateway(w *world, patient bool) *gateway {
	w.t.Helper()
	g := &gateway{
		w: w, patient: patient,
		// Zalo waits two seconds for an answer.
		client:  &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}},
		answers: map[string]chan struct{}{}, status: map[string]int{},
	}
	srv := httptest.NewServer(g)
	w.t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		g.client.CloseIdleConnections()
	})
	g.url = srv.URL
	g.connect()
	return g
}

// connect makes Zalo deliver here.
func (g *gateway) connect() { g.w.zalo.SetWebhookURL(g.url + "/webhooks/zalo") }

// behindGateway gives the stand-in the patience to wait while a delivery is
// offered again and again.
func behindGateway(o *zalosim.Options, _ map[string]string) { o.WebhookTimeout = 2 * time.Minute }

// to sends deliveries to these instances, in turn.
func (g *gateway) to(list ...*server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.targets = nil
	for _, s := range list {
		g.targets = append(g.targets, s.url)
	}
}

func (g *gateway) target() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.targets) == 0 {
		return ""
	}
	g.next++
	return g.targets[g.next%len(g.targets)]
}

// ServeHTTP takes one delivery of Zalo's.
func (g *gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var ev struct {
		Name    string `json:"event_name"`
		Message struct {
			ID string `json:"msg_id"`
		} `json:"message"`
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		g.w.t.Errorf("a webhook that is no JSON: %v", err)
	}
	status := g.forward(r, body)
	switch {
	case strings.HasPrefix(ev.Name, "user_send_"):
		if status == http.StatusOK {
			g.acked.Add(1)
		} else {
			g.refused.Add(1)
		}
		g.last(ev.Message.ID, status)
	case ev.Name == "oa_send_text" && status == http.StatusOK:
		g.echoes.Add(1)
	}
	rw.WriteHeader(status)
}

// forward offers a delivery to an instance, and when patient to the next one
// until it is taken.
func (g *gateway) forward(r *http.Request, body []byte) int {
	for {
		status := g.offer(r, body)
		if status == http.StatusOK || !g.patient {
			return status
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return http.StatusBadGateway
		}
	}
}

func (g *gateway) offer(r *http.Request, body []byte) int {
	target := g.target()
	if target == "" {
		return http.StatusBadGateway
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, target+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway
	}
	req.Header = r.Header.Clone()
	res, err := g.client.Do(req)
	if err != nil {
		return http.StatusBadGateway
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return http.StatusBadGateway // the answer was cut off: nobody knows
	}
	return res.StatusCode
}

// answered is closed once the delivery of a message has its last answer.
func (g *gateway) answered(msgID string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := g.answers[msgID]
	if ch == nil {
		ch = make(chan struct{})
		g.answers[msgID] = ch
	}
	return ch
}

// last notes the last answer to the delivery of a message. A message that is
// delivered twice has several.
func (g *gateway) last(msgID string, status int) {
	ch := g.answered(msgID)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.status[msgID] == 0 {
		close(ch)
	}
	g.status[msgID] = status
}

// answerTo is the last answer to the delivery of a message.
func (g *gateway) answerTo(msgID string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status[msgID]
}

// awaitAcked waits until so many messages are acknowledged.
func (g *gateway) awaitAcked(n int) {
	g.w.t.Helper()
	eventually(g.w.t, time.Minute, fmt.Sprintf("%d messages are acknowledged", n), func() bool { return int(g.acked.Load()) >= n })
}

// Pause stops a server in the middle of whatever it does, as a machine does that
// swaps or is moved.
func (s *server) Pause() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
}

// Continue lets a paused server go on.
func (s *server) Continue() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
}

// air is how many calls Zalo has taken and not yet answered.
type air struct{ calls atomic.Int64 }

// slowly makes Zalo take its time between taking a message and saying so, so that
// a crash meets calls whose fate nobody knows.
func (a *air) slowly(o *zalosim.Options, _ map[string]string) {
	o.OnSend = func(zalosim.Send) {
		a.calls.Add(1)
		defer a.calls.Add(-1)
		<-time.After(150 * time.Millisecond)
	}
}

// await waits until so many calls are in the air.
func (a *air) await(t testing.TB, n int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d calls are in the air", n), func() bool { return int(a.calls.Load()) >= n })
}
