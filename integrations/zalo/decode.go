package zalo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// envelope is what every answer of the API is wrapped in.
type envelope[T any] struct {
	Error   errorCode `json:"error"`
	Message string    `json:"message"`
	Data    T         `json:"data"`
}

// errorCode is the answer's "error". What has none, or an odd one, is no answer
// of the API.
type errorCode struct {
	code number
	set  bool
}

// UnmarshalJSON reads a number or a string of digits.
func (e *errorCode) UnmarshalJSON(b []byte) error {
	e.set = false
	if err := e.code.UnmarshalJSON(b); err != nil {
		return err
	}
	e.set = true
	return nil
}

// outcome is an envelope of any data.
type outcome interface {
	code() (int, bool)
	words() string
}

func (e *envelope[T]) code() (int, bool) { return int(e.Error.code), e.Error.set }

func (e *envelope[T]) words() string { return e.Message }

// errGarbage is an answer that is none of the API's: HTML, cut short, empty.
var errGarbage = errors.New("not an answer of the API")

// decode reads an answer and returns Zalo's code. It fails with errGarbage when
// there is no code to judge by, and with another error when Zalo took the call
// but the data beside it is not what was expected.
func decode(body []byte, out outcome) (code int, err error) {
	err = json.Unmarshal(body, out)
	code, found := out.code()
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && found {
		if code != 0 {
			return code, nil // an error's data is no matter
		}
		return 0, fmt.Errorf("answer's %s: %w", typed.Field, err)
	}
	if err != nil || !found {
		return 0, errGarbage
	}
	return code, nil
}

var (
	numberType = reflect.TypeFor[number]()
	textType   = reflect.TypeFor[text]()
)

// number is a JSON number or a string of digits. Zalo uses both.
type number int64

// UnmarshalJSON reads either form.
func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		return &json.UnmarshalTypeError{Value: "value", Type: numberType}
	}
	*n = number(v)
	return nil
}

// text is a JSON string, or a number as its digits.
type text string

// UnmarshalJSON reads either form; null leaves it empty.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case string(b) == "null":
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return &json.UnmarshalTypeError{Value: "value", Type: textType}
	}
	*t = text(n)
	return nil
}

// millis is a time in milliseconds since 1970, as a number or a string; empty or
// odd values are the zero time, for Zalo leaves such fields out at will.
type millis int64

// UnmarshalJSON never fails.
func (m *millis) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		v = 0
	}
	*m = millis(v)
	return nil
}

func (m millis) time() time.Time {
	if m <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
