package zalo

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/delivery"
	"congdanso/integrations/zalo/zalosim"
)

var storm = Article{Title: "Bão số 9", Author: "UBND tỉnh", Description: "Việc cần làm trước 18 giờ", CoverURL: "https://a.example/bao.jpg", Show: true,
	Body: []Block{{Type: BlockText, Content: "<p>Chằng chống <b>nhà cửa</b></p>"}, {Type: BlockImage, URL: "https://a.example/duong-di.png", Caption: "Đường đi"}}}

// publish creates an article and waits for it by the stand-in's clock.
func publish(t testing.TB, l *line, a Article) (id string) {
	t.Helper()
	token, err := l.CreateArticle(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	l.sim.Clock().Advance(5 * time.Second)
	if id, err = l.VerifyArticle(context.Background(), token); err != nil || id == "" {
		t.Fatalf("article %q, %v", id, err)
	}
	return id
}

func TestArticleIsPreparedByAndBy(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{}), Options{})
	ctx := context.Background()
	token, err := l.CreateArticle(ctx, storm)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.VerifyArticle(ctx, token)
	if ref := refused(t, err, delivery.ClassWait, -214); ref.RetryAfter <= 0 {
		t.Error("-214 does not say to wait")
	}
	l.sim.Clock().Advance(5 * time.Second)
	id, err := l.VerifyArticle(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.VerifyArticle(ctx, token); err != nil || again != id {
		t.Errorf("asked again: %q, %v; want %q", again, err, id)
	}
	detail := func(want ArticleDetail) {
		t.Helper()
		got, err := l.ArticleDetail(ctx, id)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	detail(ArticleDetail{ID: id, Title: "Bão số 9", Status: "show"})

	corrected := storm
	corrected.Title, corrected.Show = "Bão số 9 (đính chính)", false
	if token, err = l.UpdateArticle(ctx, id, corrected); err != nil {
		t.Fatal(err)
	}
	detail(ArticleDetail{ID: id, Title: "Bão số 9", Status: "show"}) // until it is ready
	l.sim.Clock().Advance(5 * time.Second)
	if got, err := l.VerifyArticle(ctx, token); err != nil || got != id {
		t.Errorf("updated article %q, %v; want %q", got, err, id)
	}
	detail(ArticleDetail{ID: id, Title: "Bão số 9 (đính chính)", Status: "hide"})

	if err := l.RemoveArticle(ctx, id); err != nil {
		t.Fatal(err)
	}
	_, err = l.ArticleDetail(ctx, id)
	refused(t, err, delivery.ClassDrop, -201)
	refused(t, l.RemoveArticle(ctx, id), delivery.ClassDrop, -201)
	_, err = l.VerifyArticle(ctx, "ART-none")
	refused(t, err, delivery.ClassDrop, -201)
}

func TestArticleThatIsNeverReady(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{}), Options{})
	l.sim.StallArticles(true)
	token, err := l.CreateArticle(context.Background(), storm)
	if err != nil {
		t.Fatal(err)
	}
	l.sim.Clock().Advance(24 * time.Hour)
	_, err = l.VerifyArticle(context.Background(), token)
	refused(t, err, delivery.ClassWait, -214)
}

func TestArticleLimits(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{ArticlesAMonth: 1}), Options{})
	ctx := context.Background()
	for name, change := range map[string]func(*Article){
		"title":          func(a *Article) { a.Title = strings.Repeat("ã", 151) },
		"title of emoji": func(a *Article) { a.Title = strings.Repeat("😀", 76) },
		"author":         func(a *Article) { a.Author = strings.Repeat("ã", 51) },
		"description":    func(a *Article) { a.Description = strings.Repeat("ã", 301) },
	} {
		a := storm
		change(&a)
		_, err := l.CreateArticle(ctx, a)
		if ref := refused(t, err, delivery.ClassDrop, 0); !strings.Contains(ref.Error(), strings.Fields(name)[0]) {
			t.Errorf("%s: %v", name, ref)
		}
		_, err = l.UpdateArticle(ctx, "x", a)
		refused(t, err, delivery.ClassDrop, 0)
	}
	if n := l.sim.CallCount(zalosim.PathArticleCreate) + l.sim.CallCount(zalosim.PathArticleUpdate); n != 0 {
		t.Errorf("%d calls were made of what is too long", n)
	}
	long := storm
	long.Title, long.Author, long.Description = strings.Repeat("ã", 150), strings.Repeat("ã", 50), strings.Repeat("ã", 300)
	publish(t, l, long)
	_, err := l.CreateArticle(ctx, storm)
	refused(t, err, delivery.ClassQuota, -223)
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathArticleCreate, Code: -223, Message: "OA has not authorized this API"})
	_, err = l.CreateArticle(ctx, storm)
	refused(t, err, delivery.ClassHuman, -223)
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathArticleCreate, CutAfter: true})
	_, err = l.CreateArticle(ctx, storm)
	refused(t, err, delivery.ClassAmbiguous, 0)
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathArticleVerify, CutAfter: true})
	_, err = l.VerifyArticle(ctx, "x")
	refused(t, err, delivery.ClassWait, 0)
}

func TestBroadcast(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{}), Options{})
	ctx := context.Background()
	l.sim.AddUser(zalosim.User{ID: lan, Follows: true, City: "2", Age: 67, Gender: 2})
	l.sim.AddUser(zalosim.User{ID: "2512345678901234999", Follows: true, City: "9", Age: 20, Gender: 1})
	id := publish(t, l, storm)
	got, err := l.Broadcast(ctx, []string{id}, Target{Ages: []string{"6", "7"}, Gender: []string{"2"}, Cities: []string{"2", "8", "56"}})
	if err != nil {
		t.Fatal(err)
	}
	l.sim.Clock().Advance(30 * time.Minute)
	if err := l.sim.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	sends := l.sim.Sends(lan)
	if len(sends) != 1 || sends[0].Kind != "broadcast" || sends[0].MsgID != got.MsgID || sends[0].Text != storm.Title {
		t.Errorf("Lan got %+v, want %s", sends, got.MsgID)
	}
	if all := l.sim.Broadcasts(); len(all) != 1 || all[0].Reached != 1 {
		t.Errorf("broadcasts %+v", all)
	}
	if _, err := l.Broadcast(ctx, []string{id}, Target{}); err != nil { // everybody; Lan had hers today
		t.Fatal(err)
	}
	l.sim.Clock().Advance(30 * time.Minute)
	if err := l.sim.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if all := l.sim.Broadcasts(); len(all) != 2 || all[1].Reached != 1 || len(l.sim.Sends("2512345678901234999")) != 1 {
		t.Errorf("broadcasts %+v", all)
	}
	if l.sim.Accepted() != 2 {
		t.Errorf("%d accepted", l.sim.Accepted())
	}
}

// Lists go as texts with commas, and what is open is left out.
func TestBroadcastBody(t *testing.T) {
	for _, tt := range []struct {
		target Target
		want   string
	}{
		{Target{}, `{}`},
		{Target{Ages: []string{"2", "3"}, Gender: []string{"1"}, Cities: []string{"2", "8", "56"}}, `{"ages":"2,3","gender":"1","cities":"2,8,56"}`},
	} {
		got, err := broadcastBody([]string{"a1", "b2"}, tt.target)
		want := `{"recipient":{"target":` + tt.want + `},"message":{"attachment":{"type":"template","payload":{"template_type":"media","elements":[` +
			`{"media_type":"article","attachment_id":"a1"},{"media_type":"article","attachment_id":"b2"}]}}}}`
		if err != nil || string(got) != want {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	}
}

func TestBroadcastRefuses(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{}), Options{})
	ctx := context.Background()
	for _, articles := range [][]string{nil, {"1", "2", "3", "4", "5", "6"}} {
		_, err := l.Broadcast(ctx, articles, Target{})
		refused(t, err, delivery.ClassDrop, 0)
	}
	if l.sim.CallCount(zalosim.PathBroadcast) != 0 {
		t.Error("a call was made of what cannot be sent")
	}
	_, err := l.Broadcast(ctx, []string{"none"}, Target{})
	refused(t, err, delivery.ClassDrop, -201)
	hidden := storm
	hidden.Show = false
	_, err = l.Broadcast(ctx, []string{publish(t, l, hidden)}, Target{})
	refused(t, err, delivery.ClassDrop, -201)
	id := publish(t, l, storm)
	_, err = l.Broadcast(ctx, []string{id}, Target{Cities: []string{"64"}})
	refused(t, err, delivery.ClassDrop, -201)
	l.sim.Fault(zalosim.Fault{Path: zalosim.PathBroadcast, CutAfter: true})
	_, err = l.Broadcast(ctx, []string{id}, Target{})
	refused(t, err, delivery.ClassAmbiguous, 0)
	l.sim.Clock().Advance(13 * time.Hour) // to ten in the evening
	_, err = l.Broadcast(ctx, []string{id}, Target{})
	refused(t, err, delivery.ClassNight, -234)
}
