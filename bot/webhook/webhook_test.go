package webhook

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
)

const (
	appID     = "1234567890123456789"
	oaID      = "3612345678901234567"
	userID    = "2512345678901234567"
	oaSecret  = "oa-secret-key-EXAMPLE"
	appSecret = "app-secret-EXAMPLE"
)

// vector is Zalo's published shape, with the mac its recipe gives.
const vector = `{"app_id":"1234567890123456789","sender":{"id":"2512345678901234567"},"recipient":{"id":"3612345678901234567"},"user_id_by_app":"5512345678901234567","event_name":"user_send_text","message":{"text":"Xin chào","msg_id":"a1b2c3d4e5f60718293a"},"timestamp":"1795401600000"}`

func TestSignatureVectors(t *testing.T) {
	escaped := strings.Replace(vector, "à", `\u00e0`, 1)
	for body, want := range map[string]string{
		vector:  "52ecc22c3af6729985d880bce4a8cc9517690409ce7b4880c0c3ff8b373d613a",
		escaped: "2a12de052a387409f0f010d60a97f54255d52a36b5db85074def92bb8d1c0122",
	} {
		sum := sign(appID, []byte(body), "1795401600000", oaSecret)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("mac = %s, want %s", got, want)
		}
	}
}

// kept stands behind the door in these tests.
type kept struct {
	mu     sync.Mutex
	events []bot.Event
	buried []string
	notes  []bot.Event
	fail   error
}

func (k *kept) Accept(_ context.Context, ev bot.Event, _ []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.events = append(k.events, ev)
	return nil
}

func (k *kept) Bury(_ context.Context, _ string, _ []byte, cause string, _ time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buried = append(k.buried, cause)
	return k.fail
}

func (k *kept) Note(ev bot.Event) { k.notes = append(k.notes, ev) }

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func newDoor(t testing.TB) (*echo.Echo, *kept) {
	k := &kept{}
	d := New(Config{AppID: appID, OAID: oaID, OASecret: oaSecret, AppSecret: appSecret,
		Now: func() time.Time { return now }}, k, k, prometheus.NewRegistry())
	e := echo.New()
	e.POST("/webhooks/zalo", d.Handle)
	return e, k
}

func mac(body, timestamp, secret string) string {
	sum := sign(appID, []byte(body), timestamp, secret)
	return "mac=" + hex.EncodeToString(sum[:])
}

func post(e *echo.Echo, body []byte, header string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/webhooks/zalo", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if header != "" {
		req.Header.Set(SignatureHeader, header)
	}
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, req)
	return rec
}

// event writes a body around what differs.
func event(name, rest string) string {
	return fmt.Sprintf(`{"app_id":%q,"event_name":%q,"timestamp":"1795401600000",%s}`, appID, name, rest)
}

const (
	fromUser = `"sender":{"id":"2512345678901234567"},"recipient":{"id":"3612345678901234567"}`
	fromOA_  = `"sender":{"id":"3612345678901234567"},"recipient":{"id":"2512345678901234567"}`
)

func TestDoorAnswers(t *testing.T) {
	text := event("user_send_text", fromUser+`,"message":{"msg_id":"m1","text":"chào"}`)
	good := mac(text, "1795401600000", oaSecret)
	foreignApp := strings.Replace(text, appID, "999", 1)
	foreignSum := sign("999", []byte(foreignApp), "1795401600000", oaSecret)
	foreignOA := event("user_send_text", `"sender":{"id":"1"},"recipient":{"id":"2"},"message":{"msg_id":"This is message id","text":"This is testing message"}`)
	twice := strings.Replace(text, `"timestamp":"1795401600000"`, `"timestamp":"1","timestamp":"1795401600000"`, 1)
	number := strings.Replace(text, `"1795401600000"`, `1795401600000`, 1)
	signed := func(body string) string { return mac(body, "1795401600000", oaSecret) }
	big := event("user_send_text", fromUser+`,"message":{"msg_id":"m2","text":"`+strings.Repeat("a", MaxBody)+`"}`)
	odd := event("user_send_text", fromUser+`,"message":[1,2]`)
	nul := event("user_send_text", `"sender":{"id":"25\u00001"},"recipient":{"id":"3612345678901234567"},"message":{"msg_id":"m3","text":"x"}`)
	for _, tt := range []struct {
		name, body, header string
		status             int
		kept, buried       int
	}{
		{"a resident's message", text, good, 200, 1, 0},
		{"spaces and capitals in the header", text, "mac = " + strings.ToUpper(strings.TrimPrefix(good, "mac=")), 200, 1, 0},
		{"probe when the URL is saved", `{}`, "", 200, 0, 0},
		{"probe with white space", " {\n} ", "", 200, 0, 0},
		{"signed sample of another account", foreignOA, signed(foreignOA), 200, 0, 0},
		{"signed sample of another app", foreignApp, "mac=" + hex.EncodeToString(foreignSum[:]), 200, 0, 0},
		{"no signature", text, "", 401, 0, 0},
		{"signed with the App Secret", text, mac(text, "1795401600000", appSecret), 401, 0, 0},
		{"signature of another body", text, mac(text+" ", "1795401600000", oaSecret), 401, 0, 0},
		{"half a signature", text, good[:40], 401, 0, 0},
		{"not hex", text, "mac=" + strings.Repeat("z", 64), 401, 0, 0},
		{"empty object with a signature", `{}`, good, 401, 0, 0},
		{"not JSON", "hello", good, 400, 0, 0},
		{"empty body", "", "", 400, 0, 0},
		{"cut short", text[:len(text)-5], good, 400, 0, 0},
		{"gzip", "\x1f\x8b\x08\x00", good, 400, 0, 0},
		{"an array", "[]", good, 401, 0, 0},
		{"too large", big, signed(big), 413, 0, 0},
		{"timestamp stands twice", twice, signed(twice), 200, 1, 0},
		{"timestamp is a number", number, signed(number), 200, 1, 0},
		{"message is no object", odd, signed(odd), 200, 0, 1},
		{"NUL byte in the person's id", nul, signed(nul), 200, 0, 1},
		{"unknown event", event("user_dances", fromUser), signed(event("user_dances", fromUser)), 200, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, k := newDoor(t)
			rec := post(e, []byte(tt.body), tt.header)
			if rec.Code != tt.status {
				t.Errorf("status %d, want %d: %s", rec.Code, tt.status, rec.Body)
			}
			if rec.Code == 200 && strings.TrimSpace(rec.Body.String()) != "{}" {
				t.Errorf("body %q, want {}", rec.Body)
			}
			if len(k.events) != tt.kept || len(k.buried) != tt.buried {
				t.Errorf("kept %d and buried %d, want %d and %d", len(k.events), len(k.buried), tt.kept, tt.buried)
			}
		})
	}
}

func TestDoorAsksToTryAgainWhenNothingCanBeKept(t *testing.T) {
	e, k := newDoor(t)
	k.fail = errors.New("database away")
	text := event("user_send_text", fromUser+`,"message":{"msg_id":"m1","text":"chào"}`)
	if rec := post(e, []byte(text), mac(text, "1795401600000", oaSecret)); rec.Code != 503 {
		t.Errorf("status %d, want 503", rec.Code)
	}
	odd := event("user_send_text", fromUser+`,"message":3`)
	if rec := post(e, []byte(odd), mac(odd, "1795401600000", oaSecret)); rec.Code != 503 {
		t.Errorf("undecodable: status %d, want 503", rec.Code)
	}
}

func TestLawfulRetryTwoHoursOldIsKept(t *testing.T) {
	e, k := newDoor(t)
	ts := fmt.Sprint(now.Add(-2 * time.Hour).UnixMilli())
	body := strings.Replace(event("user_send_text", fromUser+`,"message":{"msg_id":"m1","text":"chào"}`), "1795401600000", ts, 1)
	if rec := post(e, []byte(body), mac(body, ts, oaSecret)); rec.Code != 200 {
		t.Fatalf("status %d, want 200", rec.Code)
	}
	if len(k.events) != 1 || !k.events[0].SignedAt.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("events = %+v", k.events)
	}
}

func TestSignedTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1895401600000":        now, // in the future: never later than our acceptance
		"1763856000000":        time.UnixMilli(1763856000000).UTC(),
		"176385600000":         now, // twelve digits: a typing error
		"":                     now,
		"abc":                  now,
		"-5":                   now,
		"99999999999999999999": now,
	} {
		if got := signedAt(text, now); !got.Equal(want) {
			t.Errorf("signedAt(%q) = %v, want %v", text, got, want)
		}
	}
}
