package cli

import "runtime/debug"

// Version returns the output of --version for a build.
func Version(info *debug.BuildInfo, ok bool) string { return version(info, ok) }
