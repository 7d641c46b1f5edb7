package deploy_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	installed(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// The alerts use metrics that the server has, and the manual describes each alert.
func TestAlertsUseMetricsOfTheServer(t *testing.T) {
	t.Parallel()
	rules, manual := replace(t, "prometheus/alerts.yaml"), replace(t, "../docs/OPERATIONS.md")
	registered := replace(t, "../internal/app/metrics.go") + replace(t, "../internal/app/mail.go")
	for _, metric := range regexp.MustCompile(`graphwarden_[a-z_]+`).FindAllString(rules, -1) {
		if !strings.Contains(registered, `"`+metric+`"`) {
			t.Errorf("there is no metric %s", metric)
		}
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	for _, alert := range alerts {
		if !strings.Contains(manual, "`"+alert[1]+"`") {
			t.Errorf("docs/OPERATIONS.md does not say what to do about %s", alert[1])
		}
	}
}
