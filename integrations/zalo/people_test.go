package zalo

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/integrations/zalo/zalosim"
)

func TestUsersAreListedByPages(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{}), Options{})
	ctx := context.Background()
	var want []string
	for i := range 120 {
		id := fmt.Sprint(2512345678900000000 + i)
		l.sim.AddUser(zalosim.User{ID: id, Follows: i%2 == 0})
		if i%2 == 0 {
			want = append(want, id)
		}
	}
	yes, no := true, false
	var got []string
	for {
		ids, total, err := l.Users(ctx, UserQuery{Offset: len(got), Followers: &yes})
		if err != nil || total != 60 {
			t.Fatalf("%d of %d, %v", len(ids), total, err)
		}
		if len(ids) == 0 {
			break
		}
		got = append(got, ids...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followers (-want +got):\n%s", diff)
	}
	if ids, total, err := l.Users(ctx, UserQuery{Count: 7, Followers: &no}); err != nil || total != 61 || len(ids) != 7 {
		t.Errorf("others: %d of %d, %v; Lan and every second", len(ids), total, err)
	}
	if err := l.Tag(ctx, lan, "Hoa Lư"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []UserQuery{{Tag: "Hoa Lư"}, {Period: "TODAY"}, {Period: "2026_11_01:2026_11_23"}} {
		if ids, total, err := l.Users(ctx, q); err != nil || total != 1 || len(ids) != 1 || ids[0] != lan {
			t.Errorf("%+v: %v of %d, %v", q, ids, total, err)
		}
	}
	_, _, err := l.Users(ctx, UserQuery{Period: "LASTYEAR"})
	refused(t, err, delivery.ClassDrop, -201)
	before := l.sim.CallCount(zalosim.PathUsers)
	for _, q := range []UserQuery{{Count: 51}, {Count: -1}, {Offset: -1}, {Offset: 9952}} {
		_, _, err := l.Users(ctx, q)
		refused(t, err, delivery.ClassDrop, 0)
	}
	if l.sim.CallCount(zalosim.PathUsers) != before {
		t.Error("a call was made beyond the limits")
	}
	if _, _, err := l.Users(ctx, UserQuery{Offset: 9951}); err != nil {
		t.Errorf("the last page: %v", err)
	}
}

func TestQuotaOfTheAccount(t *testing.T) {
	l := dial(t, byDay(zalosim.Options{PaidMessages: 3, AccessTokenLife: 100 * time.Hour}), Options{})
	ctx := context.Background()
	l.sim.Clock().Advance(49 * time.Hour)
	for left := 2; left >= 0; left-- {
		if _, err := l.Send(ctx, toLan, bot.Message{Text: "x"}); err != nil {
			t.Fatal(err)
		}
		got, err := l.QuotaOA(ctx)
		want := []OAQuota{{AssetID: "f1f2f3f4f5f6f7f8f9f0", Type: "sub_quota", Remain: left, Total: 3, ValidThrough: "31/12/2026"}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	_, err := l.Send(ctx, toLan, bot.Message{Text: "x"})
	refused(t, err, delivery.ClassQuota, -211)
}

func TestSuspendedAccount(t *testing.T) {
	l := dialTemplates(t, zalosim.Options{}, Options{})
	ctx := context.Background()
	l.sim.Suspend(true)
	_, err := l.Account(ctx)
	refused(t, err, delivery.ClassHuman, -204)
	_, err = l.Template(ctx, toLan, filled)
	refused(t, err, delivery.ClassHuman, -204)
	_, err = l.Template(ctx, toLan, byPhone(filled))
	refused(t, err, delivery.ClassHuman, -1351)
	l.sim.Suspend(false)
	if _, err := l.Account(ctx); err != nil {
		t.Error(err)
	}
}
