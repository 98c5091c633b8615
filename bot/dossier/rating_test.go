package dossier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"

	"github.com/jackc/pgx/v5"
)

// rates has citizen i rate the service on a dossier that was looked up.
func (b *bench) rates(i, stars int, words string) {
	b.t.Helper()
	b.apply(bot.CitizenID{OA: "1", User: fmt.Sprint(i)}, b.event(), dossier.Rate{Code: code, Stars: stars, Comment: words})
}

func TestRatingsAreShownFromFiveOn(t *testing.T) {
	b := start(t)
	b.apply(anna, b.event(), dossier.Rate{Code: nowhere, Stars: 5}) // of a dossier nobody has seen
	_ = b.view(anna)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	report := func(agency, procedure string) ([]dossier.RatingGroup, bool) {
		t.Helper()
		groups, fewer, err := b.Store().Ratings(t.Context(), agency, procedure, dossier.Period(b.clock.now()))
		if err != nil {
			t.Fatal(err)
		}
		return groups, fewer
	}
	if groups, fewer := report("", ""); len(groups) != 0 || fewer {
		t.Errorf("%+v, %t before anybody rated", groups, fewer)
	}
	for i := range 4 {
		b.rates(i, 4, "")
	}
	b.rates(0, 1, "")               // once only
	b.rates(0, 4, "Chờ hơi lâu")    // words come later
	b.rates(0, 4, "Chờ quá lâu")    // and once
	b.rates(1, 4, "Rất nhiệt tình") // …
	if groups, fewer := report("", ""); len(groups) != 0 || !fewer {
		t.Errorf("%+v, %t of four ratings", groups, fewer)
	}
	b.rates(4, 2, "")
	groups, fewer := report("", "1.004873")
	if len(groups) != 1 || fewer {
		t.Fatalf("%+v, %t of five ratings", groups, fewer)
	}
	g := groups[0]
	slices.Sort(g.Comments)
	if g.Count != 5 || g.Stars != [5]int{0, 1, 0, 4, 0} || g.Average() != 3.6 || g.AgencyName != "UBND phường Mẫu" ||
		!slices.Equal(g.Comments, []string{"Chờ hơi lâu", "Rất nhiệt tình"}) {
		t.Errorf("%+v", g)
	}
	if groups, _ := report("", "1.000000"); len(groups) != 0 {
		t.Errorf("%+v of another procedure", groups)
	}
	b.clock.add(31 * 24 * time.Hour)
	if groups, fewer := report("", ""); len(groups) != 0 || fewer {
		t.Errorf("%+v, %t in the next month", groups, fewer)
	}
	if rated, err := b.Rated(t.Context(), bot.CitizenID{OA: "1", User: "0"}, code); err != nil || !rated {
		t.Errorf("rated %t, %v", rated, err)
	}
	if rated, err := b.Rated(t.Context(), bot.CitizenID{OA: "1", User: "9"}, code); err != nil || rated {
		t.Errorf("rated %t, %v", rated, err)
	}
}

// A rating leads back to nobody: neither by a row nor by an erasure.
func TestRatingsAreNameless(t *testing.T) {
	b := start(t)
	_ = b.view(anna)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.apply(anna, b.event(), dossier.Rate{Code: code, Stars: 5, Comment: "Tôi là Anna"})
	for _, table := range []string{"rating", "rating_comment"} {
		var row string
		if err := b.pool.QueryRow(t.Context(), `SELECT to_jsonb(t)::text FROM `+table+` t`).Scan(&row); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{fmt.Sprintf("%q", anna.User), "H42", "Anna", "2024-06-14", fmt.Sprintf("%x", "Anna")} {
			if strings.Contains(row, secret) {
				t.Errorf("%s holds %q: %s", table, secret, row)
			}
		}
	}
	err := pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error { return b.Store().EraseCitizen(t.Context(), tx, anna) })
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"rating": 1, "rating_comment": 1, "rating_given": 0} {
		var n int
		if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d rows, %v; want %d", table, n, err, want)
		}
	}
	if _, err := b.Store().Purge(t.Context(), b.clock.now().AddDate(2, 1, 0)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM rating`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d ratings after two years, %v", n, err)
	}
}

func TestRatingsOutOfBoundsAreRefused(t *testing.T) {
	b := start(t)
	for _, e := range []dossier.Rate{{Code: code}, {Code: code, Stars: 6}, {Code: code, Stars: 3, Comment: strings.Repeat("a", dossier.MaxComment+1)}} {
		err := pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
			return b.Store().Apply(t.Context(), tx, []bot.Applied{{Citizen: anna, At: b.clock.now(), Effect: e}})
		})
		if err == nil {
			t.Errorf("took %+v", e)
		}
	}
}

func TestADetailKnowsItsPhones(t *testing.T) {
	b := start(t)
	b.system.set(func(s *system) { s.held[code][0].Phones = []string{"84900000001"} })
	d, err := b.Prove(t.Context(), anna, b.event(), code, "0001")
	if err != nil || !d.HasPhone("84900000001") || d.HasPhone("84900000002") || d.HasPhone("") {
		t.Errorf("phones %q, %v", d.Phones, err)
	}
}
