package broadcast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
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
	Target    Target
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
SELECT a.run, a.oa_id, a.state, a.at_zalo, a.target, coalesce(a.token, ''), coalesce(a.article_id, ''), coalesce(a.cause, ''), a.tries,
	coalesce(a.deadline, `+never+`), a.starts_at, a.latest_start, r.broadcast, r.state, coalesce(r.definition, b.definition)
FROM article_run a JOIN broadcast_run r ON r.id = a.run JOIN broadcast b ON b.id = r.broadcast
WHERE a.state IN ('drafted', 'creating', 'created', 'ready', 'sending') AND a.due_at <= $1
ORDER BY a.starts_at, a.run`, now)
	if err != nil {
		return fmt.Errorf("look for articles: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*articleRun, error) {
		var r articleRun
		return &r, row.Scan(&r.Run, &r.OA, &r.State, &r.AtZalo, &r.Target, &r.Token, &r.ArticleID, &r.Cause, &r.Tries,
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
INSERT INTO article_run (run, broadcast, oa_id, state, target, due_at, starts_at, latest_start, made_at)
SELECT r.id, r.broadcast, r.oa_id, 'drafted', coalesce(coalesce(r.definition, b.definition) -> 'target', '{}'), $1, r.at, r.latest_at, $1
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
UPDATE article_run SET state = 'created', token = $2, at_zalo = $3, target = $4, deadline = $5, due_at = $6, cause = NULL, code = NULL
WHERE run = $1`, r.Run, token, want, r.definition.Target, now.Add(readyWithin), now.Add(2*time.Second))
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
	local := now.In(unit.Zone)
	if h := local.Hour(); h < firstHour || h >= lastHour {
		return a.later(ctx, r, "ready", causeArticleNight, nextHour(local, firstHour))
	}
	if cause, until, err := a.capped(ctx, r, local); err != nil || cause != "" {
		return errors.Join(err, a.laterIf(ctx, r, cause, until))
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
	err := pgx.BeginFunc(ctx, a.Store.Pool, func(tx pgx.Tx) error {
		live, err := readRun(ctx, tx, `id = $1 AND state = 'running' FOR UPDATE`, r.Run)
		if err != nil || live == nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
UPDATE article_run SET state = 'sending', called_at = $2, due_at = $3, cause = NULL WHERE run = $1 AND state = 'ready'`,
			r.Run, now, now.Add(callWithin))
		mine = err == nil && tag.RowsAffected() == 1
		return err
	})
	if err != nil || !mine {
		return err
	}
	id, err := a.Zalo.BroadcastArticle(ctx, r.ArticleID, r.Target)
	if err == nil {
		return a.ended(ctx, r, "sent", id, "", now)
	}
	switch classOf(err) {
	case delivery.ClassAmbiguous:
		return a.unknown(ctx, r, codeOf(err), now)
	case delivery.ClassNight:
		return a.refusedSend(ctx, r, causeArticleNight, codeOf(err), nextHour(local, firstHour))
	case delivery.ClassQuota:
		return a.refusedSend(ctx, r, causeArticleQuota, codeOf(err), nextHour(local.AddDate(0, 0, 1).Truncate(time.Hour), firstHour))
	}
	return a.refused(ctx, r, "ready", err, now)
}

// capped tells whether the followers of an article had theirs for the day or the
// month, and until when they did.
func (a *Articles) capped(ctx context.Context, r *articleRun, local time.Time) (cause string, until time.Time, err error) {
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, local.Location())
	month := time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, local.Location())
	// By article_run_called.
	rows, err := a.Store.Pool.Query(ctx, `
SELECT target, called_at FROM article_run
WHERE oa_id = $1 AND called_at >= $2 AND run <> $3 AND state IN ('sending', 'sent', 'unknown')`, r.OA, month, r.Run)
	if err != nil {
		return "", until, fmt.Errorf("count articles: %w", err)
	}
	today, inMonth := 0, 0
	var target Target
	var called time.Time
	_, err = pgx.ForEachRow(rows, []any{&target, &called}, func() error {
		if target.meets(r.Target) {
			inMonth++
			if !called.Before(day) {
				today++
			}
		}
		target = Target{}
		return nil
	})
	switch {
	case err != nil:
		return "", until, fmt.Errorf("count articles: %w", err)
	case inMonth >= articlePerMonth.Of(a.Store.Values()):
		return causeArticleMonth, nextHour(month.AddDate(0, 1, 0), firstHour), nil
	case today > 0:
		return causeArticleDay, nextHour(day.AddDate(0, 0, 1), firstHour), nil
	}
	return "", until, nil
}

// meets reports whether somebody may belong to both.
func (t Target) meets(o Target) bool {
	share := func(a, b []int) bool {
		return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(n int) bool { return slices.Contains(b, n) })
	}
	return share(t.Ages, o.Ages) && share(t.Cities, o.Cities) && (t.Gender == 0 || o.Gender == 0 || t.Gender == o.Gender)
}

// nextHour is the next time, from local on, at which a full hour begins.
func nextHour(local time.Time, hour int) time.Time {
	next := time.Date(local.Year(), local.Month(), local.Day(), hour, 0, 0, 0, local.Location())
	if next.Before(local) {
		next = next.AddDate(0, 0, 1)
	}
	return next
}

// refused decides what a refusal means: wait and go on from state, or ask staff.
func (a *Articles) refused(ctx context.Context, r *articleRun, state string, err error, now time.Time) error {
	switch classOf(err) {
	case delivery.ClassWait, delivery.ClassNotSent, delivery.ClassAmbiguous:
		slog.Info("article waits", "run", r.Run, "error", err)
		return a.exec(ctx, `UPDATE article_run SET state = $2, called_at = NULL, code = $3, due_at = $4 WHERE run = $1`,
			r.Run, state, codeOf(err), now.Add(min(10*time.Second<<min(r.Tries, 5), 5*time.Minute)))
	case delivery.ClassQuota:
		return a.refusedSend(ctx, r, causeArticleQuota, codeOf(err), now.Add(time.Hour))
	}
	return a.fail(ctx, r, causeArticleRefused, codeOf(err), now)
}

// refusedSend waits with what provably did not go out.
func (a *Articles) refusedSend(ctx context.Context, r *articleRun, cause string, code int, until time.Time) error {
	state := "ready"
	if r.State != "ready" {
		state = "drafted"
	}
	return a.exec(ctx, `UPDATE article_run SET state = $2, called_at = NULL, cause = $3, code = $4, due_at = $5 WHERE run = $1`,
		r.Run, state, cause, code, until)
}

func (a *Articles) later(ctx context.Context, r *articleRun, state, cause string, until time.Time) error {
	return a.exec(ctx, `UPDATE article_run SET state = $2, cause = nullif($3, ''), due_at = least($4, greatest(latest_start, starts_at) + interval '1 second') WHERE run = $1`,
		r.Run, state, cause, until)
}

func (a *Articles) laterIf(ctx context.Context, r *articleRun, cause string, until time.Time) error {
	if cause == "" {
		return nil
	}
	return a.later(ctx, r, "ready", cause, until)
}

// fail pauses the broadcast: staff see why, and let it begin anew or cancel it.
func (a *Articles) fail(ctx context.Context, r *articleRun, cause string, code int, now time.Time) error {
	err := a.exec(ctx, `UPDATE article_run SET state = 'failed', called_at = NULL, cause = $2, code = $3, ended_at = $4 WHERE run = $1`,
		r.Run, cause, code, now)
	if err != nil {
		return err
	}
	if r.runState != RunRunning {
		a.Store.Alarm("broadcast.alert.article_failed", "ID", r.broadcast, "Cause", a.Store.Texts.Text(bot.Vietnamese, "broadcast.cause."+cause, nil))
		return nil
	}
	return a.Store.Stop(ctx, r.Run, cause)
}

// unknown ends a run of which nobody can know whether it went out. It is never
// called again by itself.
func (a *Articles) unknown(ctx context.Context, r *articleRun, code int, now time.Time) error {
	a.Store.Alarm("broadcast.alert.article_unknown", "ID", r.broadcast)
	if err := a.exec(ctx, `UPDATE article_run SET code = $2 WHERE run = $1`, r.Run, code); err != nil {
		return err
	}
	return a.ended(ctx, r, "unknown", "", causeArticleUnknown, now)
}

// ended ends article and run together.
func (a *Articles) ended(ctx context.Context, r *articleRun, state, messageID, cause string, now time.Time) error {
	err := pgx.BeginFunc(ctx, a.Store.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
UPDATE article_run SET state = $2, message_id = nullif($3, ''), cause = nullif($4, ''), ended_at = $5 WHERE run = $1`,
			r.Run, state, messageID, cause, now)
		if err != nil {
			return err
		}
		b, err := lock(ctx, tx, r.broadcast)
		if err != nil {
			return err
		}
		// Paused or cancelled in the middle of the call, it has gone out all the same.
		live, err := readRun(ctx, tx, `id = $1 AND state IN ('running', 'paused') FOR UPDATE`, r.Run)
		if err != nil || live == nil {
			return err
		}
		return a.Store.end(ctx, tx, &b, live, RunDone, cause, now)
	})
	if err != nil {
		return fmt.Errorf("end article: %w", err)
	}
	return nil
}

// missed ends a run that found no moment before its latest start.
func (a *Articles) missed(ctx context.Context, r *articleRun, now time.Time) error {
	err := pgx.BeginFunc(ctx, a.Store.Pool, func(tx pgx.Tx) error {
		b, err := lock(ctx, tx, r.broadcast)
		if err != nil {
			return err
		}
		live, err := readRun(ctx, tx, `id = $1 AND state = 'running' FOR UPDATE`, r.Run)
		if err != nil || live == nil {
			return err
		}
		return a.Store.miss(ctx, tx, &b, live, now)
	})
	if err != nil {
		return fmt.Errorf("miss article: %w", err)
	}
	return a.withdraw(ctx, r, now)
}

// withdraw ends an article whose run has ended without it, and hides it where it
// was shown already.
func (a *Articles) withdraw(ctx context.Context, r *articleRun, now time.Time) error {
	if r.State == "sending" {
		return a.unknown(ctx, r, 0, now)
	}
	if r.ArticleID != "" {
		if err := a.Slot(ctx); err != nil {
			return err
		}
		page := compilePage(a.Store.Texts, r.definition, nil)
		if _, err := a.Zalo.UpdateArticle(ctx, r.ArticleID, page); err != nil {
			slog.Warn("an article that is not sent may still be seen", "run", r.Run, "error", err)
		}
	}
	return a.exec(ctx, `UPDATE article_run SET state = 'cancelled', ended_at = $2 WHERE run = $1`, r.Run, now)
}

func (a *Articles) exec(ctx context.Context, sql string, args ...any) error {
	if _, err := a.Store.Pool.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("note an article's step: %w", err)
	}
	return nil
}

// classOf says what to do about an error of Zalo's; one that is none of Zalo's
// leaves open what happened.
func classOf(err error) delivery.Class {
	var ref *delivery.Refusal
	if errors.As(err, &ref) {
		return ref.Class
	}
	return delivery.ClassAmbiguous
}

func codeOf(err error) int {
	var ref *delivery.Refusal
	if errors.As(err, &ref) {
		return ref.Code
	}
	return 0
}
