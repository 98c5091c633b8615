package pages_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labstack/echo/v4"

	"congdanso/bot/pages"
	"congdanso/content"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	texts, err := content.Load(content.Files(""), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pages.New(texts, fstest.MapFS{"web/zalo_verifierABC.html": {Data: []byte("proof")}, "web/secret.html": {Data: []byte("no")}})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	p.Register(e)
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

func TestPagesSayWhoseChannelItIs(t *testing.T) {
	for path, want := range map[string]string{
		"/": "Sở Khoa học và Công nghệ", "/?lang=en": "Department of Science and Technology",
		"/privacy": "Kênh lưu gì", "/privacy?lang=en": "What the channel keeps",
	} {
		rec := get(t, path)
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("GET %s = %d, without %q", path, rec.Code, want)
		}
		if strings.Contains(rec.Body.String(), "‹") || strings.Contains(rec.Body.String(), "pages.") {
			t.Errorf("GET %s shows a fact or key that nobody filled", path)
		}
		if !strings.Contains(rec.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("GET %s lacks its policy", path)
		}
	}
}

func TestOnlyZalosProofIsServedFromContent(t *testing.T) {
	for path, want := range map[string]int{
		"/zalo_verifierABC.html": 200, "/zalo_verifierNONE.html": 404, "/secret.html": 404,
		"/zalo_verifier..%2fsecret.html": 404, "/anything": 404,
	} {
		if rec := get(t, path); rec.Code != want {
			t.Errorf("GET %s = %d, want %d", path, rec.Code, want)
		}
	}
}
