package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/zalo/zalosim"
)

// What one person tells the channel in these stories, and nobody else does.
const (
	herName   = "Nguyễn Thị Xoá Hết"
	herPhone  = "84912777888"
	herWords  = "bà ngoại tôi ốm nên nhờ xem giúp"
	herNumber = "037190007777"
)

// tells has a person leave everything a person can leave: a name and a number, a
// kept dossier, a promise, words.
func (r *resident) tells() {
	r.w.t.Helper()
	r.follows()
	r.says(herWords)
	r.says("số căn cước " + herNumber)
	r.says(papersWanted)
	r.taps("Xem cần nộp gì")
	r.says(rightDigits)
	r.taps("Báo khi có thay đổi")
	r.says("1")
	r.says("gặp cán bộ")
	r.taps("Để lại số của tôi")
	r.taps("Đồng ý")
	r.does("the form", func() { r.w.zalo.SubmitInfo(r.id, zalosim.Info{Name: herName, Phone: herPhone}) })
	has(r.w.t, r.says("dữ liệu của tôi"), herName, "•••• 7888", "1 hồ sơ đã lưu")
	eventually(r.w.t, soon, "that she read it is written down", func() bool {
		return r.w.count(`SELECT count(*) FROM receipt WHERE citizen = $1 AND kind = 'seen'`, r.id) == len(r.sends())
	})
}

// TestStoryOfErasureWithMessagesInFlight: a reply hangs at Zalo and others wait
// behind it when the person confirms. Nothing of them is left anywhere, what
// waited is never sent, the receipt is the last that comes, and what they wrote
// before, delivered late, is dropped.
func TestStoryOfErasureWithMessagesInFlight(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	her, neighbour := w.newcomer(1), w.newcomer(2)
	her.tells()
	neighbour.follows()
	neighbour.says(papersWanted)
	neighbour.taps("Báo khi có thay đổi")
	neighbour.says("1")
	w.quiet()
	written := time.Now()

	hang := w.zalo.Fault(zalosim.Fault{User: her.id, Hang: true})
	reached := len(her.sends())
	w.zalo.SendText(her.id, isReady) // its answer hangs
	<-hang.Struck()
	w.zalo.SendText(her.id, tooLate) // its answer waits behind
	w.zalo.SendText(her.id, "xoá dữ liệu của tôi")
	eventually(t, soon, "two answers wait behind the one that hangs", func() bool {
		return w.count(`SELECT count(*) FROM outbox WHERE citizen = $1`, her.id) == 3
	})
	w.zalo.SendText(her.id, "XOÁ")
	eventually(t, soon, "the erasure", func() bool { return w.count(`SELECT count(*) FROM tombstone`) == 1 })
	hang.Release()
	eventually(t, soon, "the receipt", func() bool { return strings.Contains(her.newest().Text, "biên nhận") })
	w.quiet()
	if got := len(her.sends()) - reached; got != 2 {
		t.Errorf("%d messages came, want the one in the air and the receipt:\n%s", got, her.heard())
	}
	hasNone(t, her.heard(), "Hồ sơ "+tooLate, "Nhắn XOÁ để xoá")
	if !w.zalo.Forgotten(her.id) {
		t.Error("Zalo's own copy was not deleted")
	}

	// Said before, delivered after.
	for i, word := range []string{herWords, papersWanted, "dừng tin", "gặp cán bộ"} {
		w.zalo.Raw(her.event("late-"+itoa(i), word, written.Add(time.Duration(i)*time.Millisecond)))
	}
	w.zalo.See(her.id) // she reads the receipt
	w.quiet()
	if got := len(her.sends()) - reached; got != 2 {
		t.Errorf("written to after the receipt:\n%s", her.newest().Text)
	}
	w.stop(s) // and what was still in memory is written
	w.nothingLeftOf(her)
	erasedOnce(t, s)
	hasNone(t, s.Logs(), her.id, herPhone, herPhone[2:], herNumber, herName, herWords, papersWanted, neighbour.id)

	// The neighbour has lost nothing, and she may come back as somebody new.
	s = w.start()
	has(t, neighbour.says("hồ sơ của tôi"), papersWanted)
	has(t, her.says("xin chào"), text(t, "menu.greeting"))
	hasNone(t, her.says("dữ liệu của tôi").Text, herName, "7888", "hồ sơ đã lưu")
	w.stop(s)
}

// TestStoryOfARequestMadeAtZalo: who asks Zalo for erasure is erased without
// being asked again, also while the server was down.
func TestStoryOfARequestMadeAtZalo(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	her := w.newcomer(1)
	her.tells()
	w.quiet()
	reached := len(her.sends())
	w.zalo.Withdraw(her.id)
	eventually(t, soon, "the erasure", func() bool { return w.count(`SELECT count(*) FROM tombstone`) == 1 })
	w.quiet()
	if got := len(her.sends()) - reached; got > 1 {
		t.Errorf("%d messages about a request that needs no answer", got)
	}
	if !w.zalo.Forgotten(her.id) {
		t.Error("Zalo's own copy was not deleted")
	}
	w.stop(s)
	w.nothingLeftOf(her)
	erasedOnce(t, s)
	hasNone(t, s.Logs(), her.id, herPhone, herPhone[2:], herNumber, herName, herWords)
}

// erasedOnce: the log has exactly one line about the erasure, and that line holds
// a hash and a time.
func erasedOnce(t *testing.T, s *server) {
	t.Helper()
	n := 0
	for line := range strings.SplitSeq(s.Logs(), "\n") {
		var l map[string]string
		if json.Unmarshal([]byte(line), &l) != nil || l["msg"] != "citizen_erased" {
			continue
		}
		n++
		if _, err := time.Parse(time.RFC3339Nano, l["at"]); err != nil || len(l["citizen"]) != 32 || len(l) != 5 {
			t.Errorf("the line says more or less than a keyed hash and a time: %s", line)
		}
	}
	if n != 1 {
		t.Errorf("%d lines about one erasure", n)
	}
}

// nothingLeftOf walks through every table: no row names the person, and nothing
// that can be opened with the channel's keys holds what they told.
func (w *world) nothingLeftOf(r *resident) {
	w.t.Helper()
	secrets := []string{r.id, herName, herPhone, herPhone[2:], herWords, herNumber}
	keys := w.keys()
	opened := 0
	for _, table := range w.tables() {
		if n := w.count(`SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%' || $1 || '%'`, r.id); n != 0 {
			w.t.Errorf("%d rows of %s name the person", n, table)
		}
		rows, err := w.pool.Query(w.t.Context(), `SELECT * FROM `+table)
		if err != nil {
			w.t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				w.t.Fatal(err)
			}
			for i, v := range values {
				sealed, ok := v.([]byte)
				if !ok {
					continue
				}
				for _, purpose := range sealedFor {
					plain, err := keys.Open(purpose, sealed)
					if err != nil {
						continue
					}
					opened++
					for _, secret := range secrets {
						if strings.Contains(string(plain), secret) {
							w.t.Errorf("%s.%s still holds %q: %s", table, rows.FieldDescriptions()[i].Name, secret, plain)
						}
					}
				}
			}
		}
		if err := rows.Err(); err != nil {
			w.t.Fatal(err)
		}
	}
	if opened == 0 && w.count(`SELECT count(*) FROM citizen`) > 0 {
		w.t.Error("nothing could be opened, so nothing was looked at")
	}
}

// sealedFor are the purposes under which features seal what they keep.
var sealedFor = []string{"inbox", "outbox", "history", "conversation", "name", "phone",
	"dossier.code", "dossier.known", "dossier.cache"}

// tables are all tables of the database, River's included.
func (w *world) tables() (list []string) {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, name)
	}
	if len(list) < 20 {
		w.t.Fatalf("only %d tables: %v", len(list), list)
	}
	return list
}
