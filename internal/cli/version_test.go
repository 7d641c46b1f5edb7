package cli_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/graphwarden/graphwarden/internal/cli"
)

func TestTheVersionNamesTheCommitAndGo(t *testing.T) {
	t.Parallel()
	goes := ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abcd"}
	for want, settings := range map[string][]debug.BuildSetting{
		"graphwarden v1.2.3, commit 0123abcd":              {revision, {Key: "vcs.modified", Value: "false"}},
		"graphwarden v1.2.3, commit 0123abcd with changes": {{Key: "vcs.modified", Value: "true"}, revision},
		"graphwarden v1.2.3, commit unknown":               nil,
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: settings}
		if got := cli.Version(info, true); got != want+goes {
			t.Errorf("%s, want %s", got, want+goes)
		}
	}
	if got, want := cli.Version(nil, false), "graphwarden (devel), commit unknown"+goes; got != want {
		t.Errorf("without build information: %s, want %s", got, want)
	}
}
