package broadcast_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/push"
)

// Submitted in time, approved too late: there is nothing left to approve.
func TestScheduleThatPassedBeforeItWasApproved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	id := o.submitted(d)
	late := morning.Add(2*time.Hour + time.Second)
	o.refused(o.Approve(t.Context(), binh, id, o.seen(id, late), late), "past")
	o.wants(id, broadcast.Submitted, "")
}

// Everybody of the audience was erased between approval and launch: the run asks
// nobody, sends nothing, and ends.
func TestAudienceThatIsEmptyAtTheLaunch(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	id := o.approved(sample())
	o.exec(`DELETE FROM citizen`)
	o.tick(morning)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	run := o.lastRun(id)
	books, err := push.NewStore(o.pool, o.Keys).Books(t.Context(), run.ID)
	o.must(err)
	if run.Recipients != 0 || books.Audience != 0 {
		t.Errorf("%d recipients, books %+v; want nobody", run.Recipients, books)
	}
	o.must(o.Finish(t.Context(), run.ID, morning.Add(time.Minute))) // as the feeder does when nothing is pending
	o.wants(id, broadcast.Done, broadcast.RunDone)
}

// A field that exists and that nobody of the audience has: everybody is addressed
// by what the author gave for that.
func TestFieldNobodyHas(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Body.Vi.Lines = []string{"Kính gửi {{name}}, mời đưa trẻ đi tiêm."}
	bare := o.draft(d)
	o.refused(o.Submit(t.Context(), an, bare, 1, morning), "content")
	d.Body.Missing = map[string]map[string]string{"name": {"vi": "ông/bà", "en": "resident"}}
	_, run := o.running(d)
	contents, err := o.Render(t.Context(), run, []push.Person{{Language: "vi"}, {Language: "en"}})
	o.must(err)
	for _, c := range contents {
		if !strings.Contains(c.Message.Text, "Kính gửi ông/bà, mời") || strings.Contains(c.Message.Text, "{{") {
			t.Errorf("a copy says %q", c.Message.Text)
		}
	}
}

// Names of 200 letters and of emoji: the text is checked under the longest as it will
// be said, and whoever's name it is gets a copy that Zalo takes.
func TestNamesOfTwoHundredLettersAndEmoji(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	names := []string{strings.Repeat("Ngọc", 50), strings.Repeat("👩‍👩‍👧‍👦", 50), "Mai 🌸"}
	for i, name := range names {
		o.exec(`UPDATE citizen SET name = $2 WHERE citizen = $1`, "c000000"+string(rune('1'+i)), o.Keys.Seal("name", []byte(name)))
	}
	length := func(s string) int { return len(utf16.Encode([]rune(s))) }
	d := sample()
	d.Body.Missing = map[string]map[string]string{"name": {"vi": "ông/bà"}}
	d.Body.Vi.Lines = []string{"Kính gửi {{name}}."}
	room := bot.MaxText - length(broadcast.Compile(o.Texts, d, nil).Preview("vi", names[0]).Text)
	d.Body.Vi.Lines[0] += strings.Repeat("x", room+1)
	id := o.draft(d)
	o.refused(o.Submit(t.Context(), an, id, 1, morning), "content")
	d.Body.Vi.Lines[0] = d.Body.Vi.Lines[0][:len(d.Body.Vi.Lines[0])-1]
	_, run := o.running(d)
	var people []push.Person
	for _, name := range names {
		people = append(people, push.Person{Language: "vi", Name: name})
	}
	contents, err := o.Render(t.Context(), run, people)
	o.must(err)
	for i, c := range contents {
		if n := length(c.Message.Text); n > bot.MaxText {
			t.Errorf("the copy of %q has %d characters", names[i], n)
		}
	}
	if !strings.Contains(contents[0].Message.Text, "Ngọc") || !strings.Contains(contents[1].Message.Text, "Kính gửi ông/bà.") ||
		!strings.Contains(contents[2].Message.Text, "Kính gửi Mai 🌸.") {
		t.Errorf("copies say %.120q, %.120q, %.120q", contents[0].Message.Text, contents[1].Message.Text, contents[2].Message.Text)
	}
}

// A role that is withdrawn while its holder approves: either the approval was first,
// or it is refused; whichever, nothing goes under it.
func TestRoleWithdrawnWhileItsHolderApproves(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	id := o.submitted(sample())
	seen := o.seen(id, morning)
	outcome := make(chan error, 1)
	o.must(pgx.BeginFunc(t.Context(), o.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE staff_role SET withdrawn_at = $1, withdrawn_by = 'x' WHERE staff = 'binh'`, morning.Add(-time.Minute)); err != nil {
			return err
		}
		go func() { outcome <- o.Approve(context.Background(), binh, id, seen, morning) }()
		return nil
	}))
	approved := <-outcome
	o.tick(morning)
	if approved == nil {
		o.wants(id, broadcast.Draft, "") // the approval came first, and lapsed
	} else if !forbidden(approved) {
		t.Errorf("approving without the role any more: %v, want it forbidden", approved)
	}
	if n := o.int(`SELECT count(*) FROM push`); n != 0 {
		t.Errorf("%d copies under a withdrawn role", n)
	}
}
