package broadcast_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/broadcast"
)

// TestErasedTesterLeavesNothing: a test recipient is erased between approval and
// launch. The approval stands, the others get theirs, and nothing tells who it was.
func TestErasedTesterLeavesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(30)
	number := func(user string) int64 {
		t.Helper()
		n, err := o.Tester(t.Context(), bot.CitizenID{OA: oa, User: user})
		o.must(err)
		return n
	}
	first, second := number("c0000007"), number("c0000009")
	if again := number("c0000007"); again != first || first == second {
		t.Fatalf("numbers %d, %d, and %d for the first again", first, second, again)
	}
	_, err := o.Tester(t.Context(), bot.CitizenID{OA: oa, User: "nobody"})
	o.refused(err, "tester")
	d := sample()
	d.Audience.Testers = []int64{first, second}
	d.Schedule.At = morning.Add(time.Hour)
	id := o.approved(d)
	o.tick(morning)
	seen := o.seen(id, morning)
	if seen.Recipients != 2 {
		t.Fatalf("%d recipients, want the two test recipients", seen.Recipients)
	}
	erase := func(user string) {
		t.Helper()
		o.must(pgx.BeginFunc(t.Context(), o.pool, func(tx pgx.Tx) error {
			if err := o.EraseCitizen(context.Background(), tx, bot.CitizenID{OA: oa, User: user}); err != nil {
				return err
			}
			_, err := tx.Exec(context.Background(), `DELETE FROM citizen WHERE citizen = $1`, user)
			return err
		}))
	}
	erase("c0000007")
	if after := o.seen(id, morning); !bytes.Equal(after.Hash, seen.Hash) || after.Recipients != 1 {
		t.Errorf("after the erasure: %d recipients, hash as before: %v", after.Recipients, bytes.Equal(after.Hash, seen.Hash))
	}
	o.tick(morning.Add(time.Hour))
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	if n := o.int(`SELECT count(*) FROM push WHERE citizen = 'c0000009'`); n != 1 || o.int(`SELECT count(*) FROM push`) != 1 {
		t.Errorf("%d copies to who is left, %d in all; want one", n, o.int(`SELECT count(*) FROM push`))
	}
	for _, table := range []string{"broadcast", "broadcast_run", "broadcast_tester", "broadcast_approval", "audit"} {
		if n := o.int(`SELECT count(*) FROM ` + table + ` x WHERE x::text LIKE '%c0000007%'`); n != 0 {
			t.Errorf("%d rows of %s still tell who was erased", n, table)
		}
	}
	// Nobody is left: that is no audience, not everybody.
	erase("c0000009")
	o.refused(o.Submit(t.Context(), an, o.draft(d), 1, morning), "empty")
	// Who comes back is somebody new.
	o.exec(`INSERT INTO citizen (oa_id, citizen, created_at) VALUES ($1, 'c0000007', $2)`, oa, morning)
	if back := number("c0000007"); back == first {
		t.Errorf("who comes back has the number %d of old definitions", back)
	}
}
