package dossier_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/push"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// speaks makes a citizen known who reads English.
func (w *watching) speaks(who bot.CitizenID, lang string) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), `
		INSERT INTO citizen (oa_id, citizen, language, created_at) VALUES ($1, $2, $3, $4)`, who.OA, who.User, lang, w.clock.now())
	if err != nil {
		w.t.Fatal(err)
	}
}

// transcript is what followers were told, as they read it.
type transcript struct{ strings.Builder }

func (tr *transcript) add(title string, told []push.Told) {
	names := map[string]string{"100": "proven, vi", "200": "code only, vi", "300": "proven, en", "400": "code only, en"}
	fmt.Fprintf(tr, "=== %s\n", title)
	for _, one := range told {
		fmt.Fprintf(tr, "\n--- %s to %s\n%s\n", one.Kind, names[one.To.User], one.Content.Message.Text)
		for _, c := range one.Content.Message.Choices {
			fmt.Fprintf(tr, "[%s](%s)", c.Title, c.Payload)
		}
		if p := one.Content.Params; p != nil {
			fmt.Fprintf(tr, "\n%s: %s | %s | %s | %s", one.Content.Template, p["code"], p["status"], p["agency"], p["due"])
		}
		tr.WriteString("\n")
	}
	tr.WriteString("\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites):\n%s", name, diff)
	}
}

// A dossier's life, as four followers hear of it: with and without the second
// factor, in both languages.
func TestWhatFollowersRead(t *testing.T) {
	cleo, dora := bot.CitizenID{OA: "1", User: "300"}, bot.CitizenID{OA: "1", User: "400"}
	for name, private := range map[string]bool{"told.txt": false, "told_private.txt": true} {
		t.Run(name, func(t *testing.T) {
			w := watch(t)
			if private {
				w.Watch = w.another(w.instance()) // whose Private lists the procedure
				w.system.set(func(s *system) {
					r := &s.held[code][0]
					r.ProcedureCode, r.ProcedureName = "1.004873", "Xác nhận tình trạng hôn nhân"
				})
			}
			w.speaks(cleo, bot.English)
			w.speaks(dora, bot.English)
			for _, who := range []bot.CitizenID{anna, ben, cleo, dora} {
				w.apply(who, w.event(), dossier.Follow{Code: code})
			}
			w.prove(anna)
			w.prove(cleo)
			w.look(10 * time.Second)
			w.tells("following")
			var tr transcript
			news := func(title string, f func(r *dossier.Record)) {
				t.Helper()
				w.clock.add(20 * time.Minute)
				w.change(f)
				w.pushed()
				w.look(10 * time.Second)
				told := w.take()
				if len(told) != 4 {
					t.Fatalf("%s: told %d", title, len(told))
				}
				tr.add(title, told)
			}
			news("received", func(r *dossier.Record) { r.Status = dossier.StatusReceived })
			news("papers wanted", func(r *dossier.Record) {
				r.Status = dossier.StatusSupplement
				r.Supplements = []dossier.Supplement{{Words: "Bổ sung giấy ly hôn", By: "Trần Văn Thử", At: w.clock.now(),
					DoneAt: w.clock.now(), Papers: []dossier.Paper{{Name: "Trích lục ly hôn"}}}, {Words: "Bản chụp mờ, nộp lại", By: "Trần Văn Thử",
					At: w.clock.now(), NewDue: w.clock.now().AddDate(0, 0, 7), Papers: []dossier.Paper{{Name: "Trích lục ly hôn", Count: 2}, {Name: "Tờ khai"}}}}
			})
			news("processed again", func(r *dossier.Record) {
				r.Status = dossier.StatusProcessing
				r.Supplements[1].DoneAt = w.clock.now()
				r.OldDueAt, r.DueAt = r.DueAt, r.DueAt.AddDate(0, 0, 7)
			})
			news("put off", func(r *dossier.Record) { r.OldDueAt, r.DueAt = r.DueAt, r.DueAt.AddDate(0, 0, 1) })
			w.system.set(func(s *system) {
				s.fees = []dossier.Fee{{Name: "Lệ phí", Amount: 75000, Required: true, Note: "Nộp một lần"}}
			})
			news("a fee", func(r *dossier.Record) { r.Status = dossier.StatusPayment })
			w.system.set(func(s *system) { s.fees = nil })
			news("processed once more", func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
			news("a status nobody has mapped", func(r *dossier.Record) { r.Status, r.StatusName = dossier.StatusUnknown, "Chờ án" })
			news("processed at last", func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
			w.look(9*24*time.Hour + 16*time.Hour) // past 08:00 the day before
			tr.add("the day before", w.take())
			w.look(34 * time.Hour)
			tr.add("late", w.take())
			news("a new date", func(r *dossier.Record) { r.OldDueAt, r.DueAt = r.DueAt, r.DueAt.AddDate(0, 0, 5) })
			news("ready", func(r *dossier.Record) { r.Status, r.FinishedAt = dossier.StatusReady, w.clock.now() })
			news("handed over", func(r *dossier.Record) { r.Status, r.ReturnedAt = dossier.StatusReturned, w.clock.now() })
			w.look(24 * time.Hour)
			tr.add("the next day", w.take())
			golden(t, name, tr.String())
			if private {
				excludes(t, tr.String(), "hôn nhân", "ly hôn", "Tờ khai", "chụp mờ", "Chờ án")
			}
			for _, part := range strings.Split(tr.String(), "\n--- ") {
				if !strings.Contains(part, " to code only") {
					continue
				}
				excludes(t, part, "Trần Văn Thử", "75.000", "75,000", "ly hôn", "Lệ phí")
			}
		})
	}
}

func TestEndsAreToldAndLeaveTheWatch(t *testing.T) {
	for status, head := range map[dossier.Status]string{
		dossier.StatusRefused: "không được tiếp nhận", dossier.StatusWithdrawn: "đã được rút", dossier.StatusStopped: "đã dừng giải quyết",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := watch(t)
			w.followed(ben)
			w.change(func(r *dossier.Record) { r.Status = status })
			w.pushed()
			w.look(10 * time.Second)
			told := w.tells("an end", "200 dossier.ended")
			contains(t, told[0].Content.Message.Text, head)
			if w.count("dossier_watch") != 0 || w.kept(ben).Followed {
				t.Error("watched, or followed, though it ended")
			}
		})
	}
}

// Whatever officers write, a notice fits a message and its buttons.
func TestLongWordsFit(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.prove(anna)
	w.change(func(r *dossier.Record) {
		r.Status = dossier.StatusSupplement
		r.StatusName = strings.Repeat("chờ ", 40)
		for i := range 9 {
			r.Supplements = append(r.Supplements, dossier.Supplement{At: w.clock.now().Add(time.Duration(i) * time.Minute),
				Words: strings.Repeat("Bổ sung trích lục. ", 12)})
		}
	})
	w.pushed()
	w.look(10 * time.Second)
	m := w.tells("long words", "100 dossier.supplement")[0].Content
	if n := utf8.RuneCountInString(m.Message.Text); n > bot.MaxText || n < 600 {
		t.Errorf("%d characters", n)
	}
	contains(t, m.Message.Text, "Còn yêu cầu dài hơn")
	for _, c := range m.Message.Choices {
		if utf8.RuneCountInString(c.Title) > bot.MaxTitle || len(c.Words) > 0 {
			t.Errorf("choice %+v", c)
		}
	}
	for status := dossier.StatusUnknown; status <= dossier.StatusReturned; status++ {
		w.change(func(r *dossier.Record) { r.Status, r.Supplements = status, nil })
		w.pushed()
		w.look(time.Minute)
		for _, one := range w.take() {
			if got := one.Content.Params["status"]; utf8.RuneCountInString(got) > 30 || got == "" || strings.Contains(got, "told.") {
				t.Errorf("status %d: template status %q", status, got)
			}
		}
		if status.Ended() {
			w.apply(anna, w.event(), dossier.Follow{Code: code})
			w.change(func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
			w.look(time.Minute)
		}
	}
}

func TestMoney(t *testing.T) {
	for amount, want := range map[int64][2]string{
		0: {"0", "0"}, 999: {"999", "999"}, 1000: {"1.000", "1,000"}, 75000: {"75.000", "75,000"},
		1250000: {"1.250.000", "1,250,000"}, -75000: {"-75.000", "-75,000"}, -100: {"-100", "-100"},
	} {
		if vi, en := dossier.Money("vi", amount), dossier.Money("en", amount); vi != want[0] || en != want[1] {
			t.Errorf("%d: %q, %q", amount, vi, en)
		}
	}
}
