package zalosim

import (
	"strconv"
	"unicode/utf8"
)

// object builds a JSON object key by key, in the order Zalo writes its own.
type object struct {
	buf   []byte
	ascii bool // write \u escapes instead of UTF-8
}

func newObject(size int, ascii bool) *object {
	return &object{buf: append(make([]byte, 0, size), '{'), ascii: ascii}
}

func (o *object) key(k string) {
	if len(o.buf) > 1 && o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, k...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) str(k, v string) *object {
	o.key(k)
	o.buf = appendQuoted(o.buf, v, o.ascii)
	return o
}

func (o *object) num(k string, v int64) *object {
	o.key(k)
	o.buf = strconv.AppendInt(o.buf, v, 10)
	return o
}

func (o *object) yes(k string, v bool) *object {
	o.key(k)
	o.buf = strconv.AppendBool(o.buf, v)
	return o
}

func (o *object) raw(k string, v []byte) *object {
	o.key(k)
	o.buf = append(o.buf, v...)
	return o
}

func (o *object) strs(k string, vs []string) *object {
	o.key(k)
	o.buf = append(o.buf, '[')
	for i, v := range vs {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendQuoted(o.buf, v, o.ascii)
	}
	o.buf = append(o.buf, ']')
	return o
}

// open and close nest an object.
func (o *object) open(k string) *object {
	o.key(k)
	o.buf = append(o.buf, '{')
	return o
}

func (o *object) close() *object {
	o.buf = append(o.buf, '}')
	return o
}

func (o *object) bytes() []byte { return append(o.buf, '}') }

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string.
func appendQuoted(dst []byte, s string, ascii bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = appendEscape(dst, rune(c))
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if ascii || (r == utf8.RuneError && size == 1) {
			dst = append(dst, s[start:i]...)
			if r > 0xffff {
				r -= 0x10000
				dst = appendEscape(dst, 0xd800+r>>10)
				dst = appendEscape(dst, 0xdc00+r&0x3ff)
			} else {
				dst = appendEscape(dst, r)
			}
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
