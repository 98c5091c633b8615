package broadcast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

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
	return a.exec(ctx, `UPDATE article_run SET state = $2, called_at = NULL, cause = $3, code = $4, due_at = `+dueBy("$5")+` WHERE run = $1`,
		r.Run, state, cause, code, until)
}

func (a *Articles) later(ctx context.Context, r *articleRun, state, cause string, until time.Time) error {
	return a.exec(ctx, `UPDATE article_run SET state = $2, cause = nullif($3, ''), due_at = `+dueBy("$4")+` WHERE run = $1`,
		r.Run, state, cause, until)
}

// dueBy waits until a moment, yet not beyond the latest start: that it is missed is
// told when it is.
func dueBy(until string) string {
	return `least(` + until + `, greatest(latest_start, starts_at) + interval '1 second')`
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
	return a.ended(ctx, r, outcome{state: "unknown", cause: causeArticleUnknown, code: code}, now)
}

// outcome is how the call of an article's broadcast ended.
type outcome struct {
	state     string
	messageID string
	cause     string
	code      int
}

// ended ends article and run together.
func (a *Articles) ended(ctx context.Context, r *articleRun, o outcome, now time.Time) error {
	err := a.Store.commit(ctx, func(tx *deed) error {
		_, err := tx.Exec(ctx, `
UPDATE article_run SET state = $2, message_id = nullif($3, ''), cause = nullif($4, ''), code = nullif($5, 0), ended_at = $6 WHERE run = $1`,
			r.Run, o.state, o.messageID, o.cause, o.code, now)
		if err != nil {
			return err
		}
		if o.state == "unknown" {
			tx.alarm("broadcast.alert.article_unknown", "ID", r.broadcast)
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
		return a.Store.end(ctx, tx, &b, live, RunDone, o.cause, now)
	})
	if err != nil {
		return fmt.Errorf("end article: %w", err)
	}
	return nil
}

// missed ends a run that found no moment before its latest start.
func (a *Articles) missed(ctx context.Context, r *articleRun, now time.Time) error {
	err := a.Store.commit(ctx, func(tx *deed) error {
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
