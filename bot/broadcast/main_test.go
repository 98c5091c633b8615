package broadcast

import (
	"flag"
	"io"
	"log/slog"
	"os"
	"testing"
)

// TestMain lets more tests go at once than there are processors, for they wait for
// Postgres more than they compute; LOG=1 shows what the package logs meanwhile.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	var log io.Writer = io.Discard
	if os.Getenv("LOG") != "" {
		log = os.Stderr
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	os.Exit(m.Run())
}
