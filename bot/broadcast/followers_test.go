package broadcast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/unit"
)

// town is an account's followers at Zalo.
type town struct {
	t     testing.TB
	days  map[string]time.Time // of the last interaction, by person; zero: under no day
	tags  map[string][]string
	order []string
	asked int
	stop  int         // refuse from so many calls on; 0: never
	move  map[int]int // before call n, the first m people interact today
}

var errTownAway = errors.New("town away")

func (w *town) settle(n int, prefix string, day time.Time, tags ...string) {
	for i := range n {
		id := fmt.Sprintf("%s%06d", prefix, i)
		w.days[id], w.tags[id] = day, tags
		w.order = append(w.order, id)
	}
}

func (w *town) Tags(context.Context) ([]string, error) {
	if w.asked++; w.stop > 0 && w.asked > w.stop {
		return nil, errTownAway
	}
	return []string{"cán bộ", "Hoa Lư"}, nil
}

func (w *town) Followers(_ context.Context, q UserQuery) ([]string, int, error) {
	if w.asked++; w.stop > 0 && w.asked > w.stop {
		return nil, 0, errTownAway
	}
	if q.Offset > 9951 || q.Offset%usersPage != 0 {
		w.t.Errorf("asked from %d on", q.Offset)
	}
	for i := range w.move[w.asked] {
		w.days[w.order[i]] = localDay(noon)
	}
	var fit []string
	for _, id := range w.order {
		day := w.days[id]
		if (q.From.IsZero() || !day.IsZero() && !day.Before(q.From) && !day.After(q.To)) && (q.Tag == "" || slices.Contains(w.tags[id], q.Tag)) {
			fit = append(fit, id)
		}
	}
	if q.Offset >= len(fit) {
		return nil, len(fit), nil
	}
	return fit[q.Offset:min(q.Offset+usersPage, len(fit))], len(fit), nil
}

func (d *desk) importer(w *town) *Importer {
	return &Importer{Pool: d.Pool, Citizens: citizen.NewStore(d.Pool, d.Keys), Zalo: w, OAID: testOA, Since: noon.AddDate(-2, 0, 0),
		Now: func() time.Time { return noon }, Slot: func(context.Context) error { return nil }}
}

func newTown(t testing.TB) *town {
	return &town{t: t, days: map[string]time.Time{}, tags: map[string][]string{}, move: map[int]int{}}
}

func daysAgo(n int) time.Time { return localDay(noon).AddDate(0, 0, -n) }

func TestFollowersBecomeKnown(t *testing.T) {
	t.Parallel()
	d, w := newDesk(t), newTown(t)
	w.settle(120, "today", daysAgo(0), "Hoa Lư")
	w.settle(60, "lately", daysAgo(3))
	w.settle(40, "once", daysAgo(400), "cán bộ", "Hoa Lư")
	w.settle(30, "never", time.Time{}, "cán bộ")
	w.settle(3, "erased", daysAgo(5))
	who := func(id string) bot.CitizenID { return bot.CitizenID{OA: testOA, User: id} }
	im := d.importer(w)
	err := pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error {
		return im.Citizens.EraseCitizen(t.Context(), tx, who("erased000001"), noon.AddDate(0, 0, -1))
	})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody who wrote here, in English, and does not follow.
	d.exec(`INSERT INTO citizen (oa_id, citizen, language, created_at) VALUES ($1, 'lately000001', 'en', $2)`, testOA, noon.AddDate(0, -1, 0))
	d.exec(`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at) VALUES ($1, 'lately000001', $2, $2)`, testOA, noon.Add(-time.Hour))
	// Tags that were true at an earlier import.
	d.exec(`INSERT INTO citizen_tag (oa_id, citizen, tag, seen_at) VALUES ($1, 'lately000001', 'Hoa Lư', $2), ($1, 'lately000001', 'cũ', $2)`,
		testOA, noon.AddDate(0, -1, 0))

	got, err := im.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Imported{StartedAt: noon, Found: 223, Made: 251}, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
		t.Error(diff)
	}
	for sql, want := range map[string]int64{
		`SELECT count(*) FROM citizen`:                                                                           252,
		`SELECT count(*) FROM citizen WHERE following AND language = 'vi'`:                                       251,
		`SELECT count(*) FROM citizen WHERE citizen = 'erased000001'`:                                            0,
		`SELECT count(*) FROM conversation WHERE citizen = 'erased000001'`:                                       0,
		`SELECT count(*) FROM citizen WHERE citizen = 'lately000001' AND language = 'en' AND NOT following`:      1,
		`SELECT count(*) FROM conversation WHERE interacted_at = '2026-11-24 04:00Z'`:                            1,
		`SELECT count(*) FROM conversation WHERE citizen LIKE 'today%' AND interacted_at = '2026-11-23 17:00Z'`:  120,
		`SELECT count(*) FROM conversation WHERE citizen LIKE 'lately%' AND interacted_at = '2026-11-20 17:00Z'`: 59,
		`SELECT count(*) FROM conversation WHERE citizen LIKE 'never%'`:                                          0,
		`SELECT count(*) FROM conversation WHERE turned_at <> interacted_at`:                                     0,
		`SELECT count(*) FROM citizen_tag WHERE tag = 'Hoa Lư'`:                                                  160,
		`SELECT count(*) FROM citizen_tag WHERE tag = 'cán bộ'`:                                                  70,
		`SELECT count(*) FROM citizen_tag WHERE citizen = 'lately000001'`:                                        0,
		`SELECT count(*) FROM follower_import WHERE finished_at IS NOT NULL AND missed = 0`:                      1,
	} {
		if n := d.int(sql); n != want {
			t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
	// A day is told as its first moment in Viet Nam, never a later one.
	if first := daysAgo(0).Add(-7 * time.Hour); !first.Equal(time.Date(2026, 11, 24, 0, 0, 0, 0, unit.Zone)) {
		t.Error(first)
	}
	again, err := im.Run(t.Context())
	if err != nil || again.Made != 0 || again.Found != 223 || d.int(`SELECT count(*) FROM citizen`) != 252 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// Broken off at any call, it goes on and asks for nothing twice that it has kept.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	whole := newTown(t)
	fill := func(w *town) {
		for i := range 6 {
			w.settle(70, fmt.Sprint("d", i, "-"), daysAgo(i*i*20), "Hoa Lư")
		}
	}
	fill(whole)
	im := d.importer(whole)
	if _, err := im.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := whole.asked
	broken := newDesk(t)
	w := newTown(t)
	fill(w)
	im = broken.importer(w)
	tries, last := 0, 0
	for {
		tries++
		w.stop = w.asked + 16
		got, err := im.Run(t.Context())
		if err == nil {
			if got.Found != 420 || got.Made != 420 {
				t.Errorf("imported %+v", got)
			}
			break
		}
		if !errors.Is(err, errTownAway) || tries > 100 {
			t.Fatal(err, tries)
		}
		if n := int(broken.int(`SELECT count(*) FROM follower_import_slice`)); n < last {
			t.Fatalf("%d slices done, %d before", n, last)
		} else {
			last = n
		}
	}
	if w.asked > 6*calls || tries < 5 {
		t.Errorf("%d calls in %d tries, %d without a break", w.asked, tries, calls)
	}
}

// A list longer than Zalo lets be read is cut by days, a day by tags, and what is
// beyond is counted.
func TestImportOfMany(t *testing.T) {
	t.Parallel()
	d, w := newDesk(t), newTown(t)
	w.settle(6_000, "a", daysAgo(1), "Hoa Lư")
	w.settle(6_000, "b", daysAgo(2), "Hoa Lư")
	w.settle(10_100, "c", daysAgo(9))
	w.settle(300, "d", daysAgo(9), "cán bộ")
	w.settle(200, "e", daysAgo(9))
	got, err := d.importer(w).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Of the ninth day 10,000 are read, and 300 by their tag.
	if got.Found != 22_300 || got.Made != 22_300 || got.Missed != 300 {
		t.Errorf("imported %+v", got)
	}
	if n := d.int(`SELECT count(*) FROM citizen_tag WHERE tag = 'Hoa Lư'`); n != 12_000 {
		t.Errorf("%d bear the tag", n)
	}
	if w.asked > 2_000 {
		t.Errorf("%d calls", w.asked)
	}
}

// Who interacts while a list is read leaves it; nobody behind them is overlooked.
func TestImportWhilePeopleMove(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for call := range 8 {
		w := newTown(t)
		d.exec(`DELETE FROM citizen`)
		d.exec(`DELETE FROM follower_import`)
		w.settle(170, "a", daysAgo(1))
		w.move[call+1] = 20
		im := d.importer(w)
		im.Since = noon.AddDate(0, 0, -3)
		if _, err := im.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := d.int(`SELECT count(*) FROM citizen`); n != 170 {
			t.Errorf("moved before call %d: %d known", call+1, n)
		}
	}
}
