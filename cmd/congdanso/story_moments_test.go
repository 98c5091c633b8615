package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"congdanso/bot/dossier"
)

// TestStoryOfALateOne: a "1" typed before the question was asked, and delivered
// after it, confirms nothing; neither does the word that erases.
func TestStoryOfALateOne(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	lan.follows()
	before := time.Now().Add(-time.Minute)

	lan.says(papersWanted)
	has(t, lan.taps("Báo khi có thay đổi"), text(t, "dossier.follow.consent"))
	asked := len(lan.sends())
	for i, word := range []string{"1", "dong y", "co", "#dossier.follow_yes:" + papersWanted} {
		w.zalo.Raw(lan.event("late-keep-"+itoa(i), word, before.Add(time.Duration(i)*time.Second)))
	}
	w.quiet()
	if n := w.count(`SELECT (SELECT count(*) FROM dossier_kept) + (SELECT count(*) FROM consent)`); n != 0 {
		t.Fatal("a word said before the question was taken for its answer")
	}
	if n := len(lan.sends()); n != asked {
		t.Errorf("%d answers to words that came late", n-asked)
	}
	// The question still stands, for the word said in time.
	has(t, lan.says("1"), text(t, "dossier.follow.done", "Code", papersWanted, "Proven", false))

	lan.says("xoá dữ liệu của tôi")
	asked = len(lan.sends())
	for i, word := range []string{"XOÁ", "xoa", "xoá dữ liệu"} {
		w.zalo.Raw(lan.event("late-erase-"+itoa(i), word, before.Add(time.Duration(10+i)*time.Second)))
	}
	w.quiet()
	if n := w.count(`SELECT count(*) FROM dossier_kept`); n != 1 || len(lan.sends()) != asked {
		t.Fatalf("a late word erased: %d dossiers are kept\n%s", n, lan.newest().Text)
	}
	// What is whole in itself is answered however late it comes.
	has(t, lan.does("a late code", func() { w.zalo.Raw(lan.event("late-code", isReady, before.Add(20*time.Second))) }), isReady)
	has(t, lan.does("a late stop", func() { w.zalo.Raw(lan.event("late-stop", "dừng tin", before.Add(30*time.Second))) }), text(t, "stop.done"))
	w.stop(s)
}

// TestStoryOfYesterdaysButtons: a number means the newest question, and none that
// is a day old; a button says what it says whenever it is tapped, and asks again
// for what has to be asked.
func TestStoryOfYesterdaysButtons(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	lan.follows()
	lan.says(papersWanted)
	details, keep := lan.button("Xem cần nộp gì"), lan.button("Báo khi có thay đổi")
	lan.taps("Xem cần nộp gì")
	lan.says(rightDigits)
	steps := lan.button("Các bước đã qua")
	lan.says("menu")

	w.quiet()
	w.age(25 * time.Hour)
	w.exec(`UPDATE dossier_proof SET expires_at = expires_at - interval '25 hours'`)
	// "1" was the first line of yesterday's menu. Today it is a number.
	has(t, lan.says("1"), text(t, "menu.lost_first"))
	tap := func(payload string) string {
		return lan.does("an old button", func() { w.zalo.Tap(lan.id, payload, false) }).Text
	}
	for _, old := range []string{details, steps} {
		if got := tap(old); !strings.Contains(got, text(t, "dossier.factor.ask")) {
			t.Errorf("an old button opens details without the digits:\n%s", got)
		}
	}
	hasNone(t, tap(steps), "Lê Thị Ví Dụ", "N***")
	if got := tap(keep); !strings.Contains(got, text(t, "dossier.follow.consent")) {
		t.Errorf("an old button keeps without consent:\n%s", got)
	}
	agree := lan.button("Đồng ý")
	has(t, lan.taps("Đồng ý"), text(t, "dossier.follow.done", "Code", papersWanted, "Proven", false))
	// The same button again, after the consent was withdrawn: a consent of its own.
	lan.does("withdrawing all", func() { w.zalo.Tap(lan.id, "#privacy.withdraw_all_now", false) })
	if n := w.count(`SELECT count(*) FROM dossier_kept`); n != 0 {
		t.Errorf("%d dossiers are kept after the consent was withdrawn", n)
	}
	tap(agree)
	w.quiet()
	if n := w.count(`SELECT count(*) FROM consent WHERE purpose = 'keep_dossier' AND withdrawn_at IS NULL`); n != 1 {
		t.Errorf("kept under %d standing consents, want the one just given", n)
	}
	w.stop(s)
}

// age lets every conversation have been left for so long.
func (w *world) age(by time.Duration) {
	w.t.Helper()
	w.restate(func(state map[string]map[string]any) {
		at, err := time.Parse(time.RFC3339Nano, state["conv"]["updated_at"].(string))
		if err != nil {
			w.t.Fatal(err)
		}
		state["conv"]["updated_at"] = at.Add(-by)
	})
}

// breathe lets everybody have been silent long enough to be answered at once again.
func (w *world) breathe() {
	w.t.Helper()
	w.restate(func(state map[string]map[string]any) { delete(state, "pace") })
}

// restate changes where everybody stands.
func (w *world) restate(change func(state map[string]map[string]any)) {
	w.t.Helper()
	keys := w.keys()
	rows, err := w.pool.Query(w.t.Context(), `SELECT citizen, state FROM conversation`)
	if err != nil {
		w.t.Fatal(err)
	}
	states := map[string][]byte{}
	for rows.Next() {
		var who string
		var sealed []byte
		if err := rows.Scan(&who, &sealed); err != nil {
			w.t.Fatal(err)
		}
		states[who] = sealed
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	for who, sealed := range states {
		plain, err := keys.Open("conversation", sealed)
		if err != nil {
			w.t.Fatal(err)
		}
		var state map[string]map[string]any
		if err := json.Unmarshal(plain, &state); err != nil {
			w.t.Fatal(err)
		}
		change(state)
		if plain, err = json.Marshal(state); err != nil {
			w.t.Fatal(err)
		}
		w.exec(`UPDATE conversation SET state = $2 WHERE citizen = $1`, who, keys.Seal("conversation", plain))
	}
}

// TestStoryOfTwoTapsInTheSameMillisecond: two taps of a nervous finger have one
// effect and one answer, whether they wait together or not.
func TestStoryOfTwoTapsInTheSameMillisecond(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	twice := func(text string) int {
		t.Helper()
		before := len(lan.sends())
		now := time.Now()
		w.zalo.Raw(lan.event("a"+itoa(before), text, now))
		w.zalo.Raw(lan.event("b"+itoa(before), text, now))
		eventually(t, soon, "an answer", func() bool { return len(lan.sends()) > before })
		w.quiet()
		return len(lan.sends()) - before
	}
	one := func(n int) {
		t.Helper()
		if n != 1 {
			t.Errorf("%d answers to what was said twice at once:\n%s", n, lan.newest().Text)
		}
	}
	lan.follows()
	has(t, lan.says(papersWanted), "2. Báo khi có thay đổi")
	one(twice("2")) // the second may not answer the question that the first one asked
	has(t, lan.newest(), text(t, "dossier.follow.consent"))
	one(twice(lan.button("Đồng ý")))
	has(t, lan.newest(), text(t, "dossier.follow.done", "Code", papersWanted, "Proven", false))
	kept, consents := w.count(`SELECT count(*) FROM dossier_kept`), w.count(`SELECT count(*) FROM consent`)
	if kept != 1 || consents != 2 {
		t.Errorf("%d dossiers kept, %d consents; want one dossier, kept and told of by one consent each", kept, consents)
	}

	// Two different ones in one millisecond are both answered.
	before, now := len(lan.sends()), time.Now()
	w.zalo.Raw(lan.event("c1", "#dossier.show:"+isReady, now))
	w.zalo.Raw(lan.event("c2", "#dossier.mine", now))
	eventually(t, soon, "both answers", func() bool { return len(lan.sends()) == before+2 })

	// Once the answer is there, the same word is meant.
	has(t, lan.says("menu"), text(t, "menu.intro"))
	has(t, lan.says("menu"), text(t, "menu.intro"))

	// One event delivered three times is one.
	again := lan.event("d1", "menu", time.Now())
	before = len(lan.sends())
	w.zalo.Raw(again)
	w.zalo.Raw(again)
	eventually(t, soon, "an answer", func() bool { return len(lan.sends()) > before })
	w.zalo.Raw(again)
	w.quiet()
	one(len(lan.sends()) - before)
	w.stop(s)

	// Both wait together: the door takes them in while nobody turns.
	door := w.start("--roles", "web")
	before = len(lan.sends())
	now = time.Now()
	w.zalo.Raw(lan.event("e1", "english", now))
	w.zalo.Raw(lan.event("e2", "english", now))
	eventually(t, soon, "both are kept", func() bool { return w.count(`SELECT count(*) FROM inbox`) == 2 })
	w.stop(door)
	s = w.start()
	eventually(t, soon, "an answer", func() bool { return len(lan.sends()) > before })
	w.quiet()
	one(len(lan.sends()) - before)
	has(t, lan.newest(), textIn(t, "en", "language.changed"))
	w.stop(s)
}

// TestStoryOfAForgedPayload: whoever types payloads by hand learns of somebody
// else's dossier what everybody may know, and does to others nothing at all.
func TestStoryOfAForgedPayload(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	owner, stranger := w.newcomer(1), w.newcomer(2)
	owner.follows()
	owner.says(papersWanted)
	owner.taps("Xem cần nộp gì")
	has(t, owner.says(rightDigits), "N*** T** M**")
	owner.taps("Báo khi có thay đổi")
	owner.says("1")

	stranger.follows()
	texts, err := library()
	if err != nil {
		t.Fatal(err)
	}
	for _, forged := range []string{
		"#dossier.detail:" + papersWanted, "#dossier.detail:" + papersWanted + ",2", "#dossier.steps:" + papersWanted,
		"#dossier.steps:" + papersWanted + ",99999999999999999999", "#dossier.drop_one:" + papersWanted, "#dossier.drop_all_now",
		"#dossier." + dossier.ActionCallback + ":" + papersWanted, "#dossier." + dossier.ActionGaveUp + ":" + papersWanted,
		"#dossier.mine:" + owner.id, "#privacy.all:" + owner.id, "#privacy.withdraw_all_now:" + owner.id,
		"#dossier.factor:" + rightDigits, "#dossier.detail:" + strings.Repeat("9", 900),
	} {
		if got := stranger.says(forged); got.Text == "" || got.Text == texts.Text("vi", "runtime.apology", nil) {
			t.Errorf("%s is answered with %q", forged, got.Text)
		}
	}
	hasNone(t, stranger.heard(), "N***", "trích lục", "Bổ sung", "Trần Văn Thử", "Lê Thị Ví Dụ", "Chuyển xử lý", owner.id)
	w.quiet()
	if n := w.count(`SELECT count(*) FROM dossier_kept WHERE citizen = $1`, owner.id); n != 1 {
		t.Error("a stranger's payload took the owner's dossier away")
	}
	if n := w.count(`SELECT count(*) FROM consent WHERE citizen = $1 AND withdrawn_at IS NULL`, owner.id); n != 2 {
		t.Errorf("a stranger's payload withdrew the owner's consent: %d of 2 stand", n)
	}
	w.stop(s)
}

// TestStoryOfErasingByAWordOnly: neither a number, nor a yes, nor a payload
// erases; the word does, and only as the answer to its question.
func TestStoryOfErasingByAWordOnly(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan := w.newcomer(1)
	for i, word := range []string{"1", "4", "a", "có", "đồng ý", "ok", "phải", "XOÁ đi", "#privacy.withdrawn", "#privacy.erase"} {
		if i%5 == 0 { // more than twenty answers at once nobody gets
			lan = w.newcomer(10 + i)
			lan.follows()
		}
		has(t, lan.says("xoá dữ liệu của tôi"), "Nhắn XOÁ để xoá")
		hasNone(t, lan.says(word).Text, "✅", "biên nhận")
		if w.count(`SELECT count(*) FROM tombstone`) != 0 {
			t.Fatalf("%q erased", word)
		}
	}
	lan.says("menu")
	hasNone(t, lan.says("XOÁ").Text, "✅", "biên nhận") // no question is open
	lan.says("xoá dữ liệu của tôi")
	has(t, lan.says("Xóa"), "✅", "biên nhận")
	w.stop(s)
}
