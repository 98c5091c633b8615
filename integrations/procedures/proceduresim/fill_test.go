package proceduresim

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"testing"
	"time"
)

// list reads a page of changes and returns the codes in it.
func list(t *testing.T, s *Sim, from time.Time, page, size int) (codes []string, last bool) {
	t.Helper()
	status, body, raw := call(t, s, fmt.Sprintf("%s?spec=slice&sort=updatedDate,desc&size=%d&page=%d&updated-from=%s",
		ChangesPath, size, page, url.QueryEscape(from.Format("2006-01-02T15:04:05.000-0700"))))
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, raw)
	}
	for _, c := range body["content"].([]any) {
		codes = append(codes, c.(map[string]any)["code"].(string))
	}
	return codes, body["last"].(bool)
}

func TestACrowdIsFoundByCodeAndID(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")
	s := New(Options{Now: now})
	codes := s.Fill(5000, now())
	soon, over := 0, 0
	for i, code := range codes {
		if i%97 != 0 {
			continue
		}
		_, body, _ := call(t, s, LookPath+"?code="+code)
		content := body["content"].([]any)
		if len(content) != 1 {
			t.Fatalf("%s: %d dossiers", code, len(content))
		}
		d := content[0].(map[string]any)
		if status, full, _ := call(t, s, "/pa/dossier/"+d["id"].(string)+"/--online"); status != http.StatusOK || full["code"] != code {
			t.Errorf("%s: detail %d %v", code, status, full["code"])
		}
		due, err := time.Parse("2006-01-02T15:04:05.000-0700", d["dueDate"].(string))
		if err != nil || due.Before(now().AddDate(0, 0, -11)) || due.After(now().AddDate(0, 0, 21)) || d["acceptedDate"].(string) >= d["dueDate"].(string) {
			t.Errorf("%s: received %v, due %v", code, d["acceptedDate"], d["dueDate"])
		}
		if due.Before(now()) {
			over++
		} else {
			soon++
		}
	}
	if over < 10 || soon < 25 || s.Looks() != over+soon {
		t.Errorf("%d overdue, %d not, %d look-ups", over, soon, s.Looks())
	}
	if _, body, _ := call(t, s, LookPath+"?code=H42.101-261001-1005000"); len(body["content"].([]any)) != 0 {
		t.Error("found one more than there are")
	}
}

func TestACrowdsChangesAreListedOnceNewestFirst(t *testing.T) {
	at := clock("2026-11-23T16:30:00+07:00")()
	s := New(Options{Now: func() time.Time { return at }})
	codes := s.Fill(2000, at)
	from := at.Add(time.Second)
	for _, i := range []int{1500, 3, 1999, 3} {
		at = at.Add(time.Minute)
		set(t, s, codes[i], Change{Status: 5, Words: "Bổ sung"})
	}
	var got []string
	for page := 0; ; page++ {
		found, last := list(t, s, from, page, 2)
		for _, code := range found {
			for i, c := range codes {
				if c == code {
					got = append(got, fmt.Sprint(i))
				}
			}
		}
		if last {
			break
		}
	}
	if fmt.Sprint(got) != "[3 1999 1500]" {
		t.Errorf("got %v", got)
	}
	// From the beginning: everybody once.
	seen := map[string]int{}
	for page := 0; ; page++ {
		found, last := list(t, s, at.AddDate(0, 0, -100), page, 500)
		for _, code := range found {
			seen[code]++
		}
		if last {
			break
		}
	}
	for _, code := range codes {
		if seen[code] != 1 {
			t.Fatalf("%s listed %d times", code, seen[code])
		}
	}
	if s.Lists() == 0 {
		t.Error("no request counted")
	}
}

func TestACrowdCostsLittle(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")
	s := New(Options{Now: now})
	list(t, s, now(), 0, 10) // the days of everyday are made
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := len(s.Fill(100_000, now()))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); n != 100_000 || grown > 1<<20 {
		t.Errorf("%d dossiers hold %d bytes", n, grown)
	}
	runtime.KeepAlive(s)
}

func BenchmarkLook(b *testing.B) {
	now := clock("2026-11-23T16:30:00+07:00")
	s := New(Options{Now: now})
	codes := s.Fill(100_000, now())
	for i := 0; b.Loop(); i++ {
		if len(s.byCode(codes[i%len(codes)])) != 1 {
			b.Fatal("not found")
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	at := clock("2026-11-23T16:30:00+07:00")()
	s := New(Options{Now: func() time.Time { return at }})
	for i, code := range s.Fill(100_000, at) {
		if i%100 == 0 {
			at = at.Add(time.Second)
			if err := s.Set(code, Change{Status: 9}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		if page, _ := s.changedSince(at.Add(-5*time.Minute), 0, 100); len(page) != 100 {
			b.Fatalf("%d changes", len(page))
		}
	}
}
