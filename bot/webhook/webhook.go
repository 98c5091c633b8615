// Package webhook is the door: it takes Zalo's deliveries, makes sure that they
// are Zalo's, decodes them into events, and answers 200 once they are kept.
//
// It owns the signature, the shapes of Zalo's events, and the answers. It never
// decides what an event means, and never refuses one that verifies for what is
// in it: five refusals in a row end the subscription.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
)

// MaxBody is the largest delivery taken, in bytes.
const MaxBody = 1 << 20

// answerWithin is how long keeping an event may take: Zalo waits 2 s.
const answerWithin = 1500 * time.Millisecond

// Inbox keeps events until they are turned.
type Inbox interface {
	// Accept returns nil once the event is durable (or was before).
	Accept(ctx context.Context, ev bot.Event, raw []byte) error
	// Bury keeps a verified delivery that cannot be decoded, with the cause.
	Bury(ctx context.Context, oa string, raw []byte, cause string, at time.Time) error
}

// Receipts takes echoes and receipts: queued in memory, never waited for.
type Receipts interface {
	Note(ev bot.Event)
}

// Config says whose deliveries are taken.
type Config struct {
	AppID     string
	OAID      string
	OASecret  string // the OA Secret Key: signs webhooks
	AppSecret string // only to tell a mixed-up setting apart
	Now       func() time.Time
}

// Door is the handler of POST /webhooks/zalo.
type Door struct {
	cfg      Config
	inbox    Inbox
	receipts Receipts
	accepted *prometheus.CounterVec
	answers  *prometheus.CounterVec
}

// New returns a door that keeps events in inbox and hands receipts on.
func New(cfg Config, inbox Inbox, receipts Receipts, reg prometheus.Registerer) *Door {
	d := &Door{
		cfg: cfg, inbox: inbox, receipts: receipts,
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "congdanso_accepted_total", Help: "Deliveries taken, by event name (unknown names are one).",
		}, []string{"event"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "congdanso_webhook_answers_total", Help: "Answers given to deliveries, by what became of them.",
		}, []string{"outcome"}),
	}
	reg.MustRegister(d.accepted, d.answers)
	return d
}

// empty is the body of every 200.
var empty = []byte("{}")

// Handle answers one delivery.
func (d *Door) Handle(c echo.Context) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, MaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return d.answer(c, http.StatusRequestEntityTooLarge, "too_large")
		}
		return d.answer(c, http.StatusBadRequest, "cut_short")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), answerWithin)
	defer cancel()
	status, outcome := d.take(ctx, body, c.Request().Header.Get(SignatureHeader))
	return d.answer(c, status, outcome)
}

func (d *Door) answer(c echo.Context, status int, outcome string) error {
	d.answers.WithLabelValues(outcome).Inc()
	if status == http.StatusOK {
		return c.Blob(status, echo.MIMEApplicationJSON, empty)
	}
	return c.JSON(status, map[string]string{"error": outcome})
}

// take decides what becomes of a delivery: the status to answer, and the
// outcome under which it is counted.
func (d *Door) take(ctx context.Context, body []byte, signature string) (status int, outcome string) {
	var del delivery
	env := envelope{}
	malformed := json.Unmarshal(body, &del)
	if malformed == nil {
		env = envelope{AppID: del.AppID, Timestamp: del.Timestamp}
	} else { // it may still verify, and is then kept as a dead letter
		var err error
		if env, err = parseEnvelope(body); err != nil && !errors.Is(err, errNotObject) {
			return http.StatusBadRequest, "not_json"
		}
	}
	mac, signed := parseMAC(signature)
	if !signed {
		if signature == "" && isEmptyObject(body) {
			return http.StatusOK, "probe" // Zalo saves the URL
		}
		return http.StatusUnauthorized, "bad_signature"
	}
	if env.Timestamp == "" || !verify(mac, string(env.AppID), body, string(env.Timestamp), d.cfg.OASecret) {
		if verify(mac, string(env.AppID), body, string(env.Timestamp), d.cfg.AppSecret) {
			slog.Warn("webhook signed with the App Secret instead of the OA Secret Key",
				"hint", "ZALO_WEBHOOK_SECRET must be the OA Secret Key of the app's webhook page, and the console must use it")
			return http.StatusUnauthorized, "app_secret"
		}
		return http.StatusUnauthorized, "bad_signature"
	}
	if string(env.AppID) != d.cfg.AppID {
		return http.StatusOK, "foreign_app" // a sample of the console
	}
	return d.keep(ctx, body, &del, malformed)
}

// keep stores what a verified delivery carries.
func (d *Door) keep(ctx context.Context, body []byte, del *delivery, malformed error) (status int, outcome string) {
	now := d.cfg.Now().UTC().Truncate(time.Microsecond) // as Postgres keeps it
	ev, ours, err := del.event(d.cfg.OAID, now)
	if malformed != nil {
		err = fmt.Errorf("decode delivery: %w", malformed)
	}
	if err != nil {
		if err := d.inbox.Bury(ctx, d.cfg.OAID, body, err.Error(), now); err != nil {
			return d.unavailable(err)
		}
		return http.StatusOK, "undecodable"
	}
	if !ours {
		return http.StatusOK, "foreign_account"
	}
	switch b := ev.Body.(type) {
	case bot.Unknown:
		d.accepted.WithLabelValues("unknown").Inc()
		return http.StatusOK, "unknown"
	case bot.Group, bot.Anonymous, bot.Reacted:
		d.accepted.WithLabelValues(ev.Name).Inc()
		return http.StatusOK, "ignored"
	case bot.Delivered, bot.Seen:
		d.receipts.Note(ev)
		d.accepted.WithLabelValues(ev.Name).Inc()
		return http.StatusOK, "receipt"
	case bot.Sent:
		if b.AdminID == "" {
			d.receipts.Note(ev)
			d.accepted.WithLabelValues("oa_send").Inc()
			return http.StatusOK, "receipt"
		}
	}
	if err := d.inbox.Accept(ctx, ev, body); err != nil {
		return d.unavailable(err)
	}
	d.accepted.WithLabelValues(label(ev)).Inc()
	return http.StatusOK, "kept"
}

func (d *Door) unavailable(err error) (int, string) {
	slog.Warn("delivery not kept; Zalo is asked to try again", "error", err)
	return http.StatusServiceUnavailable, "unavailable"
}

// label keeps the number of label values bounded: kinds Zalo adds are one.
func label(ev bot.Event) string {
	switch b := ev.Body.(type) {
	case bot.Media:
		if b.Kind == bot.MediaOther {
			return "user_send_other"
		}
	case bot.Sent:
		return "oa_send_by_staff"
	}
	return ev.Name
}

// isEmptyObject reports whether body is {} with any white space.
func isEmptyObject(body []byte) bool {
	n := 0
	for _, b := range body {
		switch b {
		case ' ', '\t', '\r', '\n':
		case '{', '}':
			n++
		default:
			return false
		}
	}
	return n == 2
}
