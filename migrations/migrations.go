// Package migrations embeds the database schema as numbered goose files, applied
// in order by integrations/postgres. Migrations only go forward and are safe
// under running instances: expand first, migrate data, contract in a later
// release.
package migrations

import "embed"

// FS holds the *.sql files of this folder, named NNNNN_what.sql.
//
//go:embed *.sql
var FS embed.FS
