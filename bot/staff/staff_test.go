package staff_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
	"congdanso/bot/staff"
	"congdanso/integrations/postgres/pgtest"
)

var (
	monday  = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	atShell = staff.Operator("root")
)

// The province over a department with an office, and over a commune.
var (
	province   = staff.Agency{ID: "province", NameVi: "UBND tỉnh Mẫu", NameEn: "Province", Level: staff.LevelProvince, Unit: "37"}
	department = staff.Agency{ID: "health", NameVi: "Sở Y tế", NameEn: "Health", Level: staff.LevelDepartment, Superior: "province"}
	office     = staff.Agency{ID: "health-office", NameVi: "Phòng Mẫu", NameEn: "Office", Level: staff.LevelDepartment, Superior: "health"}
	commune    = staff.Agency{ID: "mau", NameVi: "Phường Mẫu", NameEn: "Mẫu", Level: staff.LevelCommune, Unit: "14329", Superior: "province"}
)

// fixture is a province with two administrators, An and Bình.
type fixture struct {
	*staff.Store
	t        *testing.T
	pool     *pgxpool.Pool
	clock    *atomic.Pointer[time.Time]
	an, binh staff.Actor
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	f := fixture{t: t, pool: pgtest.New(t), clock: &atomic.Pointer[time.Time]{}}
	f.clock.Store(&monday)
	f.Store = staff.NewStore(f.pool, seal.ForTest(), func() time.Time { return *f.clock.Load() })
	id, err := f.Bootstrap(t.Context(), atShell, province, staff.Account{Name: "Trần Văn An", Mail: "an@mau.gov.vn"})
	f.must(err)
	f.an = staff.Actor{ID: id, IP: "10.0.0.1"}
	for _, a := range []staff.Agency{department, office, commune} {
		f.must(f.PutAgency(t.Context(), f.an, a))
	}
	f.binh = f.adds("Bình", "province")
	f.must(f.Grant(t.Context(), f.an, atShell, f.binh.ID, staff.Administrator, "province"))
	return f
}

func (f fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// adds opens an account.
func (f fixture) adds(name, agency string) staff.Actor {
	f.t.Helper()
	id, err := f.Add(f.t.Context(), f.an, staff.Account{Name: name, Mail: name + "@mau.gov.vn", Agency: agency})
	f.must(err)
	return staff.Actor{ID: id}
}

// with opens an account that has a role.
func (f fixture) with(name string, role staff.Role, agency string) staff.Actor {
	f.t.Helper()
	who := f.adds(name, agency)
	f.must(f.Grant(f.t.Context(), f.an, f.binh, who.ID, role, agency))
	return who
}

// may asks in a transaction of its own.
func (f fixture) may(who staff.Actor, role staff.Role, agency string) bool {
	f.t.Helper()
	err := pgx.BeginFunc(f.t.Context(), f.pool, func(tx pgx.Tx) error { return f.Require(f.t.Context(), tx, who, role, agency) })
	var forbidden *staff.Forbidden
	if err != nil && !errors.As(err, &forbidden) {
		f.t.Fatal(err)
	}
	if forbidden != nil && *forbidden != (staff.Forbidden{Role: role, Agency: agency}) {
		f.t.Errorf("refused with %v", forbidden)
	}
	return err == nil
}

func (f fixture) acts(object string) (list []string) {
	f.t.Helper()
	records, err := f.Entries(f.t.Context(), staff.Filter{Object: object}, staff.Page{Size: 100})
	f.must(err)
	for _, r := range records {
		list = append(list, r.Action+" by "+r.Actor)
	}
	return list
}

func TestRolesHoldInTheirAgencyAndBelow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	top := f.with("top", staff.Editor, "province")
	middle := f.with("middle", staff.Editor, "health")
	low := f.with("low", staff.Moderator, "mau")
	both := f.with("both", staff.Editor, "mau")
	f.must(f.Grant(t.Context(), f.an, f.binh, both.ID, staff.Approver, "health"))
	nobody := f.adds("nobody", "mau")
	for _, c := range []struct {
		who    staff.Actor
		role   staff.Role
		agency string
		want   bool
	}{
		{top, staff.Editor, "province", true},
		{top, staff.Editor, "health", true},
		{top, staff.Editor, "health-office", true},
		{top, staff.Editor, "mau", true},
		{top, staff.Viewer, "mau", true}, // whoever holds any role may look
		{top, staff.Approver, "province", false},
		{middle, staff.Editor, "province", false},
		{middle, staff.Viewer, "province", false},
		{middle, staff.Editor, "health", true},
		{middle, staff.Editor, "health-office", true},
		{middle, staff.Editor, "mau", false},
		{low, staff.Moderator, "mau", true},
		{low, staff.Editor, "mau", false},
		{low, staff.Moderator, "health", false},
		{both, staff.Editor, "mau", true},
		{both, staff.Approver, "mau", false}, // that role is for elsewhere
		{both, staff.Approver, "health-office", true},
		{both, staff.Editor, "health", false},
		{f.an, staff.Administrator, "mau", true},
		{f.an, staff.Approver, "mau", false},
		{nobody, staff.Viewer, "mau", false},
		{top, staff.Editor, "nowhere", false},
		{top, staff.Editor, "", false},
		{top, "king", "province", false},
		{staff.Actor{}, staff.Viewer, "province", false},
		{staff.Actor{ID: "unknown"}, staff.Viewer, "province", false},
		{atShell, staff.Viewer, "province", false},
	} {
		if got := f.may(c.who, c.role, c.agency); got != c.want {
			t.Errorf("%v as %s in %q: %v, want %v", c.who, c.role, c.agency, got, c.want)
		}
	}
	held, err := f.Holdings(t.Context(), both.ID)
	f.must(err)
	want := []staff.Holding{{Role: staff.Approver, Agency: "health", GrantedBy: f.an.ID, GrantedAt: monday},
		{Role: staff.Editor, Agency: "mau", GrantedBy: f.an.ID, GrantedAt: monday}}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Error(diff)
	}
}

func TestRoleWithdrawnAMinuteAgoIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	who := f.with("approver", staff.Approver, "health")
	if !f.may(who, staff.Approver, "health-office") {
		t.Fatal("a role given does not hold")
	}
	if err := f.Withdraw(t.Context(), f.an, who.ID, staff.Approver, "health-office"); !errors.Is(err, staff.ErrRoleNotHeld) {
		t.Errorf("withdrawn where it was not given: %v", err)
	}
	f.must(f.Withdraw(t.Context(), f.an, who.ID, staff.Approver, "health"))
	if f.may(who, staff.Approver, "health") || f.may(who, staff.Viewer, "health") {
		t.Error("a withdrawn role holds")
	}
	if err := f.Withdraw(t.Context(), f.an, who.ID, staff.Approver, "health"); !errors.Is(err, staff.ErrRoleNotHeld) {
		t.Errorf("withdrawn twice: %v", err)
	}
	f.must(f.Grant(t.Context(), f.an, f.binh, who.ID, staff.Approver, "health"))
	if !f.may(who, staff.Approver, "health") {
		t.Error("a role given again does not hold")
	}
	want := []string{"staff.grant by " + f.an.ID, "staff.withdraw by " + f.an.ID, "staff.grant by " + f.an.ID, "staff.add by " + f.an.ID}
	if diff := cmp.Diff(want, f.acts("staff:"+who.ID)); diff != "" {
		t.Error(diff)
	}
}

// A withdrawal that has begun counts for an act that begins beside it; an act that
// has begun is not undercut by a withdrawal that begins beside it.
func TestWithdrawalBesideAnAct(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	who := f.with("approver", staff.Approver, "health")
	ctx := t.Context()

	// The act first: the withdrawal waits for its end.
	act, err := f.pool.Begin(ctx)
	f.must(err)
	defer act.Rollback(ctx)
	f.must(f.Require(ctx, act, who, staff.Approver, "health"))
	withdrawn := make(chan error, 1)
	go func() { withdrawn <- f.Withdraw(ctx, f.an, who.ID, staff.Approver, "health") }()
	f.waiting("transactionid")
	select {
	case err := <-withdrawn:
		t.Fatalf("withdrawn under an act that rests on the role: %v", err)
	default:
	}
	f.must(f.Require(ctx, act, who, staff.Approver, "health"))
	f.must(act.Commit(ctx))
	f.must(<-withdrawn)
	f.must(f.Grant(ctx, f.an, f.binh, who.ID, staff.Approver, "health"))

	// The withdrawal first: the act waits for its end, and is refused.
	withdrawal, err := f.pool.Begin(ctx)
	f.must(err)
	defer withdrawal.Rollback(ctx)
	if _, err := withdrawal.Exec(ctx, `
UPDATE staff_role SET withdrawn_at = now() WHERE staff = $1 AND withdrawn_at IS NULL`, who.ID); err != nil {
		t.Fatal(err)
	}
	allowed := make(chan bool, 1)
	go func() { allowed <- f.may(who, staff.Approver, "health") }()
	f.waiting("transactionid")
	f.must(withdrawal.Commit(ctx))
	if <-allowed {
		t.Error("a role whose withdrawal had begun was enough")
	}
}

// waiting waits until somebody in this database waits for a lock of that kind.
func (f fixture) waiting(kind string) {
	f.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var n int
		err := f.pool.QueryRow(f.t.Context(), `
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = $1`, kind).Scan(&n)
		f.must(err)
		if n > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("nobody waits for a %s", kind)
		}
	}
}

func TestTwoAdministratorsGiveTheRolesThatCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	who := f.adds("Chi", "health")
	local := f.with("local", staff.Administrator, "health")
	elsewhere := f.with("elsewhere", staff.Administrator, "mau")
	locked := f.with("locked", staff.Administrator, "province")
	f.must(f.Lock(t.Context(), f.an, locked.ID))
	editor := f.with("editor", staff.Editor, "province")
	var forbidden *staff.Forbidden
	isForbidden := func(err error) bool { return errors.As(err, &forbidden) }
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for _, c := range []struct {
		what       string
		by, second staff.Actor
		role       staff.Role
		agency     string
		want       func(error) bool
	}{
		{"nobody agrees", f.an, staff.Actor{}, staff.Approver, "health", is(staff.ErrSecondNeeded)},
		{"one agrees with themselves", f.an, f.an, staff.Approver, "health", is(staff.ErrSecondNeeded)},
		{"an operator agrees though there are others", f.an, atShell, staff.Administrator, "health", is(staff.ErrSecondNeeded)},
		{"an editor agrees", f.an, editor, staff.Approver, "health", isForbidden},
		{"an administrator of elsewhere agrees", f.an, elsewhere, staff.Approver, "health", isForbidden},
		{"one whose account is locked agrees", f.an, locked, staff.Administrator, "health", isForbidden},
		{"an editor gives", editor, f.an, staff.Approver, "health", isForbidden},
		{"an operator gives", atShell, f.an, staff.Administrator, "health", isForbidden},
		{"an administrator of below gives", local, f.an, staff.Approver, "province", isForbidden},
		{"an administrator of elsewhere gives", elsewhere, f.an, staff.Editor, "health", isForbidden},
		{"no such role", f.an, f.binh, "king", "health", is(staff.ErrRole)},
		{"no such agency", f.an, f.binh, staff.Editor, "nowhere", isForbidden},
		{"two agree", local, f.binh, staff.Approver, "health", is(nil)},
		{"twice", local, f.binh, staff.Approver, "health", is(staff.ErrRoleHeld)},
		{"one is enough for an editor", local, staff.Actor{}, staff.Editor, "health", is(nil)},
	} {
		if err := f.Grant(t.Context(), c.by, c.second, who.ID, c.role, c.agency); !c.want(err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if err := f.Grant(t.Context(), f.an, f.binh, locked.ID, staff.Editor, "mau"); !errors.Is(err, staff.ErrNotActive) {
		t.Errorf("a role for a locked account: %v", err)
	}
	if err := f.Grant(t.Context(), f.an, f.binh, "unknown", staff.Editor, "mau"); !errors.Is(err, staff.ErrNotFound) {
		t.Errorf("a role for nobody: %v", err)
	}
	records, err := f.Entries(t.Context(), staff.Filter{Object: "staff:" + who.ID, Action: "staff.grant"}, staff.Page{Size: 10})
	f.must(err)
	var details []string
	for _, r := range records {
		details = append(details, r.Actor+" "+r.Detail)
	}
	want := []string{local.ID + ` {"role": "editor"}`, local.ID + ` {"role": "approver", "second": "` + f.binh.ID + `"}`}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("only what was done is audited: %s", diff)
	}
}

func TestFirstAdministratorComesFromTheMachineOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := staff.Account{Name: "Chi", Mail: "chi@mau.gov.vn"}
	if _, err := f.Bootstrap(t.Context(), atShell, province, account); !errors.Is(err, staff.ErrAdministered) {
		t.Errorf("a first administrator beside others: %v", err)
	}
	if _, err := f.Bootstrap(t.Context(), f.an, province, account); !errors.Is(err, staff.ErrNotOperator) {
		t.Errorf("appointed by somebody signed in: %v", err)
	}
	// While one administrator is left, an operator agrees in the second's place.
	f.must(f.Deactivate(t.Context(), f.an, f.binh.ID))
	chi := f.adds("Chi", "province")
	f.must(f.Grant(t.Context(), f.an, atShell, chi.ID, staff.Approver, "mau"))
	// Once nobody is left, it begins anew; who was locked is unlocked.
	f.must(f.Lock(t.Context(), f.an, f.an.ID))
	id, err := f.Bootstrap(t.Context(), atShell, province, staff.Account{Name: "An", Mail: " AN@mau.gov.vn "})
	if err != nil || id != f.an.ID || !f.may(f.an, staff.Administrator, "mau") {
		t.Errorf("begun anew: %q, %v; want the locked account %q", id, err, f.an.ID)
	}
	f.must(f.Lock(t.Context(), f.an, f.an.ID))
	if _, err := f.Bootstrap(t.Context(), atShell, province, staff.Account{Name: "Bình", Mail: "Bình@mau.gov.vn"}); !errors.Is(err, staff.ErrMailTaken) {
		t.Errorf("who has left comes back: %v", err)
	}
}

func TestTwoFirstAdministratorsAtOnce(t *testing.T) {
	t.Parallel()
	s := staff.NewStore(pgtest.New(t), seal.ForTest(), func() time.Time { return monday })
	errs := make(chan error, 4)
	for _, name := range []string{"a", "b", "c", "d"} {
		go func() {
			_, err := s.Bootstrap(t.Context(), atShell, province, staff.Account{Name: name, Mail: name + "@mau.gov.vn"})
			errs <- err
		}()
	}
	appointed := 0
	for range 4 {
		switch err := <-errs; {
		case err == nil:
			appointed++
		case !errors.Is(err, staff.ErrAdministered):
			t.Error(err)
		}
	}
	if appointed != 1 {
		t.Errorf("%d first administrators", appointed)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	for _, c := range []struct {
		a    staff.Account
		want error
	}{
		{staff.Account{Name: " ", Mail: "x@mau.gov.vn", Agency: "mau"}, staff.ErrName},
		{staff.Account{Name: "X", Mail: "", Agency: "mau"}, staff.ErrMail},
		{staff.Account{Name: "X", Mail: "x@", Agency: "mau"}, staff.ErrMail},
		{staff.Account{Name: "X", Mail: "x y@mau.gov.vn", Agency: "mau"}, staff.ErrMail},
		{staff.Account{Name: "X", Mail: "AN@MAU.gov.vn", Agency: "mau"}, staff.ErrMailTaken},
	} {
		if _, err := f.Add(ctx, f.an, c.a); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.a, err, c.want)
		}
	}
	local := f.with("local", staff.Administrator, "mau")
	var forbidden *staff.Forbidden
	if _, err := f.Add(ctx, local, staff.Account{Name: "X", Mail: "x@mau.gov.vn", Agency: "health"}); !errors.As(err, &forbidden) {
		t.Errorf("an account opened elsewhere: %v", err)
	}
	if err := f.Lock(ctx, local, f.an.ID); !errors.As(err, &forbidden) {
		t.Errorf("an account above locked: %v", err)
	}
	who := f.with("Dung", staff.Editor, "mau")
	zalo := bot.CitizenID{OA: "36", User: "25"}
	f.must(f.SetZalo(ctx, who, zalo))
	p, err := f.ByMail(ctx, " dung@MAU.gov.vn")
	f.must(err)
	want := staff.Person{ID: who.ID, Account: staff.Account{Name: "Dung", Mail: "dung@mau.gov.vn", Agency: "mau"},
		Active: true, CreatedAt: monday, Zalo: zalo}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	f.must(f.Lock(ctx, local, who.ID))
	if f.may(who, staff.Editor, "mau") || f.may(who, staff.Viewer, "mau") {
		t.Error("a locked account may work")
	}
	if err := f.SetZalo(ctx, who, zalo); !errors.Is(err, staff.ErrNotActive) {
		t.Errorf("a locked account changes itself: %v", err)
	}
	if p, err = f.Person(ctx, who.ID); err != nil || !p.LockedAt.Equal(monday) {
		t.Errorf("locked at %v, %v", p.LockedAt, err)
	}
	f.must(f.Unlock(ctx, local, who.ID))
	if !f.may(who, staff.Editor, "mau") {
		t.Error("an unlocked account may not work")
	}
	f.must(pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error { return f.EraseCitizen(ctx, tx, zalo) }))
	if p, err = f.Person(ctx, who.ID); err != nil || p.Zalo != (bot.CitizenID{}) {
		t.Errorf("after the erasure it is linked with %v, %v", p.Zalo, err)
	}
	f.must(f.Deactivate(ctx, local, who.ID))
	if f.may(who, staff.Editor, "mau") {
		t.Error("who has left may work")
	}
	if held, err := f.Holdings(ctx, who.ID); err != nil || len(held) != 0 {
		t.Errorf("who has left holds %v, %v", held, err)
	}
	wantActs := []string{"staff.deactivate by " + local.ID, "staff.unlock by " + local.ID, "staff.lock by " + local.ID,
		"staff.zalo by " + who.ID, "staff.grant by " + f.an.ID, "staff.add by " + f.an.ID}
	if diff := cmp.Diff(wantActs, f.acts("staff:"+who.ID)); diff != "" {
		t.Error(diff)
	}
	if err := f.Lock(ctx, f.an, "unknown"); !errors.Is(err, staff.ErrNotFound) {
		t.Errorf("nobody locked: %v", err)
	}
	if _, err := f.ByMail(ctx, "nobody@mau.gov.vn"); !errors.Is(err, staff.ErrNotFound) {
		t.Errorf("nobody found: %v", err)
	}
	if list, err := f.People(ctx, "mau"); err != nil || len(list) != 2 {
		t.Errorf("people of the commune: %+v, %v", list, err)
	}
	if list, err := f.People(ctx, "province"); err != nil || len(list) != 4 {
		t.Errorf("people of the province and below: %d, %v; want 4", len(list), err)
	}
	var readable int
	f.must(f.pool.QueryRow(ctx, `
SELECT count(*) FROM staff WHERE strpos(encode(mail, 'escape'), '@mau.gov.vn') > 0 OR strpos(encode(name, 'escape'), 'Dung') > 0`).Scan(&readable))
	if readable != 0 {
		t.Errorf("%d accounts lie open in the table", readable)
	}
}
