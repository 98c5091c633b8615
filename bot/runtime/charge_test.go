package runtime

import (
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Only what lies in the turn itself is charged to its event.
func TestWhoIsCharged(t *testing.T) {
	for what, tt := range map[string]struct {
		err     error
		charged bool
	}{
		"a row that cannot be written":        {&pgconn.PgError{Code: "22021"}, true},
		"a trigger that refuses":              {&pgconn.PgError{Code: "P0001"}, true},
		"a flow's own error":                  {fmt.Errorf("no such step"), true},
		"a deadlock":                          {&pgconn.PgError{Code: "40P01"}, false},
		"a server that shuts down":            {&pgconn.PgError{Code: "57P01"}, false},
		"this process stood still":            {&pgconn.PgError{Code: "25P03"}, false},
		"a connection that broke":             {io.ErrUnexpectedEOF, false},
		"a connection that was reset":         {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		"no connection within the turn's end": {context.DeadlineExceeded, false},
	} {
		if got := !infrastructure(fmt.Errorf("commit 3 turns: %w", tt.err)); got != tt.charged {
			t.Errorf("%s: charged %v, want %v", what, got, tt.charged)
		}
	}
}
