package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"congdanso/integrations/zalo/zalosim"
)

var rewrite = flag.Bool("update", false, "write the story's transcript anew")

// TestStoryOfOneDossier is the channel's main job: a person follows, asks in the
// ways people write, proves who they are, keeps the dossier, looks around, and
// has everything erased. Zalo's side of it is compared as a transcript.
func TestStoryOfOneDossier(t *testing.T) {
	t.Parallel()
	w, s := open(t)
	mau := w.newcomer(1)
	turns := 0
	did := func(m zalosim.ChatMessage) zalosim.ChatMessage { turns++; return m }

	did(mau.follows())
	has(t, mau.newest(), text(t, "menu.greeting"))

	first := did(mau.says("tra giup ho so h42.16–240612 0001 voi"))
	has(t, first, papersWanted, "Cấp Giấy xác nhận tình trạng hôn nhân", "UBND phường Mẫu")
	eventually(t, soon, "the state is kept for the list", func() bool { return w.count(`SELECT count(*) FROM dossier_known`) > 0 })

	// What is not public opens with the second factor.
	hasNone(t, mau.heard(), "N*** T** M**", "trích lục ly hôn")
	did(mau.taps("Xem cần nộp gì"))
	has(t, did(mau.says("4321")), text(t, "dossier.factor.wrong", "Count", 4))
	opened := did(mau.says(rightDigits))
	has(t, opened, "N*** T** M**", `"Bổ sung bản sao trích lục ly hôn"`, "Trần Văn Thử")
	did(mau.says("1")) // the steps so far
	has(t, mau.newest(), "Lê Thị Ví Dụ")

	// Keeping it, finding it again, the menu, English and back.
	did(mau.taps("Báo khi có thay đổi"))
	has(t, did(mau.says("dong y")), text(t, "dossier.follow.done", "Code", papersWanted, "Proven", true))
	has(t, did(mau.says("ho so cua toi")), text(t, "dossier.mine.title", "Count", 1))
	did(mau.says("menu"))
	has(t, did(mau.says("english")), textIn(t, "en", "language.changed"))
	has(t, did(mau.says("menu")), textIn(t, "en", "menu.intro"))
	has(t, did(mau.says("tiếng Việt")), text(t, "language.changed"))

	// What is kept, and its end.
	has(t, did(mau.says("dữ liệu của tôi")), "1 hồ sơ đã lưu")
	did(mau.says("4"))
	has(t, did(mau.says("XOÁ")), "biên nhận")

	w.quiet()
	if sends := len(mau.sends()); sends != turns {
		t.Errorf("%d turns cost %d sends; one each is the promise", turns, sends)
	}
	if calls := w.zalo.CallCount(zalosim.PathSend); calls != turns {
		t.Errorf("%d turns cost %d calls of Zalo's send", turns, calls)
	}
	if !w.zalo.Forgotten(mau.id) {
		t.Error("Zalo still keeps what the account stored of the person")
	}
	compareTranscript(t, "story_main.txt", transcript(w.zalo.Messages(mau.id)))
	w.stop(s)
}

// TestStoryOfTheSameCodeWrittenInManyWays: however people write a code, and
// whatever they write around it, the same dossier answers.
func TestStoryOfTheSameCodeWrittenInManyWays(t *testing.T) {
	t.Parallel()
	w, _ := open(t)
	thu := w.newcomer(1)
	thu.follows()
	want := thu.says(papersWanted)
	for _, written := range []string{
		"h42.16-240612-0001",
		"H42.16–240612—0001", // dashes a phone's keyboard makes
		"H42.16‑240612‑0001", // dashes that do not break
		"H42.16 240612 0001",
		"H42.16 - 240612 - 0001",
		"Ｈ４２.１６-２４０６１２-０００１", // full width
		"tra cuu h42.16-240612-0001 giup em voi a",
		"Cho tôi hỏi hồ sơ mã số H42.16-240612-0001 đến đâu rồi ạ?",
		"ho so: H42.16-240612-0001, cua me toi",
		"  H42.16-240612-0001.  ",
		"mã: “H42.16-240612-0001”",
		"mã hồ sơ\nH42.16-240612-0001\ncảm ơn",
		norm.NFD.String("Hồ sơ H42.16-240612-0001 của tôi"),
	} {
		if got := thu.says(written); got.Text != want.Text {
			t.Errorf("%q is answered otherwise (-want +got):\n%s", written, cmp.Diff(want.Text, got.Text))
		}
	}
	// What is nearly a code is asked for, not guessed.
	has(t, thu.says("h42 16 240612 0001"), text(t, "dossier.fault.shape", "Suggestion", papersWanted))
	if got := thu.says("dung roi"); got.Text != want.Text {
		t.Errorf("a suggestion that was right leads elsewhere:\n%s", got.Text)
	}
}

// transcript writes a chat down as people read it, with what differs from run to
// run left out: the hour, today's date, the receipt.
func transcript(messages []zalosim.ChatMessage) string {
	var b strings.Builder
	for _, m := range messages {
		if m.FromUser {
			b.WriteString("> " + m.Text + "\n")
			continue
		}
		for line := range strings.SplitSeq(m.Text, "\n") {
			b.WriteString(strings.TrimRight("< "+line, " ") + "\n")
		}
		var buttons []string
		for _, btn := range m.Buttons {
			buttons = append(buttons, "["+btn.Title+"]")
		}
		if len(buttons) > 0 {
			b.WriteString("< " + strings.Join(buttons, " ") + "\n")
		}
	}
	return varying.ReplaceAllStringFunc(b.String(), func(s string) string {
		if strings.Contains(s, "hôm nay") {
			return "‹giờ› hôm nay"
		}
		return "biên nhận ‹mã›"
	})
}

var varying = regexp.MustCompile(`\d\d:\d\d hôm nay|biên nhận [0-9A-Z]{4}-[0-9A-Z]{4}`)

func compareTranscript(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("what Zalo received (-want +got; -update writes it anew):\n%s", diff)
	}
}
