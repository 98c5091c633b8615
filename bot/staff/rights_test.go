package staff_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"congdanso/bot/seal"
	"congdanso/bot/staff"
	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

// With the application's own role, which may not alter the audit, all of it works.
func TestApplicationsRoleIsEnough(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	owner, role := pgtest.URL(t), fmt.Sprintf("staff_app_%d", os.Getpid())
	ownerPool, super := pgtest.Open(t, owner), pgtest.Superuser(t)
	if _, err := super.Exec(ctx, `CREATE ROLE `+role+` LOGIN`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := ownerPool.Exec(ctx, `DROP OWNED BY `+role); err != nil {
			t.Error(err)
		}
		if _, err := super.Exec(ctx, `DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", role)
	u.RawQuery = q.Encode()
	if err := postgres.Migrate(ctx, owner, postgres.GrantTo(u.String())); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Open(t, u.String())
	s := staff.NewStore(pool, seal.ForTest(), time.Now)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	an, err := s.Bootstrap(ctx, atShell, province, staff.Account{Name: "An", Mail: "an@mau.gov.vn"})
	must(err)
	by := staff.Actor{ID: an}
	must(s.PutAgency(ctx, by, commune))
	binh, err := s.Add(ctx, by, staff.Account{Name: "Bình", Mail: "binh@mau.gov.vn", Agency: "mau"})
	must(err)
	must(s.Grant(ctx, by, atShell, binh, staff.Approver, "mau"))
	must(s.Withdraw(ctx, by, binh, staff.Approver, "mau"))
	must(s.Deactivate(ctx, by, binh))
	if _, err := pool.Exec(ctx, `SELECT make_audit_partitions('2020-02-01')`); err != nil {
		t.Fatal(err)
	}
	must(s.Tidy(ctx, time.Now()))
	rows, err := s.Verify(ctx)
	if err != nil || rows != 7 {
		t.Errorf("%d rows, %v; want 7: six acts and the dropping", rows, err)
	}
	var pg *pgconn.PgError
	if _, err := pool.Exec(ctx, `UPDATE audit SET actor = 'x' WHERE seq = 1`); !errors.As(err, &pg) || pg.Code != "42501" {
		t.Errorf("the application alters the audit: %v", err)
	}
}
