package staff_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"congdanso/bot/seal"
	"congdanso/bot/staff"
	"congdanso/integrations/postgres/pgtest"
)

// Whatever the tree of agencies and the roles given and taken back in it, a right
// is held exactly where walking up from the agency meets a role that is held.
func TestRightsAreThoseFoundByWalkingUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := staff.NewStore(pool, seal.ForTest(), func() time.Time { return monday })
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		id := func(i int) string { return fmt.Sprintf("%d-%d", round, i) }
		superior := make([]int, rapid.IntRange(1, 8).Draw(rt, "agencies"))
		batch := &pgx.Batch{}
		for i := range superior {
			superior[i] = rapid.IntRange(-1, i-1).Draw(rt, "superior")
			above := ""
			if superior[i] >= 0 {
				above = id(superior[i])
			}
			batch.Queue(`INSERT INTO agency (id, name_vi, name_en, level, superior) VALUES ($1, 'x', 'x', 'commune', nullif($2, ''))`, id(i), above)
		}
		able := rapid.SliceOfN(rapid.SampledFrom([]string{"able", "able", "locked", "gone"}), 2, 2).Draw(rt, "accounts")
		for i, a := range able {
			batch.Queue(`
INSERT INTO staff (id, agency, name, mail, mail_hash, created_at, active, locked_at)
VALUES ($1, $2, '', '', $3, now(), $4, CASE WHEN $5 THEN now() END)`, id(i), id(0), []byte(id(i)), a != "gone", a == "locked")
		}
		type holding struct {
			person, agency int
			role           staff.Role
		}
		var held []holding
		for range rapid.IntRange(0, 6).Draw(rt, "acts") {
			h := holding{rapid.IntRange(0, 1).Draw(rt, "person"), rapid.IntRange(0, len(superior)-1).Draw(rt, "agency"),
				rapid.SampledFrom(staff.Roles[1:4]).Draw(rt, "role")}
			if i := slices.Index(held, h); i >= 0 {
				held = slices.Delete(held, i, i+1)
				batch.Queue(`
UPDATE staff_role SET withdrawn_at = now() WHERE staff = $1 AND agency = $2 AND role = $3`, id(h.person), id(h.agency), h.role)
				continue
			}
			held = append(held, h)
			batch.Queue(`
INSERT INTO staff_role (staff, agency, role, granted_by, granted_at) VALUES ($1, $2, $3, 'x', now())`, id(h.person), id(h.agency), h.role)
		}
		if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
			rt.Fatal(err)
		}
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			for person := range able {
				for agency := range superior {
					for _, role := range staff.Roles[:4] {
						want := false
						for a := agency; a >= 0 && able[person] == "able"; a = superior[a] {
							want = want || slices.ContainsFunc(held, func(h holding) bool {
								return h.person == person && h.agency == a && (h.role == role || role == staff.Viewer)
							})
						}
						err := s.Require(t.Context(), tx, staff.Actor{ID: id(person)}, role, id(agency))
						var forbidden *staff.Forbidden
						if err != nil && !errors.As(err, &forbidden) {
							return err
						}
						if (err == nil) != want {
							rt.Errorf("%s person as %s in agency %d: %v, want %v", able[person], role, agency, err == nil, want)
						}
					}
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
