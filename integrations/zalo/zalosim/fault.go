package zalosim

import (
	"net/http"
	"sync"
	"time"
)

// Fault is something that goes wrong with calls of the API.
type Fault struct {
	Path  string // the call's path, see the Path constants; empty: PathSend
	User  string // only calls about this person; empty: any
	Times int    // how many calls; 0: one; negative: until removed

	Code       int           // answer HTTP 200 with this error code …
	Message    string        // … and message
	Status     int           // answer with this HTTP status
	Body       string        // answer with this body (HTML, garbage) instead of JSON
	RetryAfter string        // header Retry-After
	Delay      time.Duration // real time before the call is looked at
	Hang       bool          // do not answer before Release, or until the caller goes
	CutBefore  bool          // cut the connection; nothing was taken
	CutAfter   bool          // take the call, then cut the connection
	Taken      bool          // with Code, Status, Body, Hang: take the call first
}

// Injected is a fault that was set.
type Injected struct {
	fault    Fault
	all      *faults
	left     int // calls it still strikes; negative: any number
	hits     int
	struck   chan struct{}
	released chan struct{}
	once     sync.Once
}

// faults are tried in the order they were set.
type faults struct {
	mu  sync.Mutex
	set []*Injected
}

// Fault makes the next calls fail.
func (s *Sim) Fault(f Fault) *Injected {
	if f.Path == "" {
		f.Path = PathSend
	}
	i := &Injected{
		fault:    f,
		all:      &s.faults,
		left:     f.Times,
		struck:   make(chan struct{}, 1024),
		released: make(chan struct{}),
	}
	if i.left == 0 {
		i.left = 1
	}
	s.faults.mu.Lock()
	s.faults.set = append(s.faults.set, i)
	s.faults.mu.Unlock()
	return i
}

// ClearFaults takes all faults away and releases hanging calls.
func (s *Sim) ClearFaults() { s.faults.clear() }

func (f *faults) clear() {
	f.mu.Lock()
	set := f.set
	f.set = nil
	f.mu.Unlock()
	for _, i := range set {
		i.Release()
	}
}

// strike finds the fault for a call, if any, and uses it up.
func (f *faults) strike(path, user string) *Injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.set {
		if i.left == 0 || i.fault.Path != path || (i.fault.User != "" && i.fault.User != user) {
			continue
		}
		if i.left > 0 {
			i.left--
		}
		i.hits++
		signal(i.struck)
		return i
	}
	return nil
}

// Release lets hanging calls go on; they are answered as if nothing had been.
func (i *Injected) Release() { i.once.Do(func() { close(i.released) }) }

// Remove takes the fault away; calls that hang already go on hanging.
func (i *Injected) Remove() {
	i.all.mu.Lock()
	defer i.all.mu.Unlock()
	i.left = 0
}

// Hits counts the calls it struck.
func (i *Injected) Hits() int {
	i.all.mu.Lock()
	defer i.all.mu.Unlock()
	return i.hits
}

// Struck delivers once for each call it strikes, at the moment it does.
func (i *Injected) Struck() <-chan struct{} { return i.struck }

// suffer carries the fault out. process takes the call as if nothing were wrong.
func (s *Sim) suffer(i *Injected, r *http.Request, process func() answer) answer {
	f := &i.fault
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return answer{cut: true}
		}
	}
	if f.CutBefore {
		return answer{cut: true}
	}
	var taken answer
	done := f.Taken || f.CutAfter
	if done {
		taken = process()
	}
	if f.CutAfter {
		return answer{cut: true, user: taken.user}
	}
	if f.Hang {
		select {
		case <-i.released:
		case <-s.stop:
			return answer{cut: true, user: taken.user}
		case <-r.Context().Done():
			return answer{cut: true, user: taken.user}
		}
	}
	switch {
	case f.Status != 0 || f.Body != "":
		status, body := f.Status, f.Body
		if status == 0 {
			status = http.StatusOK
		}
		if body == "" {
			body = http.StatusText(status)
		}
		return answer{status: status, body: []byte(body), html: true, retryAfter: f.RetryAfter, user: taken.user}
	case f.Code != 0:
		message := f.Message
		if message == "" {
			message = messages[f.Code]
		}
		return refuse(f.Code, message)
	case done:
		return taken
	default:
		return process()
	}
}
