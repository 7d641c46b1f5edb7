package app_test

import (
	"context"
	"os"
	"testing"

	"github.com/graphwarden/graphwarden/internal/cli"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// asProgram makes this test binary run as the program, so that the servers of tests have the race detector and
// coverage.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	storetest.Main(m)
}
