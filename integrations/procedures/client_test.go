package procedures_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/bot/dossier"
	"congdanso/integrations/procedures"
	"congdanso/integrations/procedures/proceduresim"

	"github.com/google/go-cmp/cmp"
)

const example = dossier.Code("H42.16-240612-0001")

var statuses = map[string]int{
	"Mới đăng ký": 1, "Được tiếp nhận": 2, "Từ chối tiếp nhận": 3, "Đang xử lý": 4, "Chờ bổ sung giấy tờ": 5,
	"Yêu cầu thực hiện nghĩa vụ tài chính": 6, "Công dân yêu cầu rút hồ sơ": 7, "Dừng xử lý": 8, "Đã có kết quả": 9, "Đã trả kết quả": 10,
}

func local(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", s, dossier.Local)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// clock is a clock tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type rig struct {
	*procedures.Client
	sim   *proceduresim.Sim
	clock *clock
}

// start starts a stand-in on a real socket and a client of it.
func start(t *testing.T, change ...func(*procedures.Options)) rig {
	t.Helper()
	c := &clock{t: local("2024-06-14 16:30:00")}
	sim := proceduresim.New(proceduresim.Options{Now: c.now})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	o := procedures.Options{
		URL: srv.URL, TokenURL: srv.URL + proceduresim.TokenPath, ClientID: "congdanso", ClientSecret: "secret",
		Statuses: statuses, Now: c.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), CallTimeout: time.Second,
		HTTP: srv.Client(),
	}
	for _, f := range change {
		f(&o)
	}
	return rig{procedures.New(o), sim, c}
}

func (r rig) find(t *testing.T, code dossier.Code) dossier.Record {
	t.Helper()
	got, err := r.Find(t.Context(), code)
	if err != nil || len(got) != 1 {
		t.Fatalf("Find(%s) = %d records, %v; want one", code, len(got), err)
	}
	return got[0]
}

func wantUnavailable(t *testing.T, err error) *dossier.Unavailable {
	t.Helper()
	var away *dossier.Unavailable
	if !errors.As(err, &away) {
		t.Fatalf("got %v, want unavailable", err)
	}
	return away
}

func TestFindReadsThePublicPart(t *testing.T) {
	r := start(t).find(t, example)
	want := dossier.Record{
		ID: r.ID, Owner: "NGUYỄN THỊ MẪU", Factors: []string{"0001"}, Phones: []string{"84900000001"}, Officer: "Trần Văn Thử",
		Public: dossier.Public{
			Code: example, Status: dossier.StatusSupplement, StatusName: "Chờ bổ sung giấy tờ",
			ProcedureCode: "1.004873", ProcedureName: "Cấp Giấy xác nhận tình trạng hôn nhân",
			AgencyCode: "H42.16", AgencyName: "UBND phường Mẫu",
			AppliedAt: local("2024-06-12 08:01:00"), ReceivedAt: local("2024-06-12 08:30:00"),
			DueAt: local("2024-06-17 17:00:00"), UpdatedAt: local("2024-06-14 16:20:00"),
		},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDetailReadsStepsAndRequests(t *testing.T) {
	c := start(t)
	d, err := c.Detail(t.Context(), c.find(t, example).ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Steps) != 4 {
		t.Fatalf("%d steps, want 4: %+v", len(d.Steps), d.Steps)
	}
	last := dossier.Step{
		Name: "Thẩm định hồ sơ", Agency: "Bộ phận Một cửa, UBND phường Mẫu", Officer: "Trần Văn Thử",
		At: local("2024-06-14 16:20:00"), Comment: "Bổ sung bản sao trích lục ly hôn",
	}
	if diff := cmp.Diff(last, d.Steps[3]); diff != "" {
		t.Errorf("last step (-want +got):\n%s", diff)
	}
	if !d.Steps[0].Done || d.Steps[0].Name != "Nộp hồ sơ" {
		t.Errorf("first step: %+v", d.Steps[0])
	}
	wants := []dossier.Supplement{{
		Words: "Bổ sung bản sao trích lục ly hôn", By: "Trần Văn Thử", At: local("2024-06-14 16:20:00"),
		Papers: []dossier.Paper{{Name: "Bản sao trích lục ly hôn", Count: 1}}, OldDue: local("2024-06-17 17:00:00"),
	}}
	if diff := cmp.Diff(wants, d.Supplements); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if _, err := c.Detail(t.Context(), "000000000000000000000000"); !errors.Is(err, dossier.ErrNotFound) {
		t.Errorf("unknown id: %v, want not found", err)
	}
}

func TestANewDueDateKeepsTheOldOne(t *testing.T) {
	c := start(t)
	due := local("2024-06-24 17:00:00")
	if err := c.sim.Set(string(example), proceduresim.Change{Status: 4, Words: "Đã nhận giấy tờ", Due: due}); err != nil {
		t.Fatal(err)
	}
	r := c.find(t, example)
	d, err := c.Detail(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]dossier.Public{"list": r.Public, "detail": d.Public} {
		if !p.DueAt.Equal(due) || !p.OldDueAt.Equal(local("2024-06-17 17:00:00")) || p.Status != dossier.StatusProcessing {
			t.Errorf("%s: due %s, before %s, status %d", name, p.DueAt, p.OldDueAt, p.Status)
		}
	}
	if s := d.Supplements; len(s) != 1 || !s[0].NewDue.Equal(due) || s[0].DoneAt.IsZero() {
		t.Errorf("requests: %+v", s)
	}
}

func TestADossierOnItsWayCarriesWhatANoticeTells(t *testing.T) {
	const code = "H42.16-240612-0003"
	c := start(t)
	for _, ch := range []proceduresim.Change{
		{Status: 4, Step: "Thẩm định hồ sơ", Officer: "Lê Thị Ví Dụ", Words: "Đã nộp lệ phí", Paid: true},
		{Status: 4, Step: "Trình ký", Officer: "Phạm Thị Minh Hoạ", Words: "Xin lỗi và hẹn lại", Due: local("2024-06-24 17:00:00")},
		{Status: 9, Step: "Trả kết quả", Officer: "Đỗ Văn Nháp"},
	} {
		c.clock.add(time.Hour)
		if err := c.sim.Set(code, ch); err != nil {
			t.Fatal(err)
		}
	}
	d, err := c.Detail(t.Context(), c.find(t, code).ID)
	if err != nil {
		t.Fatal(err)
	}
	if d.AgencyName != "UBND phường Mẫu" || d.Officer != "Đỗ Văn Nháp" || !d.ReceivedAt.Equal(local("2024-06-12 08:30:00")) ||
		!d.UpdatedAt.Equal(c.clock.now()) || !d.FinishedAt.Equal(c.clock.now()) || !d.DueAt.Equal(local("2024-06-24 17:00:00")) || !d.OldDueAt.Equal(local("2024-06-17 17:00:00")) {
		t.Errorf("got %+v, officer %q", d.Public, d.Officer)
	}
	if n := len(d.Steps); d.Steps[n-3].Officer != "Lê Thị Ví Dụ" || d.Steps[n-2].Name != "Trình ký" || d.Steps[n-2].Comment != "Xin lỗi và hẹn lại" {
		t.Errorf("steps %+v", d.Steps)
	}
	if fees, err := c.Fees(t.Context(), d.ID); err != nil || len(fees) != 1 || !fees[0].Paid {
		t.Errorf("fees %+v, %v; want one, paid", fees, err)
	}
}

func TestFeesComeWithTheirNote(t *testing.T) {
	c := start(t)
	fees, err := c.Fees(t.Context(), c.find(t, "H42.16-240612-0003").ID)
	want := []dossier.Fee{{Name: "Lệ phí", Amount: 75000, Required: true, Note: "Chưa gồm phí thẩm định"}}
	if err != nil || !cmp.Equal(want, fees) {
		t.Errorf("got %+v, %v; want %+v", fees, err, want)
	}
	fees, err = c.Fees(t.Context(), c.find(t, "H42.16-240612-0002").ID)
	if err != nil || len(fees) != 0 {
		t.Errorf("got %+v, %v; want none", fees, err)
	}
}

func TestEitherPersonsNumbersAreFactors(t *testing.T) {
	if got, want := start(t).find(t, "H42.16-240612-0003").Factors, []string{"0031", "0003"}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want those of filer and owner %v", got, want)
	}
	if got := start(t).find(t, "H42.16-240612-0013").Factors; len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

func TestEitherPersonsPhonesAreKnown(t *testing.T) {
	c := start(t)
	r := c.find(t, "H42.16-240612-0003")
	d, err := c.Detail(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"84900000031", "84900000003"}
	if !cmp.Equal(r.Phones, want) || !cmp.Equal(d.Phones, want) {
		t.Errorf("got %v and %v, want those of filer and owner %v", r.Phones, d.Phones, want)
	}
	if got := c.find(t, "H42.16-240612-0013").Phones; len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

func TestOddData(t *testing.T) {
	c := start(t)
	t.Run("null due date", func(t *testing.T) {
		if r := c.find(t, "H42.16-240612-0007"); !r.DueAt.IsZero() || r.Timing(c.clock.now()) != dossier.TimingNone {
			t.Errorf("due %s", r.DueAt)
		}
	})
	t.Run("due before receipt", func(t *testing.T) {
		if r := c.find(t, "H42.16-240612-0008"); r.Timing(c.clock.now()) != dossier.TimingDoubtful || r.Late(c.clock.now()) {
			t.Errorf("due %s, received %s: %s", r.DueAt, r.ReceivedAt, r.Timing(c.clock.now()))
		}
	})
	t.Run("unknown status", func(t *testing.T) {
		if r := c.find(t, "H42.16-240612-0009"); r.Status != dossier.StatusUnknown || r.StatusName != "Chờ ý kiến liên thông cấp ba" {
			t.Errorf("got %d %q", r.Status, r.StatusName)
		}
	})
	t.Run("names as objects", func(t *testing.T) {
		if r := c.find(t, "H42.16-240612-0010"); r.ProcedureName != "Đăng ký khai sinh" || r.AgencyName != "UBND phường Mẫu" || r.Status != dossier.StatusProcessing {
			t.Errorf("got %+v", r.Public)
		}
	})
	t.Run("decomposed names, spaces behind the code", func(t *testing.T) {
		r := c.find(t, "H42.16-240612-0011")
		if r.ProcedureName != "Đăng ký khai sinh" || r.Code != "H42.16-240612-0011" || dossier.MaskName(r.Owner) != "V* V** T***" && dossier.MaskName(r.Owner) != "V* V** T**" {
			t.Errorf("got %+v %q", r.Public, dossier.MaskName(r.Owner))
		}
	})
	t.Run("national code only", func(t *testing.T) {
		if _, err := c.Find(t.Context(), "H42.16-240612-0006"); !errors.Is(err, dossier.ErrNotFound) {
			t.Errorf("own code: %v", err)
		}
		if r := c.find(t, "G22.99.05-240612-0006"); r.NationCode != "G22.99.05-240612-0006" || r.Code != "H42.16-240612-0006" {
			t.Errorf("got %+v", r.Public)
		}
	})
	t.Run("two dossiers for one code", func(t *testing.T) {
		c.clock.add(48 * time.Hour)
		got, err := c.Find(t.Context(), "H42.16-240612-0012")
		if err != nil || len(got) != 2 || !got[0].ReceivedAt.After(got[1].ReceivedAt) {
			t.Errorf("got %+v, %v; want two, newest first", got, err)
		}
	})
	t.Run("national status at odds", func(t *testing.T) {
		defer c.sim.Fault(proceduresim.Fault{Kind: proceduresim.StatusAtOdds})()
		if r := c.find(t, example); r.Status != dossier.StatusSupplement {
			t.Errorf("got %d, want the province's own", r.Status)
		}
	})
}

func TestUnknownCodeIsNotFound(t *testing.T) {
	c := start(t)
	if _, err := c.Find(t.Context(), "H42.16-240612-9999"); !errors.Is(err, dossier.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestOneFailureIsRepeated(t *testing.T) {
	for _, kind := range []proceduresim.Kind{
		proceduresim.BadGateway, proceduresim.SignInPage, proceduresim.ServerError, proceduresim.CutOff, proceduresim.Hang, proceduresim.TooMany,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.sim.Fault(proceduresim.Fault{Kind: kind, Times: 1})
			c.find(t, example)
		})
	}
}

func TestAFailureThatLastsIsUnavailable(t *testing.T) {
	for _, kind := range []proceduresim.Kind{
		proceduresim.BadGateway, proceduresim.SignInPage, proceduresim.ServerError, proceduresim.CutOff, proceduresim.Hang,
		proceduresim.Forbidden, proceduresim.Unauthorised, proceduresim.Huge, proceduresim.Garbage,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := start(t, func(o *procedures.Options) { o.CallTimeout = 400 * time.Millisecond })
			id := c.find(t, example).ID
			c.sim.Fault(proceduresim.Fault{Kind: kind})
			began := time.Now()
			_, err := c.Find(t.Context(), example)
			wantUnavailable(t, err)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %s for two tries of 0.4 s", took)
			}
			if strings.Contains(err.Error(), "H42") || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells too much: %v", err)
			}
			_, err = c.Detail(t.Context(), id)
			wantUnavailable(t, err)
		})
	}
}

func TestEmptyIsNotFoundAtThisLevel(t *testing.T) {
	c := start(t)
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.Empty, Times: 1})
	if _, err := c.Find(t.Context(), example); !errors.Is(err, dossier.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestRetryAfterIsTold(t *testing.T) {
	c := start(t)
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.TooMany, RetryAfter: 30 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := c.Find(ctx, example)
	if away := wantUnavailable(t, err); away.RetryAfter != 30*time.Second {
		t.Errorf("retry after %s", away.RetryAfter)
	}
	if n := c.sim.RequestsTo("/pa/dossier-search/dvc"); n != 1 {
		t.Errorf("%d requests, want one: there was no time to wait", n)
	}
}

func TestSignsInAgainInTheMiddle(t *testing.T) {
	c := start(t)
	c.find(t, example)
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.TokenEnded, Times: 1})
	c.find(t, example)
	if n := c.sim.RequestsTo(proceduresim.TokenPath); n != 2 {
		t.Errorf("%d sign-ins, want 2", n)
	}
}

func TestTokenIsSharedAndRenewedEarly(t *testing.T) {
	c := start(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Find(context.Background(), example); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := c.sim.RequestsTo(proceduresim.TokenPath); n != 1 {
		t.Errorf("%d sign-ins for 20 callers, want 1", n)
	}
	c.clock.add(250 * time.Second) // four fifths of its life are over, and it still holds
	hold := c.sim.Fault(proceduresim.Fault{Kind: proceduresim.Hang, Path: proceduresim.TokenPath})
	c.find(t, example) // does not wait for the new one
	hold()
	c.clock.add(60 * time.Second) // now it has ended
	c.find(t, example)
}

func TestWrongCredentialsAreUnavailable(t *testing.T) {
	c := start(t, func(o *procedures.Options) { o.ClientSecret = "no" })
	_, err := c.Find(t.Context(), example)
	wantUnavailable(t, err)
	if !strings.Contains(err.Error(), "unauthorized_client") {
		t.Errorf("got %v, want the sign-in server's word", err)
	}
}

func TestBreakerOpensAndOnlyForASickSystem(t *testing.T) {
	var states []string
	c := start(t, func(o *procedures.Options) {
		o.Retries = -1
		o.OnBreaker = func(s string) { states = append(states, s) }
	})
	// One dossier that fails among others that are served cuts nobody off.
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway, Code: string(example)})
	for range 15 {
		_, err := c.Find(t.Context(), example)
		wantUnavailable(t, err)
		c.find(t, "H42.16-240612-0002")
	}
	if c.Breaker() != "closed" {
		t.Fatalf("breaker %s", c.Breaker())
	}
	c.sim.Fault(proceduresim.Fault{Kind: proceduresim.BadGateway})
	for range 30 {
		_, err := c.Find(t.Context(), example)
		wantUnavailable(t, err)
	}
	if c.Breaker() != "open" || !cmp.Equal(states, []string{"open"}) {
		t.Fatalf("breaker %s, changes %v", c.Breaker(), states)
	}
	before := c.sim.Requests()
	_, err := c.Find(t.Context(), example)
	if away := wantUnavailable(t, err); away.RetryAfter == 0 || c.sim.Requests() != before {
		t.Errorf("an open breaker asked, or told no time: %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var leaked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { leaked.Store(true) }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = w.Write([]byte(`{"access_token":"a","expires_in":"300"}`))
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	}))
	defer srv.Close()
	c := start(t, func(o *procedures.Options) { o.URL, o.TokenURL = srv.URL, srv.URL })
	_, err := c.Find(t.Context(), example)
	wantUnavailable(t, err)
	if leaked.Load() {
		t.Error("followed the redirect")
	}
}

func TestACallerWhoLeavesDoesNotOpenTheBreaker(t *testing.T) {
	c := start(t, func(o *procedures.Options) { o.Retries = -1 })
	c.find(t, example)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Find(ctx, example); err == nil {
			t.Fatal("served a caller who had left")
		}
	}
	if c.Breaker() != "closed" {
		t.Errorf("breaker %s", c.Breaker())
	}
}

var _ dossier.Source = (*procedures.Client)(nil)
