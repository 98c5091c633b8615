// Package zalosim stands in for Zalo: a real HTTP server that answers the calls
// this project makes of the Official Account API, refuses what Zalo would refuse,
// and delivers signed webhooks.
//
// A *Sim is an http.Handler that serves the OpenAPI, the paths of template
// messages by phone, and OAuth, on one host. Run delivers the webhooks. People are
// played through methods (Follow, SendText, Tap, …), Zalo's reviewers through
// PutTemplate and SetTemplateStatus, its moods through Fault, Disturb, Suspend and
// StallArticles, time through Clock. It keeps everything in memory, in bounded
// logs.
//
// What Zalo's documents leave open is an option, with the default that the
// evidence suggests. Where a rule's exact working is unknown (the minute of the
// rate limit), the stand-in takes the reading that is hardest on its callers.
package zalosim

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Sim is the stand-in. It is safe for concurrent use.
type Sim struct {
	opt      Options
	clock    *Clock
	post     *post
	watch    watchers
	calls    ring[APICall]
	webhooks ring[WebhookLog]
	faults   faults
	oauth    oauth
	accepted atomic.Int64
	idPrefix string
	idCount  atomic.Int64
	agenda   agenda

	suspended atomic.Bool

	receivedMu sync.Mutex
	received   map[string]int

	mu     sync.Mutex // guards what follows
	people map[string]*person
	phones map[string]*person
	order  []*person
	recent list.List // of *person, whoever's chat is newest first
	app    window
	oa     window
	paid   int // messages left in the package
	counts map[string]int

	templates  map[string]*approved
	phoneDay   tally // templates by phone
	articles   map[string]*article
	tokens     map[string]*version // of articles handed over
	created    tally               // articles, by month
	stalling   bool
	broadcasts []*Broadcast

	stop     chan struct{}
	stopOnce sync.Once
}

// New makes a stand-in. Webhooks flow once Run runs.
func New(opt Options) *Sim {
	opt = opt.withDefaults()
	prefix := make([]byte, 5)
	rand.Read(prefix)
	s := &Sim{
		opt:      opt,
		clock:    opt.Clock,
		idPrefix: hex.EncodeToString(prefix),
		people:   map[string]*person{},
		phones:   map[string]*person{},
		received: map[string]int{},
		articles: map[string]*article{},
		tokens:   map[string]*version{},
		app:      window{limit: opt.RatePerMinute},
		oa:       window{limit: opt.OARatePerMinute},
		paid:     max(0, opt.PaidMessages),
		counts:   map[string]int{},
		stop:     make(chan struct{}),
	}
	s.calls.n, s.webhooks.n = opt.KeepLog, opt.KeepLog
	s.agenda.init(opt.Clock)
	s.templates = map[string]*approved{}
	for _, t := range opt.Templates {
		s.PutTemplate(t)
	}
	s.oauth.init()
	s.post = newPost(s)
	return s
}

// Run delivers webhooks, and does what has been put off (pushes of the night,
// broadcasts under moderation), until ctx ends or Close is called; it returns nil
// then.
func (s *Sim) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, s.faults.clear)()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	var wg sync.WaitGroup
	wg.Go(func() { s.agenda.run(ctx) })
	s.post.run(ctx)
	wg.Wait()
	return nil
}

// Close ends Run and every hanging call.
func (s *Sim) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
	s.faults.clear()
	return nil
}

// Clock returns the stand-in's clock, for tests that move it.
func (s *Sim) Clock() *Clock { return s.clock }

// Accepted counts the messages of the API that were accepted.
func (s *Sim) Accepted() int64 { return s.accepted.Load() }

// Received counts the accepted messages by whom they went to, or by what CountBy
// made of them.
func (s *Sim) Received() map[string]int {
	s.receivedMu.Lock()
	defer s.receivedMu.Unlock()
	return maps.Clone(s.received)
}

// Suspend suspends the account or gives it back: every call is refused meanwhile.
func (s *Sim) Suspend(suspended bool) { s.suspended.Store(suspended) }

// Calls returns the log of API calls, oldest first.
func (s *Sim) Calls() []APICall { return s.calls.list() }

// Webhooks returns the log of webhook tries, oldest first.
func (s *Sim) Webhooks() []WebhookLog { return s.webhooks.list() }

// CallCount counts the calls of a path, whatever became of them.
func (s *Sim) CallCount(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

// newID makes a message id of 20 hex digits. The first ten differ from one
// stand-in to the next, so that a restarted one never repeats an id.
func (s *Sim) newID() string {
	const digits = "0000000000"
	n := strconv.FormatInt(s.idCount.Add(1), 16)
	return s.idPrefix + digits[len(n):] + n
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
