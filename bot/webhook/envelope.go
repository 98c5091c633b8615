package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// text is a JSON string or number kept as text: Zalo's ids and timestamps are
// strings, but numbers have been seen in samples.
type text string

// UnmarshalJSON takes a string, a number, or null.
func (t *text) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if raw[0] == '"' {
		if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			*t = text(inner)
			return nil
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*t = text(s)
		return nil
	}
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		*t = text(raw)
		return nil
	}
	return errors.New("neither text nor number")
}

// envelope is what every delivery carries. Only what is needed to verify it.
type envelope struct {
	AppID     text `json:"app_id"`
	Timestamp text `json:"timestamp"`
}

// errNotObject: the body is JSON, but not an object.
var errNotObject = errors.New("not a JSON object")

// parseEnvelope reads the envelope leniently: a field of a strange type counts
// as absent. It fails only when the body is not one JSON object. When a field
// stands twice, the last one counts, as for every later reader of the body.
func parseEnvelope(body []byte) (envelope, error) {
	var fields struct {
		AppID     json.RawMessage `json:"app_id"`
		Timestamp json.RawMessage `json:"timestamp"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) {
			return envelope{}, errNotObject
		}
		return envelope{}, err
	}
	var e envelope
	// Errors leave the field empty, and an empty field does not verify.
	_ = e.AppID.UnmarshalJSON(fields.AppID)
	_ = e.Timestamp.UnmarshalJSON(fields.Timestamp)
	return e, nil
}

// earliest is a moment before any event that can still matter: a timestamp
// before it is a typing error (Zalo's own samples have some of twelve digits).
var earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// signedAt reads a timestamp (milliseconds since 1970, as text). It is never
// later than acceptedAt; one that cannot be meant counts as acceptedAt.
func signedAt(timestamp string, acceptedAt time.Time) time.Time {
	ms, err := strconv.ParseInt(strings.TrimSpace(timestamp), 10, 64)
	if err != nil {
		return acceptedAt
	}
	at := time.UnixMilli(ms).UTC()
	if at.Before(earliest) || at.After(acceptedAt) {
		return acceptedAt
	}
	return at
}
