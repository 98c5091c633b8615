package zalo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/integrations/zalo/zalosim"
)

func TestWireFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		fault zalosim.Fault
		send  delivery.Class
		read  delivery.Class
		taken int64
	}{
		"5xx":              {zalosim.Fault{Status: 502}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"5xx after taking": {zalosim.Fault{Status: 504, Taken: true}, delivery.ClassAmbiguous, delivery.ClassWait, 1},
		"HTML":             {zalosim.Fault{Body: "<html>hello"}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"5xx with JSON":    {zalosim.Fault{Status: 500, Body: `{"error":0}`}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"403 in HTML":      {zalosim.Fault{Status: 403, Body: "<html>"}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"redirect":         {zalosim.Fault{Status: 302, Body: `{"error":0}`}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"half an answer":   {zalosim.Fault{Body: `{"data":{"message_id":"b`, Taken: true}, delivery.ClassAmbiguous, delivery.ClassWait, 1},
		"cut before":       {zalosim.Fault{CutBefore: true}, delivery.ClassAmbiguous, delivery.ClassWait, 0},
		"cut after":        {zalosim.Fault{CutAfter: true}, delivery.ClassAmbiguous, delivery.ClassWait, 1},
		"hanging":          {zalosim.Fault{Hang: true, Taken: true}, delivery.ClassAmbiguous, delivery.ClassWait, 1},
		"429":              {zalosim.Fault{Status: 429, RetryAfter: "7"}, delivery.ClassNotSent, delivery.ClassNotSent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := dial(t, zalosim.Options{}, Options{Timeout: 300 * time.Millisecond})
			l.sim.Fault(tt.fault)
			_, err := l.Send(context.Background(), toLan, bot.Message{Text: "x"})
			ref := refused(t, err, tt.send, 0)
			if name == "429" && ref.RetryAfter != 7*time.Second {
				t.Errorf("retry after %s, want what the answer says", ref.RetryAfter)
			}
			if n := l.sim.Accepted(); n != tt.taken {
				t.Errorf("%d messages taken, want %d", n, tt.taken)
			}
			f := tt.fault
			f.Path = zalosim.PathOA
			l.sim.Fault(f)
			_, err = l.Account(context.Background())
			refused(t, err, tt.read, 0)
			if _, err := l.Send(context.Background(), toLan, bot.Message{Text: "x"}); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

// While nothing of a call was written it was certainly not sent.
func TestNeverLeft(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	foreign := httptest.NewTLSServer(http.NotFoundHandler()) // a certificate nobody trusts
	defer foreign.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, url := range map[string]string{
		"refused connection": "http://" + address,
		"unknown name":       "http://nowhere.invalid",
		"not TLS":            "https://" + plain.Listener.Addr().String(),
		"untrusted":          foreign.URL,
		"mute handshake":     "https://" + mute.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Options{APIURL: url, Tokens: FixedToken("x"), Timeout: 500 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Send(context.Background(), toLan, bot.Message{Text: "x"})
			refused(t, err, delivery.ClassNotSent, 0)
		})
	}
	l := dial(t, zalosim.Options{}, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = l.Send(ctx, toLan, bot.Message{Text: "x"})
	refused(t, err, delivery.ClassNotSent, 0)
	if l.sim.Accepted() != 0 {
		t.Error("a call given up before it began was made")
	}
}

// A call that is given up while it hangs is ambiguous, over TLS as well.
func TestGivenUpInTheAir(t *testing.T) {
	sim := zalosim.New(zalosim.Options{})
	srv := httptest.NewTLSServer(sim)
	defer srv.Close()
	defer sim.Close()
	sim.SendText(lan, "chào")
	rt := NewTransport()
	rt.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	c, err := New(Options{APIURL: srv.URL, Tokens: FixedToken(sim.AccessToken()), Transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // on a new connection and on used ones
		f := sim.Fault(zalosim.Fault{Hang: true})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			_, err := c.Send(ctx, toLan, bot.Message{Text: "x"})
			done <- err
		}()
		<-f.Struck()
		cancel()
		refused(t, <-done, delivery.ClassAmbiguous, 0)
		if _, err := c.Send(context.Background(), toLan, bot.Message{Text: "x"}); err != nil {
			t.Errorf("the next call: %v", err)
		}
	}
}

// A connection that the other end closed while it lay idle loses no message and
// doubles none.
func TestIdleConnectionsThatDied(t *testing.T) {
	sim := zalosim.New(zalosim.Options{})
	srv := httptest.NewServer(sim)
	defer srv.Close()
	defer sim.Close()
	sim.SendText(lan, "chào")
	c, err := New(Options{APIURL: srv.URL, Tokens: FixedToken(sim.AccessToken())})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		_, err := c.Send(context.Background(), toLan, bot.Message{Text: "x"})
		if ref, ok := errors.AsType[*delivery.Refusal](err); ok && ref.Class != delivery.ClassNotSent && ref.Class != delivery.ClassAmbiguous {
			t.Errorf("call %d: %v", i, err)
		}
		srv.CloseClientConnections()
	}
	if n := sim.Accepted(); n > 10 {
		t.Errorf("%d messages taken of ten", n)
	}
}

// A call whose time ended before its first byte was written, as after a pause of
// the whole process, does not leave any more, and is known not to have left.
func TestWrittenTooLate(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Millisecond))
	defer cancel()
	ctx, late := follow(ctx)
	conn := &watchedConn{Conn: ours}
	httptrace.ContextClientTrace(ctx).GotConn(httptrace.GotConnInfo{Conn: conn})
	if n, err := conn.Write([]byte("POST")); n != 0 || !errors.Is(err, errBarred) {
		t.Errorf("wrote %d bytes, error %v", n, err)
	}
	if late.stop() {
		t.Error("it counts as a call that may have left")
	}
	// The same connection serves the next call.
	ctx, next := follow(context.Background())
	httptrace.ContextClientTrace(ctx).GotConn(httptrace.GotConnInfo{Conn: conn})
	go io.Copy(io.Discard, theirs)
	if _, err := conn.Write([]byte("POST")); err != nil {
		t.Error(err)
	}
	if !next.stop() {
		t.Error("it counts as a call that never left")
	}
}
