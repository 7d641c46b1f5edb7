package cli

import "runtime/debug"

// Version exports version.
func Version(info *debug.BuildInfo, ok bool) string { return version(info, ok) }
