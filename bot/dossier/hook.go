package dossier

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of a push of the procedure system.
const (
	maxPush   = 1 << 20
	pushClock = 5 * time.Minute // how far its clock may be from ours
	pushStore = 1500 * time.Millisecond
)

// SignatureHeader carries the signature of a push: "t=<unix seconds>,v1=<hex>",
// an HMAC-SHA256 over t, a dot and the raw body.
const SignatureHeader = "X-Procedures-Signature"

// Hook is the handler of POST /webhooks/procedures: pushes of the procedure
// system. Nothing a push says is believed but which dossier it is about; that is
// then looked at (see Watch). So a push that is repeated, late or wrong costs a
// look-up.
type Hook struct {
	store   *Store
	secret  []byte
	now     func() time.Time
	answers *prometheus.CounterVec
}

// NewHook returns a handler for pushes signed with secret.
func NewHook(store *Store, secret string, now func() time.Time, reg prometheus.Registerer) *Hook {
	h := &Hook{
		store: store, secret: []byte(secret), now: now,
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "congdanso_procedure_pushes_total", Help: "Pushes of the procedure system, by what became of them.",
		}, []string{"outcome"}),
	}
	reg.MustRegister(h.answers)
	return h
}

// Handle answers one push.
func (h *Hook) Handle(c echo.Context) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxPush))
	status, outcome := http.StatusBadRequest, "cut_short"
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		status, outcome = h.take(c.Request().Context(), body, c.Request().Header.Get(SignatureHeader))
	case errors.As(err, &tooLarge):
		status, outcome = http.StatusRequestEntityTooLarge, "too_large"
	}
	h.answers.WithLabelValues(outcome).Inc()
	if status == http.StatusOK {
		return c.JSONBlob(status, []byte("{}"))
	}
	return c.JSON(status, map[string]string{"error": outcome})
}

// take decides what becomes of a push: the status to answer, and the outcome
// under which it is counted.
func (h *Hook) take(ctx context.Context, body []byte, signature string) (status int, outcome string) {
	now := h.now()
	if !h.verify(body, signature, now) {
		return http.StatusUnauthorized, "bad_signature"
	}
	if !json.Valid(body) {
		return http.StatusBadRequest, "not_json"
	}
	var push struct {
		Dossier struct {
			Code string `json:"MaHoSo"`
		} `json:"dossier"`
	}
	_ = json.Unmarshal(body, &push) // of another shape: about no dossier
	code := Code(strings.ToUpper(strings.TrimSpace(push.Dossier.Code)))
	if code == "" {
		return http.StatusOK, "nothing"
	}
	ctx, cancel := context.WithTimeout(ctx, pushStore)
	defer cancel()
	n, err := h.store.hint(ctx, []Change{{Code: code}}, nil, now)
	switch {
	case err != nil:
		slog.WarnContext(ctx, "push of the procedure system not kept; it is asked to try again", "err", err)
		return http.StatusServiceUnavailable, "unavailable"
	case n == 0:
		return http.StatusOK, "not_watched"
	}
	return http.StatusOK, "kept"
}

// verify reports whether signature is that of body, made around now. A header may
// hold several v1, while the system changes its secret.
func (h *Hook) verify(body []byte, signature string, now time.Time) bool {
	var t string
	var macs [][]byte
	for _, part := range strings.Split(signature, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			t = value
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil {
				macs = append(macs, mac)
			}
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > pushClock {
		return false
	}
	want := hmac.New(sha256.New, h.secret)
	want.Write([]byte(t + "."))
	want.Write(body)
	sum := want.Sum(nil)
	for _, mac := range macs {
		if hmac.Equal(mac, sum) {
			return true
		}
	}
	return false
}
