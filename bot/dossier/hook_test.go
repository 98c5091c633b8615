package dossier_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"congdanso/bot/dossier"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const secret = "bí mật"

func pushBody(code string, status int) string {
	return fmt.Sprintf(`{"id":"evt_01","sentAt":"2024-06-14T16:20:05+07:00","type":"dossier.changed",
		"dossier":{"MaHoSo":%q,"TrangThaiHoSo":"%d","TenTrangThai":"x"}}`, code, status)
}

// signature signs body at a time.
func signature(body string, at time.Time) string {
	t := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + body))
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// signed is a body with its signature of now.
func (b *bench) signed(body string) (string, string) { return body, signature(body, b.clock.now()) }

// post delivers a push.
func (b *bench) post(body, signature string) (status int, answer string) {
	e := echo.New()
	e.POST("/webhooks/procedures", dossier.NewHook(b.Store(), secret, b.clock.now, prometheus.NewRegistry()).Handle)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/procedures", strings.NewReader(body))
	r.Header.Set(dossier.SignatureHeader, signature)
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, r)
	return rec.Code, strings.TrimSpace(rec.Body.String())
}

func TestPushes(t *testing.T) {
	b := start(t)
	good := pushBody(string(code), 9)
	now := b.clock.now()
	for name, c := range map[string]struct {
		body, signature string
		want            int
	}{
		"good":                    {good, signature(good, now), 200},
		"good, of two secrets":    {good, signature(good, now) + ",v1=00ff", 200},
		"spaces after commas":     {good, strings.Replace(signature(good, now), ",", ", ", 1), 200},
		"unknown dossier":         {pushBody("H42.16-240612-7777", 4), signature(pushBody("H42.16-240612-7777", 4), now), 200},
		"unknown status":          {pushBody(string(code), 77), signature(pushBody(string(code), 77), now), 200},
		"about nothing":           {`{"id":"x"}`, signature(`{"id":"x"}`, now), 200},
		"another shape":           {`[1]`, signature(`[1]`, now), 200},
		"a clock behind":          {good, signature(good, now.Add(-4*time.Minute)), 200},
		"a clock ahead":           {good, signature(good, now.Add(4*time.Minute)), 200},
		"old":                     {good, signature(good, now.Add(-6*time.Minute)), 401},
		"of the future":           {good, signature(good, now.Add(6*time.Minute)), 401},
		"none":                    {good, "", 401},
		"another body":            {good + " ", signature(good, now), 401},
		"another time":            {good, strings.Replace(signature(good, now), "t=", "t=1", 1), 401},
		"no time":                 {good, strings.TrimPrefix(signature(good, now), fmt.Sprintf("t=%d,", now.Unix())), 401},
		"not hex":                 {good, fmt.Sprintf("t=%d,v1=zz", now.Unix()), 401},
		"not JSON":                {"<html>", signature("<html>", now), 400},
		"not JSON, and unsigned":  {"<html>", "", 401},
		"too large":               {strings.Repeat(" ", 1<<20+1), "", 413},
		"as large as may be":      {strings.Repeat(" ", 1<<20-2) + "{}", signature(strings.Repeat(" ", 1<<20-2)+"{}", now), 200},
		"an empty body, signed":   {"", signature("", now), 400},
		"code in spaces, lower":   {pushBody(" h42.16-240612-0001 ", 4), signature(pushBody(" h42.16-240612-0001 ", 4), now), 200},
		"time beyond all numbers": {good, "t=99999999999999999999,v1=00", 401},
	} {
		status, answer := b.post(c.body, c.signature)
		if status != c.want || status == 200 && answer != "{}" {
			t.Errorf("%s: %d %s, want %d", name, status, answer, c.want)
		}
	}
	b.pool.Close()
	if status, _ := b.post(b.signed(good)); status != 503 {
		t.Errorf("without a database: %d, want 503", status)
	}
}
