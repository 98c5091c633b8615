package zalosim

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSaveAndLoad(t *testing.T) {
	b := start(t, Options{PaidMessages: 9})
	b.AddUser(User{ID: "3", Name: "Silent"})
	b.Follow(lan)
	b.SendText(minh, "tôi là Minh")
	b.Clock().Advance(time.Second)
	id := b.SendText(lan, "chào")
	b.say(lan, "trả lời")
	b.call("POST", PathTag, `{"user_id":"`+lan+`","tag_name":"cần người"}`)
	var file bytes.Buffer
	if err := b.Save(&file); err != nil {
		t.Fatal(err)
	}
	again := start(t, Options{Clock: NewFrozenClock(b.Clock().Now().Add(time.Hour))})
	if err := again.Load(&file); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{lan, minh, "3"} {
		if diff := cmp.Diff(b.Messages(user), again.Messages(user)); diff != "" {
			t.Errorf("chat of %s (-before +after)\n%s", user, diff)
		}
	}
	if diff := cmp.Diff(b.Users(), again.Users()); diff != "" {
		t.Errorf("people (-before +after)\n%s", diff)
	}
	if got := again.Tags(lan); len(got) != 1 {
		t.Errorf("tags %q", got)
	}
	// The window is open as before, and ids go on without repeating.
	if a := again.say(lan, "sau khi khởi động lại"); a.Error != 0 {
		t.Errorf("send after the restart: %d %s", a.Error, a.Message)
	}
	if next := again.SendText(lan, "x"); next == id {
		t.Errorf("id %s was given twice", id)
	}
	recent := string(again.call("GET", PathRecent, `{"offset":0,"count":10}`).Data)
	if i, j := strings.Index(recent, lan), strings.Index(recent, minh); i < 0 || j < i {
		t.Errorf("recent chats %s, want Lan before Minh", recent)
	}
	if err := again.Load(strings.NewReader("{}")); err == nil {
		t.Error("loading over people who are there went through")
	}
	if err := New(Options{}).Load(strings.NewReader("nope")); err == nil {
		t.Error("garbage was loaded")
	}
}
