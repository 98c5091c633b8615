package broadcast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/push"
)

var _ push.Runs = (*Store)(nil)

// errNoRun: the feeder knows a run that this package does not.
var errNoRun = errors.New("there is no such run")

// Active lists the runs whose copies may go, as push.Runs.
func (s *Store) Active(ctx context.Context, _ time.Time) ([]push.Run, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT `+runColumns+` FROM broadcast_run WHERE state = 'running' AND kind = 'personal'
ORDER BY class, started_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list active runs: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, fmt.Errorf("list active runs: %w", err)
	}
	active := make([]push.Run, len(list))
	for i, r := range list {
		active[i] = r.push()
	}
	return active, nil
}

// Render says what the copies of a run say, under the definition it was launched
// with, also to who reads theirs long after the run has ended.
func (s *Store) Render(ctx context.Context, run int64, people []push.Person) ([]push.Content, error) {
	r, err := s.rendering(ctx, run)
	if err != nil {
		return nil, fmt.Errorf("render copies of run %d: %w", run, err)
	}
	return r.Render(people), nil
}

// mostRenderings bounds the bodies kept ready in memory.
const mostRenderings = 64

// rendering is a run's body made ready. It never changes once the run is launched.
func (s *Store) rendering(ctx context.Context, run int64) (*Rendering, error) {
	s.mu.Lock()
	ready := s.ready[run]
	s.mu.Unlock()
	if ready != nil {
		return ready, nil
	}
	r, err := readRun(ctx, s.Pool, `id = $1`, run)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Definition == nil {
		return nil, errNoRun
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		short, err := s.shortLinks(ctx, tx, r.Broadcast, r.Definition.Body, r.StartedAt)
		ready = Compile(s.Texts, *r.Definition, short)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) >= mostRenderings {
		clear(s.ready)
	}
	s.ready[run] = ready
	return ready, nil
}

// Stop pauses a running broadcast for a cause a person has to see to, and tells the
// operators.
func (s *Store) Stop(ctx context.Context, run int64, cause string) error {
	return s.ofRun(ctx, "stop", run, func(tx *deed, b *Broadcast, r *Run) error {
		now := time.Now().UTC()
		if err := b.pause(ctx, tx, cause); err != nil {
			return err
		}
		if err := b.save(ctx, tx, now); err != nil {
			return err
		}
		tx.alarm("broadcast.alert.stopped", "ID", b.ID, "Cause", Word(s.Texts, bot.Vietnamese, "cause", cause))
		return s.audit(ctx, tx, system, "stop", b.ID, b.Agency, map[string]any{"run": r.ID, "cause": cause})
	})
}

// Finish ends a run of which no copy is pending or queued any more.
func (s *Store) Finish(ctx context.Context, run int64, now time.Time) error {
	return s.ofRun(ctx, "finish", run, func(tx *deed, b *Broadcast, r *Run) error {
		return s.end(ctx, tx, b, r, RunDone, "", now)
	})
}

// ofRun does something to a run that goes, with the broadcast and the run held. A
// run that was paused, cancelled or ended meanwhile is left as it is.
func (s *Store) ofRun(ctx context.Context, act string, run int64, do func(tx *deed, b *Broadcast, r *Run) error) error {
	err := s.commit(ctx, func(tx *deed) error {
		var id int64
		if err := tx.QueryRow(ctx, `SELECT broadcast FROM broadcast_run WHERE id = $1`, run).Scan(&id); err != nil {
			return err
		}
		b, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		r, err := readRun(ctx, tx, `id = $1 AND state = 'running' FOR UPDATE`, run)
		if err != nil || r == nil {
			return err
		}
		return do(tx, &b, r)
	})
	if err != nil {
		return fmt.Errorf("%s run %d: %w", act, run, err)
	}
	return nil
}
