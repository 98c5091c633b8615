package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

var markSQL = `
UPDATE outbox o
SET state = 'sending', tries = o.tries + 1, due_at = clock_timestamp() + $2::interval, called_at = clock_timestamp()
FROM unnest($3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY AS w (oa_id, citizen, id, slot)
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id
  AND o.state = 'claimed' AND o.instance = $1 AND o.due_at > clock_timestamp()
  AND (current_setting('congdanso.free')::bool[])[w.slot]
  AND NOT EXISTS (
    SELECT FROM outbox e WHERE e.oa_id = o.oa_id AND e.citizen = o.citizen AND e.id <> o.id AND ` +
	fmt.Sprintf(blocking, "o.id", "o.priority") + `)
RETURNING o.oa_id, o.citizen, o.id, o.tries`

type key struct {
	who bot.CitizenID
	id  int64
}

// mark commits jobs as sending, all in one statement, and starts the calls of
// those that were ours to send. It reports false when Postgres is away.
func (o *Outbox) mark(ctx context.Context, jobs []*job) bool {
	asked := o.opt.Now() // Postgres's lease begins later than this
	oas, users, ids := keysOf(jobs)
	locks := make([]int32, len(jobs))
	for i, j := range jobs {
		locks[i] = lockKey(j.who)
	}
	marked := make(map[key]int16, len(jobs))
	batch := &pgx.Batch{}
	batch.Queue(lockSQL, int32(lockClass), locks)
	batch.Queue(markSQL, o.opt.Instance, o.opt.Lease, oas, users, ids).Query(func(rows pgx.Rows) error {
		var k key
		var tries int16
		_, err := pgx.ForEachRow(rows, []any{&k.who.OA, &k.who.User, &k.id, &tries}, func() error {
			marked[k] = tries
			return nil
		})
		return err
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.opt.Lease)
	defer cancel()
	if err := o.pool.SendBatch(ctx, batch).Close(); err != nil {
		// Should it have committed all the same, the leases end and the rows are
		// taken for unknown.
		slog.Error("cannot mark messages as sending", "messages", len(jobs), "error", err)
		o.health.untried()
		o.queue.putBack(jobs)
		o.places.give(len(jobs))
		return false
	}
	var blocked []*job
	for _, j := range jobs {
		tries, ok := marked[key{j.who, j.id}]
		if !ok {
			blocked = append(blocked, j)
			continue
		}
		j.tries, j.leaseEnd = tries, asked.Add(o.opt.Lease)
		o.launch(j)
	}
	if len(blocked) > 0 {
		o.health.untried()
		o.stepBack(ctx, blocked)
	}
	return true
}

// stepBack gives back jobs that were not ours to send: the row is gone (its
// citizen was erased), somebody else has taken it, or another row of the citizen
// has to go first. They stay claimed, by nobody: a pending row that is not due yet
// would let the citizen's later ones overtake it.
func (o *Outbox) stepBack(ctx context.Context, jobs []*job) {
	oas, users, ids := keysOf(jobs)
	_, err := o.pool.Exec(ctx, `
UPDATE outbox o SET instance = NULL, due_at = clock_timestamp() + $5::interval
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS w (oa_id, citizen, id)
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id AND o.state = 'claimed' AND o.instance = $1`,
		o.opt.Instance, oas, users, ids, yield)
	if err != nil {
		slog.Error("cannot give back messages", "messages", len(jobs), "error", err) // their leases will end
	}
	for _, j := range jobs {
		o.queue.land(j)
	}
	o.places.give(len(jobs))
	time.AfterFunc(yield, o.lookNow)
}

// release gives back jobs that wait in memory, so that anybody may take them.
func (o *Outbox) release(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	oas, users, ids := keysOf(jobs)
	_, err := o.pool.Exec(ctx, `
UPDATE outbox o SET state = 'pending', instance = NULL, due_at = o.created_at
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS w (oa_id, citizen, id)
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id AND o.state = 'claimed' AND o.instance = $1`,
		o.opt.Instance, oas, users, ids)
	return err
}

func keysOf(jobs []*job) (oas, users []string, ids []int64) {
	oas, users, ids = make([]string, len(jobs)), make([]string, len(jobs)), make([]int64, len(jobs))
	for i, j := range jobs {
		oas[i], users[i], ids[i] = j.who.OA, j.who.User, j.id
	}
	return oas, users, ids
}
