package delivery

import (
	"flag"
	"os"
	"testing"
)

// A property of whole instances on a database takes a second to try: a dozen
// tries unless more are asked for with -rapid.checks.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		f.Value.Set("12")
	}
	os.Exit(m.Run())
}
