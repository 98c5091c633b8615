package dossier

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"congdanso/bot"
	"congdanso/bot/push"

	"github.com/jackc/pgx/v5"
)

const followersSlice = 500

// follower is somebody who is told.
type follower struct {
	who    bot.CitizenID
	lang   string
	proven bool // their second factor stands, for this very dossier
}

// tell writes a dossier's new state and, in the same transaction, a notice of it
// to each follower: where the state they know still stands, so that of two
// instances one tells. An empty kind tells nothing.
func (w *Watch) tell(ctx context.Context, o outcome, s *settled, state *told, kind string, now time.Time) error {
	mark := w.store.fingerprint(o.code, state)
	won := false
	err := pgx.BeginFunc(ctx, w.store.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE dossier_watch SET fingerprint = $2, state = $3
			WHERE code_hash = $1 AND fingerprint IS NOT DISTINCT FROM $4
			  AND due_told IS NOT DISTINCT FROM $5 AND late_told IS NOT DISTINCT FROM $6`,
			o.hash, mark, w.store.sealTold(state), o.fingerprint, known(o.dueTold), known(o.lateTold))
		if err != nil {
			return err
		}
		if won = tag.RowsAffected() == 1; !won {
			return nil
		}
		if _, err := tx.Exec(ctx, settleSQL, columnsOf([]settled{*s}, now)...); err != nil {
			return err
		}
		if kind != "" && wanted(kind, w.values()) {
			// A dossier can come back to a state it was in before, so the moment is part
			// of what makes a notice this one. That it is made once is seen to above.
			key := string(o.code) + " " + hex.EncodeToString(mark) + " " + kind + " " + now.UTC().Format(time.RFC3339Nano)
			n := news{kind: kind, state: state, before: o.state, detail: o.detail, now: now}
			if err := w.notify(ctx, tx, o.claimed, n, key, w.store.dossierHash(o.record.ID)); err != nil {
				return err
			}
		}
		return w.closing(ctx, tx, o.claimed, state, now)
	})
	if err == nil && !won {
		// Another instance was quicker, with what may have been older: look again.
		_, err = w.store.pool.Exec(ctx, `UPDATE dossier_watch SET hint_at = $2 WHERE code_hash = $1`, o.hash, now)
	}
	if err != nil {
		return fmt.Errorf("tell of a dossier: %w", err)
	}
	return nil
}

// closing ends the watch where nothing more is coming; where the result was
// handed over while we watched, only the rating is left.
func (w *Watch) closing(ctx context.Context, tx pgx.Tx, c claimed, state *told, now time.Time) error {
	switch {
	case !state.Public.Status.Ended():
		return nil
	case c.state == nil, state.Public.Status != StatusReturned, !tellRating.Of(w.values()):
		return w.store.endIn(ctx, tx, c.hash)
	}
	_, err := tx.Exec(ctx, `
		UPDATE dossier_watch SET ended_at = $2, remind_at = $3, look_at = $3, hint_at = NULL WHERE code_hash = $1`,
		c.hash, now, ratedAt(now))
	return err
}

// askRating asks the followers of a dossier that was handed over how it was, and
// ends the watch.
func (w *Watch) askRating(ctx context.Context, c claimed, now time.Time) error {
	err := pgx.BeginFunc(ctx, w.store.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE dossier_watch SET remind_at = NULL WHERE code_hash = $1 AND remind_at IS NOT NULL`, c.hash)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if c.state != nil && tellRating.Of(w.values()) {
			n := news{kind: KindRating, state: c.state, before: c.state, now: now}
			if err := w.notify(ctx, tx, c, n, string(c.code)+" "+KindRating, nil); err != nil {
				return err
			}
		}
		return w.store.endIn(ctx, tx, c.hash)
	})
	if err != nil {
		return fmt.Errorf("ask for a rating: %w", err)
	}
	return nil
}

// notify makes the notices, follower by follower in slices, in the caller's
// transaction. It is served by dossier_kept_follow.
func (w *Watch) notify(ctx context.Context, tx pgx.Tx, c claimed, n news, key string, dossierHash []byte) error {
	contents := map[follower]push.Content{}
	after := bot.CitizenID{}
	for {
		list, err := w.store.followers(ctx, tx, c.hash, dossierHash, after, n.now)
		if err != nil || len(list) == 0 {
			return err
		}
		told := make([]push.Told, len(list))
		oas, citizens := make([]string, len(list)), make([]string, len(list))
		for i, f := range list {
			like := follower{lang: f.lang, proven: f.proven}
			content, ok := contents[like]
			if !ok {
				content = w.wording(like.lang).content(c.code, n, like.proven)
				contents[like] = content
			}
			told[i] = push.Told{
				To: f.who, Kind: n.kind, Class: push.Notice, Key: key, About: string(c.code), Content: content,
				ExpiresAt: n.expiry(),
			}
			oas[i], citizens[i] = f.who.OA, f.who.User
		}
		if err := w.notices.Add(ctx, tx, told, n.now); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE dossier_kept k SET told_at = $4 FROM unnest($2::text[], $3::text[]) AS w(oa_id, citizen)
			WHERE k.code_hash = $1 AND k.oa_id = w.oa_id AND k.citizen = w.citizen`, c.hash, oas, citizens, n.now)
		if err != nil {
			return err
		}
		after = list[len(list)-1].who
	}
}

const followersSQL = `
	SELECT k.oa_id, k.citizen, coalesce(c.language, $6), p.code_hash IS NOT NULL
	FROM dossier_kept k
	LEFT JOIN citizen c ON c.oa_id = k.oa_id AND c.citizen = k.citizen
	LEFT JOIN dossier_proof p ON p.oa_id = k.oa_id AND p.citizen = k.citizen AND p.code_hash = k.code_hash
	     AND p.expires_at > $5 AND p.dossier_hash = $2
	WHERE k.code_hash = $1 AND k.follow IS NOT NULL AND (k.oa_id, k.citizen) > ($3, $4)
	ORDER BY k.oa_id, k.citizen
	LIMIT $7`

// followers lists the next slice of those who are told.
func (s *Store) followers(ctx context.Context, tx pgx.Tx, hash, dossierHash []byte, after bot.CitizenID, now time.Time) ([]follower, error) {
	rows, err := tx.Query(ctx, followersSQL, hash, dossierHash, after.OA, after.User, now, bot.Vietnamese, followersSlice)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (follower, error) {
		var f follower
		err := row.Scan(&f.who.OA, &f.who.User, &f.lang, &f.proven)
		return f, err
	})
}
