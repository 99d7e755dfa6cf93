package composite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

var epoch = time.Date(2022, 8, 5, 13, 55, 57, 616e6, time.UTC)

func arn(name string) string { return "arn:" + name }

func TestStateReasonAndData(t *testing.T) {
	t.Parallel()
	d, broken := New(Settings{Name: "c", Rule: "ALARM(a) OR ALARM(b)"})
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	children := map[string]Child{"a": {alarm.Alarm, epoch}, "b": {alarm.OK, epoch.Add(time.Hour)}}
	of := func(name string) Child { return children[name] }
	got := d.Evaluate(of, arn)
	want := alarm.Verdict{
		State: alarm.Alarm, Reason: "arn:a transitioned to ALARM at Friday 05 August, 2022 13:55:57 UTC",
		Data: `{"triggeringAlarms":[{"arn":"arn:a","state":{"value":"ALARM","timestamp":"2022-08-05T13:55:57.616+0000"}}]}`,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	children["a"] = Child{alarm.OK, epoch.Add(2 * time.Hour)}
	got = d.Evaluate(of, arn)
	if got.State != alarm.OK || got.Reason != "arn:a transitioned to OK at Friday 05 August, 2022 15:55:57 UTC" || strings.Count(got.Data, `"arn"`) != 2 {
		t.Errorf("%+v", got)
	}
	d, _ = New(Settings{Name: "c", Rule: "FALSE"})
	if got := d.Evaluate(of, arn); got.State != alarm.OK || got.Reason != "The alarm rule is FALSE." {
		t.Errorf("%+v", got)
	}
}

func TestReasonDataFits(t *testing.T) {
	t.Parallel()
	var refs []string
	for i := range 100 {
		refs = append(refs, fmt.Sprintf("ALARM(%s%d)", strings.Repeat("n", 80), i))
	}
	d, broken := New(Settings{Name: "c", Rule: strings.Join(refs, " OR ")})
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	got := d.Evaluate(func(string) Child { return Child{alarm.OK, epoch} }, arn)
	if len(got.Data) > alarm.MaxReasonData || strings.Count(got.Data, `"arn"`) < 10 {
		t.Errorf("%d characters", len(got.Data))
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for field, s := range map[string]Settings{
		"composite_alarm.alarm_rule":                          {Name: "c", Rule: "ALARM(a"},
		"composite_alarm.actions_suppressor_wait_period":      {Name: "c", Rule: "TRUE", Suppressor: "s", Extension: new(time.Duration(0))},
		"composite_alarm.actions_suppressor_extension_period": {Name: "c", Rule: "TRUE", Suppressor: "s", Wait: new(time.Duration(0)), Extension: new(1500 * time.Millisecond)},
		"composite_alarm.actions_suppressor":                  {Name: "c", Rule: "TRUE", Suppressor: "c", Wait: new(time.Duration(0)), Extension: new(time.Duration(0))},
	} {
		if _, broken := New(s); len(broken) != 1 || broken[0].Field != field {
			t.Errorf("%s: %v", field, broken)
		}
	}
	if _, broken := New(Settings{Name: "c", Rule: "ALARM(a) AND ALARM(c)"}); len(broken) != 1 || !strings.Contains(broken[0].Rule, "c -> c") {
		t.Errorf("itself: %v", broken)
	}
}

// The time line of CloudWatch's "Alarm suppression": the alarm goes to ALARM, its suppressor does within the wait period, leaves, and
// actions come back after the extension period.
func TestSuppression(t *testing.T) {
	t.Parallel()
	d, broken := New(Settings{Name: "c", Rule: "ALARM(a)", Suppressor: "s", Wait: new(2 * time.Minute), Extension: new(3 * time.Minute)})
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	for _, c := range []struct {
		name       string
		state      alarm.State
		suppressor alarm.State
		left       time.Time
		now        int
		want       By
		until      int
	}{
		{"quiet", alarm.OK, alarm.OK, time.Time{}, 1, Nothing, 0},
		{"waits", alarm.Alarm, alarm.OK, time.Time{}, 1, WaitPeriod, 2},
		{"waited in vain", alarm.Alarm, alarm.OK, time.Time{}, 2, Nothing, 0},
		{"suppressed", alarm.Alarm, alarm.Alarm, time.Time{}, 5, BySuppressor, 0},
		{"extended", alarm.Alarm, alarm.OK, at(6), 8, ExtensionPeriod, 9},
		{"over", alarm.Alarm, alarm.OK, at(6), 9, Nothing, 0},
		{"insufficient data suppress nothing", alarm.Alarm, alarm.InsufficientData, time.Time{}, 4, Nothing, 0},
	} {
		got := d.Suppressed(c.state, epoch, Child{State: c.suppressor}, c.left, at(c.now))
		if got.By != c.want || (got.Reason == "") != (c.want == Nothing) || c.until > 0 && !got.Until.Equal(at(c.until)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	d.Suppressor = ""
	if got := d.Suppressed(alarm.Alarm, epoch, Child{}, time.Time{}, epoch); got != (Suppression{}) {
		t.Errorf("without a suppressor: %+v", got)
	}
}
