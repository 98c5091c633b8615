package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/integrations/postgres/pgtest"
)

// broadcastPeople is how many people the proof by kills writes to: fewer than the
// 50,000 of PROOF_RECIPIENTS=50000, for most of its time is waiting for leases.
func broadcastPeople(t testing.TB) int {
	t.Helper()
	text := os.Getenv("PROOF_RECIPIENTS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("PROOF_RECIPIENTS=%s: want a number of people, 1000 or more", text)
	}
	return n
}

// TestProofBroadcastKilledAgainAndAgain: two instances send a broadcast to
// thousands of people. Ten times one of them is killed, by turns, at a moment that nobody chose,
// and started again. Everybody ends in a final state, nobody is sent it twice or
// forgotten, and unknown is no more than what was in the air at the kills.
func TestProofBroadcastKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const kills = 10
	// Zalo says that it took a copy a moment after it did: a kill meets calls in the air.
	w := newWorld(t, pgtest.URL(t), lightly, paced(20*time.Millisecond))
	c := newCampaign(w, audience{people: broadcastPeople(t), wrote: time.Hour})
	addresses := [2]string{freePort(t), freePort(t)}
	servers := [2]*server{w.serve(addresses[0]).Ready(), w.serve(addresses[1]).Ready()}
	began := time.Now()
	c = c.approve(duty()).goes()
	end := c.audit()
	for i := range kills {
		// Every second time the other one is killed soon after, as it takes over or not.
		// The first two may meet the freezing.
		pause := rand.N(1500 * time.Millisecond)
		if i >= 2 && i%2 == 0 {
			c.reached((i-2)*c.people/kills + rand.IntN(2*c.people/kills))
			pause /= 10
		}
		<-time.After(pause)
		victim := i % 2
		servers[victim].Kill()
		servers[victim] = w.serve(addresses[victim])
	}
	c.runIs(broadcast.RunDone, 2*time.Minute)
	took := time.Since(began)
	end()
	b := c.account(0)
	t.Logf("%d kills, %.0f s", kills, took.Seconds())
	if b.Sent+b.Unknown != b.Audience {
		t.Errorf("everybody can be reached, and %d were not written to", b.Audience-b.Sent-b.Unknown)
	}
	if b.Unknown > kills*callsInAir {
		t.Errorf("%d unknown after %d kills with %d calls in the air", b.Unknown, kills, callsInAir)
	}
	for _, s := range servers {
		w.stop(s.Ready())
	}
}
