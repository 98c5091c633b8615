package notice_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/notice"
	"congdanso/integrations/postgres/pgtest"
)

const oa = "3612345678901234567"

var at = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func person(n int) bot.CitizenID {
	return bot.CitizenID{OA: oa, User: fmt.Sprintf("251234567890123456%d", n)}
}

// apply applies effects as a shared commit would, a minute apart.
func apply(ctx context.Context, pool *pgxpool.Pool, s *notice.Store, list ...bot.Applied) error {
	for i := range list {
		list[i].At = at.Add(time.Duration(i) * time.Minute)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return s.Apply(ctx, tx, list) })
}

func does(n int, effects ...bot.Effect) (list []bot.Applied) {
	for _, e := range effects {
		list = append(list, bot.Applied{Citizen: person(n), Effect: e})
	}
	return list
}

func TestWhatPeopleAskedFor(t *testing.T) {
	pool := pgtest.New(t)
	s := notice.NewStore(pool)
	for name, c := range map[string]struct {
		effects []bot.Effect
		topics  []string
		areas   []string
	}{
		"nothing":        {nil, nil, nil},
		"two topics":     {[]bot.Effect{notice.Subscribe{Topic: "weather"}, notice.Subscribe{Topic: "power"}}, []string{"weather", "power"}, nil},
		"twice":          {[]bot.Effect{notice.Subscribe{Topic: "weather"}, notice.Subscribe{Topic: "weather"}}, []string{"weather"}, nil},
		"ended":          {[]bot.Effect{notice.Subscribe{Topic: "weather"}, notice.Unsubscribe{Topic: "weather"}}, nil, nil},
		"asked for anew": {[]bot.Effect{notice.Unsubscribe{Topic: "weather"}, notice.Subscribe{Topic: "weather"}}, []string{"weather"}, nil},
		"all ended":      {[]bot.Effect{notice.Subscribe{Topic: "weather"}, notice.AddArea{Code: "14329"}, notice.UnsubscribeAll{}}, nil, []string{"14329"}},
		"one after all":  {[]bot.Effect{notice.Subscribe{Topic: "weather"}, notice.UnsubscribeAll{}, notice.Subscribe{Topic: "power"}}, []string{"power"}, nil},
		"places":         {[]bot.Effect{notice.AddArea{Code: "2"}, notice.AddArea{Code: "1"}, notice.AddArea{Code: "3"}, notice.RemoveArea{Code: "2"}}, nil, []string{"1", "3"}},
		"no place":       {[]bot.Effect{notice.AddArea{Code: "2"}, notice.ClearAreas{}}, nil, nil},
		"what is not there": {[]bot.Effect{notice.Unsubscribe{Topic: "x"}, notice.UnsubscribeAll{}, notice.RemoveArea{Code: "x"},
			notice.ClearAreas{}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return s.EraseCitizen(t.Context(), tx, person(1)) }); err != nil {
				t.Fatal(err)
			}
			// In one commit, and turn by turn: the same comes out.
			for _, together := range []bool{true, false} {
				list := does(1, c.effects...)
				if together {
					if err := apply(t.Context(), pool, s, list...); err != nil {
						t.Fatal(err)
					}
				} else {
					for _, one := range list {
						if err := apply(t.Context(), pool, s, one); err != nil {
							t.Fatal(err)
						}
					}
				}
				o, err := s.Overview(t.Context(), person(1))
				if err != nil {
					t.Fatal(err)
				}
				var topics []string
				for _, sub := range o.Topics {
					topics = append(topics, sub.Topic)
					if !o.Has(sub.Topic) || sub.Since.IsZero() {
						t.Errorf("%s since %v, has %v", sub.Topic, sub.Since, o.Has(sub.Topic))
					}
				}
				slices.Sort(topics)
				want := slices.Sorted(slices.Values(c.topics))
				if !slices.Equal(topics, want) {
					t.Errorf("together %v: topics %v, want %v", together, topics, want)
				}
				if !slices.Equal(o.Areas, c.areas) {
					t.Errorf("together %v: areas %v, want %v", together, o.Areas, c.areas)
				}
			}
		})
	}
}

func TestOthersAreLeftAlone(t *testing.T) {
	pool := pgtest.New(t)
	s := notice.NewStore(pool)
	all := slices.Concat(
		does(1, notice.Subscribe{Topic: "weather"}, notice.AddArea{Code: "1"}),
		does(2, notice.Subscribe{Topic: "weather"}, notice.AddArea{Code: "1"}),
		does(1, notice.UnsubscribeAll{}, notice.ClearAreas{}),
		does(3, notice.Subscribe{Topic: "power"}))
	if err := apply(t.Context(), pool, s, all...); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]notice.Overview{
		1: {},
		2: {Topics: []notice.Subscription{{Topic: "weather", Since: at.Add(2 * time.Minute)}}, Areas: []string{"1"}},
		3: {Topics: []notice.Subscription{{Topic: "power", Since: at.Add(6 * time.Minute)}}},
	} {
		got, err := s.Overview(t.Context(), person(n))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Topics {
			got.Topics[i].Since = got.Topics[i].Since.UTC()
		}
		if len(got.Areas) == 0 {
			got.Areas = nil
		}
		if len(got.Topics) == 0 {
			got.Topics = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("person %d (-want +got):\n%s", n, diff)
		}
	}
	erase := func(tx pgx.Tx) error { return s.EraseCitizen(t.Context(), tx, person(2)) }
	if err := pgx.BeginFunc(t.Context(), pool, erase); err != nil {
		t.Fatal(err)
	}
	if o, err := s.Overview(t.Context(), person(2)); err != nil || len(o.Topics)+len(o.Areas) > 0 {
		t.Errorf("after erasure: %+v, %v", o, err)
	}
	if o, err := s.Overview(t.Context(), person(3)); err != nil || !o.Has("power") || o.Has("weather") {
		t.Errorf("somebody else's erasure: %+v, %v", o, err)
	}
}

func TestForeignEffectsAreRefused(t *testing.T) {
	pool := pgtest.New(t)
	if err := apply(t.Context(), pool, notice.NewStore(pool), does(1, citizen.WithdrawAll{})...); err == nil {
		t.Error("applied")
	}
	if err := apply(t.Context(), pool, notice.NewStore(pool)); err != nil {
		t.Errorf("nothing to apply: %v", err)
	}
}

// Whatever order effects come in and however they share commits, the last word
// of each person counts.
func TestTheLastWordCounts(t *testing.T) {
	pool := pgtest.New(t)
	s := notice.NewStore(pool)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := pool.Exec(t.Context(), `TRUNCATE notice_subscription, notice_area`); err != nil {
			rt.Fatal(err)
		}
		want := map[string]bool{}
		var commit []bot.Applied
		flush := func() {
			if err := apply(t.Context(), pool, s, commit...); err != nil {
				rt.Fatal(err)
			}
			commit = nil
		}
		for range rapid.IntRange(1, 12).Draw(rt, "effects") {
			n := rapid.IntRange(1, 2).Draw(rt, "person")
			topic := rapid.SampledFrom([]string{"weather", "power"}).Draw(rt, "topic")
			key := fmt.Sprint(n, topic)
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0, 1:
				commit = append(commit, does(n, notice.Subscribe{Topic: topic})...)
				want[key] = true
			case 2:
				commit = append(commit, does(n, notice.Unsubscribe{Topic: topic})...)
				delete(want, key)
			case 3:
				commit = append(commit, does(n, notice.UnsubscribeAll{})...)
				delete(want, fmt.Sprint(n, "weather"))
				delete(want, fmt.Sprint(n, "power"))
			}
			if rapid.Bool().Draw(rt, "commit") {
				flush()
			}
		}
		flush()
		got := map[string]bool{}
		for n := 1; n <= 2; n++ {
			o, err := s.Overview(t.Context(), person(n))
			if err != nil {
				rt.Fatal(err)
			}
			for _, sub := range o.Topics {
				got[fmt.Sprint(n, sub.Topic)] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
