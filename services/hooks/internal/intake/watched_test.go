package intake

import (
	"io"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// answers is a stream that ends after its answers.
type answers []*alarmspb.WatchAlarmsResponse

func (a *answers) Recv() (*alarmspb.WatchAlarmsResponse, error) {
	if len(*a) == 0 {
		return nil, io.EOF
	}
	first := (*a)[0]
	*a = (*a)[1:]
	return first, nil
}

func watching(t *testing.T, list ...*alarmspb.WatchAlarmsResponse) *watched {
	t.Helper()
	w := &watched{alarms: map[string]known{}, changed: make(chan struct{}, 1)}
	all := answers(list)
	if err := w.follow(&all); err == nil {
		t.Fatal("the stream did not end")
	}
	select {
	case <-w.changed:
	default:
		t.Error("nobody is told of the changes")
	}
	return w
}

func item(name, summary, data string, at time.Time) *alarmspb.AlarmHistoryItem {
	return &alarmspb.AlarmHistoryItem{
		AlarmName: name, Time: timestamppb.New(at), Type: alarmspb.AlarmHistoryItem_TYPE_STATE_UPDATE, Summary: summary, Data: data,
	}
}

func TestACompositeAlarmIsToldAsItIs(t *testing.T) {
	w := watching(t, &alarmspb.WatchAlarmsResponse{Snapshot: true, CompositeAlarms: []*alarmspb.CompositeAlarm{{
		Name: "bad", Description: "d", AlarmRule: "ALARM(a)", ActionsSuppressor: "works", ActionsSuppressorWaitPeriod: durationpb.New(time.Minute),
		ActionsSuppressorExtensionPeriod: durationpb.New(time.Hour), State: alarmspb.MetricAlarm_STATE_ALARM, StateReason: "a is in ALARM",
		StateUpdateTime: timestamppb.New(noon.Add(400)), ActionsSuppressedBy: alarmspb.CompositeAlarm_SUPPRESSED_BY_ALARM,
		ActionsSuppressedReason: "works is in ALARM",
	}}})
	got := w.fact(item("bad", "Alarm updated from OK to ALARM", "", noon), []*alarmspb.AlarmHistoryItem{
		item("bad", "", "", noon.Add(-2*time.Hour)), item("bad", "", "", noon.Add(-time.Hour)), item("other", "", "", noon.Add(-time.Minute)),
	})
	want := event.AlarmFact{
		Alarm: "bad", Time: noon,
		State: event.AlarmState{
			Value: "ALARM", Reason: "a is in ALARM", Time: noon, SuppressedBy: "Alarm", SuppressedReason: "works is in ALARM",
		},
		Previous: event.AlarmState{Value: "OK", Time: noon.Add(-time.Hour)},
		Configuration: event.AlarmConfiguration{
			Description: "d", Rule: "ALARM(a)", Suppressor: "works", SuppressorWait: time.Minute, SuppressorExtension: time.Hour,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}

func TestMetricsOfAnAlarm(t *testing.T) {
	got := metrics(&alarmspb.MetricAlarm{Metrics: []*alarmspb.MetricDataQuery{
		{Id: "m", MetricStat: &alarmspb.MetricStat{Namespace: "n", MetricName: "x", Stat: "p99", Unit: "Count", Period: durationpb.New(time.Minute)}},
		{Id: "q", MetricStat: &alarmspb.MetricStat{Source: &alarmspb.MetricSource{Query: "up"}}},
		{Id: "e", Expression: "m / q", Label: "ratio", ReturnData: true},
	}})
	want := []event.AlarmMetric{
		{ID: "m", Namespace: "n", Name: "x", Dimensions: map[string]string{}, Stat: "p99", Unit: "Count", Period: time.Minute},
		{ID: "q", Expression: "up", Dimensions: map[string]string{}},
		{ID: "e", Expression: "m / q", Label: "ratio", ReturnData: true, Dimensions: map[string]string{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	got = metrics(&alarmspb.MetricAlarm{Namespace: "n", MetricName: "x", ExtendedStatistic: "p99"})
	if len(got) != 1 || got[0].Stat != "p99" || !got[0].ReturnData {
		t.Errorf("%+v", got)
	}
	for statisticOf, want := range map[alarmspb.MetricAlarm_Statistic]string{
		alarmspb.MetricAlarm_STATISTIC_UNSPECIFIED: "", alarmspb.MetricAlarm_STATISTIC_SAMPLE_COUNT: "SampleCount",
		alarmspb.MetricAlarm_STATISTIC_AVERAGE: "Average", alarmspb.MetricAlarm_STATISTIC_MAXIMUM: "Maximum",
	} {
		if got := statistic(statisticOf); got != want {
			t.Errorf("%v: %q", statisticOf, got)
		}
	}
}

// Its history tells of a change that the alarm itself has forgotten.
func TestAChangeThatIsOverIsToldFromTheHistory(t *testing.T) {
	w := watching(t, &alarmspb.WatchAlarmsResponse{Snapshot: true, Alarms: []*alarmspb.MetricAlarm{{
		Name: "a", State: alarmspb.MetricAlarm_STATE_OK, StateReason: "fine again", StateUpdateTime: timestamppb.New(noon.Add(time.Minute)),
	}}})
	for data, want := range map[string]event.AlarmState{
		`{"oldState":{"stateValue":"OK"},"newState":{"stateValue":"ALARM","stateReason":"r","stateReasonData":"{\"n\":1}"}}`: {
			Value: "ALARM", Reason: "r", ReasonData: `{"n":1}`, Time: noon,
		},
		`{"oldState":"OK","newState":"ALARM"}`: {Value: "ALARM", Time: noon},
		``:                                     {Value: "ALARM", Time: noon},
	} {
		if got := w.fact(item("a", "Alarm updated from OK to ALARM", data, noon), nil); got.State != want || got.Previous.Value != "OK" {
			t.Errorf("%s: %+v, want %+v", data, got.State, want)
		}
	}
}
