package dossier_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/procedures"
	"congdanso/integrations/procedures/proceduresim"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// The whole way: a stand-in of the procedure system that pushes five times, in no
// order, and says "result ready" of papers that are wanted; the door; the look-up;
// the notices in their table.
func TestFromPushToNotice(t *testing.T) {
	t.Parallel()
	clock := &clock{t: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	sim := proceduresim.New(proceduresim.Options{Now: clock.now})
	system := httptest.NewServer(sim)
	defer system.Close()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	client := procedures.New(procedures.Options{
		URL: system.URL, TokenURL: system.URL + proceduresim.TokenPath, ClientID: "congdanso", ClientSecret: "secret", Now: clock.now, Log: quiet,
		Statuses: map[string]int{"Đang xử lý": 4, "Chờ bổ sung giấy tờ": 5, "Đã có kết quả": 9},
	})
	pool := pgtest.New(t)
	service := dossier.New(dossier.Options{Pool: pool, Ring: seal.ForTest(), Source: client, Now: clock.now, Log: quiet})
	watch := dossier.NewWatch(dossier.WatchOptions{
		Service: service, Changes: client, Notices: push.NewStore(pool, seal.ForTest()), Texts: texts(t),
		Values: func() setting.Values { return setting.Values{} }, Log: quiet,
	})
	e := echo.New()
	e.POST("/webhooks/procedures", dossier.NewHook(service.Store(), secret, clock.now, prometheus.NewRegistry()).Handle)
	door := httptest.NewServer(e)
	defer door.Close()
	sim.PushTo(door.URL+"/webhooks/procedures", secret)
	sim.Misdeliver(proceduresim.Delivery{Repeat: 5, Shuffle: true})

	code := sim.Fill(10, clock.now())[3]
	sim.Fault(proceduresim.Fault{Kind: proceduresim.StatusAtOdds, Code: code})
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		return service.Store().Apply(t.Context(), tx, []bot.Applied{{Citizen: anna, EventID: "e", At: clock.now(), Effect: dossier.Follow{Code: dossier.Code(code)}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		t.Helper()
		if n := sim.Deliver(t.Context()); n != 0 {
			t.Fatalf("%d pushes were not taken", n)
		}
		clock.add(10 * time.Second)
		if _, err := watch.Look(t.Context(), clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	set := func(status int, papers ...string) {
		t.Helper()
		if err := sim.Set(code, proceduresim.Change{Status: status, Papers: papers, Words: "Bổ sung"}); err != nil {
			t.Fatal(err)
		}
		clock.add(time.Second)
	}
	waiting := func(what string, want ...string) {
		t.Helper()
		rows, err := pool.Query(t.Context(), `SELECT kind FROM push WHERE state = 'pending' ORDER BY source`)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q wait, %v; want %q", what, got, err, want)
		}
	}
	look()
	waiting("a follow")
	set(5, "Tờ khai")
	look()
	waiting("papers wanted, pushed as a result", "dossier.supplement")
	set(4)
	set(5, "Trích lục")
	set(4)
	set(9)
	look()
	waiting("four changes, five pushes each", "dossier.ready") // in the place of what waited
	looks := sim.Looks()
	for range 3 {
		if err := sim.Push(code); err != nil {
			t.Fatal(err)
		}
		look()
	}
	waiting("pushes of what is known", "dossier.ready")
	if n := sim.Looks() - looks; n > 4 {
		t.Errorf("%d look-ups for fifteen pushes", n)
	}
	// The list of changes says nothing new either.
	clock.add(time.Minute)
	if n, err := watch.Poll(t.Context(), clock.now()); err != nil || n != 0 {
		t.Errorf("the list hinted at %d, %v", n, err)
	}
	if sim.Lists() == 0 {
		t.Error("the list was not read")
	}
}
