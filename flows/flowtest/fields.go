package flowtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// fields are what follows the word of a given line: a name, then key=value, with
// quotes around values that have spaces, and bare words as flags. The first
// fault is kept in err.
type fields struct {
	name   string
	values map[string]string
	err    error
}

func parseFields(s string) (*fields, error) {
	f := &fields{values: map[string]string{}}
	for i := 0; ; i++ {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return f, nil
		}
		end := strings.IndexAny(s, " =")
		if end < 0 {
			end = len(s)
		}
		key := s[:end]
		s = s[end:]
		value := "true"
		if strings.HasPrefix(s, `="`) {
			quoted, err := strconv.QuotedPrefix(s[1:])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			s = s[1+len(quoted):]
		} else if strings.HasPrefix(s, "=") {
			value, s, _ = strings.Cut(s[1:], " ")
		}
		if i == 0 && value == "true" {
			f.name = key
			continue
		}
		f.values[key] = value
	}
}

func (f *fields) text(key string) string { return f.values[key] }

func (f *fields) flag(key string) bool { return f.values[key] == "true" }

func (f *fields) list(key string) []string {
	var all []string
	for _, v := range strings.Split(f.values[key], ";") {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return all
}

func (f *fields) number(key string) int {
	if f.values[key] == "" {
		return 0
	}
	n, err := strconv.Atoi(f.values[key])
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", key, err)
	}
	return n
}

func (f *fields) time(key string) time.Time {
	if f.values[key] == "" {
		return time.Time{}
	}
	at, err := time.ParseInLocation("2006-01-02T15:04", f.values[key], Zone)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", key, err)
	}
	return at
}
