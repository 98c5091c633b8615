package dossier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	code    = dossier.Code("H42.16-240612-0001")
	nowhere = dossier.Code("H42.16-240612-9999")
	bare    = dossier.Code("H42.16-240612-0013") // no number on it
)

var (
	anna = bot.CitizenID{OA: "1", User: "100"}
	ben  = bot.CitizenID{OA: "1", User: "200"}
)

// system is a procedure system that a test holds in its hand.
type system struct {
	mu    sync.Mutex
	held  map[dossier.Code][]dossier.Record
	down  error
	finds int
	block chan struct{} // if set, Find waits for it
	began chan struct{} // if set, told of each Find
	fees  []dossier.Fee // beside a fee that nobody has to pay
}

func (s *system) Find(ctx context.Context, c dossier.Code) ([]dossier.Record, error) {
	s.mu.Lock()
	s.finds++
	found, down, block, began := slices.Clone(s.held[c]), s.down, s.block, s.began
	s.mu.Unlock()
	if began != nil {
		began <- struct{}{}
	}
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, &dossier.Unavailable{Err: ctx.Err()}
		}
	}
	if down != nil {
		return nil, &dossier.Unavailable{Err: down, RetryAfter: 7 * time.Second}
	}
	if len(found) == 0 {
		return nil, dossier.ErrNotFound
	}
	return found, nil
}

func (s *system) Detail(ctx context.Context, id string) (dossier.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return dossier.Record{}, &dossier.Unavailable{Err: s.down}
	}
	for _, records := range s.held {
		for _, r := range records {
			if r.ID == id {
				r.Steps = []dossier.Step{{Name: "Thẩm định", Comment: "Bổ sung trích lục"}}
				return r, nil
			}
		}
	}
	return dossier.Record{}, dossier.ErrNotFound
}

func (s *system) Fees(ctx context.Context, id string) ([]dossier.Fee, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, &dossier.Unavailable{Err: s.down}
	}
	return append([]dossier.Fee{{Name: "Lệ phí", Amount: 8000}}, s.fees...), nil
}

func (s *system) set(change func(*system)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bench is everything a test needs.
type bench struct {
	*dossier.Service
	t      *testing.T
	pool   *pgxpool.Pool
	clock  *clock
	system *system
	events int
}

func start(t *testing.T, change ...func(*dossier.Options)) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{
		t: t, pool: pgtest.New(t), clock: &clock{t: time.Date(2024, 6, 14, 9, 30, 0, 0, time.UTC)}, // 16:30 in Vietnam
		system: &system{held: map[dossier.Code][]dossier.Record{
			code: {record("a1", code, "0001", "0042")}, bare: {record("b1", bare)},
		}},
	}
	b.Service = b.instance(change...)
	return b
}

// instance makes one more service on the same database.
func (b *bench) instance(change ...func(*dossier.Options)) *dossier.Service {
	o := dossier.Options{
		Pool: b.pool, Ring: seal.ForTest(), Source: b.system, Now: b.clock.now, Private: []string{"1.004873"},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	return dossier.New(o)
}

func record(id string, c dossier.Code, factors ...string) dossier.Record {
	return dossier.Record{
		ID: id, Owner: "NGUYỄN THỊ MẪU", Factors: factors, Officer: "Trần Văn Thử",
		Public: dossier.Public{
			Code: c, Status: dossier.StatusProcessing, StatusName: "Đang xử lý", ProcedureCode: "1.004873",
			ProcedureName: "Xác nhận tình trạng hôn nhân", AgencyName: "UBND phường Mẫu",
			ReceivedAt: time.Date(2024, 6, 12, 1, 30, 0, 0, time.UTC), DueAt: time.Date(2024, 6, 17, 10, 0, 0, 0, time.UTC),
		},
	}
}

// event returns the identity of a new event.
func (b *bench) event() string {
	b.events++
	return fmt.Sprint("user_send:", b.events)
}

func (b *bench) apply(who bot.CitizenID, event string, effects ...bot.Effect) {
	b.t.Helper()
	var applied []bot.Applied
	for _, e := range effects {
		applied = append(applied, bot.Applied{Citizen: who, EventID: event, At: b.clock.now(), Effect: e})
	}
	b.applyAll(applied)
}

func (b *bench) applyAll(applied []bot.Applied) {
	b.t.Helper()
	err := pgx.BeginFunc(b.t.Context(), b.pool, func(tx pgx.Tx) error { return b.Store().Apply(b.t.Context(), tx, applied) })
	if err != nil {
		b.t.Fatalf("apply: %v", err)
	}
}

func (b *bench) guess(who bot.CitizenID, c dossier.Code, digits string) error {
	_, err := b.Prove(b.t.Context(), who, b.event(), c, digits)
	return err
}

func (b *bench) view(who bot.CitizenID) dossier.View {
	b.t.Helper()
	v, err := b.Lookup(b.t.Context(), who, b.event(), code)
	if err != nil {
		b.t.Fatalf("look up: %v", err)
	}
	return v
}

// prove proves and grants, as a flow's turn does.
func (b *bench) prove(who bot.CitizenID) {
	b.t.Helper()
	event := b.event()
	if _, err := b.Prove(b.t.Context(), who, event, code, "0001"); err != nil {
		b.t.Fatalf("prove: %v", err)
	}
	b.apply(who, event, dossier.GrantProof{Code: code})
}

// says compares an error with one of this package, fields included.
func (b *bench) says(what string, got, want error) {
	b.t.Helper()
	if fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
		b.t.Errorf("%s: %T %v, want %T %v", what, got, got, want, want)
	}
}

func TestKeepingAndDropping(t *testing.T) {
	b := start(t)
	if b.view(anna).Kept {
		t.Error("kept before it was kept")
	}
	b.apply(anna, "e", dossier.Keep{Code: code}, dossier.Keep{Code: bare})
	b.apply(anna, "e", dossier.Keep{Code: code}) // repeated
	if !b.view(anna).Kept || b.view(ben).Kept {
		t.Error("kept by the wrong citizen")
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := b.Kept(t.Context(), anna)
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %+v, %v; want two", kept, err)
	}
	for _, k := range kept {
		if k.Code == code && (k.Last == nil || k.Last.Status != dossier.StatusProcessing || !k.Last.Private || !k.Last.Stale) {
			t.Errorf("last known state: %+v", k.Last)
		}
		if k.Code == bare && k.Last != nil {
			t.Errorf("a state nobody has seen: %+v", k.Last)
		}
	}
	b.apply(anna, "e", dossier.Drop{Code: code})
	if n, _, err := b.Store().Summary(t.Context(), anna); err != nil || n != 1 {
		t.Errorf("%d kept, %v; want 1", n, err)
	}
	b.apply(anna, "e", dossier.Keep{Code: code}, dossier.DropAll{}, dossier.Keep{Code: nowhere})
	if kept, _ := b.Kept(t.Context(), anna); len(kept) != 1 || kept[0].Code != nowhere {
		t.Errorf("kept %+v; want what was kept after everything was dropped", kept)
	}
}

func TestApplyTakesManyCitizensAtOnce(t *testing.T) {
	b := start(t)
	var applied []bot.Applied
	for i := range 300 {
		who := bot.CitizenID{OA: "1", User: fmt.Sprint(i)}
		applied = append(applied,
			bot.Applied{Citizen: who, EventID: "e", At: b.clock.now(), Effect: dossier.Keep{Code: code}},
			bot.Applied{Citizen: who, EventID: "e", At: b.clock.now(), Effect: dossier.AskCallback{Code: code}})
	}
	b.applyAll(applied)
	for i := range 300 {
		kept, promised, err := b.Store().Summary(t.Context(), bot.CitizenID{OA: "1", User: fmt.Sprint(i)})
		if err != nil || kept != 1 || promised != 1 {
			t.Fatalf("citizen %d: %d kept, %d promised, %v", i, kept, promised, err)
		}
	}
}

type foreign struct{}

func (foreign) Feature() string { return "other" }

func TestApplyRefusesForeignEffects(t *testing.T) {
	b := start(t)
	err := pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		return b.Store().Apply(t.Context(), tx, []bot.Applied{{Citizen: anna, Effect: foreign{}}})
	})
	if err == nil {
		t.Error("took an effect of another feature")
	}
}

func TestErasureLeavesHashesOnly(t *testing.T) {
	b := start(t)
	b.prove(anna)
	_ = b.guess(anna, code, "9999")
	b.apply(anna, "e", dossier.Keep{Code: code}, dossier.AskCallback{Code: code})
	b.apply(ben, "e", dossier.Keep{Code: code})
	err := pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error { return b.Store().EraseCitizen(t.Context(), tx, anna) })
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"dossier_kept": 1, "dossier_proof": 0, "dossier_callback": 0, "dossier_guess": 2} {
		var n int
		if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d rows, %v; want %d", table, n, err, want)
		}
	}
	// The count against them goes on where it stood.
	b.says("after erasure", b.guess(anna, code, "9998"), &dossier.Wrong{Left: 3})
}

func TestNothingPersonalRestsInTheClear(t *testing.T) {
	b := start(t)
	b.prove(anna)
	_ = b.guess(anna, code, "7654")
	_, _ = b.Lookup(t.Context(), anna, b.event(), nowhere)
	b.apply(anna, "e", dossier.Follow{Code: code}, dossier.AskCallback{Code: code})
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &watching{bench: b, recorder: &recorder{keys: map[string]bool{}}, list: &list{none: true},
		values: func() setting.Values { return setting.Values{} }}
	w.Watch = w.another(b.Service)
	w.look(10 * time.Second)
	for _, table := range []string{
		"dossier_kept", "dossier_proof", "dossier_guess", "dossier_miss", "dossier_known", "dossier_callback", "dossier_watch",
	} {
		rows, err := b.pool.Query(t.Context(), `SELECT encode(convert_to(t::text, 'UTF8'), 'escape') || coalesce(encode(row_to_json(t)::text::bytea, 'escape'), '') FROM `+table+` t`)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(all) == 0 {
			t.Fatalf("%s: %d rows, %v", table, len(all), err)
		}
		for _, row := range all {
			// bytea is printed in hex: look for the bytes of the code, too.
			for _, secret := range []string{"H42", "NGUY", "7654", fmt.Sprintf("%x", "H42.16"), fmt.Sprintf("%x", "status")} {
				if strings.Contains(row, secret) {
					t.Errorf("%s holds %q in the clear: %s", table, secret, row)
				}
			}
		}
	}
}

func TestPurge(t *testing.T) {
	b := start(t)
	b.prove(anna)
	_, _ = b.Lookup(t.Context(), anna, b.event(), nowhere)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Store().Purge(t.Context(), b.clock.now()); err != nil || n != 0 {
		t.Errorf("purged %d, %v; want none yet", n, err)
	}
	for _, step := range []struct {
		after time.Duration
		want  int64
	}{{2 * time.Hour, 2}, {48 * time.Hour, 1}, {91 * 24 * time.Hour, 1}} { // miss and proof; guess; known
		if n, err := b.Store().Purge(t.Context(), b.clock.now().Add(step.after)); err != nil || n != step.want {
			t.Errorf("after %s: purged %d, %v; want %d", step.after, n, err, step.want)
		}
	}
}

func is[T error](err error) bool {
	var want T
	return errors.As(err, &want)
}
