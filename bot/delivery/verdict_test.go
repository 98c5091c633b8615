package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/integrations/postgres/pgtest"
)

// pgtestAdmin runs statements about the rig's database from outside it.
func pgtestAdmin(t testing.TB, r *rig) func(format string) {
	admin := pgtest.Superuser(t)
	name := r.pool.Config().ConnConfig.Database
	return func(format string) {
		t.Helper()
		if _, err := admin.Exec(context.Background(), fmt.Sprintf(format, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	night := time.Date(2026, 11, 23, 23, 30, 0, 0, zaloZone)
	o := &Outbox{opt: Options{Now: func() time.Time { return night }}.withDefaults()}
	message, tag := job{priority: Reply, kind: kindMessage, tries: 1}, job{priority: Reply, kind: "tag", tries: 1}
	told := job{priority: Notice, kind: kindMessage, tries: 1}
	tired := job{priority: Notice, kind: kindMessage, tries: mostWaits}
	for _, c := range []struct {
		name             string
		job              job
		err              error
		state, outcome   string
		atLeast, atMost  time.Duration
		unsure, block    bool
		throttled, human bool
	}{
		{name: "taken", job: message, outcome: outcomeSent},
		{name: "never left", job: message, err: &Refusal{Class: ClassNotSent, Err: errors.New("refused")},
			state: statePending, atLeast: 250 * time.Millisecond, atMost: 500 * time.Millisecond, block: true},
		{name: "cut off", job: message, err: &Refusal{Class: ClassAmbiguous}, state: stateUnknown, unsure: true, block: true},
		{name: "an error nobody classed", job: told, err: context.DeadlineExceeded, state: stateUnknown, unsure: true, block: true},
		{name: "a tag cut off", job: tag, err: &Refusal{Class: ClassAmbiguous}, state: statePending, atLeast: 250 * time.Millisecond, atMost: 500 * time.Millisecond, block: true},
		{name: "wait", job: message, err: &Refusal{Class: ClassWait, Code: -200}, state: statePending, atLeast: time.Second, atMost: 2 * time.Second, block: true},
		{name: "wait as told", job: message, err: &Refusal{Class: ClassWait, Code: -200, RetryAfter: time.Minute}, state: statePending, atLeast: time.Minute, atMost: time.Minute, block: true},
		{name: "waited often enough", job: tired, err: &Refusal{Class: ClassWait, Code: -200}, outcome: outcomeFailed},
		{name: "rate", job: tired, err: &Refusal{Class: ClassNotSent, Code: -32}, state: statePending, atLeast: 8 * time.Second, atMost: 16 * time.Second, block: true, throttled: true},
		{name: "quota", job: told, err: &Refusal{Class: ClassQuota, Code: -211}, state: statePending, atLeast: 30 * time.Minute, atMost: 40 * time.Minute, block: true},
		{name: "night", job: told, err: &Refusal{Class: ClassNight, Code: -234}, state: statePending, atLeast: 6*time.Hour + 30*time.Minute, atMost: 6*time.Hour + 35*time.Minute, block: true},
		{name: "a reply outside the window", job: message, err: &Refusal{Class: ClassWindow, Code: -230}, outcome: outcomeFailed},
		{name: "a notice outside the window", job: told, err: &Refusal{Class: ClassWindow, Code: -230}, outcome: outcomeFailed},
		{name: "a person has to act", job: told, err: &Refusal{Class: ClassHuman, Code: -204}, state: statePending, atLeast: 5 * time.Minute, atMost: 5 * time.Minute, block: true, human: true},
		{name: "blocked by the person", job: message, err: &Refusal{Class: ClassDrop, Code: -217}, outcome: outcomeFailed},
		{name: "attachment expired", job: message, err: &Refusal{Class: ClassReupload, Code: -100}, outcome: outcomeFailed},
	} {
		v := o.judge(&c.job, Receipt{}, c.err)
		if v.state != c.state || v.outcome != c.outcome || v.unsure != c.unsure || v.block != c.block || v.throttl != c.throttled || v.person != c.human {
			t.Errorf("%s: %+v", c.name, v)
		}
		if v.after < c.atLeast || v.after > c.atMost {
			t.Errorf("%s: again after %v, want between %v and %v", c.name, v.after, c.atLeast, c.atMost)
		}
	}
}

func TestAKindOfCallRestsUntilAPersonHasActed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	closed := make(chan struct{})
	r.zalo.answer = func(s sent) error {
		select {
		case <-closed:
			return nil
		default:
		}
		if s.text == "tag a" {
			return &Refusal{Class: ClassHuman, Code: -212, Message: "App has not registed this api"}
		}
		return nil
	}
	tag := func(n int) Item {
		return Item{To: person(n), Priority: Reply, Call: &bot.Call{Kind: bot.CallTag, Tag: "a"}}
	}
	began := time.Now()
	r.decide(in, tag(1))
	alarm := <-in.alarms
	if alarm.Kind != "human" || alarm.Call != "tag" || alarm.Code != -212 || alarm.Words == "" {
		t.Errorf("alarm %+v", alarm)
	}
	for n := range 30 {
		r.decide(in, tag(n+10), reply(n+10, "goes on"))
	}
	eventually(t, "messages go on", func() bool { return len(r.zalo.texts(person(39))) == 1 })
	eventually(t, "one tries again", func() bool { return r.zalo.calls()-30 > 1 })
	// However slow the machine is: one call in each pause, and the first.
	if got, most := r.zalo.calls()-30, 1+int(time.Since(began)/quick().HumanPause); got > most {
		t.Errorf("%d calls of a kind at rest, want at most %d", got, most)
	}
	close(closed)
	r.empty()
	if len(in.alarms) > 0 {
		t.Errorf("alarmed again: %+v", <-in.alarms)
	}
}

func TestABrokenWayIsTriedOneByOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	open := make(chan struct{})
	r.zalo.answer = func(sent) error {
		select {
		case <-open:
			return nil
		default:
			return &Refusal{Class: ClassNotSent, Err: errors.New("connection refused")}
		}
	}
	for n := range 200 {
		r.decide(in, reply(n, "x"))
	}
	eventually(t, "calls rest", func() bool { return !in.health.well() })
	eventually(t, "no call is in the air", func() bool { return in.Stats().InAir == 0 })
	before := r.zalo.calls()
	in.moments(10)
	if got := r.zalo.calls() - before; got > 3 {
		t.Errorf("%d calls while the way was broken", got)
	}
	close(open)
	r.empty()
	for n := range 200 {
		wantTexts(t, r, n, "x")
	}
}

func TestZaloRefusesForTheRate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	n := 0
	r.zalo.answer = func(sent) error {
		if n++; n == 1 {
			return &Refusal{Class: ClassNotSent, Code: throttledCode}
		}
		return nil
	}
	r.decide(in, reply(1, "a"))
	r.empty()
	if got := in.limiter.throttled.Load(); got != 1 {
		t.Errorf("the limiter was told %d times", got)
	}
	wantTexts(t, r, 1, "a")
}
