package push

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

// TestBooksAlwaysBalance does whatever can be done to pushes, in any order, and
// counts after each step: the books of every run and of the notices equal their
// rows, and whoever is said to have something waiting has as much.
func TestBooksAlwaysBalance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rapid.Check(t, func(rt *rapid.T) {
		r.exec(`TRUNCATE push, push_tally, push_person, push_budget, push_rung, outbox, citizen, conversation`)
		const people = 5
		r.people(0, people, time.Hour)
		ctx := context.Background()
		var runs []int64
		key := 0
		anybody := rapid.IntRange(0, people-1)
		tx := func(do func(tx pgx.Tx) error) {
			if err := pgx.BeginFunc(ctx, r.pool, do); err != nil {
				rt.Fatal(err)
			}
		}
		// some draws pushes in one of the given states.
		some := func(states ...string) []ref {
			rows, err := r.pool.Query(ctx, `SELECT oa_id, citizen, source, kind, class FROM push
				WHERE state = ANY ($1) AND citizen NOT LIKE 'erased:%' ORDER BY citizen, source`, states)
			if err != nil {
				rt.Fatal(err)
			}
			all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ref])
			if err != nil {
				rt.Fatal(err)
			}
			var chosen []ref
			for _, p := range all {
				if rapid.Bool().Draw(rt, "this one") {
					chosen = append(chosen, p)
				}
			}
			return chosen
		}
		rt.Repeat(map[string]func(*rapid.T){
			"tell": func(*rapid.T) {
				n := notice(anybody.Draw(rt, "who"), fmt.Sprint(key), "x")
				key += rapid.IntRange(0, 1).Draw(rt, "fresh")
				n.About = rapid.SampledFrom([]string{"", "A", "B"}).Draw(rt, "about")
				tx(func(tx pgx.Tx) error { return r.store.Add(ctx, tx, []Told{n}, r.now()) })
			},
			"run": func(*rapid.T) {
				tx(func(tx pgx.Tx) error {
					id, err := r.store.NewSource(ctx, tx)
					if err != nil {
						return err
					}
					runs = append(runs, id)
					_, _, err = r.store.Freeze(ctx, tx, Run{ID: id, OA: testOA, Class: Broadcast, ExpiresAt: r.now().Add(time.Hour)}, r.now(), `
SELECT oa_id, citizen, CASE WHEN citizen LIKE '%3' THEN 'no_consent' END AS skip FROM citizen WHERE oa_id = $1`, testOA)
					return err
				})
			},
			"hand over": func(*rapid.T) {
				var sends []sending
				for _, p := range some("pending") {
					c := &candidate{who: bot.CitizenID{OA: p.OA, User: p.User}, source: p.Source, class: Class(p.Class)}
					rung := rapid.SampledFrom(ladder).Draw(rt, "rung")
					sends = append(sends, sending{who: c.who, pushes: []*candidate{c}, rung: rung, cost: 55})
				}
				tx(func(tx pgx.Tx) error {
					_, err := r.store.queue(ctx, tx, sends[:min(1, len(sends))], r.now())
					return err
				})
			},
			"put off": func(*rapid.T) {
				var list []ending
				for _, p := range some("pending") {
					d := decision{way: rapid.SampledFrom([]way{later, hold, skip}).Draw(rt, "way"), reason: "x", due: r.now()}
					list = append(list, ending{&candidate{who: bot.CitizenID{OA: p.OA, User: p.User}, source: p.Source}, d})
				}
				if err := r.store.put(ctx, list, r.now()); err != nil {
					rt.Fatal(err)
				}
			},
			"settle": func(*rapid.T) {
				var list []delivery.Settled
				for _, p := range some("queued", "unknown", "sent", "pending", "skipped") { // late words come too
					list = append(list, delivery.Settled{
						To: bot.CitizenID{OA: p.OA, User: p.User}, Refs: []int64{p.Source}, At: r.now(), Rung: string(rapid.SampledFrom(ladder).Draw(rt, "rung")),
						Outcome: rapid.SampledFrom([]string{delivery.Sent, delivery.Failed, delivery.Dropped, delivery.Unknown}).Draw(rt, "outcome"),
						Class:   rapid.SampledFrom([]delivery.Class{delivery.ClassDrop, delivery.ClassWindow, delivery.ClassQuota, delivery.ClassHuman}).Draw(rt, "class"),
					})
				}
				batch := &pgx.Batch{}
				if r.store.QueueSettled(batch, list); batch.Len() > 0 {
					if err := r.pool.SendBatch(ctx, batch).Close(); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"stop": func(*rapid.T) {
				who := anybody.Draw(rt, "who")
				tx(func(tx pgx.Tx) error {
					return r.store.Apply(ctx, tx, []bot.Applied{{Citizen: person(who), At: r.now(), Effect: Stop{}}})
				})
			},
			"read and drop": func(*rapid.T) {
				who := anybody.Draw(rt, "who")
				var sources []int64
				for _, p := range some("held") {
					sources = append(sources, p.Source)
				}
				tx(func(tx pgx.Tx) error {
					return r.store.Apply(ctx, tx, []bot.Applied{
						{Citizen: person(who), At: r.now(), Effect: Resume{}}, {Citizen: person(who), At: r.now(), Effect: Read{Sources: sources}},
						{Citizen: person(who), At: r.now(), Effect: Drop{About: "A"}}})
				})
			},
			"erase": func(*rapid.T) {
				who := anybody.Draw(rt, "who")
				tx(func(tx pgx.Tx) error { return r.store.EraseCitizen(ctx, tx, person(who)) })
			},
			"cancel or resend": func(*rapid.T) {
				if len(runs) == 0 {
					return
				}
				run := rapid.SampledFrom(runs).Draw(rt, "run")
				tx(func(tx pgx.Tx) error {
					if rapid.Bool().Draw(rt, "resend") {
						_, err := r.store.Resend(ctx, tx, run, nil, r.now(), r.now().Add(time.Hour))
						return err
					}
					_, err := r.store.Cancel(ctx, tx, run, ReasonCancelled, r.now())
					return err
				})
			},
			"sweep, fold, restore": func(*rapid.T) {
				if _, err := r.store.Sweep(ctx, r.now().Add(time.Duration(rapid.IntRange(0, 2).Draw(rt, "hours"))*time.Hour)); err != nil {
					rt.Fatal(err)
				}
				if rapid.Bool().Draw(rt, "restore") {
					if err := r.store.AfterRestore(ctx, r.now()); err != nil {
						rt.Fatal(err)
					}
				}
				if err := r.store.Fold(ctx); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(*rapid.T) { r.recount(rt) },
		})
	})
}

// ref names a push.
type ref struct {
	OA, User string
	Source   int64
	Kind     string
	Class    int16
}

// recount holds the books against the rows.
func (r *rig) recount(rt *rapid.T) {
	read := func(sql string) map[string]int64 {
		rows, err := r.pool.Query(context.Background(), sql)
		if err != nil {
			rt.Fatal(err)
		}
		counts := map[string]int64{}
		var what string
		var n int64
		if _, err := pgx.ForEachRow(rows, []any{&what, &n}, func() error { counts[what] = n; return nil }); err != nil {
			rt.Fatal(err)
		}
		return counts
	}
	want := read(`
SELECT concat_ws(' ', source, state, reason, rung), count(*) FROM (
    SELECT source, CASE WHEN open THEN 'pending' ELSE state END AS state, CASE WHEN open THEN '' ELSE coalesce(reason, '') END AS reason,
           CASE WHEN open THEN '' ELSE coalesce(rung, '') END AS rung
    FROM (SELECT *, state IN ('pending', 'queued') AS open FROM push WHERE kind = 'broadcast') p) q
GROUP BY 1`)
	got := read(`SELECT concat_ws(' ', source, state, reason, rung), sum(n)::bigint FROM push_tally WHERE source <> 0 GROUP BY 1 HAVING sum(n) <> 0`)
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("the books of runs (-rows +books):\n%s", diff)
	}
	costs := read(`SELECT source::text, sum(cost)::bigint FROM push WHERE kind = 'broadcast' AND state IN ('sent', 'unknown') GROUP BY 1 HAVING sum(cost) <> 0`)
	if diff := cmp.Diff(costs, read(`SELECT source::text, sum(cost)::bigint FROM push_tally WHERE source <> 0 GROUP BY 1 HAVING sum(cost) <> 0`)); diff != "" {
		rt.Fatalf("the costs of runs (-rows +books):\n%s", diff)
	}
	held := read(`SELECT citizen, count(*) FROM push WHERE state = 'held' GROUP BY 1`)
	if diff := cmp.Diff(held, read(`SELECT citizen, held::bigint FROM push_person WHERE held <> 0`)); diff != "" {
		rt.Fatalf("what waits of people (-rows +counted):\n%s", diff)
	}
	if bad := read(`SELECT citizen, 1::bigint FROM push WHERE state IN ('sent', 'skipped', 'failed') AND body IS NOT NULL`); len(bad) > 0 {
		rt.Fatalf("contents are kept of pushes that have ended: %v", bad)
	}
}
