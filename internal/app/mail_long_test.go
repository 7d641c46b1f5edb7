//go:build long

package app_test

import "testing"

// TestNoMailIsLostInManyKills is TestNoMailIsLostWhenTheServerIsKilled, for longer.
func TestNoMailIsLostInManyKills(t *testing.T) { killedWhileSending(t, 50) }
