package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/bot/delivery"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo"
)

// Followers of an account that was there before the channel become known, with
// their tags, and can be written to while their windows are open.
func TestStoryOfAnAccountThatHadFollowersAlready(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t))
	for i := range 70 {
		w.zalo.Follow(fmt.Sprintf("25%017d", i))
	}
	gone := fmt.Sprintf("25%017d", 69)
	w.zalo.Unfollow(gone)
	client := w.client()
	if err := client.Tag(t.Context(), fmt.Sprintf("25%017d", 3), "Hoa Lư"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Done. Followers listed: 69, new here: 69.", "Done. Followers listed: 69, new here: 0."} {
		out, err := w.invoke("followers", "import", "--since", time.Now().AddDate(-1, 0, 0).Format(time.DateOnly))
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM citizen WHERE following`:                                                                   69,
		`SELECT count(*) FROM conversation WHERE interacted_at > now() - interval '26 hours' AND interacted_at <= now()`: 69,
		`SELECT count(*) FROM citizen_tag WHERE tag = 'Hoa Lư'`:                                                          1,
		`SELECT count(*) FROM instance`:                                                                                  0,
	} {
		if n := w.count(sql); n != want {
			t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
	for _, args := range [][]string{{"followers"}, {"followers", "export"}, {"followers", "import", "now"}, {"followers", "import", "--since", "today"}} {
		if _, err := w.invoke(args...); !errors.Is(err, errUsage) {
			t.Errorf("congdanso %v: %v", args, err)
		}
	}
}

// client speaks to the stand-in with a token of its own.
func (w *world) client() *zalo.Client {
	w.t.Helper()
	c, err := zalo.New(zalo.Options{APIURL: w.zaloURL, OAID: w.vars["ZALO_OA_ID"], Tokens: zalo.FixedToken(w.zalo.AccessToken())})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// Articles speak to Zalo in its own words.
func TestArticlesAtZalo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t))
	api := articleAPI{w.client()}
	page := broadcast.Page{Title: "Tiêm chủng", Author: "Sở Y tế", Description: "Mời đi tiêm.", CoverURL: "https://a.example.vn/a.jpg",
		Blocks: []string{"<p>Mời đi tiêm.</p>"}}
	write := func(id string) string {
		t.Helper()
		token, err := "", error(nil)
		if id == "" {
			token, err = api.CreateArticle(t.Context(), page)
		} else {
			token, err = api.UpdateArticle(t.Context(), id, page)
		}
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the article is ready", func() bool {
			var ref *delivery.Refusal
			id, err = api.VerifyArticle(context.Background(), token)
			return err == nil || !errors.As(err, &ref) || ref.Class != delivery.ClassWait
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := write("")
	if shown, err := api.ArticleShown(t.Context(), id); err != nil || shown {
		t.Errorf("shown %v, %v", shown, err)
	}
	page.Show = true
	if again := write(id); again != id {
		t.Errorf("updated, %s became %s", id, again)
	}
	if shown, err := api.ArticleShown(t.Context(), id); err != nil || !shown {
		t.Errorf("shown %v, %v", shown, err)
	}
	// At noon, whenever this runs: the stand-in keeps Zalo's hours.
	local := w.zalo.Clock().Now().In(time.FixedZone("", 7*60*60))
	w.zalo.Clock().Advance(time.Duration((36-local.Hour())%24) * time.Hour)
	message, err := api.BroadcastArticle(t.Context(), id, broadcast.Target{Ages: []int{2, 3}, Gender: 2, Cities: []int{2, 8, 56}})
	all := w.zalo.Broadcasts()
	if err != nil || message == "" || len(all) != 1 || !slices.Equal(all[0].Articles, []string{id}) {
		t.Errorf("broadcast %q: %v, %+v", message, err, all)
	}
}
