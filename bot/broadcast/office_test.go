package broadcast_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/bot/unit"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
)

const oa = "3612345678901234567"

// morning is a Tuesday, 09:00 where people live.
var morning = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// Staff of the office: an and em write, binh and chi approve, dung does both, la
// works elsewhere.
var (
	an, em    = staff.Actor{ID: "an"}, staff.Actor{ID: "em"}
	binh, chi = staff.Actor{ID: "binh"}, staff.Actor{ID: "chi"}
	dung      = staff.Actor{ID: "dung"}
	la        = staff.Actor{ID: "la"}
	operator  = staff.Operator("root")
)

// office is a place where broadcasts are made, with a database of its own.
type office struct {
	*broadcast.Store
	t    testing.TB
	pool *pgxpool.Pool

	mu     sync.Mutex
	alarms []string
}

// library and communes are read once for all offices.
var (
	library  = sync.OnceValues(func() (*content.Library, error) { return content.Load(content.Files(""), push.Local) })
	communes = sync.OnceValues(func() (*unit.Units, error) { return unit.Load(content.Files("")) })
)

func newOffice(t testing.TB) *office {
	t.Helper()
	pool := pgtest.New(t)
	texts, err := library()
	if err != nil {
		t.Fatal(err)
	}
	units, err := communes()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, pool: pool}
	keys := seal.ForTest()
	o.Store = broadcast.NewStore(broadcast.Options{
		Pool: pool, Keys: keys, Push: push.NewStore(pool, keys), Texts: texts,
		Staff:  staff.NewStore(pool, keys, func() time.Time { return morning }),
		Units:  units,
		Values: func() setting.Values { return setting.Values{} },
		Alarm: func(key string, _ ...any) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.alarms = append(o.alarms, key)
		},
	})
	o.exec(`
INSERT INTO agency (id, name_vi, name_en, level) VALUES ('tinh', 'Tỉnh', 'Province', 'province')`)
	o.exec(`
INSERT INTO agency (id, name_vi, name_en, level, superior) VALUES
    ('so', 'Sở Mẫu', 'Department', 'department', 'tinh'), ('xa', 'Xã Mẫu', 'Commune', 'commune', 'tinh')`)
	o.exec(`
INSERT INTO staff (id, agency, name, mail, mail_hash, created_at)
SELECT s, 'so', '', '', s::bytea, now() FROM unnest('{an,em,binh,chi,dung,la}'::text[]) s`)
	o.exec(`
INSERT INTO staff_role (staff, role, agency, granted_by, granted_at) VALUES
    ('an', 'editor', 'so', 'x', now()), ('em', 'editor', 'tinh', 'x', now()),
    ('binh', 'approver', 'so', 'x', now()), ('chi', 'approver', 'tinh', 'x', now()),
    ('dung', 'editor', 'so', 'x', now()), ('dung', 'approver', 'so', 'x', now()),
    ('la', 'editor', 'xa', 'x', now()), ('la', 'approver', 'xa', 'x', now())`)
	return o
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.pool.Exec(context.Background(), sql, args...); err != nil {
		o.t.Fatalf("%s: %v", sql, err)
	}
}

func (o *office) int(sql string, args ...any) (n int64) {
	o.t.Helper()
	if err := o.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		o.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// people makes n citizens who agreed to hear of health and wrote an hour ago.
func (o *office) people(n int) {
	o.t.Helper()
	o.exec(`
INSERT INTO citizen (oa_id, citizen, following, created_at)
SELECT $1, 'c' || lpad(i::text, 7, '0'), true, $3::timestamptz - interval '1 year' FROM generate_series(1, $2) i`, oa, n, morning)
	o.exec(`
INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at)
SELECT oa_id, citizen, $1::timestamptz - interval '1 hour', $1::timestamptz - interval '1 hour' FROM citizen`, morning)
	o.exec(`
INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at)
SELECT oa_id, citizen, 'topic.health', 'v1', 'zalo', $1::timestamptz - interval '1 day' FROM citizen`, morning)
}

// sample is a definition that can go out.
func sample() broadcast.Definition {
	return broadcast.Definition{
		Title: "Tiêm vắc xin", Kind: broadcast.Personal, Purpose: "health", Agency: "so",
		Body: broadcast.Body{
			Vi:     broadcast.Text{Issuer: "Sở Y tế tỉnh Mẫu", Title: "Tiêm vắc xin", Lines: []string{"Mời đưa trẻ đi tiêm tại trạm y tế."}},
			Source: broadcast.Source{Number: "12/TB-SYT", Date: morning.AddDate(0, 0, -3)}, Contact: "02290000000",
		},
		Schedule:     broadcast.Schedule{LatestStart: time.Hour},
		ExpiresAfter: 24 * time.Hour,
	}
}

// urgent is one that two approve.
func urgent() broadcast.Definition {
	d := sample()
	d.Purpose, d.LegalBasis, d.Urgent = broadcast.PurposeDisaster, "Luật Phòng, chống thiên tai", true
	return d
}

func (o *office) get(id int64) broadcast.Broadcast {
	o.t.Helper()
	b, err := o.Get(context.Background(), id)
	o.must(err)
	return b
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) draft(d broadcast.Definition) int64 {
	o.t.Helper()
	id, err := o.Create(context.Background(), an, oa, d, morning)
	o.must(err)
	return id
}

func (o *office) submitted(d broadcast.Definition) int64 {
	o.t.Helper()
	id := o.draft(d)
	o.must(o.Submit(context.Background(), an, id, o.get(id).Version, morning))
	return id
}

// seen is what an approver sees of it.
func (o *office) seen(id int64, now time.Time) broadcast.Seen {
	o.t.Helper()
	p, err := o.Plan(context.Background(), o.get(id), now, 100)
	o.must(err)
	return broadcast.Seen{Hash: p.Hash, Recipients: p.Recipients, Cost: p.Cost, Basis: true}
}

func (o *office) approved(d broadcast.Definition) int64 {
	o.t.Helper()
	id := o.submitted(d)
	o.must(o.Approve(context.Background(), binh, id, o.seen(id, morning), morning))
	if d.Urgent {
		o.must(o.Approve(context.Background(), chi, id, o.seen(id, morning), morning))
	}
	return id
}

func (o *office) running(d broadcast.Definition) (id, run int64) {
	o.t.Helper()
	id = o.approved(d)
	o.tick(morning)
	return id, o.lastRun(id).ID
}

func (o *office) tick(now time.Time) {
	o.t.Helper()
	o.must(o.Tick(context.Background(), now))
}

func (o *office) lastRun(id int64) broadcast.Run {
	o.t.Helper()
	runs, err := o.RunsOf(context.Background(), id, 1)
	o.must(err)
	if len(runs) == 0 {
		o.t.Fatalf("broadcast %d has no run", id)
	}
	return runs[0]
}

// wants fails unless the broadcast and its last run stand so.
func (o *office) wants(id int64, state broadcast.State, run broadcast.RunState) {
	o.t.Helper()
	if got := o.get(id).State; got != state {
		o.t.Fatalf("broadcast is %s, want %s", got, state)
	}
	if run == "" {
		if n := o.int(`SELECT count(*) FROM broadcast_run WHERE broadcast = $1`, id); n != 0 {
			o.t.Fatalf("it has %d runs, want none", n)
		}
		return
	}
	if got := o.lastRun(id).State; got != run {
		o.t.Fatalf("its run is %s (%s), want %s", got, o.lastRun(id).Cause, run)
	}
}

func (o *office) alarmed(key string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.alarms, key) {
		o.t.Errorf("alarms = %v, want %s among them", o.alarms, key)
	}
}

// refused fails unless err refuses for that reason, in words.
func (o *office) refused(err error, why string) {
	o.t.Helper()
	var r *broadcast.Refused
	if !errors.As(err, &r) || r.Why != why {
		o.t.Fatalf("error = %v, want it refused for %q", err, why)
	}
	for _, lang := range content.Languages {
		words := r.Text(o.Texts, lang)
		if words == "broadcast.refused."+why || words == "" {
			o.t.Errorf("no words in %s for %q", lang, why)
		}
	}
}

func forbidden(err error) bool {
	var f *staff.Forbidden
	return errors.As(err, &f)
}
