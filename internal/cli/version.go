package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version describes the build: the version of the module, the commit and the version of Go. The commit of a build
// outside a clone is unknown.
func version(info *debug.BuildInfo, ok bool) string {
	module, commit, changed := "(devel)", "unknown", ""
	if ok {
		module = info.Main.Version
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				changed = " with changes"
			}
		}
	}
	return fmt.Sprintf("graphwarden %s, commit %s%s, %s %s/%s",
		module, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
