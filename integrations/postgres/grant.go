package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// grant gives the application's role the rights of an application and no more: it
// reads and writes rows, and cannot create, alter, drop or truncate tables. The
// partitions of a table are reached through their parent only, so that a limit on
// the parent cannot be walked around. The audit it may read and add to, and what it
// was given of it before is taken back. Functions that run with the owner's rights
// are closed to everybody else.
func (m migration) grant(ctx context.Context, pool *pgxpool.Pool) error {
	if m.appURL == "" {
		return nil
	}
	cfg, err := pgx.ParseConfig(m.appURL)
	if err != nil {
		return fmt.Errorf("read the application's database URL: %w", err)
	}
	role, owner := cfg.User, pool.Config().ConnConfig.User
	if role == "" || role == owner {
		return nil
	}
	return InTx(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, grantStatements, role)
		if err != nil {
			return fmt.Errorf("collect rights for role %s: %w", role, err)
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("collect rights for role %s: %w", role, err)
		}
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

// grantStatements writes the GRANTs for role $1 over what stands in the schema.
const grantStatements = `
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1::text)
UNION ALL
SELECT format('REVOKE ALL ON TABLE %s FROM %I', c.oid::regclass, $1::text)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'p')
  AND (c.relname = 'audit' OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('audit')))
UNION ALL
SELECT format(CASE WHEN c.relname IN ('goose_db_version', 'river_migration')
                   THEN 'GRANT SELECT ON TABLE %s TO %I'
                   WHEN c.relname = 'audit'
                   THEN 'GRANT SELECT, INSERT ON TABLE %s TO %I'
                   ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO %I' END,
              c.oid::regclass, $1::text)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'p', 'v')
  AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', c.oid::regclass, $1::text)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind = 'S'
UNION ALL
SELECT format(t.statement, p.oid::regprocedure, $1::text)
FROM pg_proc p,
     (VALUES (1, 'REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC'),
             (2, 'GRANT EXECUTE ON FUNCTION %s TO %I')) AS t (rank, statement)
WHERE p.pronamespace = current_schema()::regnamespace
  AND p.prosecdef`
