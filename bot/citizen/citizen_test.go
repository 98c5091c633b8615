package citizen_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
)

var (
	who = bot.CitizenID{OA: "3612345678901234567", User: "2512345678901234567"}
	at  = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
)

type fixture struct {
	*citizen.Store
	tx func(func(pgx.Tx) error)
	q  func(sql string, args ...any) int
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	pool := pgtest.New(t)
	s := citizen.NewStore(pool, seal.ForTest())
	f := fixture{Store: s}
	f.tx = func(fn func(pgx.Tx) error) {
		t.Helper()
		if err := pgx.BeginFunc(t.Context(), pool, fn); err != nil {
			t.Fatal(err)
		}
	}
	f.q = func(sql string, args ...any) (n int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	batch := &pgx.Batch{}
	s.QueueCreate(batch, []bot.Citizen{{ID: who, Language: bot.Vietnamese, CreatedAt: at}})
	if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

// does applies effects as a turn's commit would, each a minute later.
func (f fixture) does(t *testing.T, effects ...bot.Effect) {
	t.Helper()
	var list []bot.Applied
	for i, e := range effects {
		list = append(list, bot.Applied{Citizen: who, EventID: "e", At: at.Add(time.Duration(i) * time.Minute), Effect: e})
	}
	f.tx(func(tx pgx.Tx) error { return f.Apply(t.Context(), tx, list) })
}

func TestWhatIsKeptCanBeSeen(t *testing.T) {
	f := newFixture(t)
	f.does(t,
		citizen.SetLanguage{Lang: bot.English},
		citizen.SetContact{Name: "Nguyễn Thị Mẫu", Phone: "84900000001"},
		citizen.GiveConsent{Purpose: citizen.PurposeContact, TextVersion: "v1", Channel: "zalo"},
		citizen.GiveConsent{Purpose: citizen.PurposeKeep, TextVersion: "v2", Channel: "zalo"},
		citizen.WithdrawConsent{Purpose: citizen.PurposeContact})
	o, err := f.Overview(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != "Nguyễn Thị Mẫu" || o.MaskedPhone != "•••• 0001" || o.Language != bot.English || !o.Since.Equal(at) {
		t.Errorf("overview = %+v", o)
	}
	if len(o.Consents) != 2 || o.Consents[0].Purpose != citizen.PurposeKeep || !o.Consents[0].WithdrawnAt.IsZero() ||
		o.Consents[1].TextVersion != "v1" || o.Consents[1].WithdrawnAt.IsZero() {
		t.Errorf("consents = %+v", o.Consents)
	}
	if n := f.q(`SELECT count(*) FROM citizen WHERE position('Nguy'::bytea in name) > 0 OR position('0900'::bytea in phone) > 0`); n != 0 {
		t.Error("name or phone rests in plain text")
	}
}

func TestConsentGivenAgainStandsAgain(t *testing.T) {
	f := newFixture(t)
	f.does(t, citizen.GiveConsent{Purpose: "p", TextVersion: "v1", Channel: "zalo"}, citizen.WithdrawAll{},
		citizen.GiveConsent{Purpose: "p", TextVersion: "v2", Channel: "zalo"})
	if n := f.q(`SELECT count(*) FROM consent WHERE withdrawn_at IS NULL AND text_version = 'v2'`); n != 1 {
		t.Errorf("%d standing consents, want the second one", n)
	}
	if n := f.q(`SELECT count(*) FROM consent`); n != 2 {
		t.Errorf("%d rows, want both givings", n)
	}
}

func TestStoppingWithdrawsWhatIsToldUnasked(t *testing.T) {
	f := newFixture(t)
	weather := citizen.PurposeTopic("weather")
	var given []bot.Effect
	for _, p := range []string{citizen.PurposeKeep, citizen.PurposeContact, citizen.PurposeCallback, citizen.PurposeFollow, weather} {
		given = append(given, citizen.GiveConsent{Purpose: p, TextVersion: "v1", Channel: "zalo"})
	}
	f.does(t, append(given, citizen.WithdrawNotices{})...)
	o, err := f.Overview(t.Context(), who)
	if err != nil || len(o.Consents) != len(given) {
		t.Fatalf("%+v, %v", o, err)
	}
	for _, c := range o.Consents {
		if kept := c.Purpose == citizen.PurposeKeep || c.Purpose == citizen.PurposeContact; c.WithdrawnAt.IsZero() != kept {
			t.Errorf("consent to %s: withdrawn %v", c.Purpose, c.WithdrawnAt)
		}
	}
	if topic, ok := citizen.TopicOf(weather); topic != "weather" || !ok {
		t.Errorf("%q is about %q, %v", weather, topic, ok)
	}
	if _, ok := citizen.TopicOf(citizen.PurposeFollow); ok {
		t.Error("following a dossier is taken for a topic")
	}
}

func TestErasureLeavesATombstone(t *testing.T) {
	f := newFixture(t)
	f.does(t, citizen.SetContact{Name: "A", Phone: "84900000001"}, citizen.GiveConsent{Purpose: "p", TextVersion: "v1", Channel: "zalo"})
	f.tx(func(tx pgx.Tx) error { return f.EraseCitizen(t.Context(), tx, who, at) })
	if n := f.q(`SELECT (SELECT count(*) FROM citizen) + (SELECT count(*) FROM consent)`); n != 0 {
		t.Errorf("%d rows left", n)
	}
	erased, err := f.Erased(t.Context(), []bot.CitizenID{who, {OA: who.OA, User: "1"}})
	if err != nil || len(erased) != 1 || !erased[who].Equal(at) {
		t.Errorf("erased = %v, %v", erased, err)
	}
	o, err := f.Overview(t.Context(), who)
	if err != nil || o.Name != "" {
		t.Errorf("overview of somebody erased = %+v, %v", o, err)
	}
}

// A database restored from a backup knows people again who were erased since.
func TestErasuresAreAppliedAgain(t *testing.T) {
	f := newFixture(t)
	later := bot.CitizenID{OA: who.OA, User: "2"}
	wanted := map[string]time.Time{
		string(f.Hash(who)):   at.Add(time.Hour),
		string(f.Hash(later)): at.Add(-time.Hour), // came back after their erasure
		string(f.Hash(bot.CitizenID{OA: who.OA, User: "gone"})): at,
	}
	f.tx(func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		f.QueueCreate(batch, []bot.Citizen{{ID: later, Language: bot.Vietnamese, CreatedAt: at}})
		return tx.SendBatch(t.Context(), batch).Close()
	})
	var again []bot.CitizenID
	n, err := f.EraseAgain(t.Context(), wanted, func(ctx context.Context, tx pgx.Tx, id bot.CitizenID, at time.Time) error {
		again = append(again, id)
		return f.EraseCitizen(ctx, tx, id, at)
	})
	if err != nil || n != 1 || again[0] != who {
		t.Fatalf("erased again %v (%d), %v", again, n, err)
	}
	if n := f.q(`SELECT count(*) FROM tombstone`); n != 3 {
		t.Errorf("%d tombstones, want all three: events signed before are still under way", n)
	}
}

func TestNormalPhone(t *testing.T) {
	for raw, want := range map[string]string{
		"0912 345 678": "84912345678", "+84 912.345.678": "84912345678", "84912345678": "84912345678",
		"(0229) 385-0000": "842293850000", "+84 (0)912 345 678": "84912345678", "84091234567": "", "12345": "", "0912345678 a": "", "": "", "123456789012345": "",
	} {
		if got, ok := citizen.NormalPhone(raw); got != want && ok || ok != (want != "") {
			t.Errorf("NormalPhone(%q) = %q, %v, want %q", raw, got, ok, want)
		}
	}
}

// A proven number is that one only: another has to be proven anew.
func TestProvenPhones(t *testing.T) {
	f := newFixture(t)
	proven := func(what string, want int) {
		t.Helper()
		if n := f.q(`SELECT count(*) FROM citizen WHERE phone_proven_at IS NOT NULL`); n != want {
			t.Errorf("%s: proven %d, want %d", what, n, want)
		}
	}
	f.does(t, citizen.ProvePhone{})
	proven("no number", 0)
	f.does(t, citizen.SetContact{Name: "Mẫu", Phone: "84900000001"})
	proven("stated", 0)
	f.does(t, citizen.ProvePhone{})
	proven("on a dossier", 1)
	f.does(t, citizen.SetContact{Name: "Thử", Phone: "84900000001"})
	proven("another name", 1)
	f.does(t, citizen.SetContact{Name: "Thử", Phone: "84900000002"})
	proven("another number", 0)
	f.does(t, citizen.ProvePhone{}, citizen.SetContact{Name: "Thử"})
	proven("no number any more", 0)
	f.does(t, citizen.SetContact{Phone: "84900000001"}, citizen.ProvePhone{}, citizen.ClearContact{})
	proven("cleared", 0)
}

func TestUnfollowingIsDated(t *testing.T) {
	f := newFixture(t)
	f.does(t, citizen.SetFollowing{Following: true}, citizen.SetFollowing{})
	if n := f.q(`SELECT count(*) FROM citizen WHERE NOT following AND unfollowed_at = $1`, at.Add(time.Minute)); n != 1 {
		t.Error("the moment of unfollowing is not known")
	}
	f.does(t, citizen.SetFollowing{Following: true})
	if n := f.q(`SELECT count(*) FROM citizen WHERE following AND unfollowed_at IS NULL`); n != 1 {
		t.Error("followed again, and unfollowed")
	}
}
