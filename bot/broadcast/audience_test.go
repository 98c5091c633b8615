package broadcast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"congdanso/bot"
)

// someone is a citizen of a small world, with all an audience may ask about.
type someone struct {
	id            string
	elsewhere     bool // of another account
	language      string
	following     bool
	interacted    time.Time // zero: never
	talked        bool
	stopped       bool
	paused        time.Time // zero: not
	phone         string
	proven        bool
	units, topics []string
	tags          []string
	consents      []consentOf
	copies        map[int64]string // state by run
}

type consentOf struct {
	purpose   string
	given     time.Time
	withdrawn bool
}

// member is what the SELECT says of somebody.
type member struct {
	OA, Citizen  string
	Skip         *string
	InteractedAt *time.Time
	Following    bool
	PhoneOK      bool
	Stopped      bool
	Language     string
}

func drawSome[T any](t *rapid.T, label string, from ...T) []T {
	var list []T
	for i, v := range from {
		if rapid.IntRange(0, 2).Draw(t, fmt.Sprint(label, i)) == 0 {
			list = append(list, v)
		}
	}
	return list
}

func drawPerson(t *rapid.T, i int, codes []string) someone {
	hours := func(label string, from, to int) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Hour)
	}
	s := someone{id: fmt.Sprintf("u%02d", i), copies: map[int64]string{}}
	s.elsewhere = rapid.IntRange(0, 9).Draw(t, "elsewhere") == 0
	s.language = rapid.SampledFrom([]string{"vi", "vi", "en"}).Draw(t, "language")
	s.following, s.talked = rapid.Bool().Draw(t, "following"), rapid.Bool().Draw(t, "talked")
	if s.talked && rapid.Bool().Draw(t, "interacted") {
		s.interacted = hours("hours", -24*12, 2)
	}
	s.stopped = rapid.IntRange(0, 5).Draw(t, "stopped") == 0
	if rapid.IntRange(0, 3).Draw(t, "paused") == 0 {
		s.paused = hours("until", -30, 60)
	}
	if rapid.Bool().Draw(t, "phone") {
		s.phone, s.proven = fmt.Sprint("849000000", rapid.IntRange(10, 13).Draw(t, "number")), rapid.Bool().Draw(t, "proven")
	}
	s.units = drawSome(t, "unit", codes...)
	s.topics = drawSome(t, "topic", "health", "weather")
	s.tags = drawSome(t, "tag", "Hoa Lư", "cán bộ")
	for _, purpose := range []string{"topic.health", "topic.weather", "duty"} {
		for range rapid.IntRange(0, 2).Draw(t, "consents") {
			c := consentOf{purpose, hours("given", -100, 3).Add(time.Duration(len(s.consents)) * time.Second), rapid.Bool().Draw(t, "withdrawn")}
			s.consents = append(s.consents, c)
		}
	}
	for _, run := range drawSome(t, "run", int64(1), 2) {
		s.copies[run] = rapid.SampledFrom([]string{"pending", "queued", "held", "unknown", "sent", "failed", "skipped"}).Draw(t, "state")
	}
	return s
}

func drawFilter(t *rapid.T, codes []string) Filter {
	var f Filter
	if rapid.IntRange(0, 2).Draw(t, "by unit") == 0 {
		f.Units = drawSome(t, "units", codes...)
	}
	if rapid.IntRange(0, 2).Draw(t, "by topic") == 0 {
		f.Topics = drawSome(t, "topics", "health", "weather", "nothing")
	}
	if rapid.IntRange(0, 2).Draw(t, "by tag") == 0 {
		f.Tags = drawSome(t, "tags", "Hoa Lư", "cán bộ")
	}
	f.Language = rapid.SampledFrom([]string{"", "", "", "vi", "en"}).Draw(t, "in language")
	f.InteractedDays = rapid.SampledFrom([]int{0, 0, 0, 1, 7}).Draw(t, "days")
	f.Following = rapid.IntRange(0, 3).Draw(t, "only followers") == 0
	return f
}

func drawAudience(t *rapid.T, codes []string, list int64) Broadcast {
	b := Broadcast{ID: 1, OA: testOA}
	b.Kind = Personal
	b.Purpose = rapid.SampledFrom([]string{"health", "weather", PurposeDuty, PurposeDisaster}).Draw(t, "purpose")
	b.LegalBasis = rapid.SampledFrom([]string{"", "Luật 1"}).Draw(t, "basis")
	b.Urgent = rapid.Bool().Draw(t, "urgent")
	b.ExpiresAfter = time.Duration(rapid.IntRange(0, 48).Draw(t, "life")) * time.Hour
	b.Audience.Include, b.Audience.Exclude = drawFilter(t, codes), drawFilter(t, codes)
	if rapid.IntRange(0, 3).Draw(t, "by list") == 0 {
		b.Audience.List = list
	}
	if rapid.IntRange(0, 3).Draw(t, "by run") == 0 {
		b.Audience.SentBy = []int64{rapid.Int64Range(1, 2).Draw(t, "sent by")}
	}
	if rapid.IntRange(0, 3).Draw(t, "people") == 0 {
		b.Audience.Testers = []int64{101, 103, 199}
	}
	return b
}

// fits is the filter in Go.
func (d *desk) fits(f Filter, s someone, empty bool) bool {
	any := func(have, want []string) bool {
		return slices.ContainsFunc(want, func(w string) bool { return slices.Contains(have, w) })
	}
	conditions, all := 0, true
	is := func(ok bool) { conditions++; all = all && ok }
	if len(f.Units) > 0 {
		is(any(s.units, d.Units.Expand(f.Units, noon).Present))
	}
	if len(f.Topics) > 0 {
		is(any(s.topics, f.Topics))
	}
	if len(f.Tags) > 0 {
		is(any(s.tags, f.Tags))
	}
	if f.Language != "" {
		is(s.language == f.Language)
	}
	if f.InteractedDays > 0 {
		is(!s.interacted.IsZero() && !s.interacted.Before(noon.AddDate(0, 0, -f.InteractedDays)))
	}
	if f.Following {
		is(s.following)
	}
	if conditions == 0 {
		return empty
	}
	return all
}

// expect is the SELECT in Go.
func (d *desk) expect(b Broadcast, world []someone) (want []member) {
	for _, s := range world {
		if s.elsewhere || !d.fits(b.Audience.Include, s, true) || d.fits(b.Audience.Exclude, s, false) {
			continue
		}
		if b.Audience.List != 0 && s.phone != "84900000010" && s.phone != "84900000011" {
			continue
		}
		if len(b.Audience.Testers) > 0 && !slices.Contains(b.Audience.Testers, tester(s.id)) {
			continue
		}
		if run := b.Audience.SentBy; len(run) > 0 && !slices.Contains([]string{"sent", "unknown", "queued"}, s.copies[run[0]]) {
			continue
		}
		m := member{OA: testOA, Citizen: s.id, Following: s.following, PhoneOK: s.phone != "" && s.proven, Stopped: s.stopped, Language: s.language}
		if !s.interacted.IsZero() {
			m.InteractedAt = &s.interacted
		}
		lawful := (b.Purpose == PurposeDuty || b.Purpose == PurposeDisaster) && b.LegalBasis != ""
		agreed := slices.ContainsFunc(s.consents, func(c consentOf) bool {
			return c.purpose == "topic."+b.Purpose && !c.withdrawn && !c.given.After(noon)
		})
		switch {
		case s.stopped:
			m.Skip = new(SkipStopped)
		case !b.Urgent && !s.paused.IsZero() && !s.paused.Before(noon.Add(b.ExpiresAfter)):
			m.Skip = new(SkipPaused)
		case !lawful && len(b.Audience.SentBy) == 0 && !agreed:
			m.Skip = new(SkipNoConsent)
		}
		want = append(want, m)
	}
	slices.SortFunc(want, func(a, b member) int { return cmp.Compare(a.Citizen, b.Citizen) })
	return want
}

// tester is the number of somebody as a test recipient.
func tester(id string) (n int64) {
	fmt.Sscanf(id, "u%d", &n)
	return 100 + n
}

func (d *desk) settle(world []someone) {
	d.t.Helper()
	batch := &pgx.Batch{}
	for _, table := range []string{"citizen", "conversation", "push_person", "consent", "notice_area", "notice_subscription", "citizen_tag", "push", "broadcast_tester"} {
		batch.Queue(`DELETE FROM ` + table)
	}
	for _, s := range world {
		oa := testOA
		if s.elsewhere {
			oa = "other"
		}
		var hash []byte
		var proven, interacted, paused, stopped *time.Time
		if s.phone != "" {
			hash = d.Keys.Hash("phone", s.phone)
		}
		if s.proven {
			proven = &noon
		}
		if !s.interacted.IsZero() {
			interacted = &s.interacted
		}
		if !s.paused.IsZero() {
			paused = &s.paused
		}
		if s.stopped {
			stopped = &noon
		}
		batch.Queue(`INSERT INTO citizen (oa_id, citizen, language, following, created_at, phone_hash, phone_proven_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`, oa, s.id, s.language, s.following, noon, hash, proven)
		batch.Queue(`INSERT INTO broadcast_tester (id, oa_id, citizen) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)`, tester(s.id), oa, s.id)
		if s.talked {
			batch.Queue(`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at) VALUES ($1, $2, $3, $4)`, oa, s.id, noon, interacted)
		}
		if stopped != nil || paused != nil {
			batch.Queue(`INSERT INTO push_person (oa_id, citizen, stopped_at, paused_until) VALUES ($1, $2, $3, $4)`, oa, s.id, stopped, paused)
		}
		for _, code := range s.units {
			batch.Queue(`INSERT INTO notice_area (oa_id, citizen, code, since) VALUES ($1, $2, $3, $4)`, oa, s.id, code, noon)
		}
		for _, topic := range s.topics {
			batch.Queue(`INSERT INTO notice_subscription (oa_id, citizen, topic, since) VALUES ($1, $2, $3, $4)`, oa, s.id, topic, noon)
		}
		for _, tag := range s.tags {
			batch.Queue(`INSERT INTO citizen_tag (oa_id, citizen, tag, seen_at) VALUES ($1, $2, $3, $4)`, oa, s.id, tag, noon)
		}
		for _, c := range s.consents {
			var withdrawn *time.Time
			if c.withdrawn {
				withdrawn = &noon
			}
			batch.Queue(`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at, withdrawn_at)
VALUES ($1, $2, $3, 'v1', 'zalo', $4, $5)`, oa, s.id, c.purpose, c.given, withdrawn)
		}
		for run, state := range s.copies {
			batch.Queue(`INSERT INTO push (oa_id, citizen, source, kind, class, state, due_at, expires_at, made_at)
VALUES ($1, $2, $3, 'broadcast', 4, $4, $5, $5, $5)`, oa, s.id, run, state, noon)
		}
	}
	if err := d.Pool.SendBatch(d.t.Context(), batch).Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) selected(t interface{ Fatal(...any) }, b Broadcast, q audienceQuery) []member {
	sql, args, err := d.selectAudience(b, q)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := d.Pool.Query(d.t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[member])
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b member) int { return cmp.Compare(a.Citizen, b.Citizen) })
	for i := range list {
		if at := list[i].InteractedAt; at != nil {
			*at = at.UTC()
		}
	}
	return list
}

// The statement says of every small world what a walk through it in Go says, whole
// and in slices.
func TestAudienceIsWhatItSays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	list, _, _, err := d.upload([]byte("sdt\n84900000010\n84900000011\n"))
	if err != nil {
		t.Fatal(err)
	}
	communes := d.Units.Communes(noon)
	codes := []string{communes[0].Code, communes[1].Code, communes[2].Code}
	asked := slices.Clone(codes)
	if old := d.Units.Predecessors(communes[2].Ref()); len(old) > 0 {
		asked[2] = old[0].Ref()
	} else {
		t.Fatalf("%s has no predecessor", communes[2].Ref())
	}
	rapid.Check(t, func(rt *rapid.T) {
		var world []someone
		for i := range rapid.IntRange(0, 12).Draw(rt, "people") {
			world = append(world, drawPerson(rt, i, codes))
		}
		d.settle(world)
		for range 4 {
			b := drawAudience(rt, asked, list.ID)
			want := d.expect(b, world)
			whole := d.selected(rt, b, audienceQuery{oa: testOA, at: noon})
			if diff := gocmp.Diff(want, whole, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("audience %+v\n%s", b.Definition, diff)
			}
			var parts []member
			q := audienceQuery{oa: testOA, at: noon}
			for last := false; !last; q.after = q.upto {
				var err error
				if q.upto, last, err = d.sliceEnd(t.Context(), testOA, q.after, 3); err != nil {
					rt.Fatal(err)
				}
				parts = append(parts, d.selected(rt, b, q)...)
			}
			if diff := gocmp.Diff(want, parts, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("in slices: audience %+v\n%s", b.Definition, diff)
			}
			counted, err := d.Count(t.Context(), b, noon)
			if len(want) == 0 {
				if !refusedAs(err, "nobody") {
					rt.Fatalf("an audience of nobody: %v", err)
				}
				continue
			}
			var reached, skipped int64
			for _, n := range counted.Skipped {
				skipped += n
			}
			for _, m := range want {
				if m.Skip == nil {
					reached++
				}
			}
			if err != nil || counted.Reached != reached || counted.Audience != int64(len(want)) || reached+skipped != counted.Audience {
				rt.Fatalf("counted %+v of %d: %v", counted, len(want), err)
			}
		}
	})
}

func TestAudienceOfWhatThereIsNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	b := Broadcast{OA: testOA, Definition: bulletin()}
	b.Audience.Exclude.Units = []string{"99999"}
	if _, err := d.Count(t.Context(), b, noon); !refusedAs(err, "unit") {
		t.Errorf("an unknown unit: %v", err)
	}
	b.Audience = Audience{List: 77}
	if err := d.checkContent(t.Context(), b, noon); !refusedAs(err, "list_gone") {
		t.Errorf("an unknown list: %v", err)
	}
	for _, why := range []string{"unit", "nobody", "list_gone"} {
		if words := refuse(why, "Code", "1").Text(d.texts, bot.English); strings.Contains(words, "broadcast.") {
			t.Errorf("%s has no words", why)
		}
	}
}

func TestLongestNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i, c := range []struct{ language, name string }{
		{"vi", "An"}, {"vi", "Nguyễn Thị Ngọc Mẫu"}, {"vi", strings.Repeat("x", 200)}, {"en", "👩👩👩 Bo"}, {"en", "Anna Bo"}, {"vi", ""},
	} {
		var sealed []byte
		if c.name != "" {
			sealed = d.Keys.Seal("name", []byte(c.name))
		}
		d.exec(`INSERT INTO citizen (oa_id, citizen, language, created_at, name) VALUES ($1, $2, $3, $4, $5)`,
			testOA, fmt.Sprint("u", i), c.language, noon, sealed)
		d.exec(`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at) VALUES ($1, $2, 'topic.health', 'v1', 'zalo', $3)`,
			testOA, fmt.Sprint("u", i), noon)
	}
	d.exec(`INSERT INTO push_person (oa_id, citizen, stopped_at) VALUES ($1, 'u2', $2)`, testOA, noon)
	got, err := d.LongestNames(t.Context(), Broadcast{OA: testOA, Definition: bulletin()}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(map[string]string{"vi": "Nguyễn Thị Ngọc Mẫu", "en": "👩👩👩 Bo"}, got); diff != "" {
		t.Error(diff)
	}
	if faults, err := d.CheckBody(t.Context(), Broadcast{OA: testOA, Definition: bulletin()}, noon); err != nil || Broken(faults) {
		t.Errorf("faults %v: %v", faults, err)
	}
}
