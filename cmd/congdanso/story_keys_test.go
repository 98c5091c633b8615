package main

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"
)

// key is a data key whose bytes are all n.
func key(n byte) string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = n
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// TestStoryOfARotatedKey: DATA_KEY is changed as the runbook says. What was sealed
// opens, what is found by hashes is found, and in the end the new key alone is
// enough and the old one opens nothing.
func TestStoryOfARotatedKey(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	lan, gone := w.newcomer(1), w.newcomer(2)
	lan.tells()
	gone.follows()
	before := time.Now()
	gone.says("xoá dữ liệu của tôi")
	gone.says("XOÁ")
	w.quiet()
	w.stop(s)
	first := w.vars["DATA_KEY"]

	knows := func() {
		t.Helper()
		has(t, lan.says("dữ liệu của tôi"), herName, "•••• 7888", "1 hồ sơ đã lưu")
		has(t, lan.says("hồ sơ của tôi"), papersWanted)
		lan.taps(papersWanted)
		has(t, lan.taps("Xem cần nộp gì"), "N*** T** M**") // the proof is found by its hash
		reached := len(gone.sends())
		w.zalo.Raw(gone.event("late-"+itoa(reached)+"-"+itoa(len(lan.sends())), papersWanted, before))
		w.quiet()
		if len(gone.sends()) != reached {
			t.Errorf("who was erased is not known as erased any more:\n%s", gone.newest().Text)
		}
	}
	rotated := key(7)
	w.vars["DATA_KEY"], w.vars["DATA_KEY_OLD"] = rotated, first
	s = w.start()
	w.breathe()
	knows()
	if out, err := w.invoke("check", "--live"); err != nil || !strings.Contains(out, "DATA_KEY_OLD is no longer needed") {
		t.Errorf("check does not say that the old key may go: %v\n%s", err, out)
	}
	w.stop(s)

	delete(w.vars, "DATA_KEY_OLD")
	s = w.start()
	knows()
	w.stop(s)

	// Neither the old key nor any other starts this installation.
	for _, wrong := range []string{first, key(9)} {
		vars := maps.Clone(w.vars)
		vars["DATA_KEY"], vars["HTTP_ADDR"] = wrong, "127.0.0.1:0"
		p := run(t, t.TempDir(), vars, nil, "serve")
		if code := p.ends(); code != 1 || !strings.Contains(p.printed(), "DATA_KEY does not open this database's keys") {
			t.Errorf("a start with a wrong key ends with %d:\n%s", code, p.printed())
		}
		hasNone(t, p.printed(), wrong, rotated)
		if out, err := invoke(vars, nil, "dead-letters"); err == nil || !strings.Contains(err.Error(), "DATA_KEY") {
			t.Errorf("dead-letters with a wrong key: %v\n%s", err, out)
		}
	}
	// A key that is none is told as a setting.
	vars := maps.Clone(w.vars)
	vars["DATA_KEY"] = "c2hvcnQ="
	if _, err := invoke(vars, nil, "serve"); err == nil || !strings.Contains(err.Error(), "DATA_KEY must be 32 bytes in base64") {
		t.Errorf("a short key is told so: %v", err)
	}
	s = w.start()
	knows()
	w.stop(s)
}
