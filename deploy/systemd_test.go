package deploy_test

import (
	"os/exec"
	"testing"
)

// 2.0 of 10 is what systemd calls OK.
func TestTheServiceIsConfined(t *testing.T) {
	t.Parallel()
	installed(t, "systemd-analyze")
	unit := file(t, "graphwarden.service", replace(t, "graphwarden.service", "/usr/local/bin/graphwarden", "/bin/true"))
	for _, args := range [][]string{
		{"verify", unit},
		{"security", "--offline=true", "--threshold=20", unit},
	} {
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze %v: %v\n%s", args, err, out)
		}
	}
}
