package zalosim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// wire is how webhooks travel. A benchmark puts ten thousand events a second
// through it beside the system it measures, so plain http goes over connections
// written and read by hand; everything else takes an http.Client.
type wire struct {
	client  *http.Client
	byHand  bool
	timeout time.Duration
}

func newWire(opt Options) wire {
	w := wire{client: opt.HTTPClient, timeout: opt.WebhookTimeout}
	if w.client == nil {
		w.byHand = true
		w.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: opt.WebhookWorkers}}
	}
	return w
}

func (w wire) line() line { return line{wire: w} }

// line is one worker's connection.
type line struct {
	wire
	target string // the address conn belongs to
	host   string
	path   string
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	unhook func() bool
}

// post delivers one body and returns the status answered.
func (l *line) post(ctx context.Context, target string, body []byte, mac string, try int) (int, error) {
	if l.byHand && strings.HasPrefix(target, "http://") {
		return l.postByHand(ctx, target, body, mac, try)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if mac != "" {
		req.Header.Set("X-ZEvent-Signature", "mac="+mac)
	}
	if try > 0 {
		req.Header.Set("num_retry", strconv.Itoa(try))
	}
	res, err := l.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // only so that the connection is used again
	return res.StatusCode, nil
}

func (l *line) postByHand(ctx context.Context, target string, body []byte, mac string, try int) (int, error) {
	if err := l.aim(target); err != nil {
		return 0, err
	}
	l.out = append(l.out[:0], "POST "...)
	l.out = append(l.out, l.path...)
	l.out = append(l.out, " HTTP/1.1\r\nHost: "...)
	l.out = append(l.out, l.host...)
	l.out = append(l.out, "\r\nUser-Agent: ZaloWebhook\r\nContent-Type: application/json\r\n"...)
	if mac != "" {
		l.out = append(l.out, "X-ZEvent-Signature: mac="...)
		l.out = append(l.out, mac...)
		l.out = append(l.out, "\r\n"...)
	}
	if try > 0 {
		l.out = append(l.out, "num_retry: "...)
		l.out = strconv.AppendInt(l.out, int64(try), 10)
		l.out = append(l.out, "\r\n"...)
	}
	l.out = append(l.out, "Content-Length: "...)
	l.out = strconv.AppendInt(l.out, int64(len(body)), 10)
	l.out = append(l.out, "\r\n\r\n"...)
	l.out = append(l.out, body...)

	until := time.Now().Add(l.timeout)
	for reused := l.conn != nil; ; reused = false {
		status, silent, err := l.exchange(ctx, until)
		// A connection that lay idle may have been closed at the other end; the
		// event was not looked at then.
		if err == nil || !reused || !silent || errors.Is(err, errTimeout) {
			return status, err
		}
	}
}

// aim parses the address when it has changed.
func (l *line) aim(target string) error {
	if target == l.target {
		return nil
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	l.close()
	l.target, l.host, l.path = target, u.Host, u.RequestURI()
	return nil
}

var errTimeout = errors.New("no answer in time")

// exchange writes the request and reads the answer. silent is true when not a
// byte came back.
func (l *line) exchange(ctx context.Context, until time.Time) (status int, silent bool, err error) {
	defer func() {
		if err != nil {
			l.close()
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				err = errTimeout
			}
		}
	}()
	if l.conn == nil {
		address := l.host
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(address, "80")
		}
		dialer := net.Dialer{Deadline: until}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return 0, true, err
		}
		l.conn, l.in = conn, bufio.NewReaderSize(conn, 1024)
		l.unhook = context.AfterFunc(ctx, func() { conn.Close() })
	}
	if err := l.conn.SetDeadline(until); err != nil {
		return 0, true, err
	}
	if _, err := l.conn.Write(l.out); err != nil {
		return 0, true, err
	}
	if _, err := l.in.Peek(1); err != nil {
		return 0, true, err
	}
	status, keep, err := readAnswer(l.in)
	if err == nil && !keep {
		l.close()
	}
	return status, false, err
}

// readAnswer reads one HTTP answer as far as the stand-in needs it. keep is
// false when the connection cannot be used again.
func readAnswer(in *bufio.Reader) (status int, keep bool, err error) {
	first, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(first) < 12 || !bytes.HasPrefix(first, []byte("HTTP/1.")) {
		return 0, false, fmt.Errorf("not an HTTP answer: %.40q", first)
	}
	status, err = strconv.Atoi(string(first[9:12]))
	if err != nil {
		return 0, false, fmt.Errorf("not an HTTP answer: %.40q", first)
	}
	length := -1
	keep = first[7] == '1'
	for {
		header, err := in.ReadSlice('\n')
		if err != nil {
			return status, false, err
		}
		header = bytes.TrimRight(header, "\r\n")
		if len(header) == 0 {
			break
		}
		name, value, _ := bytes.Cut(header, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
			if err != nil {
				return status, false, nil
			}
		case bytes.EqualFold(name, []byte("Connection")):
			keep = keep && !bytes.EqualFold(value, []byte("close"))
		}
	}
	if status < 200 || length < 0 || length > 1<<16 {
		return status, false, nil // rare enough that a new connection is no matter
	}
	_, err = in.Discard(length)
	return status, keep, err
}

func (l *line) close() {
	if l.conn != nil {
		l.unhook()
		l.conn.Close()
		l.conn = nil
	}
}
