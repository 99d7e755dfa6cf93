package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

type period = alarmspb.TestAlarmRequest_Period

// tried is an alarm on a sum of more than 0 each minute.
func tried(n, m int32, missing alarmspb.MetricAlarm_TreatMissingData) *alarmspb.MetricAlarm {
	return &alarmspb.MetricAlarm{
		Name: "t", Namespace: "n", MetricName: "m", Statistic: alarmspb.MetricAlarm_STATISTIC_SUM, Period: durationpb.New(time.Minute),
		EvaluationPeriods: n, DatapointsToAlarm: m, TreatMissingData: missing,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
	}
}

func row(text string) (periods []*period) {
	for _, letter := range text {
		p := &period{}
		switch letter {
		case '0':
			p.Value = new(0.0)
		case 'X':
			p.Value = new(1.0)
		}
		periods = append(periods, p)
	}
	return periods
}

// The documented rows of missing data, each from each state: missing, ignore, breaching, notBreaching. R keeps the state.
func TestTestAlarmOfTheDocumentedRows(t *testing.T) {
	t.Parallel()
	s := started(t)
	for _, c := range []struct {
		m      int32
		points string
		want   string
	}{
		{3, "0-X-X", "OOOO"},
		{3, "0----", "OOOO"},
		{3, "-----", "IRAO"},
		{3, "0XX-X", "AAAA"},
		{3, "--X--", "ARAO"},
		{2, "0-X-X", "AAAA"},
		{2, "00X0X", "AAAA"},
		{2, "0-X--", "OOAO"},
		{2, "----0", "OOAO"},
		{2, "---X-", "ARAO"},
	} {
		for i, missing := range []alarmspb.MetricAlarm_TreatMissingData{1, 2, 3, 4} {
			for _, was := range []alarmspb.MetricAlarm_State{1, 2, 3} {
				resp, err := s.TestAlarm(t.Context(), &alarmspb.TestAlarmRequest{
					Alarm: tried(3, c.m, missing), InitialState: was, Periods: row(c.points), EvaluateFrom: 4,
				})
				if err != nil || len(resp.GetEvaluations()) != 1 || resp.GetEvaluationRange() != 5 {
					t.Fatalf("%v, %v", resp, err)
				}
				got, kept := resp.GetEvaluations()[0], c.want[i] == 'R'
				want := map[byte]alarmspb.MetricAlarm_State{'O': ok, 'A': alarm, 'I': alarmspb.MetricAlarm_STATE_INSUFFICIENT_DATA, 'R': was}[c.want[i]]
				if got.GetState() != want || got.GetKept() != kept || got.GetStateReason() == "" || !strings.HasPrefix(got.GetStateReasonData(), `{"version":"1.0"`) {
					t.Errorf("%s M=%d %s in %s: %v", c.points, c.m, missing, was, got)
				}
			}
		}
	}
}

func states(resp *alarmspb.TestAlarmResponse) (list []string) {
	for _, e := range resp.GetEvaluations() {
		list = append(list, strings.TrimPrefix(e.GetState().String(), "STATE_")[:1])
	}
	return list
}

func TestTestAlarmGoesThroughASeries(t *testing.T) {
	t.Parallel()
	p99 := tried(1, 1, 0)
	p99.Statistic, p99.ExtendedStatistic, p99.Threshold = 0, "p99", 0.5
	ignoring := tried(1, 1, 0)
	ignoring.Statistic, ignoring.ExtendedStatistic, ignoring.Threshold = 0, "p99", 0.5
	ignoring.EvaluateLowSampleCountPercentile = alarmspb.MetricAlarm_EVALUATE_LOW_SAMPLE_COUNT_PERCENTILE_IGNORE
	dynamo := tried(1, 1, alarmspb.MetricAlarm_TREAT_MISSING_DATA_BREACHING)
	dynamo.Namespace = "AWS/DynamoDB"
	sliding := tried(1, 1, 0)
	sliding.Period, sliding.Threshold = durationpb.New(3*time.Minute), 2
	wall := tried(1, 1, 0)
	wall.Period, wall.Threshold = durationpb.New(5*time.Minute), 2
	wall.EvaluationWindow = &alarmspb.EvaluationWindow{Type: alarmspb.EvaluationWindow_TYPE_WALL_CLOCK}
	warm := tried(1, 1, 0)
	warm.WarmUp = durationpb.New(3 * time.Minute)
	low, high := &period{Samples: []float64{1}, Counts: []float64{999}}, &period{Samples: []float64{1}, Counts: []float64{1000}}
	for name, c := range map[string]struct {
		req  *alarmspb.TestAlarmRequest
		want string
	}{
		"states follow one another": {&alarmspb.TestAlarmRequest{Alarm: tried(2, 2, 0), Periods: row("0XX0X")}, "OOAOO"},
		"no data at all":            {&alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Periods: row("X---")}, "AAAI"},
		"too few samples":           {&alarmspb.TestAlarmRequest{Alarm: p99, Periods: []*period{low, high}}, "AA"},
		"too few samples, ignored":  {&alarmspb.TestAlarmRequest{Alarm: ignoring, Periods: []*period{low, high}}, "IA"},
		"DynamoDB ignores":          {&alarmspb.TestAlarmRequest{Alarm: dynamo, Periods: row("---"), InitialState: ok}, "OOO"},
		"a sliding period":          {&alarmspb.TestAlarmRequest{Alarm: sliding, Periods: row("0XXX00"), Interval: durationpb.New(time.Minute)}, "OOOAOO"},
		"a period of the clock":     {&alarmspb.TestAlarmRequest{Alarm: wall, Periods: row("0XXX000000"), Interval: durationpb.New(time.Minute)}, "IIIIAAAAAO"},
		"a warm-up":                 {&alarmspb.TestAlarmRequest{Alarm: warm, Periods: row("XXXX")}, "IIAA"},
	} {
		resp, err := app.TestAlarm(c.req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(states(resp), ""); got != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, resp)
		}
	}
	if resp, err := app.TestAlarm(&alarmspb.TestAlarmRequest{Alarm: p99, Periods: row("X")}); err != nil || resp.GetRequiredSampleCount() != 1000 {
		t.Errorf("%v, %v", resp, err)
	}
}

// ratio is metric math: errors per cent of requests.
func ratio(threshold float64) *alarmspb.MetricAlarm {
	stat := func(name string) *alarmspb.MetricStat {
		return &alarmspb.MetricStat{Namespace: "n", MetricName: name, Stat: "Sum", Period: durationpb.New(time.Minute)}
	}
	return &alarmspb.MetricAlarm{
		Name: "ratio", EvaluationPeriods: 1, Threshold: threshold,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		Metrics: []*alarmspb.MetricDataQuery{
			{Id: "e", MetricStat: stat("errors")},
			{Id: "r", MetricStat: stat("requests")},
			{Id: "x", Expression: "100 * e / r", ReturnData: true},
		},
	}
}

func TestTestAlarmOfMetricMath(t *testing.T) {
	t.Parallel()
	resp, err := app.TestAlarm(&alarmspb.TestAlarmRequest{Alarm: ratio(50), Series: []*alarmspb.TestAlarmRequest_Series{
		{Id: "e", Periods: row("0XX-")}, {Id: "r", Periods: row("XX-X")},
	}})
	if err != nil || strings.Join(states(resp), "") != "OAAO" {
		t.Errorf("%v, %v", resp, err)
	}
	if reason := resp.GetEvaluations()[1].GetStateReason(); !strings.Contains(reason, "[100.0 (01/01/26 00:01:00)] was greater than the threshold (50.0)") {
		t.Error(reason)
	}
}

func TestTestAlarmOfACompositeAlarm(t *testing.T) {
	t.Parallel()
	change := func(after time.Duration, name string, state alarmspb.MetricAlarm_State) *alarmspb.TestAlarmRequest_ChildStates {
		return &alarmspb.TestAlarmRequest_ChildStates{
			After: durationpb.New(after), States: []*alarmspb.TestAlarmRequest_ChildState{{AlarmName: name, State: state}},
		}
	}
	resp, err := app.TestAlarm(&alarmspb.TestAlarmRequest{
		CompositeAlarm: &alarmspb.CompositeAlarm{
			Name: "c", AlarmRule: "ALARM(a) AND INSUFFICIENT_DATA(b)", ActionsSuppressor: "s",
			ActionsSuppressorWaitPeriod: durationpb.New(time.Minute), ActionsSuppressorExtensionPeriod: durationpb.New(2 * time.Minute),
		},
		ChildStates: []*alarmspb.TestAlarmRequest_ChildStates{
			change(0, "a", ok), change(time.Minute, "a", alarm), change(3*time.Minute, "s", alarm), change(4*time.Minute, "s", ok), change(10*time.Minute, "b", ok),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range resp.GetEvaluations() {
		got = append(got, fmt.Sprintf("%s %s, %s", e.GetTime().AsTime().Format("04:05"), strings.TrimPrefix(e.GetState().String(), "STATE_"),
			strings.TrimPrefix(e.GetActionsSuppressedBy().String(), "SUPPRESSED_BY_")))
	}
	want := []string{
		"00:00 OK, UNSPECIFIED", "01:00 ALARM, WAIT_PERIOD", "02:00 ALARM, UNSPECIFIED", "03:00 ALARM, ALARM", "04:00 ALARM, EXTENSION_PERIOD",
		"06:00 ALARM, UNSPECIFIED", "10:00 OK, UNSPECIFIED",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTestAlarmRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := started(t)
	composite := &alarmspb.CompositeAlarm{Name: "c", AlarmRule: "ALARM(a)"}
	for _, c := range []struct {
		field string
		req   *alarmspb.TestAlarmRequest
	}{
		{"alarm", &alarmspb.TestAlarmRequest{}},
		{"alarm", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), CompositeAlarm: composite}},
		{"alarm.datapoints_to_alarm", &alarmspb.TestAlarmRequest{Alarm: tried(1, 2, 0), Periods: row("0")}},
		{"periods", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0)}},
		{"evaluate_from", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Periods: row("0"), EvaluateFrom: 1}},
		{"interval", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Periods: row("0"), Interval: durationpb.New(7 * time.Second)}},
		{"periods[0].samples", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Periods: []*period{{Value: new(1.0), Samples: []float64{1}}}}},
		{"periods[0].counts", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Periods: []*period{{Samples: []float64{1}, Counts: []float64{1, 2}}}}},
		{"series", &alarmspb.TestAlarmRequest{Alarm: tried(1, 1, 0), Series: []*alarmspb.TestAlarmRequest_Series{{Id: "e"}}}},
		{"series[0].id", &alarmspb.TestAlarmRequest{Alarm: ratio(1), Series: []*alarmspb.TestAlarmRequest_Series{{Id: "z"}}}},
		{"child_states[0].states[0].alarm_name", &alarmspb.TestAlarmRequest{CompositeAlarm: composite, ChildStates: []*alarmspb.TestAlarmRequest_ChildStates{
			{States: []*alarmspb.TestAlarmRequest_ChildState{{AlarmName: "z", State: ok}}},
		}}},
	} {
		_, err := s.TestAlarm(t.Context(), c.req)
		wantInvalid(t, err, c.field, "")
		_, err = app.TestAlarm(c.req)
		wantInvalid(t, err, c.field, "")
	}
}
