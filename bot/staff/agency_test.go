package staff_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/staff"
)

func TestAgencies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	local := f.with("local", staff.Administrator, "health")
	var forbidden *staff.Forbidden
	isForbidden := func(err error) bool { return errors.As(err, &forbidden) }
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	as := func(a staff.Agency, change func(*staff.Agency)) staff.Agency { change(&a); return a }
	for _, c := range []struct {
		what string
		by   staff.Actor
		a    staff.Agency
		want func(error) bool
	}{
		{"a new one below one's own", local, staff.Agency{ID: "clinic", NameVi: "Trạm", NameEn: "Clinic", Level: staff.LevelDepartment, Superior: "health"}, is(nil)},
		{"a new one elsewhere", local, staff.Agency{ID: "x", NameVi: "X", NameEn: "X", Level: staff.LevelCommune, Superior: "province"}, isForbidden},
		{"one's own", local, as(department, func(a *staff.Agency) { a.NameVi = "Sở khác" }), isForbidden},
		{"moved to one's own", local, as(commune, func(a *staff.Agency) { a.Superior = "health" }), isForbidden},
		{"moved away from one's own", local, as(office, func(a *staff.Agency) { a.Superior = "mau" }), isForbidden},
		{"moved by who is above both", f.an, as(office, func(a *staff.Agency) { a.Superior = "mau" }), is(nil)},
		{"a new top", f.an, staff.Agency{ID: "y", NameVi: "Y", NameEn: "Y", Level: staff.LevelProvince}, isForbidden},
		{"a new top from the machine", atShell, staff.Agency{ID: "y", NameVi: "Y", NameEn: "Y", Level: staff.LevelProvince}, is(nil)},
		{"made a top", f.an, as(commune, func(a *staff.Agency) { a.Superior = "" }), isForbidden},
		{"the top renamed", f.an, as(province, func(a *staff.Agency) { a.NameVi = "Tỉnh" }), is(nil)},
		{"a circle", atShell, as(province, func(a *staff.Agency) { a.Superior = "health-office" }), is(staff.ErrAgencyInvalid)},
		{"above itself", atShell, as(province, func(a *staff.Agency) { a.Superior = "province" }), is(staff.ErrAgencyInvalid)},
		{"new, above itself", atShell, staff.Agency{ID: "z", NameVi: "Z", NameEn: "Z", Level: staff.LevelCommune, Superior: "z"}, is(staff.ErrAgencyInvalid)},
		{"under nothing", atShell, as(commune, func(a *staff.Agency) { a.Superior = "nowhere" }), is(staff.ErrAgencyInvalid)},
		{"no level", atShell, as(commune, func(a *staff.Agency) { a.Level = "" }), is(staff.ErrAgencyInvalid)},
		{"no name", atShell, as(commune, func(a *staff.Agency) { a.NameEn = " " }), is(staff.ErrAgencyInvalid)},
	} {
		if err := f.PutAgency(ctx, c.by, c.a); !c.want(err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	// What moved is under new administrators.
	if f.may(local, staff.Administrator, "health-office") {
		t.Error("the old superior rules what moved away")
	}
	got, err := f.Agency(ctx, "mau")
	if diff := cmp.Diff(commune, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := f.Agency(ctx, "nowhere"); !errors.Is(err, staff.ErrAgency) {
		t.Errorf("no agency: %v", err)
	}
	list, err := f.Agencies(ctx)
	f.must(err)
	var ids []string
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	if diff := cmp.Diff([]string{"clinic", "health", "health-office", "mau", "province", "y"}, ids); diff != "" {
		t.Error(diff)
	}
	if got := f.acts("agency:health-office"); len(got) != 2 {
		t.Errorf("acts on the office: %v; want its making and its move", got)
	}
}
