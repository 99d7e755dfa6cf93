package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Rows of every kind, one that agrees and one that does not, on the running system.
func TestRowsAreChecked(t *testing.T) {
	rows := []string{
		`{"kind":"rolling_envelope","desired":3,"minimumHealthyPercent":66,"maximumPercent":133,"lower":2,"upper":3,"deadlock":false}`,
		`{"kind":"rolling_envelope","desired":3,"minimumHealthyPercent":100,"maximumPercent":125,"lower":3,"upper":4,"deadlock":true}`,
		`{"kind":"cb_threshold","type":"BOUNDED_PERCENT","value":50,"desired":25,"threshold":13}`,
		`{"kind":"cb_threshold","type":"UNBOUNDED_PERCENT","value":50,"desired":25,"threshold":12}`,
		`{"kind":"early_success","desired":3,"healthyPercent":50,"required":2}`,
		`{"kind":"early_success","desired":3,"healthyPercent":50,"required":1}`,
		`{"kind":"codedeploy_timeline","config":"CodeDeployDefault.ECSCanary10Percent15Minutes","minutes_green":[[0,10],[15,100]]}`,
		`{"kind":"codedeploy_timeline","config":"TimeBasedCanary 0.5%/7min","minutes_green":[[0,0.5],[5,100]]}`,
		`{"kind":"codedeploy_timeline","config":"TimeBasedLinear 30%/2min","minutes_green":[[0,30],[2,60],[4,90],[6,100]]}`,
		`{"kind":"codedeploy_timeline","config":"CodeDeployDefault.ECSAllAtOnce","minutes_green":[[0,10],[5,100]]}`,
		`{"kind":"native_linear_weights","stepPercent":30.0,"weights":[30.0,60.0,90.0,100.0],"step_bakes":3}`,
		`{"kind":"native_linear_weights","stepPercent":30.0,"weights":[30.0,60.0,90.0,100.0],"step_bakes":4}`,
		`{"kind":"validate_linear_stepPercent","value":0,"valid":false}`,
		`{"kind":"validate_linear_stepPercent","value":3.05,"valid":true}`,
		`{"kind":"validate_canary_percent","value":100,"valid":true}`,
		`{"kind":"validate_canary_percent","value":100.1,"valid":true}`,
		`{"kind":"alarm_missing_data","N":3,"M":3,"points":"--X--","expect":{"missing":"ALARM","ignore":"RETAIN","breaching":"ALARM","notBreaching":"OK"}}`,
		`{"kind":"alarm_missing_data","N":3,"M":3,"points":"--X--","expect":{"missing":"RETAIN"}}`,
		`{"kind":"low_sample_percentile","p":0.95,"min_samples":200}`,
		`{"kind":"low_sample_percentile","p":0.95,"min_samples":100}`,
		`{"kind":"task_health","essential_with_check":"U?H","task":"UNHEALTHY"}`,
		`{"kind":"task_health","essential_with_check":"H?","task":"HEALTHY"}`,
		`{"id":"a","pattern":"{\"a\":[{\"prefix\":\"x\"}]}","event":"{\"a\":\"xy\"}","result":"match"}`,
		`{"id":"b","pattern":"{\"a\":[]}","event":"{}","result":"nomatch"}`,
	}
	var out bytes.Buffer
	code, err := run(t.Context(), []string{file(t, rows...)}, &out)
	if err != nil || code != exitDiffers {
		t.Fatalf("exit code %d, %v\n%s", code, err, out.String())
	}
	if last := strings.TrimSpace(out.String()); !strings.HasSuffix(last, "12 passed, 12 failed") {
		t.Errorf("%s", last)
	}
	for i, r := range rows {
		if differs := strings.Contains(out.String(), r); differs != (i%2 == 1) {
			t.Errorf("differs %t: %s", differs, r)
		}
	}
}

func TestWhatIsNoRowIsAnError(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		`{"kind":"horoscope"}`: `rows.jsonl:2: unknown kind "horoscope"`,
		`{"id":"x"}`:           `has neither "kind" nor "pattern"`,
		`[]`:                   "is no JSON object",
	} {
		code, err := run(t.Context(), []string{file(t, `{"kind":"task_health","essential_with_check":"H","task":"HEALTHY"}`, line)}, &bytes.Buffer{})
		if code != exitTrouble || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: exit code %d, %v", line, code, err)
		}
	}
	if code, err := run(t.Context(), []string{"nowhere.jsonl"}, &bytes.Buffer{}); code != exitTrouble || err == nil {
		t.Errorf("a file that is not there: %d, %v", code, err)
	}
	if code, err := run(t.Context(), nil, &bytes.Buffer{}); code != exitTrouble || err == nil {
		t.Errorf("no file: %d, %v", code, err)
	}
}
