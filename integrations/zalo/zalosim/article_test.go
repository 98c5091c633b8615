package zalosim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const storm = `{"type":"normal","title":"Bão số 9","author":"UBND","description":"Việc cần làm","cover":{"cover_type":"photo","photo_url":"https://a.example/b.jpg","status":"show"},"body":[{"type":"text","content":"<p>x</p>"}],"status":"show","comment":"hide"}`

// publish creates an article, waits, and returns its id.
func (b *bench) publish(body string) string {
	b.t.Helper()
	var made struct{ Token, ID string }
	if a := b.call("POST", PathArticleCreate, body); json.Unmarshal(a.Data, &made) != nil || made.Token == "" {
		b.t.Fatalf("create: %d %s", a.Error, a.Message)
	}
	b.Clock().Advance(5 * time.Second)
	if a := b.call("POST", PathArticleVerify, `{"token":"`+made.Token+`"}`); json.Unmarshal(a.Data, &made) != nil || made.ID == "" {
		b.t.Fatalf("verify: %d %s", a.Error, a.Message)
	}
	return made.ID
}

func TestArticleChecksFields(t *testing.T) {
	b := start(t, Options{ArticlesAMonth: -1})
	with := func(old, new string) string { return strings.Replace(storm, old, new, 1) }
	for name, tt := range map[string]struct {
		body string
		code int
		word string
	}{
		"good":                 {storm, 0, ""},
		"not JSON":             {`{`, -201, "body"},
		"video":                {with(`"normal"`, `"video"`), -201, "type"},
		"no title":             {with("Bão số 9", " "), -201, "title"},
		"title of 151":         {with("Bão số 9", strings.Repeat("ã", 151)), -210, ""},
		"author of 51":         {with("UBND", strings.Repeat("ã", 51)), -210, ""},
		"description of 301":   {with("Việc cần làm", strings.Repeat("ã", 301)), -210, ""},
		"cover by attachment":  {with("https://a.example/b.jpg", "a1b2c3"), -201, "photo_url"},
		"cover without status": {with(`.jpg","status":"show"`, `.jpg"`), -201, "cover.status"},
		"no body":              {with(`[{"type":"text","content":"<p>x</p>"}]`, `[]`), -201, "body"},
		"empty text":           {with("<p>x</p>", ""), -201, "body"},
		"picture over http":    {with(`{"type":"text","content":"<p>x</p>"}`, `{"type":"image","url":"http://a.example/x.png"}`), -201, "body"},
		"odd status":           {with(`"status":"show","comment"`, `"status":"public","comment"`), -201, "status"},
	} {
		if a := b.call("POST", PathArticleCreate, tt.body); a.Error != tt.code || !strings.Contains(a.Message, tt.word) {
			t.Errorf("%s: %d %q, want %d with %q", name, a.Error, a.Message, tt.code, tt.word)
		}
	}
	id := b.publish(with(`"status":"show","comment"`, `"comment"`))
	if got := string(b.flat(PathArticleDetail, "id="+id).Data); !strings.Contains(got, `"status":"hide","comment":"hide"`) {
		t.Errorf("article %s, want it hidden by default", got)
	}
	for _, path := range []string{PathArticleUpdate, PathArticleRemove} {
		if a := b.call("POST", path, with("{", `{"id":"none",`)); a.Error != -201 {
			t.Errorf("%s of no article: %d, want -201", path, a.Error)
		}
	}
}

func TestArticleQuotaBeginsAnewEachMonth(t *testing.T) {
	b := start(t, Options{ArticlesAMonth: 2, AccessTokenLife: 90 * 24 * time.Hour})
	for want := range 3 {
		a := b.call("POST", PathArticleCreate, storm)
		if code := map[bool]int{true: -223}[want == 2]; a.Error != code || code != 0 && !strings.Contains(a.Message, "quota") {
			t.Errorf("%d. article: %d %q, want %d", want, a.Error, a.Message, code)
		}
	}
	b.Clock().Advance(8 * 24 * time.Hour)
	if a := b.call("POST", PathArticleCreate, storm); a.Error != 0 {
		t.Errorf("in the next month: %d", a.Error)
	}
}

func cast(target string, articles ...string) string {
	var elements []string
	for _, id := range articles {
		elements = append(elements, `{"media_type":"article","attachment_id":"`+id+`"}`)
	}
	return `{"recipient":{"target":` + target + `},"message":{"attachment":{"type":"template","payload":{"template_type":"media","elements":[` + strings.Join(elements, ",") + `]}}}}`
}

// Whom a target takes in, in all the ways of writing it.
func TestBroadcastTargets(t *testing.T) {
	b := start(t, Options{BroadcastsPerMonth: 1000, AccessTokenLife: 90 * 24 * time.Hour})
	for id, u := range map[string]User{
		"21": {Follows: true, City: "2", Age: 24, Gender: 1},
		"22": {Follows: true, City: "56", Age: 66, Gender: 2},
		"23": {Follows: true, City: "9", Age: 25, Gender: 2},
		"24": {Follows: true},
		"25": {City: "2", Age: 24, Gender: 1},
		"26": {Follows: true, City: "2", Age: 24, Gender: 1, Blocked: true},
	} {
		u.ID = id
		b.AddUser(u)
	}
	id := b.publish(storm)
	for target, want := range map[string]string{
		`{}`:                                     "21 22 23 24",
		`{"ages":"","gender":"0","cities":null}`: "21 22 23 24",
		`{"cities":"2,8,56"}`:                    "21 22",
		`{"cities":[2,"8",56]}`:                  "21 22",
		`{"cities":9}`:                           "23",
		`{"ages":"3,7"}`:                         "22 23",
		`{"ages":2}`:                             "21",
		`{"gender":2,"cities":"2, 56"}`:          "22",
		`{"gender":"1","platform":"1,2","locations":"0","telcos":[3]}`: "21",
	} {
		b.Clock().Advance(24 * time.Hour) // one a day for each
		if a := b.call("POST", PathBroadcast, cast(target, id)); a.Error != 0 {
			t.Errorf("%s: %d %s", target, a.Error, a.Message)
			continue
		}
		b.Clock().Advance(30 * time.Minute)
		b.settle()
		all := b.Broadcasts()
		last := all[len(all)-1]
		var got []string
		for n := 21; n <= 26; n++ {
			user := fmt.Sprint(n)
			if m := b.Messages(user); len(m) > 0 && m[len(m)-1].ID == last.ID {
				got = append(got, user)
			}
		}
		if strings.Join(got, " ") != want || last.Reached != len(got) || last.Went.IsZero() {
			t.Errorf("%s reached %v (%+v), want %s", target, got, last, want)
		}
	}
	if b.door.names() != "" {
		t.Errorf("webhooks %q", b.door.names())
	}
	for name, tt := range map[string]struct {
		body string
		code int
	}{
		"age 8":          {cast(`{"ages":"8"}`, id), -201},
		"gender 3":       {cast(`{"gender":"3"}`, id), -201},
		"two genders":    {cast(`{"gender":"1,2"}`, id), -201},
		"city 64":        {cast(`{"cities":"64"}`, id), -201},
		"city in words":  {cast(`{"cities":"Ninh Bình"}`, id), -201},
		"platform 0":     {cast(`{"platform":"0"}`, id), -201},
		"an object":      {cast(`{"cities":{}}`, id), -201},
		"no article":     {cast(`{}`), -201},
		"six articles":   {cast(`{}`, id, id, id, id, id, id), -210},
		"unknown":        {cast(`{}`, id, "none"), -201},
		"text":           {`{"recipient":{"target":{}},"message":{"text":"chào"}}`, -233},
		"image":          {strings.Replace(cast(`{}`, id), `"article"`, `"image"`, 1), -233},
		"to one person":  {`{"recipient":{"user_id":"21"},"message":{"text":"chào"}}`, -240},
		"five articles":  {cast(`{}`, id, id, id, id, id), 0},
		"article hidden": {cast(`{}`, b.publish(strings.Replace(storm, `"show","comment"`, `"hide","comment"`, 1))), -201},
	} {
		if a := b.call("POST", PathBroadcast, tt.body); a.Error != tt.code {
			t.Errorf("%s: %d %q, want %d", name, a.Error, a.Message, tt.code)
		}
	}
}

// One a day and so many a month for each follower, never by night; while Zalo
// looks at it, nobody has it.
func TestBroadcastCaps(t *testing.T) {
	b := start(t, Options{BroadcastsPerMonth: 2, AccessTokenLife: 90 * 24 * time.Hour, ModerationDelay: time.Hour})
	b.AddUser(User{ID: lan, Follows: true})
	id := b.publish(storm)
	have := func(want int, when string) {
		t.Helper()
		b.settle()
		if got := len(b.Messages(lan)); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	send := func(code int, when string) {
		t.Helper()
		if a := b.call("POST", PathBroadcast, cast(`{}`, id)); a.Error != code {
			t.Errorf("%s: %d %q, want %d", when, a.Error, a.Message, code)
		}
	}
	send(0, "in the morning")
	b.Clock().Advance(time.Hour - time.Second)
	have(0, "under moderation")
	b.Clock().Advance(time.Second)
	have(1, "after it")
	send(0, "again that day")
	b.Clock().Advance(time.Hour)
	have(1, "again that day")
	b.Clock().Advance(22 * time.Hour)
	send(0, "the next day")
	b.Clock().Advance(time.Hour)
	have(2, "the next day")
	b.Clock().Advance(23 * time.Hour)
	send(0, "the third day")
	b.Clock().Advance(time.Hour)
	have(2, "beyond the month's number")
	b.Clock().Advance(5*24*time.Hour + 23*time.Hour) // the first of December
	send(0, "the next month")
	b.Clock().Advance(time.Hour)
	have(3, "the next month")
	b.Clock().Advance(13 * time.Hour)
	send(-234, "by night")
}

func TestSaveAndLoadWhatBroadcastsNeed(t *testing.T) {
	b := start(t, Options{Templates: []Template{{ID: "1"}}})
	b.AddUser(User{ID: lan, Follows: true, Phone: lansPhone})
	id := b.publish(storm)
	b.call("POST", PathBroadcast, cast(`{}`, id))
	b.Clock().Advance(30 * time.Minute)
	b.settle()
	var file bytes.Buffer
	if err := b.Save(&file); err != nil {
		t.Fatal(err)
	}
	again := start(t, Options{Clock: b.Clock(), Templates: []Template{{ID: "1"}}})
	if err := again.Load(&file); err != nil {
		t.Fatal(err)
	}
	if a := again.call("POST", PathPhone, byPhone(lansPhone, "1", "t", `{}`)); a.Error != 0 {
		t.Errorf("by phone: %d %s", a.Error, a.Message)
	}
	if a := again.call("POST", PathBroadcast, cast(`{}`, id)); a.Error != 0 {
		t.Errorf("broadcast: %d %s", a.Error, a.Message)
	}
	again.Clock().Advance(30 * time.Minute)
	again.settle()
	if all := again.Broadcasts(); len(all) != 1 || all[0].Reached != 0 {
		t.Errorf("broadcasts %+v: Lan had hers today", all)
	}
}
