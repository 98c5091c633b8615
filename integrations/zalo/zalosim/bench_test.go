package zalosim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkSendWithReceipts is what one reply costs the stand-in: the call, the
// echo and both receipts delivered to a door that does nothing.
func BenchmarkSendWithReceipts(b *testing.B) {
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "{}")
	}))
	defer door.Close()
	s := New(Options{RatePerMinute: -1, KeepLog: -1, KeepMessages: -1, WebhookURL: door.URL})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.Run(ctx)
	s.SendText(lan, "chào")
	token := s.AccessToken()
	body := []byte(buttons(3, `{"title":"Xem","type":"oa.query.hide","payload":"#dossier.show:H42.16-240612-0001"}`))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, PathSend, bytes.NewReader(body))
		r.Header.Set("access_token", token)
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	settled, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := s.Settle(settled); err != nil {
		b.Fatal(err)
	}
	if s.Accepted() == 0 {
		b.Fatal("nothing was taken")
	}
}

// BenchmarkTemplate is what one push costs the stand-in without receipts, as in a
// broadcast to many.
func BenchmarkTemplate(b *testing.B) {
	s := New(Options{RatePerMinute: -1, KeepLog: -1, KeepMessages: -1, NoEchoes: true, NoReceipts: true, Templates: []Template{notice}})
	s.AddUser(User{ID: lan})
	token := s.AccessToken()
	body := []byte(byUser(lan, "77", `{"code":"H42.16-240612-0001","day":"23/11/2026"}`))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, PathTemplate, bytes.NewReader(body))
		r.Header.Set("access_token", token)
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := s.Received()[lan]; int64(n) != s.Accepted() {
		b.Fatalf("%d received of %d", n, s.Accepted())
	}
}
