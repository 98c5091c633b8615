package broadcast_test

import (
	"testing"

	"congdanso/bot/broadcast"
	"congdanso/bot/seal"
)

func TestTrialGoesToOneself(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	keys := seal.ForTest()
	o.exec(`UPDATE staff SET name = $1, mail = $2`, keys.Seal("staff/name", []byte("An")), keys.Seal("staff/mail", []byte("an@so.example.gov.vn")))
	d := sample()
	d.Body.En = broadcast.Text{Issuer: "Department of Health", Title: "Vaccination", Lines: []string{"Bring your child."}}
	id := o.draft(d)
	o.refused(o.Trial(t.Context(), an, id, morning), "no_zalo")
	o.people(2)
	o.exec(`UPDATE staff SET zalo_oa = $1, zalo_user = 'c0000002' WHERE id IN ('an', 'la')`, oa)
	if err := o.Trial(t.Context(), la, id, morning); !forbidden(err) {
		t.Errorf("trying another agency's broadcast: %v, want it forbidden", err)
	}
	o.must(o.Trial(t.Context(), an, id, morning))
	if n := o.int(`SELECT count(*) FROM push WHERE citizen = 'c0000002' AND kind = 'broadcast.trial' AND state = 'pending'`); n != 2 {
		t.Errorf("%d trials wait, want one a language", n)
	}
	if n := o.int(`SELECT count(*) FROM push`); n != 2 {
		t.Errorf("%d pushes, want none but to oneself", n)
	}
	o.wants(id, broadcast.Draft, "")
}
