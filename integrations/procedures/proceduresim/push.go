package proceduresim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// SignatureHeader carries the signature of a push.
const SignatureHeader = "X-Procedures-Signature"

// Sign returns the signature of a push's raw body, sent at t.
func Sign(secret string, t time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", t.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", t.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// Delivery is how badly pushes are delivered. The zero value is well.
type Delivery struct {
	Repeat  int           // deliveries of each push; 0: one
	Shuffle bool          // in no order
	Delay   time.Duration // so long after the change, by the stand-in's clock
}

// pushes is what waits to be pushed, and where to.
type pushes struct {
	url, secret string
	how         Delivery
	waiting     []push
	seen        time.Time     // Run has pushed what lives brought about until then
	wake        chan struct{} // holds one when something was added
}

// push is one delivery. Those of one change share id and body.
type push struct {
	body []byte
	due  time.Time
}

// Pushing as Run does it.
const (
	pushPause   = time.Second
	pushTimeout = 5 * time.Second
)

// PushTo lets every change from now on be pushed to url, signed with secret; an
// empty url ends that, and forgets what waits.
func (s *Sim) PushTo(url, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push.url, s.push.secret, s.push.seen = url, secret, s.o.Now()
	if url == "" {
		s.push.waiting = nil
	}
}

// Misdeliver sets how badly pushes are delivered from now on.
func (s *Sim) Misdeliver(how Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push.how = how
}

// Push pushes a dossier as it stands, changed or not.
func (s *Sim) Push(code string) error {
	found := s.byCode(code)
	if len(found) == 0 {
		return fmt.Errorf("no dossier %s", code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(found[0])
	return nil
}

// enqueue puts the dossier's state in line. The caller holds s.mu.
func (s *Sim) enqueue(d *dossier) {
	if s.push.url == "" {
		return
	}
	now := s.o.Now()
	p := push{body: s.pushBody(d, now), due: now.Add(s.push.how.Delay)}
	for range max(s.push.how.Repeat, 1) {
		s.push.waiting = append(s.push.waiting, p)
	}
	select {
	case s.push.wake <- struct{}{}:
	default:
	}
}

// pushBody tells where the dossier stands, or, with StatusAtOdds, what some
// provinces tell the nation of it. The caller holds s.mu.
func (s *Sim) pushBody(d *dossier, now time.Time) []byte {
	past := d.past(now, s.set[d.code])
	last := past[len(past)-1]
	_, received, _, _ := milestones(past)
	_, due := dues(past)
	status, name := strconv.Itoa(last.status), last.name
	q := s.quirksOf(d.code)
	switch {
	case q[UnknownStatus] || d.quirk == UnknownStatus:
		status, name = strconv.Itoa(unknownID), unknownName
	case q[StatusAtOdds] && (last.status == 5 || last.status == 6 || last.status == 8):
		status, name = "9", names[9]
	}
	if q[NullDue] || d.quirk == NullDue {
		due = time.Time{}
	}
	raw := make([]byte, 12)
	rand.Read(raw)
	body, err := json.Marshal(object{
		"id": "evt_" + hex.EncodeToString(raw), "sentAt": now.In(local).Format(time.RFC3339), "type": "dossier.changed",
		"dossier": map[string]string{
			"MaHoSo": d.code, "MaTTHC": d.procedure.code, "TrangThaiHoSo": status, "TenTrangThai": name,
			"DonViXuLy": d.agency.name, "NguoiXuLy": last.officer, "NgayTiepNhan": national(received),
			"NgayHenTra": national(due), "ThoiDiemXuLy": national(last.at), "NoiDungXuLy": last.words,
		},
	})
	if err != nil {
		panic(err) // strings only
	}
	return body
}

// Deliver makes every delivery that is due once, and returns how many wait: those
// not yet due, and those that were not answered 200, which come again with the
// same id and a new signature.
func (s *Sim) Deliver(ctx context.Context) (waiting int) {
	s.mu.Lock()
	now := s.o.Now()
	var ready, early []push
	for _, p := range s.push.waiting {
		if p.due.After(now) {
			early = append(early, p)
		} else {
			ready = append(ready, p)
		}
	}
	s.push.waiting = early
	if s.push.how.Shuffle {
		mathrand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	}
	s.mu.Unlock()
	var failed []push
	for _, p := range ready {
		if !s.post(ctx, p.body) {
			failed = append(failed, p)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push.url != "" {
		s.push.waiting = append(failed, s.push.waiting...)
	}
	return len(s.push.waiting)
}

// post makes one delivery and reports whether it was answered 200.
func (s *Sim) post(ctx context.Context, body []byte) bool {
	s.mu.Lock()
	url, secret := s.push.url, s.push.secret
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(SignatureHeader, Sign(secret, s.o.Now(), body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection serves again
	return resp.StatusCode == http.StatusOK
}

// Run pushes changes until ctx ends: those of Set and Push at once, those that
// the dossiers' lives bring about within a second, and each second again what was
// not taken.
func (s *Sim) Run(ctx context.Context) error {
	tick := time.NewTicker(pushPause)
	defer tick.Stop()
	for {
		s.watch()
		s.Deliver(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.push.wake:
		case <-tick.C:
		}
	}
}

// watch puts in line what lives have brought about since it last looked.
func (s *Sim) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push.url == "" {
		return
	}
	now, seen := s.o.Now(), s.push.seen
	s.push.seen = now
	for _, d := range s.listed() {
		if len(s.set[d.code]) == 0 && d.updated(now, nil).After(seen) {
			s.enqueue(d)
		}
	}
}
