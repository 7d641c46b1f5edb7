package app_test

import (
	"context"
	"os"
	"testing"

	"github.com/graphwarden/graphwarden/internal/cli"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// asProgram has this test binary be the program, so that the servers that tests start are built with
// the same race detector and coverage.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	storetest.Main(m)
}
