package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
)

// realAlarms is the alarms service itself.
func realAlarms(t *testing.T) string {
	t.Helper()
	cfg := alarms.Default()
	cfg.Listen.Addr, cfg.DatabaseURL = "127.0.0.1:0", postgrestest.URL(t)
	a, err := alarms.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a.Stop(ctx)
	})
	return a.Addr()
}

const alarmFile = `
compositeAlarm: {name: bad, alarmRule: ALARM(web-5xx) OR ALARM(ratio)}
---
alarm: {name: web-5xx, namespace: n, metricName: m, statistic: SUM, period: 1h, evaluationPeriods: 3, datapointsToAlarm: 2, threshold: 0,
  comparisonOperator: GREATER_THAN_THRESHOLD, treatMissingData: IGNORE}
---
alarm:
  name: ratio
  evaluationPeriods: 1
  comparisonOperator: GREATER_THAN_THRESHOLD
  threshold: 10
  metrics:
    - {id: e, metricStat: {namespace: n, metricName: errors, stat: Sum, period: 60s}}
    - {id: x, expression: 100 * e, returnData: true}
`

func TestAlarmsOfBothKindsAreAppliedListedAndDescribed(t *testing.T) {
	t.Parallel()
	address := realAlarms(t)
	file := filepath.Join(t.TempDir(), "alarms.yaml")
	if err := os.WriteFile(file, []byte(alarmFile), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, address, "apply", "-f", file).want(t, 0, "alarm web-5xx created", "alarm ratio created", "compositeAlarm bad created")
	slipway(t, address, "apply", "-f", file).want(t, 0, "compositeAlarm bad unchanged")
	slipway(t, address, "alarms").want(t, 0, "web-5xx  INSUFFICIENT_DATA", "100 * e", "ALARM(web-5xx) OR ALARM(ratio)")
	slipway(t, address, "alarms", "describe", "web-5xx").want(t, 0,
		"watches         SUM n/m", "in ALARM when   2 of 3 periods of 1h are > 0", "missing data    IGNORE")
	slipway(t, address, "alarms", "set", "web-5xx", "ALARM").want(t, 0, "alarm web-5xx is ALARM until its next evaluation")
	slipway(t, address, "alarms", "describe", "bad").want(t, 0, "in ALARM when   ALARM(web-5xx) OR ALARM(ratio)")
	slipway(t, address, "alarms", "describe", "bad", "-o", "yaml").want(t, 0, "compositeAlarms:\n", "name: bad\n")
	slipway(t, address, "alarms", "describe", "none").want(t, 2, "there is no alarm none")
	slipway(t, address, "alarms", "history", "bad").want(t, 0, `Alarm "bad" created`)
	bad := strings.Replace(alarmFile, "OR ALARM(ratio)", "OR", 1)
	if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, address, "apply", "-f", file).want(t, 2, "alarms.yaml:2:29: composite_alarm.alarm_rule: at character 18: expected")
}

func TestAlarmsAreTestedWithoutAService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "alarms.yaml"), []byte(alarmFile), 0o600); err != nil {
		t.Fatal(err)
	}
	test := `alarm_files: [alarms.yaml]
tests:
  - name: errors
    interval: 1h
    input_series: [{namespace: n, metric_name: m, values: 0 1 1}]
    alarm_tests:
      - {eval_time: 3h, alarm: web-5xx, exp_state: ALARM}
      - {eval_time: 2h, alarm: web-5xx, exp_state: OK}
`
	file := filepath.Join(dir, "test.yaml")
	for text, c := range map[string]struct {
		code int
		want []string
	}{
		test: {0, []string{"2 passed, 0 failed"}},
		strings.Replace(test, "exp_state: OK", "exp_state: ALARM", 1): {1, []string{
			"test.yaml:8: errors: alarm web-5xx at 2h0m0s: state is OK, want ALARM\n    Threshold Crossed: 1 out of the last 3 datapoints [0.0 (", "1 passed, 1 failed",
		}},
		strings.Replace(test, "alarm_tests:", "alarm_test:", 1): {2, []string{"field alarm_test not found"}},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		slipway(t, "", "alarms", "test", file).want(t, c.code, c.want...)
	}
	if err := os.WriteFile(file, []byte(test), 0o600); err != nil {
		t.Fatal(err)
	}
	slipway(t, "", "alarms", "test", file, file, "-o", "json").want(t, 0, `"passed": 4`, `"differences": []`)
	slipway(t, "", "alarms", "test").want(t, 2, "FILE is missing")
}
