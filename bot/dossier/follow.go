package dossier

import "github.com/jackc/pgx/v5"

// queueFollows begins and ends the telling of kept dossiers. A code that somebody
// follows has a row in dossier_watch; taking it out again is the watch's part
// (see Store.leave), which waits here for a follow that is not committed yet.
func (b *batch) queueFollows(q *pgx.Batch) {
	if len(b.unfollowAll) > 0 {
		oas, citizens := people(b.unfollowAll)
		q.Queue(`
			UPDATE dossier_kept k SET follow = NULL FROM unnest($1::text[], $2::text[]) AS w(oa_id, citizen)
			WHERE k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.follow IS NOT NULL`, oas, citizens)
	}
	if c := b.columns(b.follow, false); len(c.oas) > 0 {
		q.Queue(`
			UPDATE dossier_kept k SET follow = NULL FROM unnest($1::text[], $2::text[], $3::bytea[]) AS w(oa_id, citizen, code_hash)
			WHERE k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.code_hash = w.code_hash`, c.oas, c.citizens, c.hashes)
	}
	if c := b.columns(b.follow, true); len(c.oas) > 0 {
		q.Queue(`
			INSERT INTO dossier_watch AS w (code_hash, code, since, look_at, hint_at)
			SELECT DISTINCT ON (code_hash) code_hash, code, at, at, at
			FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS f(code_hash, code, at)
			ORDER BY code_hash, at
			ON CONFLICT (code_hash) DO UPDATE SET since = w.since`, c.hashes, c.sealed, c.times)
		q.Queue(`
			UPDATE dossier_kept k SET follow = coalesce(k.follow, w.at)
			FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[]) AS w(oa_id, citizen, code_hash, at)
			WHERE k.oa_id = w.oa_id AND k.citizen = w.citizen AND k.code_hash = w.code_hash`,
			c.oas, c.citizens, c.hashes, c.times)
	}
}
