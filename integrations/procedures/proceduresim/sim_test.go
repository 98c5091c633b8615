package proceduresim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func clock(at string) func() time.Time {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return t }
}

func TestTheWorldHasEveryStatusAndIsTheSameAfterARestart(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")
	list := New(Options{Now: now}).Dossiers()
	if n := len(list); n < 300 || n > 900 {
		t.Errorf("%d dossiers, want several hundred", n)
	}
	statuses, codes := map[int]int{}, map[string]int{}
	for _, d := range list {
		statuses[d.Status]++
		codes[d.Code]++
	}
	for status := 1; status <= 10; status++ {
		if statuses[status] == 0 {
			t.Errorf("no dossier in status %d", status)
		}
	}
	for code, n := range codes {
		if n > 1 && code != "H42.16-240612-0012" {
			t.Errorf("%d dossiers %s", n, code)
		}
	}
	if diff := cmp.Diff(list, New(Options{Now: now}).Dossiers()); diff != "" {
		t.Errorf("another start, another world:\n%s", diff)
	}
	if cmp.Equal(list, New(Options{Now: now, Seed: 2}).Dossiers()) {
		t.Error("another seed, the same world")
	}
}

func TestLivesGoOnWithTheClock(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")()
	s := New(Options{Now: func() time.Time { return now }})
	before := map[string]int{}
	for _, d := range s.Dossiers() {
		before[d.Code] = d.Status
	}
	now = now.AddDate(0, 0, 3)
	moved, still := 0, 0
	for _, d := range s.Dossiers() {
		if was, ok := before[d.Code]; ok {
			still++
			if was != d.Status {
				moved++
			}
		}
	}
	if moved < 10 {
		t.Errorf("%d dossiers moved in three days, want some", moved)
	}
	if still < 300 {
		t.Errorf("%d dossiers are still there, want most", still)
	}
}

// call makes one request with a fresh token.
func call(t *testing.T, s *Sim, path string) (int, map[string]any, string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, TokenPath, strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("congdanso", "secret")
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &token); err != nil || token.AccessToken == "" {
		t.Fatalf("token: %d %s", rec.Code, rec.Body)
	}
	req = httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	rec = httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	var body map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &body) // lists stay nil
	return rec.Code, body, rec.Body.String()
}

func TestOnlyGoodTokensAreTaken(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")()
	s := New(Options{Now: func() time.Time { return now }})
	for name, prepare := range map[string]func(*http.Request){
		"none":  func(*http.Request) {},
		"wrong": func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
	} {
		req := httptest.NewRequest(http.MethodGet, "/pa/dossier-search/dvc?code=x", nil)
		prepare(req)
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		if rec.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, rec.Code)
		}
	}
	for grant, user := range map[string]string{"client_credentials": "other", "password": "congdanso"} {
		req := httptest.NewRequest(http.MethodPost, TokenPath, strings.NewReader("grant_type="+grant))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(user, "secret")
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		if rec.Code != http.StatusUnauthorized && rec.Code != http.StatusBadRequest {
			t.Errorf("%s as %s: %d", grant, user, rec.Code)
		}
	}
}

func TestChangesArePagedNewestFirst(t *testing.T) {
	now := clock("2026-11-23T16:30:00+07:00")
	s := New(Options{Now: now})
	from := url.QueryEscape(now().Add(-48 * time.Hour).Format("2006-01-02T15:04:05.000-0700"))
	last, seen := "9999", 0
	for page := 0; ; page++ {
		status, body, raw := call(t, s, "/pa/dossier/search?spec=slice&size=5&page="+string(rune('0'+page))+"&updated-from="+from)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, raw)
		}
		for _, c := range body["content"].([]any) {
			at := c.(map[string]any)["updatedDate"].(string)
			if at > last {
				t.Errorf("%s after %s", at, last)
			}
			last = at
			seen++
		}
		if body["last"].(bool) || page == 9 {
			break
		}
	}
	if seen < 5 {
		t.Errorf("%d changes in two days, want some", seen)
	}
}

func TestCatalogue(t *testing.T) {
	s := New(Options{Now: clock("2026-11-23T16:30:00+07:00")})
	_, body, _ := call(t, s, "/bd/procedure/--can-apply?spec=page&keyword="+url.QueryEscape("1.001193"))
	if body["totalElements"].(float64) != 1 {
		t.Fatalf("got %v", body)
	}
	id := body["content"].([]any)[0].(map[string]any)["id"].(string)
	if status, one, _ := call(t, s, "/bd/procedure/"+id); status != http.StatusOK || one["id"] != id {
		t.Errorf("got %d %v", status, one)
	}
	if status, _, _ := call(t, s, "/bd/procedure/nope"); status != http.StatusNotFound {
		t.Errorf("got %d, want 404", status)
	}
	if len(catalogue) != 70 || len(communes) != 129 {
		t.Errorf("%d procedures, %d communes", len(catalogue), len(communes))
	}
}

func TestFaultsRunOut(t *testing.T) {
	s := New(Options{Now: clock("2026-11-23T16:30:00+07:00")})
	const path = "/pa/dossier-search/dvc?code=H42.16-240612-0001"
	s.Fault(Fault{Kind: BadGateway, Times: 2, Code: "H42.16-240612-0001"})
	for i, want := range []int{502, 502, 200} {
		if got, _, _ := call(t, s, path); got != want {
			t.Errorf("call %d: %d, want %d", i, got, want)
		}
	}
	remove := s.Fault(Fault{Kind: Forbidden})
	if got, _, _ := call(t, s, path); got != http.StatusForbidden {
		t.Errorf("got %d, want 403", got)
	}
	remove()
	if got, _, _ := call(t, s, path); got != http.StatusOK {
		t.Errorf("got %d, want 200", got)
	}
	if s.RequestsTo("/pa/dossier-search/dvc") != 5 || s.Requests() != 10 {
		t.Errorf("counted %d of %d", s.RequestsTo("/pa/dossier-search/dvc"), s.Requests())
	}
}
