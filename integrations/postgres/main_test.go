package postgres_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"congdanso/integrations/postgres"
)

// helperDir makes this test binary run a cluster there, say so on its standard
// output and wait to be killed: the other program in tests of locks and crashes.
const helperDir = "CONGDANSO_TEST_CLUSTER"

func TestMain(m *testing.M) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	_, err := postgres.Start(context.Background(), postgres.Options{
		Dir: dir, BinDir: os.Getenv("PG_BIN_DIR"), Log: os.Stderr, Fsync: true,
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {} // until killed
}
