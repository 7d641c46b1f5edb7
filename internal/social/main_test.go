package social_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
