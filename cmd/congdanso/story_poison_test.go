package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/zalo/zalosim"
)

// TestStoryOfAPoisonEventAmongOthers: one person's event cannot be committed,
// whatever is tried. Those who share its commits lose nothing; it moves to the
// dead letters, the person hears an apology, and an operator retries it once its
// cause is mended.
func TestStoryOfAPoisonEventAmongOthers(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	victim := w.newcomer(1)
	victim.follows()
	w.quiet()
	w.exec(`CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'this one cannot be written'; END $$`)
	w.exec(fmt.Sprintf(`CREATE TRIGGER poison BEFORE UPDATE ON conversation FOR EACH ROW WHEN (OLD.citizen = '%s') EXECUTE FUNCTION poison()`, victim.id))

	greeted := len(victim.sends())
	w.zalo.HoldWebhooks(true)
	var others []*resident
	for i := range 40 {
		r := w.newcomer(100 + i)
		others = append(others, r)
		if i == 20 {
			w.zalo.SendText(victim.id, papersWanted)
		}
		w.zalo.SendText(r.id, "menu")
	}
	w.zalo.HoldWebhooks(false)
	for _, r := range others {
		eventually(t, soon, "those beside the poison are answered", func() bool { return len(r.sends()) == 1 })
	}
	eventually(t, 2*soon, "an apology", func() bool { return len(victim.sends()) > greeted })
	has(t, victim.newest(), text(t, "runtime.apology"))
	victim.button(text(t, "runtime.menu")) // a way on

	w.quiet()
	for _, r := range others {
		if n := len(r.sends()); n != 1 {
			t.Errorf("%d answers to one message", n)
		}
	}
	if n := w.count(`SELECT count(*) FROM citizen`); n != len(others)+1 {
		t.Errorf("%d people are known, want %d", n, len(others)+1)
	}

	list, err := w.invoke("dead-letters")
	if err != nil || !strings.Contains(list, "failed 5 times") {
		t.Fatalf("dead-letters: %v\n%s", err, list)
	}
	hasNone(t, list, victim.id, papersWanted)
	id := regexp.MustCompile(`^\d+`).FindString(list)

	// Mended, and tried again: the answer that was owed comes.
	w.exec(`DROP TRIGGER poison ON conversation`)
	before := len(victim.sends())
	if out, err := w.invoke("dead-letters", "--retry", id); err != nil || !strings.Contains(out, id) {
		t.Fatalf("retry: %v\n%s", err, out)
	}
	eventually(t, soon, "the owed answer", func() bool { return len(victim.sends()) > before })
	has(t, victim.newest(), papersWanted, "UBND phường Mẫu")
	if out, _ := w.invoke("dead-letters"); !strings.Contains(out, "(retried)") {
		t.Errorf("it is not marked as retried:\n%s", out)
	}
	if out, err := w.invoke("dead-letters", "--retry", id); err == nil {
		t.Errorf("it is retried a second time:\n%s", out)
	}
	w.stop(s)
}

// TestStoryOfOddBytes: bytes that Postgres takes for no text stop nobody.
func TestStoryOfOddBytes(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	odd := map[string]func(r *resident) []byte{
		"a NUL in the text":           func(r *resident) []byte { return r.event("a1", `H42.16-240612-0001\u0000`, time.Now()) },
		"nothing but NUL":             func(r *resident) []byte { return r.event("a2", `\u0000\u0000`, time.Now()) },
		"a NUL in the message's id":   func(r *resident) []byte { return r.event(`a3\u0000`, "menu", time.Now()) },
		"half a surrogate":            func(r *resident) []byte { return r.event("a4", `menu \ud83d`, time.Now()) },
		"bytes that are no UTF-8":     func(r *resident) []byte { return r.event("a5", "menu \xff\xfe", time.Now()) },
		"an id of bytes, not letters": func(r *resident) []byte { return r.event("a6\xff", "menu", time.Now()) },
		"a very long message id":      func(r *resident) []byte { return r.event("a7"+strings.Repeat("f", 4000), "menu", time.Now()) },
		"a NUL in a payload": func(r *resident) []byte {
			return r.event("a8", `#dossier.show:H42.16-240612-0001\u0000`, time.Now())
		},
	}
	n := 0
	for what, body := range odd {
		n++
		r := w.newcomer(n)
		r.follows() // Zalo lets the account write only to who did something
		answer := r.does(what, func() { w.zalo.Raw(body(r)) })
		if strings.TrimSpace(answer.Text) == "" || answer.Text == text(t, "runtime.apology") {
			t.Errorf("%s is answered with:\n%s", what, answer.Text)
		}
		// The next message is answered as if nothing had been.
		has(t, r.says(papersWanted), papersWanted, "UBND phường Mẫu")
	}
	w.quiet()
	if n := w.count(`SELECT count(*) FROM dead_letter`); n != 0 {
		out, _ := w.invoke("dead-letters")
		t.Errorf("%d dead letters:\n%s", n, out)
	}
	w.stop(s)
}

// TestStoryOfWhatCannotBeDecoded: a delivery that is Zalo's and makes no sense is
// acknowledged, kept, and listed for whoever looks after the channel.
func TestStoryOfWhatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	now := time.Now().UnixMilli()
	senseless := []string{
		`{"app_id":"%[1]s","event_name":"user_send_text","timestamp":"%[2]d","message":"not an object"}`,
		`{"app_id":"%[1]s","event_name":"user_send_text","timestamp":"%[2]d","sender":{"id":{"a":1}},"recipient":{"id":"%[3]s"},"message":{"msg_id":"x"}}`,
		`{"app_id":"%[1]s","event_name":"user_send_text","timestamp":"%[2]d","sender":{"id":"12\u000034"},"recipient":{"id":"%[3]s"},"message":{"msg_id":"y","text":"chao"}}`,
		`{"app_id":"%[1]s","event_name":"follow","timestamp":"%[2]d","oa_id":"%[3]s"}`,
	}
	for _, body := range senseless {
		w.zalo.Raw(fmt.Appendf(nil, body, zalosim.ExampleAppID, now, zalosim.ExampleOAID))
	}
	eventually(t, soon, "they are kept", func() bool { return w.count(`SELECT count(*) FROM dead_letter`) == len(senseless) })
	w.quiet()
	for _, try := range w.zalo.Webhooks() {
		if try.Status != 200 || try.Try != 0 {
			t.Errorf("answered %d at try %d: %s", try.Status, try.Try, try.Body)
		}
	}
	out, err := w.invoke("dead-letters")
	if err != nil || strings.Count(out, "decode") != len(senseless) {
		t.Fatalf("dead-letters: %v\n%s", err, out)
	}
	if !strings.Contains(out, "nobody could be made out") {
		t.Errorf("it does not say that nobody can be told:\n%s", out)
	}
	if out, err := w.invoke("dead-letters", "--most", "1"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("--most 1: %v\n%s", err, out)
	}
	// A dead letter says what failed, never what was written.
	hasNone(t, out+s.Logs(), "chao", "not an object")
	if out, err := w.invoke("dead-letters", "--retry", "1"); err == nil {
		t.Errorf("what names nobody is retried:\n%s", out)
	}
	// And the channel goes on.
	has(t, w.newcomer(9).says(papersWanted), papersWanted)
	w.stop(s)
}
