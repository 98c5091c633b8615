package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

// hold makes this test binary open a database, print its address and wait to be
// killed.
const hold = "CONGDANSO_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(hold) == "" {
		os.Exit(m.Run())
	}
	flag.Parse()
	testing.Benchmark(func(b *testing.B) {
		fmt.Println(pgtest.URL(b))
		select {} // until killed
	})
}

func TestKilledTestLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(self)
	other.Env = append(os.Environ(), hold+"=1")
	other.Stderr = t.Output()
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the other test says %q, error %v", url, err)
	}
	conn, err := pgx.Connect(ctx, strings.TrimSpace(url))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(conn.Config().Host)
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	for conn.Ping(ctx) == nil && ctx.Err() == nil {
		<-time.After(10 * time.Millisecond)
	}
	for {
		_, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is still there a minute after its test was killed: %v", folder, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
