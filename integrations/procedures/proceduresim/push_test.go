package proceduresim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	mau    = "H42.16-240612-0001"
	secret = "between us"
)

// receiver takes pushes and checks that each is signed.
type receiver struct {
	t   *testing.T
	now func() time.Time
	url string
	got chan pushed

	mu     sync.Mutex
	refuse int // so many are answered 503
}

type pushed struct {
	ID, SentAt, Type string
	Dossier          map[string]string
	signature        string
}

func receive(t *testing.T, now func() time.Time) *receiver {
	r := &receiver{t: t, now: now, got: make(chan pushed, 100)}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	p := pushed{signature: req.Header.Get(SignatureHeader)}
	if err != nil || json.Unmarshal(body, &p) != nil {
		r.t.Errorf("push: %v %q", err, body)
	}
	if want := Sign(secret, r.now(), body); p.signature != want {
		r.t.Errorf("signature %q, want %q", p.signature, want)
	}
	r.got <- p
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// taken returns what has come so far.
func (r *receiver) taken() []pushed {
	var out []pushed
	for {
		select {
		case p := <-r.got:
			out = append(out, p)
		default:
			return out
		}
	}
}

func (r *receiver) next() pushed {
	r.t.Helper()
	select {
	case p := <-r.got:
		return p
	case <-time.After(5 * time.Second):
		r.t.Fatal("no push within five seconds")
		return pushed{}
	}
}

// hand is a clock tests move by hand.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func pushing(t *testing.T) (*Sim, *receiver, *hand) {
	h := &hand{at: clock("2024-06-14T16:30:00+07:00")()}
	s := New(Options{Now: h.now})
	r := receive(t, h.now)
	s.PushTo(r.url, secret)
	return s, r, h
}

func set(t *testing.T, s *Sim, code string, c Change) {
	t.Helper()
	if err := s.Set(code, c); err != nil {
		t.Fatal(err)
	}
}

func TestSignatureIsThatOfTheContract(t *testing.T) {
	// printf '1718356805.{}' | openssl dgst -sha256 -hmac 'between us'
	const want = "t=1718356805,v1=7c71a411503e666966095eea01b371e3062dc75000ac7924656eaba20f651d88"
	if got := Sign(secret, time.Unix(1718356805, 0), []byte("{}")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAChangeIsPushed(t *testing.T) {
	s, r, h := pushing(t)
	h.add(10 * time.Minute)
	set(t, s, mau, Change{Status: 4, Officer: "Lê Thị Ví Dụ", Words: "Đã nhận giấy tờ", Due: clock("2024-06-24T17:00:00+07:00")()})
	if left := s.Deliver(t.Context()); left != 0 {
		t.Errorf("%d left", left)
	}
	got := r.taken()
	if len(got) != 1 {
		t.Fatalf("%d pushes, want one", len(got))
	}
	want := pushed{
		ID: got[0].ID, SentAt: "2024-06-14T16:40:00+07:00", Type: "dossier.changed", signature: got[0].signature,
		Dossier: map[string]string{
			"MaHoSo": mau, "MaTTHC": "1.004873", "TrangThaiHoSo": "4", "TenTrangThai": "Đang xử lý", "DonViXuLy": "UBND phường Mẫu",
			"NguoiXuLy": "Lê Thị Ví Dụ", "NgayTiepNhan": "20240612083000", "NgayHenTra": "20240624170000",
			"ThoiDiemXuLy": "20240614164000", "NoiDungXuLy": "Đã nhận giấy tờ",
		},
	}
	if diff := cmp.Diff(want, got[0], cmp.AllowUnexported(pushed{})); diff != "" || !strings.HasPrefix(got[0].ID, "evt_") {
		t.Errorf("id %s (-want +got):\n%s", got[0].ID, diff)
	}
}

func TestWhatIsNotTakenComesAgainSignedAnew(t *testing.T) {
	s, r, h := pushing(t)
	r.refuse = 2
	set(t, s, mau, Change{Status: 9})
	for want := 1; want >= 0; want-- {
		for range 1 + want { // refused twice, then taken
			h.add(time.Minute)
			if left := s.Deliver(t.Context()); left != want {
				t.Fatalf("%d left, want %d", left, want)
			}
		}
	}
	got := r.taken()
	if len(got) != 3 || got[0].ID != got[2].ID || got[0].signature == got[1].signature {
		t.Errorf("got %+v; want one push three times", got)
	}
}

func TestPushesRepeatedShuffledAndLate(t *testing.T) {
	s, r, h := pushing(t)
	s.Misdeliver(Delivery{Repeat: 5, Shuffle: true, Delay: 10 * time.Minute})
	ids := map[string]int{}
	for status := range 10 {
		h.add(time.Second)
		set(t, s, mau, Change{Status: status + 1})
	}
	if left := s.Deliver(t.Context()); left != 50 || len(r.taken()) != 0 {
		t.Errorf("%d wait, want 50, and nothing sent", left)
	}
	h.add(10 * time.Minute)
	if left := s.Deliver(t.Context()); left != 0 {
		t.Errorf("%d wait", left)
	}
	got := r.taken()
	for _, p := range got {
		ids[p.ID]++
	}
	for id, n := range ids {
		if n != 5 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if len(ids) != 10 {
		t.Errorf("%d pushes, want 10", len(ids))
	}
	if slices.IsSortedFunc(got, func(a, b pushed) int { return strings.Compare(a.Dossier["ThoiDiemXuLy"], b.Dossier["ThoiDiemXuLy"]) }) {
		t.Error("50 deliveries, and all in order")
	}
}

func TestPushesLieAsProvincesDo(t *testing.T) {
	s, r, _ := pushing(t)
	lie := s.Fault(Fault{Kind: StatusAtOdds})
	for _, status := range []int{4, 5, 6, 7, 8, 9} {
		set(t, s, mau, Change{Status: status})
	}
	lie()
	s.Fault(Fault{Kind: UnknownStatus, Code: mau})
	set(t, s, mau, Change{Status: 5})
	s.Deliver(t.Context())
	var got []string
	for _, p := range r.taken() {
		got = append(got, p.Dossier["TrangThaiHoSo"])
	}
	if want := []string{"4", "9", "9", "7", "9", "9", "77"}; !cmp.Equal(got, want) {
		t.Errorf("pushed %v, want %v", got, want)
	}
}

func TestRunPushesWhatHappens(t *testing.T) {
	s, r, h := pushing(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	set(t, s, mau, Change{Status: 9})
	if p := r.next(); p.Dossier["MaHoSo"] != mau {
		t.Errorf("got %+v", p)
	}
	if err := s.Push("H42.16-240612-0002"); err != nil {
		t.Fatal(err)
	}
	if p := r.next(); p.Dossier["MaHoSo"] != "H42.16-240612-0002" {
		t.Errorf("got %+v", p)
	}
	h.add(72 * time.Hour) // lives go on
	if p := r.next(); p.Dossier["MaHoSo"] == mau || p.Dossier["ThoiDiemXuLy"] < "20240614163000" {
		t.Errorf("got %+v", p)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWithoutAnAddressNothingIsPushed(t *testing.T) {
	s, r, _ := pushing(t)
	set(t, s, mau, Change{Status: 9})
	s.PushTo("", "")
	set(t, s, mau, Change{Status: 10})
	if left := s.Deliver(t.Context()); left != 0 || len(r.taken()) != 0 {
		t.Errorf("%d wait", left)
	}
	if s.Push("H42.16-240612-9999") == nil {
		t.Error("pushed a dossier that is none")
	}
}
