package broadcast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/delivery"
	"congdanso/bot/setting"
	"congdanso/bot/unit"
)

// Settings of articles: how many a month Zalo lets a follower get, and how long it
// looks at one before it goes out (facts: depends on the account's package).
var (
	articlePerMonth   = setting.Int("article.per_month", 4, 1, 31)
	articleModeration = setting.Int("article.moderation_minutes", 30, 0, 24*60)
)

const (
	// firstHour and lastHour bound the hours in which Zalo takes a broadcast: from
	// 06:00 to 21:59.
	firstHour, lastHour = 6, 22
	// prepareAhead is how long before its time an article is brought to Zalo, hidden.
	prepareAhead = 24 * time.Hour
	// readyWithin is how long Zalo may work on an article; it needs seconds.
	readyWithin = 10 * time.Minute
	// callWithin is how long a call may be under way before it counts as cut off.
	callWithin = 2 * time.Minute
	// mostArticleTries is how often a step is tried before staff are asked.
	mostArticleTries = 6
)

// Causes of an article's state, the ends of keys under broadcast.cause.
const (
	causeArticleNight    = "article_night"     // waits for 06:00
	causeArticleDay      = "article_day"       // its followers had one today
	causeArticleMonth    = "article_month"     // and as many as there may be this month
	causeArticleQuota    = "article_quota"     // Zalo's own count says so
	causeArticleNotReady = "article_not_ready" // Zalo never finished it
	causeArticleRefused  = "article_refused"   // Zalo will not have it
	causeArticleUnknown  = "article_unknown"   // it may have gone out
)

// ArticleAPI is what articles need of Zalo. Errors are *delivery.Refusal.
type ArticleAPI interface {
	CreateArticle(ctx context.Context, p Page) (token string, err error)
	UpdateArticle(ctx context.Context, id string, p Page) (token string, err error)
	// VerifyArticle gives the id, or a refusal of ClassWait while Zalo works on it.
	VerifyArticle(ctx context.Context, token string) (id string, err error)
	ArticleShown(ctx context.Context, id string) (bool, error)
	// BroadcastArticle sends it to all followers whom target leaves.
	BroadcastArticle(ctx context.Context, id string, target Target) (messageID string, err error)
}

// Articles carries out runs of the kind Article. Each step is written down before
// it is taken: after a crash, writing an article is repeated (while it is hidden
// nobody sees a second one), and calling the broadcast never is.
type Articles struct {
	Store *Store
	Zalo  ArticleAPI
	// Slot waits for a place under the rate limit.
	Slot func(ctx context.Context) error
}

// articleRun is a row of article_run.
type articleRun struct {
	Run       int64
	OA        string
	State     string
	AtZalo    []byte
	Token     string
	ArticleID string
	Cause     string
	Tries     int
	Deadline  time.Time
	StartsAt  time.Time
	Latest    time.Time

	broadcast  int64
	runState   RunState
	definition Definition
}

// Tick takes every step that is due. What fails holds up no other article.
func (a *Articles) Tick(ctx context.Context, now time.Time) error {
	if err := a.draft(ctx, now); err != nil {
		return err
	}
	rows, err := a.Store.Pool.Query(ctx, `
SELECT a.run, a.oa_id, a.state, a.at_zalo, coalesce(a.token, ''), coalesce(a.article_id, ''), coalesce(a.cause, ''), a.tries,
	coalesce(a.deadline, `+never+`), a.starts_at, a.latest_start, r.broadcast, r.state, coalesce(r.definition, b.definition)
FROM article_run a JOIN broadcast_run r ON r.id = a.run JOIN broadcast b ON b.id = r.broadcast
WHERE a.state IN ('drafted', 'creating', 'created', 'ready', 'sending') AND a.due_at <= $1
ORDER BY a.starts_at, a.run`, now)
	if err != nil {
		return fmt.Errorf("look for articles: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*articleRun, error) {
		var r articleRun
		return &r, row.Scan(&r.Run, &r.OA, &r.State, &r.AtZalo, &r.Token, &r.ArticleID, &r.Cause, &r.Tries,
			&r.Deadline, &r.StartsAt, &r.Latest, &r.broadcast, &r.runState, &r.definition)
	})
	if err != nil {
		return fmt.Errorf("look for articles: %w", err)
	}
	var errs []error
	for _, r := range list {
		if err := a.step(ctx, r, now); err != nil {
			errs = append(errs, fmt.Errorf("article of run %d: %w", r.Run, err))
		}
	}
	return errors.Join(errs...)
}

// draft makes a row for every run that will soon need one, and lets one that staff
// resumed after it failed begin anew.
func (a *Articles) draft(ctx context.Context, now time.Time) error {
	_, err := a.Store.Pool.Exec(ctx, `
INSERT INTO article_run (run, broadcast, oa_id, state, due_at, starts_at, latest_start, made_at)
SELECT r.id, r.broadcast, r.oa_id, 'drafted', $1, r.at, r.latest_at, $1
FROM broadcast_run r JOIN broadcast b ON b.id = r.broadcast
WHERE r.kind = 'article' AND r.state IN ('scheduled', 'running') AND r.at <= $2
AND (r.state = 'running' OR b.state = 'scheduled')
ON CONFLICT (run) DO UPDATE SET state = 'drafted', tries = 0, cause = NULL, ended_at = NULL, due_at = $1
WHERE article_run.state = 'failed' AND EXISTS (SELECT FROM broadcast_run r WHERE r.id = article_run.run AND r.state = 'running')`, now, now.Add(prepareAhead))
	if err != nil {
		return fmt.Errorf("draft articles: %w", err)
	}
	return nil
}

// step takes one step, or several where nothing has to be waited for.
func (a *Articles) step(ctx context.Context, r *articleRun, now time.Time) error {
	switch {
	case r.runState == RunCancelled || r.runState == RunMissed || r.runState == RunDone:
		return a.withdraw(ctx, r, now)
	case r.State == "sending": // cut off in the middle of the call
		return a.unknown(ctx, r, 0, now)
	case r.State == "creating":
		r.State = "drafted" // writing again is harmless
	}
	if r.runState == RunPaused {
		return a.later(ctx, r, r.State, "", now.Add(time.Minute))
	}
	if r.runState == RunRunning && now.After(r.Latest) {
		return a.missed(ctx, r, now)
	}
	if r.State == "created" {
		if err := a.verify(ctx, r, now); err != nil || r.State != "ready" {
			return err
		}
	}
	page, want, err := a.page(ctx, r, now)
	if err != nil {
		return err
	}
	if r.State == "drafted" || !bytes.Equal(r.AtZalo, want) {
		return a.write(ctx, r, page, want, now)
	}
	if r.runState != RunRunning {
		return a.later(ctx, r, "ready", "", now.Add(10*time.Second)) // an edit may come
	}
	return a.send(ctx, r, now)
}

// page is the article as it shall stand at Zalo at this moment: hidden until its
// run has begun.
func (a *Articles) page(ctx context.Context, r *articleRun, now time.Time) (Page, []byte, error) {
	var page Page
	err := pgx.BeginFunc(ctx, a.Store.Pool, func(tx pgx.Tx) error {
		short, err := a.Store.shortLinks(ctx, tx, r.broadcast, r.definition.Body, now)
		page = compilePage(a.Store.Texts, r.definition, short)
		return err
	})
	if err != nil {
		return page, nil, err
	}
	page.Show = r.runState == RunRunning
	want, err := page.digest()
	return page, want, err
}

// write hands the article over.
func (a *Articles) write(ctx context.Context, r *articleRun, page Page, want []byte, now time.Time) error {
	if r.Tries++; r.Tries > mostArticleTries {
		return a.fail(ctx, r, causeArticleRefused, 0, now)
	}
	if err := a.Slot(ctx); err != nil {
		return err
	}
	err := a.exec(ctx, `UPDATE article_run SET state = 'creating', tries = $2, due_at = $3 WHERE run = $1`,
		r.Run, r.Tries, now.Add(callWithin))
	if err != nil {
		return err
	}
	var token string
	if r.ArticleID == "" {
		token, err = a.Zalo.CreateArticle(ctx, page)
	} else {
		token, err = a.Zalo.UpdateArticle(ctx, r.ArticleID, page)
	}
	if err != nil {
		return a.refused(ctx, r, "drafted", err, now)
	}
	return a.exec(ctx, `
UPDATE article_run SET state = 'created', token = $2, at_zalo = $3, deadline = $4, due_at = $5, cause = NULL, code = NULL
WHERE run = $1`, r.Run, token, want, now.Add(readyWithin), now.Add(2*time.Second))
}

// verify asks whether Zalo has finished the article.
func (a *Articles) verify(ctx context.Context, r *articleRun, now time.Time) error {
	if err := a.Slot(ctx); err != nil {
		return err
	}
	id, err := a.Zalo.VerifyArticle(ctx, r.Token)
	if err == nil {
		r.State, r.ArticleID, r.Tries = "ready", id, 0
		return a.exec(ctx, `UPDATE article_run SET state = 'ready', article_id = $2, tries = 0, due_at = $3 WHERE run = $1`, r.Run, id, now)
	}
	if now.After(r.Deadline) {
		return a.fail(ctx, r, causeArticleNotReady, codeOf(err), now)
	}
	switch classOf(err) {
	case delivery.ClassWait, delivery.ClassNotSent, delivery.ClassAmbiguous:
		return a.later(ctx, r, "created", "", now.Add(5*time.Second))
	}
	return a.refused(ctx, r, "drafted", err, now)
}

// send calls the broadcast, at an hour and on a day on which that is allowed.
func (a *Articles) send(ctx context.Context, r *articleRun, now time.Time) error {
	target := r.definition.Target
	goes, cause, err := a.Store.articleTime(ctx, r.OA, r.Run, target, now)
	if err != nil {
		return err
	}
	if goes.After(now) {
		return a.later(ctx, r, "ready", cause, goes)
	}
	if err := a.Slot(ctx); err != nil {
		return err
	}
	if shown, err := a.Zalo.ArticleShown(ctx, r.ArticleID); err != nil || !shown {
		if r.Tries++; r.Tries > mostArticleTries {
			return a.fail(ctx, r, causeArticleNotReady, codeOf(err), now)
		}
		return a.exec(ctx, `UPDATE article_run SET tries = $2, due_at = $3 WHERE run = $1`, r.Run, r.Tries, now.Add(10*time.Second))
	}
	if err := a.Slot(ctx); err != nil {
		return err
	}
	// Whoever pauses or cancels holds the run: either they come first, or the call
	// is under way.
	var mine bool
	err = pgx.BeginFunc(ctx, a.Store.Pool, func(tx pgx.Tx) error {
		live, err := readRun(ctx, tx, `id = $1 AND state = 'running' FOR UPDATE`, r.Run)
		if err != nil || live == nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
UPDATE article_run SET state = 'sending', called_at = $2, due_at = $3, target = $4, cause = NULL WHERE run = $1 AND state = 'ready'`,
			r.Run, now, now.Add(callWithin), target)
		mine = err == nil && tag.RowsAffected() == 1
		return err
	})
	if err != nil || !mine {
		return err
	}
	id, err := a.Zalo.BroadcastArticle(ctx, r.ArticleID, target)
	if err == nil {
		return a.ended(ctx, r, outcome{state: "sent", messageID: id}, now)
	}
	local := now.In(unit.Zone)
	switch classOf(err) {
	case delivery.ClassAmbiguous:
		return a.unknown(ctx, r, codeOf(err), now)
	case delivery.ClassNight:
		until := nextHour(local, firstHour)
		if local.Hour() == firstHour { // Zalo's clock is a little behind
			until = now.Add(time.Minute)
		}
		return a.refusedSend(ctx, r, causeArticleNight, codeOf(err), until)
	case delivery.ClassQuota: // counted anew from midnight on
		midnight := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, local.Location())
		return a.refusedSend(ctx, r, causeArticleQuota, codeOf(err), nextHour(midnight, firstHour))
	}
	return a.refused(ctx, r, "ready", err, now)
}
