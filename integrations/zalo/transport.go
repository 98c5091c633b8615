package zalo

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// NewTransport returns the transport for calls to Zalo: connections are kept and
// used again, one call at a time each (HTTP/1.1), so that a connection that dies
// takes one call with it and it can be told whether that call had left.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			w := &watchedConn{Conn: conn}
			w.until.Store(math.MaxInt64) // the handshake belongs to no call
			return w, nil
		},
		Protocols:           protocols,
		TLSHandshakeTimeout: 3 * time.Second,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 128, // twice the calls that are ever in the air
		IdleConnTimeout:     50 * time.Second,
		DisableCompression:  true, // answers are a few hundred bytes
	}
}

// The states of a connection as seen by the call that uses it.
const (
	stateFree    int32 = iota // nothing of the call was written
	stateWritten              // something was
	stateBarred               // nothing was, and nothing will be
)

// watchedConn knows whether the call that holds it has written anything.
type watchedConn struct {
	net.Conn
	state atomic.Int32
	until atomic.Int64 // the call's deadline in unix nanoseconds
}

var errBarred = errors.New("the call was given up before it was written")

// Write notes that the call has left, unless it was given up before, or its time
// is over: a process that was paused just before it wrote must not write now what
// others have taken over meanwhile. The wall clock tells, for the other one stands
// still while a machine sleeps.
func (c *watchedConn) Write(b []byte) (int, error) {
	if time.Now().UnixNano() > c.until.Load() {
		c.state.CompareAndSwap(stateFree, stateBarred)
	}
	if !c.state.CompareAndSwap(stateFree, stateWritten) && c.state.Load() == stateBarred {
		return 0, errBarred
	}
	return c.Conn.Write(b)
}

// track follows one call to the connection it is written to.
type track struct {
	until int64
	conn  atomic.Pointer[watchedConn]
	blind atomic.Bool // the connection is not one of ours: nothing is known
}

// follow returns a context under which a call's connection is noted.
func follow(ctx context.Context) (context.Context, *track) {
	t := &track{until: math.MaxInt64}
	if until, ok := ctx.Deadline(); ok {
		t.until = until.UnixNano()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: t.gotConn}), t
}

// gotConn is called before anything of the call is written. A call gets a second
// connection only when nothing was written to the first.
func (t *track) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS: the handshake is over by now
		conn = wrapped.NetConn()
	}
	w, ok := conn.(*watchedConn)
	if !ok {
		t.blind.Store(true)
		return
	}
	w.until.Store(t.until)
	w.state.Store(stateFree)
	t.conn.Store(w)
}

// stop ends a failed call and reports whether a byte of it may have left. From
// then on none will: the transport may still be about to write when it returns.
func (t *track) stop() (wrote bool) {
	if t.blind.Load() {
		return true
	}
	conn := t.conn.Load()
	if conn == nil {
		return false
	}
	return !conn.state.CompareAndSwap(stateFree, stateBarred) && conn.state.Load() == stateWritten
}
