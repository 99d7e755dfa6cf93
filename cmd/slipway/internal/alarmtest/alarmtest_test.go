package alarmtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/alarmtest"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
)

const definitions = `
alarms:
  - name: web-5xx
    namespace: AWS/ApplicationELB
    metricName: HTTPCode_Target_5XX_Count
    dimensions: [{name: TargetGroup, value: web-b}]
    statistic: SUM
    period: 1m
    evaluationPeriods: 3
    datapointsToAlarm: 2
    comparisonOperator: GREATER_THAN_THRESHOLD
    threshold: 0
  - name: slow
    namespace: shop
    metricName: latency
    extendedStatistic: p99
    period: 5m
    evaluationPeriods: 1
    comparisonOperator: GREATER_THAN_THRESHOLD
    threshold: 0.5
    evaluateLowSampleCountPercentile: IGNORE
  - name: ratio
    evaluationPeriods: 1
    comparisonOperator: GREATER_THAN_THRESHOLD
    threshold: 10
    metrics:
      - {id: e, metricStat: {namespace: shop, metricName: errors, stat: Sum, period: 1m}}
      - {id: r, metricStat: {namespace: shop, metricName: requests, stat: Sum, period: 1m}}
      - {id: x, expression: 100 * e / r, returnData: true}
composite_alarms:
  - name: outer
    alarmRule: ALARM(bad)
  - name: bad
    alarmRule: ALARM(web-5xx) AND NOT ALARM(maintenance)
    actionsSuppressor: slow
    actionsSuppressorWaitPeriod: 1m
    actionsSuppressorExtensionPeriod: 1m
`

const passing = definitions + `
tests:
  - name: errors come and go
    input_series:
      - namespace: AWS/ApplicationELB
        metric_name: HTTPCode_Target_5XX_Count
        dimensions: {TargetGroup: web-b}
        values: 0 1 _ 5x3 _x10
    alarm_tests:
      - {eval_time: 0s, alarm: web-5xx, exp_state: INSUFFICIENT_DATA}
      - {eval_time: 3m, alarm: web-5xx, exp_state: OK}
      - {eval_time: 4m, alarm: web-5xx, exp_state: ALARM}
      - {eval_time: 4m, alarm: bad, exp_state: ALARM, exp_actions_suppressed_by: WAIT_PERIOD}
      - {eval_time: 5m, alarm: outer, exp_state: ALARM}
      - {eval_time: 14m, alarm: outer, exp_state: OK}
  - name: a list of samples
    interval: 1m
    input_series:
      - namespace: shop
        metric_name: latency
        values: [0.1, null, [0.1, 0.2], {value: 0.1, count: 996}, {value: 2, count: 20}]
    alarm_tests:
      - {eval_time: 4m, alarm: slow, exp_state: INSUFFICIENT_DATA, exp_kept: true}
      - {eval_time: 5m, alarm: slow, exp_state: ALARM, exp_kept: false}
  - name: a child that is set
    initial_states: {maintenance: ALARM, web-5xx: ALARM}
    alarm_tests:
      - {eval_time: 1s, alarm: bad, exp_state: OK}
  - name: metric math
    input_series:
      - {namespace: shop, metric_name: errors, values: 0+1x3}
      - {namespace: shop, metric_name: requests, values: 20x3}
    alarm_tests:
      - {eval_time: 3m, alarm: ratio, exp_state: OK}
      - eval_time: 4m
        alarm: ratio
        exp_state: ALARM
        exp_reason: "Threshold Crossed: 1 datapoint [15.0 (01/01/26 00:03:00)] was greater than the threshold (10.0)."
`

func run(t *testing.T, text string) (int, []alarmtest.Difference, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "alarms.test.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := alarmtest.Read(name)
	if err != nil {
		return 0, nil, err
	}
	return f.Run(alarmtest.Evaluator{Test: alarms.TestAlarm, Children: alarms.Children})
}

func TestExpectationsThatAreMet(t *testing.T) {
	t.Parallel()
	met, differences, err := run(t, passing)
	if err != nil || len(differences) > 0 || met != 11 {
		t.Errorf("%d met, %v, %v", met, differences, err)
	}
}

func TestExpectationsThatAreNotMet(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{"alarm: web-5xx, exp_state: ALARM", "alarm: web-5xx, exp_state: OK"}: "errors come and go: alarm web-5xx at 4m0s: state is ALARM, want OK",
		{"WAIT_PERIOD", "ALARM"}:              `errors come and go: alarm bad at 4m0s: actions suppressed by is "WAIT_PERIOD", want "ALARM"`,
		{"exp_kept: false", "exp_kept: true"}: "a list of samples: alarm slow at 5m0s: kept is false, want true",
		{"[15.0", "[16.0"}: `metric math: alarm ratio at 4m0s: reason is "Threshold Crossed: 1 datapoint [15.0 (01/01/26 00:03:00)] was greater than ` +
			`the threshold (10.0).", want "Threshold Crossed: 1 datapoint [16.0 (01/01/26 00:03:00)] was greater than the threshold (10.0)."`,
	} {
		met, differences, err := run(t, strings.Replace(passing, change[0], change[1], 1))
		if err != nil || len(differences) != 1 || met != 10 || !strings.HasSuffix(differences[0].String(), want) {
			t.Errorf("%q: %d met, %v, %v", change[1], met, differences, err)
		}
	}
}

func TestFilesThatAreNotRight(t *testing.T) {
	t.Parallel()
	one := definitions + "tests:\n  - alarm_tests:\n"
	for text, want := range map[string]string{
		"":          `there is no test in it: tests are listed under "tests"`,
		"test: []":  "line 1: field test not found",
		definitions: "there is no test in it",
		one + "      - {eval_time: 1m, alarm: none, exp_state: OK}":                    `there is no alarm "none" in the file or in its alarm_files`,
		one + "      - {eval_time: 1m, alarm: ratio, exp_state: RED}":                  `exp_state is OK, ALARM or INSUFFICIENT_DATA, not "RED"`,
		one + "      - {eval_time: 1m, alarm: ratio}":                                  "nothing is expected: set exp_state",
		one + "      - {eval_time: soon, alarm: ratio, exp_state: OK}":                 `a duration is written as 90s or 5m, not "soon"`,
		one + "      - {eval_time: 1m, alarm: ratio, state: OK}":                       "field state not found",
		one + "      - {eval_time: 1m, alarm: ratio, exp_state: OK}\n    interval: 7s": "interval",
		strings.Replace(passing, "0 1 _ 5x3", "0 1 - 5x3", 1):                          `"-" is no value`,
		strings.Replace(passing, "5x3", "5x99999", 1):                                  "more than 10000 values",
		strings.Replace(passing, "[0.1, 0.2]", "[0.1, a]", 1):                          "samples are numbers",
		strings.Replace(passing, "metric_name: latency", "metric_name: lateness", 1):   "no alarm that is looked at has the metric shop/lateness",
		strings.Replace(passing, "ALARM(web-5xx) AND", "ALARM(outer) AND", 1):          "its rule leads back to itself",
		strings.Replace(passing, "ALARM(web-5xx) AND", "ALARM(web-5xx) UND", 1):        "at character 16",
		strings.Replace(passing, "period: 5m", "period: 7s", 1):                        "slow: alarm.period: must be 1, 5, 10",
		strings.Replace(passing, "name: slow", "name: ratio", 1):                       "the alarm ratio is there twice",
		"alarm_files: [none.yaml]\ntests: [{name: a}]":                                 "none.yaml: no such file or directory",
	} {
		_, _, err := run(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\n  want %s", err, want)
		}
	}
}
