package cli

import "runtime/debug"

// Version is what --version prints for a build.
func Version(info *debug.BuildInfo, ok bool) string { return version(info, ok) }
