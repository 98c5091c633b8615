package zalo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/integrations/zalo/zalosim"
)

const lan = "2512345678901234567"

var toLan = bot.CitizenID{OA: zalosim.ExampleOAID, User: lan}

func grantOf(err error) *GrantError {
	grant, _ := errors.AsType[*GrantError](err)
	return grant
}

func isUncertain(err error) bool { return errors.Is(err, errUncertain) }

// line is a client of a stand-in.
type line struct {
	*Client
	sim  *zalosim.Sim
	url  string
	opts Options
}

// dial starts a stand-in and a client of it. Lan has written to the account.
func dial(t testing.TB, sopt zalosim.Options, copt Options) *line {
	t.Helper()
	sim := zalosim.New(sopt)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); srv.Close() })
	sim.SendText(lan, "chào")
	copt.APIURL, copt.ZNSURL, copt.OAID = srv.URL, srv.URL, zalosim.ExampleOAID
	if copt.Tokens == nil {
		copt.Tokens = FixedToken(sim.AccessToken())
	}
	c, err := New(copt)
	if err != nil {
		t.Fatal(err)
	}
	return &line{Client: c, sim: sim, url: srv.URL, opts: copt}
}

// refused fails unless err is a *delivery.Refusal of a class.
func refused(t testing.TB, err error, class delivery.Class, code int) *delivery.Refusal {
	t.Helper()
	ref, ok := errors.AsType[*delivery.Refusal](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *delivery.Refusal", err, err)
	}
	if ref.Class != class || ref.Code != code {
		t.Errorf("refusal %v, want %s with code %d", ref, class, code)
	}
	return ref
}

func TestSendReachesThePerson(t *testing.T) {
	l := dial(t, zalosim.Options{}, Options{})
	ctx := context.Background()
	got, err := l.Send(ctx, toLan, bot.Message{Text: "Chọn:\n1. Có   2. Không", Choices: []bot.Choice{
		{Title: "Có", Payload: "#a.yes"}, {Title: "Trang", URL: "https://a.example/x"}, {Title: "Gọi", Phone: "84229385000"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Send(ctx, toLan, bot.Message{Text: "Bản đồ", ImageURL: "https://a.example/b.png"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Send(ctx, toLan, bot.Message{AskContact: &bot.ContactForm{Title: "Họ tên", Subtitle: "Điện thoại"}}); err != nil {
		t.Fatal(err)
	}
	chat := l.sim.Messages(lan)
	if len(chat) != 4 {
		t.Fatalf("%d messages in the chat, want 4", len(chat))
	}
	m := chat[1]
	want := []zalosim.Button{{Title: "Có", Type: "oa.query.hide", Payload: "#a.yes"},
		{Title: "Trang", Type: "oa.open.url", URL: "https://a.example/x"},
		{Title: "Gọi", Type: "oa.open.phone", Phone: "84229385000"}}
	if m.ID != got.MsgID || !m.At.Truncate(time.Millisecond).Equal(got.At) || !slices.Equal(m.Buttons, want) {
		t.Errorf("receipt %+v for %+v", got, m)
	}
	if chat[2].ImageURL != "https://a.example/b.png" || chat[2].Text != "Bản đồ" {
		t.Errorf("picture %+v", chat[2])
	}
	if chat[3].AskInfo == nil || chat[3].AskInfo.Subtitle != "Điện thoại" {
		t.Errorf("form %+v", chat[3])
	}
}

func TestButtonsCanBeLeftOut(t *testing.T) {
	l := dial(t, zalosim.Options{NoButtons: true}, Options{NoButtons: true})
	_, err := l.Send(context.Background(), toLan, bot.Message{Text: "1. Có", Choices: []bot.Choice{{Title: "Có", Payload: "#a.yes"}}})
	if err != nil {
		t.Errorf("send where buttons are refused: %v", err)
	}
}

func TestSendRefuses(t *testing.T) {
	l := dial(t, zalosim.Options{}, Options{})
	ctx := context.Background()
	hello := bot.Message{Text: "chào"}
	_, err := l.Send(ctx, bot.CitizenID{OA: "1", User: lan}, hello)
	refused(t, err, delivery.ClassDrop, 0)
	_, err = l.Send(ctx, bot.CitizenID{OA: zalosim.ExampleOAID}, hello)
	refused(t, err, delivery.ClassDrop, 0)
	_, err = l.Send(ctx, toLan, bot.Message{Text: strings.Repeat("a", 2001)})
	refused(t, err, delivery.ClassDrop, 0)
	refused(t, l.Do(ctx, toLan, bot.Call{Kind: "dance"}), delivery.ClassDrop, 0)
	refused(t, l.Do(ctx, bot.CitizenID{OA: "1", User: lan}, bot.Call{Kind: bot.CallForget}), delivery.ClassDrop, 0)
	if n := l.sim.CallCount(zalosim.PathSend); n != 0 {
		t.Errorf("%d calls were made of what cannot be sent", n)
	}
	_, err = l.Send(ctx, bot.CitizenID{OA: zalosim.ExampleOAID, User: "999999999999999"}, hello)
	refused(t, err, delivery.ClassDrop, -201)
	l.sim.Block(lan, true)
	_, err = l.Send(ctx, toLan, hello)
	if ref := refused(t, err, delivery.ClassDrop, -217); ref.Message != "User has blocked invitation from OA" {
		t.Errorf("Zalo's words %q", ref.Message)
	}
}

// Every code, as Zalo would answer it to a send.
func TestSendClassifiesEveryCode(t *testing.T) {
	var unknown atomic.Int64
	l := dial(t, zalosim.Options{RatePerMinute: -1}, Options{Tokens: nil, OnUnknownCode: func(int) { unknown.Add(1) }})
	for code, class := range oaClasses {
		if tokenRefused(code) {
			continue // see TestRefusedTokens
		}
		l.sim.Fault(zalosim.Fault{Code: code, Message: "nói gì đó"})
		_, err := l.Send(context.Background(), toLan, bot.Message{Text: "x"})
		refused(t, err, class, code)
	}
	if unknown.Load() != 0 {
		t.Errorf("%d known codes were reported as unknown", unknown.Load())
	}
	l.sim.Fault(zalosim.Fault{Code: -777})
	_, err := l.Send(context.Background(), toLan, bot.Message{Text: "x"})
	refused(t, err, delivery.ClassWait, -777)
	if unknown.Load() != 1 {
		t.Error("an unknown code was not reported")
	}
	if n := l.sim.Accepted(); n != 0 {
		t.Errorf("%d messages were taken", n)
	}
}

func TestRateIsHeard(t *testing.T) {
	var limit, remain, throttled atomic.Int64
	l := dial(t, zalosim.Options{RatePerMinute: 2}, Options{
		OnLimit:     func(l, r int) { limit.Store(int64(l)); remain.Store(int64(r)) },
		OnThrottled: func() { throttled.Add(1) },
	})
	ctx := context.Background()
	for want := int64(1); want >= 0; want-- {
		if _, err := l.Send(ctx, toLan, bot.Message{Text: "x"}); err != nil {
			t.Fatal(err)
		}
		if limit.Load() != 2 || remain.Load() != want {
			t.Errorf("heard %d of %d, want %d of 2", remain.Load(), limit.Load(), want)
		}
	}
	_, err := l.Send(ctx, toLan, bot.Message{Text: "x"})
	ref := refused(t, err, delivery.ClassNotSent, -32)
	if throttled.Load() != 1 || ref.RetryAfter <= 0 {
		t.Errorf("throttled %d times, retry after %s", throttled.Load(), ref.RetryAfter)
	}
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathOA, Status: 429})
	_, err = l.Account(ctx)
	refused(t, err, delivery.ClassNotSent, 0)
	if throttled.Load() != 2 {
		t.Error("a 429 was not heard")
	}
}

func TestDoCarriesOutCalls(t *testing.T) {
	l := dial(t, zalosim.Options{}, Options{})
	ctx := context.Background()
	if err := l.Do(ctx, toLan, bot.Call{Kind: bot.CallTag, Tag: "cần người"}); err != nil {
		t.Fatal(err)
	}
	if got := l.sim.Tags(lan); !slices.Equal(got, []string{"cần người"}) {
		t.Errorf("tags %q", got)
	}
	if err := l.Do(ctx, toLan, bot.Call{Kind: bot.CallUntag, Tag: "cần người"}); err != nil || len(l.sim.Tags(lan)) != 0 {
		t.Errorf("untag: %v, left %q", err, l.sim.Tags(lan))
	}
	if err := l.Do(ctx, toLan, bot.Call{Kind: bot.CallForget}); err != nil || !l.sim.Forgotten(lan) {
		t.Errorf("forget: %v, forgotten %v", err, l.sim.Forgotten(lan))
	}
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathTag, CutAfter: true})
	refused(t, l.Do(ctx, toLan, bot.Call{Kind: bot.CallTag, Tag: "x"}), delivery.ClassAmbiguous, 0)
	refused(t, l.Do(ctx, toLan, bot.Call{Kind: bot.CallTag}), delivery.ClassDrop, -201)
}

func TestReadings(t *testing.T) {
	l := dial(t, zalosim.Options{OAName: "Công dân số"}, Options{})
	ctx := context.Background()
	l.sim.AddUser(zalosim.User{ID: lan, Name: "Nguyễn Thị Lan", AvatarURL: "https://a.zadn.vn/l.jpg", Follows: true})
	l.sim.SubmitInfo(lan, zalosim.Info{Name: "Nguyễn Thị Lan", Phone: "84912345678"})
	if err := l.Tag(ctx, lan, "Hoa Lư"); err != nil {
		t.Fatal(err)
	}
	u, err := l.User(ctx, lan)
	if err != nil || u.ID != lan || u.Name != "Nguyễn Thị Lan" || !u.Follower || u.Shared.Phone != "84912345678" ||
		!slices.Equal(u.Tags, []string{"Hoa Lư"}) || len(u.LastInteraction) != 10 || u.IDByApp == "" {
		t.Errorf("user %+v, %v", u, err)
	}
	q, err := l.Quota(ctx, lan)
	if err != nil || time.Since(q.LastInteraction) > time.Minute || q.Replies != 8 || q.RepliesTotal != 8 {
		t.Errorf("quota %+v, %v", q, err)
	}
	a, err := l.Account(ctx)
	if err != nil || a.ID != zalosim.ExampleOAID || a.Name != "Công dân số" || a.Type != 4 || !a.Verified || a.Followers != 1 || a.Package == "" {
		t.Errorf("account %+v, %v", a, err)
	}
	sent, err := l.Send(ctx, toLan, bot.Message{Text: "trả lời"})
	if err != nil {
		t.Fatal(err)
	}
	chats, err := l.RecentChats(ctx, 0, 50) // the client asks for no more than Zalo gives
	if err != nil || len(chats) != 1 || chats[0].ID != sent.MsgID || chats[0].FromUser || chats[0].UserID != lan || !chats[0].At.Equal(sent.At) {
		t.Errorf("recent chats %+v, %v", chats, err)
	}
	talk, err := l.Conversation(ctx, lan, 0, MaxChats)
	if err != nil || len(talk) != 3 || !talk[2].FromUser || talk[2].Text != "chào" || talk[2].UserID != lan || talk[2].UserName != "Nguyễn Thị Lan" {
		t.Errorf("conversation %+v, %v", talk, err)
	}
	if rest, err := l.Conversation(ctx, lan, 3, MaxChats); err != nil || len(rest) != 0 {
		t.Errorf("past the end: %+v, %v", rest, err)
	}
	_, err = l.User(ctx, "1")
	refused(t, err, delivery.ClassDrop, -201)
}

// oaid is what the documents say, oa_id what several clients read.
func TestAccountIDEitherWay(t *testing.T) {
	for _, key := range []string{"oaid", "oa_id"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"data":{"` + key + `":"361","num_follower":"5","oa_type":"4"},"error":0}`))
		}))
		defer srv.Close()
		c, err := New(Options{APIURL: srv.URL, Tokens: FixedToken("x")})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := c.Account(context.Background()); err != nil || a.ID != "361" || a.Followers != 5 || a.Type != 4 {
			t.Errorf("%s: %+v, %v", key, a, err)
		}
	}
}

func TestProof(t *testing.T) {
	p := proofs{secret: []byte("app-secret-EXAMPLE")}
	const want = "402cad2a656261c17a04b89ec68b1ce69473e5b994facd429db1db4d31ac2e03"
	for range 2 {
		if got := p.of("access-token-EXAMPLE"); got != want {
			t.Errorf("proof %s, want %s", got, want)
		}
	}
	if p.of("other") == want {
		t.Error("another token has the same proof")
	}
	l := dial(t, zalosim.Options{RequireProof: true}, Options{})
	_, err := l.Account(context.Background())
	refused(t, err, delivery.ClassHuman, -242)
	l.opts.AppSecret = zalosim.ExampleAppSecret
	c, err := New(l.opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Account(context.Background()); err != nil {
		t.Errorf("with the proof: %v", err)
	}
	l.opts.AppSecret = "wrong"
	if c, err = New(l.opts); err != nil {
		t.Fatal(err)
	}
	_, err = c.Account(context.Background())
	refused(t, err, delivery.ClassHuman, -242)
}

func TestNewRefusesAddresses(t *testing.T) {
	for _, bad := range []string{"openapi.zalo.me", "://x", "/v3.0"} {
		if _, err := New(Options{APIURL: bad}); err == nil {
			t.Errorf("%q was taken for an address", bad)
		}
		if _, err := New(Options{ZNSURL: bad}); err == nil {
			t.Errorf("%q was taken for the address of templates", bad)
		}
	}
	if c, err := New(Options{}); err != nil || c.urls[pathSend].String() != "https://openapi.zalo.me/v3.0/oa/message/cs" {
		t.Errorf("default address: %v", err)
	} else if got := c.urls[pathPhone].String(); got != "https://business.openapi.zalo.me/message/template" {
		t.Errorf("default address of templates: %s", got)
	}
}

// swap is a token source that counts renewals.
type swap struct {
	token   atomic.Pointer[string]
	next    string
	renewed atomic.Int64
	err     error
}

func (s *swap) Token(context.Context) (string, error) { return *s.token.Load(), nil }

func (s *swap) Renew(context.Context, string) (string, error) {
	s.renewed.Add(1)
	if s.err != nil {
		return "", s.err
	}
	s.token.Store(&s.next)
	return s.next, nil
}

func TestRefusedTokens(t *testing.T) {
	stale := "stale"
	for name, tt := range map[string]struct {
		code    int // what the first answer says
		again   bool
		err     error
		class   delivery.Class
		renewed int64
	}{
		"-216, then good":   {code: -216, renewed: 1},
		"-220, then good":   {code: -220, renewed: 1},
		"-124, then good":   {code: -124, renewed: 1},
		"refused again":     {code: -216, again: true, class: delivery.ClassNotSent, renewed: 1},
		"nothing to be had": {code: -216, err: &GrantError{Code: -14014}, class: delivery.ClassNotSent, renewed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			src := &swap{err: tt.err}
			src.token.Store(&stale)
			l := dial(t, zalosim.Options{UnknownTokenCode: tt.code}, Options{Tokens: src})
			if src.next = l.sim.AccessToken(); tt.again {
				src.next = "also stale"
			}
			_, err := l.Send(context.Background(), toLan, bot.Message{Text: "x"})
			if tt.class == "" && err != nil {
				t.Errorf("send: %v", err)
			}
			if tt.class != "" {
				ref, ok := errors.AsType[*delivery.Refusal](err)
				if !ok || ref.Class != tt.class {
					t.Errorf("send: %v, want %s", err, tt.class)
				}
			}
			if n := src.renewed.Load(); n != tt.renewed {
				t.Errorf("%d renewals, want %d", n, tt.renewed)
			}
		})
	}
}

func BenchmarkSend(b *testing.B) {
	l := dial(b, zalosim.Options{RatePerMinute: -1, KeepLog: -1, KeepMessages: -1}, Options{})
	m := bot.Message{Text: "⏳ Đang giải quyết, hẹn trả thứ Hai 17/06/2024, 17:00.\n\n1. Xem chi tiết   2. Lưu hồ sơ",
		Choices: []bot.Choice{{Title: "Xem chi tiết", Payload: "#dossier.show:H42.16-240612-0001"}, {Title: "Lưu hồ sơ", Payload: "#dossier.keep"}}}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Send(context.Background(), toLan, m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
