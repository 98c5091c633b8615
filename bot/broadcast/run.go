package broadcast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/push"
)

// RunState is where a run stands.
type RunState string

// The states of a run.
const (
	RunScheduled RunState = "scheduled"
	RunFreezing  RunState = "freezing" // its audience is being turned into copies
	RunAsking    RunState = "asking"   // count or cost is above what was approved
	RunRunning   RunState = "running"  // its copies go
	RunPaused    RunState = "paused"
	RunDone      RunState = "done"
	RunMissed    RunState = "missed" // found after its latest start: never sent
	RunCancelled RunState = "cancelled"
)

// Causes of a run's state, the keys of words below broadcast.cause. Feeding adds
// its own (push: "quota", "budget").
const (
	causeStaff      = "staff"      // somebody decided so
	causeCorrected  = "corrected"  // a correction of it was drafted
	causeLate       = "late"       // found after its latest start
	causeRecipients = "recipients" // more people than approved
	causeCost       = "cost"       // dearer than approved
)

// Run is one occurrence of a broadcast.
type Run struct {
	ID                 int64
	Broadcast          int64
	OA                 string
	Kind               Kind
	Class              push.Class
	At                 time.Time
	LatestAt           time.Time
	State              RunState
	Definition         *Definition // as it was approved; nil before the launch
	ApprovedRecipients int64
	ApprovedCost       int64
	FrozenAt           time.Time
	Cursor             string
	Whole              bool
	Recipients         int64 // once whole
	Cost               int64
	Cause              string
	StartedAt          time.Time
	EndedAt            time.Time
	ExpiresAt          time.Time
}

// never stands for NULL where a time is read.
const never = `'0001-01-01T00:00:00Z'`

// runColumns are what scanRun reads.
const runColumns = `id, broadcast, oa_id, kind, class, at, latest_at, state, definition,
coalesce(approved_recipients, 0), coalesce(approved_cost, 0), coalesce(frozen_at, ` + never + `), cursor, whole,
coalesce(recipients, 0), coalesce(cost, 0), coalesce(cause, ''),
coalesce(started_at, ` + never + `), coalesce(ended_at, ` + never + `), coalesce(expires_at, ` + never + `)`

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	err := row.Scan(&r.ID, &r.Broadcast, &r.OA, &r.Kind, &r.Class, &r.At, &r.LatestAt, &r.State, &r.Definition,
		&r.ApprovedRecipients, &r.ApprovedCost, &r.FrozenAt, &r.Cursor, &r.Whole,
		&r.Recipients, &r.Cost, &r.Cause, &r.StartedAt, &r.EndedAt, &r.ExpiresAt)
	return r, err
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readRun reads the run that the rest of the statement names; nil when there is none.
func readRun(ctx context.Context, db querier, where string, args ...any) (*Run, error) {
	rows, err := db.Query(ctx, `SELECT `+runColumns+` FROM broadcast_run WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRun)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	return &r, nil
}

// liveRun is the run of a broadcast that has begun and not ended; there is at most
// one. The caller holds the broadcast; the run is held too.
func liveRun(ctx context.Context, tx pgx.Tx, id int64) (*Run, error) {
	return readRun(ctx, tx, `broadcast = $1 AND state IN ('freezing', 'asking', 'running', 'paused') FOR UPDATE`, id)
}

// RunsOf lists the runs of a broadcast, the newest first.
func (s *Store) RunsOf(ctx context.Context, id int64, most int) ([]Run, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT `+runColumns+` FROM broadcast_run WHERE broadcast = $1 ORDER BY at DESC LIMIT $2`, id, most)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return list, nil
}

// class is the class of the copies of a broadcast.
func (d Definition) class() push.Class {
	switch {
	case d.Urgent:
		return push.Urgent
	case d.Corrects != 0:
		return push.Correction
	}
	return push.Broadcast
}

// push is the run as the feeder knows it.
func (r *Run) push() push.Run {
	return push.Run{
		ID: r.ID, OA: r.OA, Class: r.Class, ExpiresAt: r.ExpiresAt,
		Template: r.Definition.Template, AnyHour: r.Class == push.Urgent,
	}
}
