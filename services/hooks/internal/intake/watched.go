package intake

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
)

// watched is the alarms as the watch shows them.
type watched struct {
	mu      sync.Mutex
	alarms  map[string]known
	changed chan struct{}
}

// known is what the watch tells of an alarm: its present state and its definition.
type known struct {
	state         event.AlarmState
	configuration event.AlarmConfiguration
}

// follow keeps the alarms until the stream breaks. A deleted alarm is kept: its last change may not be told of yet.
func (w *watched) follow(stream interface {
	Recv() (*alarmspb.WatchAlarmsResponse, error)
},
) error {
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		w.take(answer)
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

func (w *watched) take(answer *alarmspb.WatchAlarmsResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answer.GetSnapshot() {
		clear(w.alarms)
	}
	for _, alarm := range answer.GetAlarms() {
		w.alarms[alarm.GetName()] = known{
			state: event.AlarmState{
				Value: stateName(alarm.GetState()), Reason: alarm.GetStateReason(), ReasonData: alarm.GetStateReasonData(),
				Time: alarm.GetStateUpdateTime().AsTime(),
			},
			configuration: event.AlarmConfiguration{Description: alarm.GetDescription(), Metrics: metrics(alarm)},
		}
	}
	for _, alarm := range answer.GetCompositeAlarms() {
		w.alarms[alarm.GetName()] = known{
			state: event.AlarmState{
				Value: stateName(alarm.GetState()), Reason: alarm.GetStateReason(), ReasonData: alarm.GetStateReasonData(),
				Time: alarm.GetStateUpdateTime().AsTime(), SuppressedBy: suppressedBy(alarm.GetActionsSuppressedBy()),
				SuppressedReason: alarm.GetActionsSuppressedReason(),
			},
			configuration: event.AlarmConfiguration{
				Description: alarm.GetDescription(), Rule: alarm.GetAlarmRule(), Suppressor: alarm.GetActionsSuppressor(),
				SuppressorWait:      alarm.GetActionsSuppressorWaitPeriod().AsDuration(),
				SuppressorExtension: alarm.GetActionsSuppressorExtensionPeriod().AsDuration(),
			},
		}
	}
}

func stateName(s alarmspb.MetricAlarm_State) string { return strings.TrimPrefix(s.String(), "STATE_") }

// suppressedBy is CloudWatch's name.
func suppressedBy(by alarmspb.CompositeAlarm_SuppressedBy) string {
	switch by {
	case alarmspb.CompositeAlarm_SUPPRESSED_BY_WAIT_PERIOD:
		return "WaitPeriod"
	case alarmspb.CompositeAlarm_SUPPRESSED_BY_EXTENSION_PERIOD:
		return "ExtensionPeriod"
	case alarmspb.CompositeAlarm_SUPPRESSED_BY_ALARM:
		return "Alarm"
	default:
		return ""
	}
}

// historyData is CloudWatch's HistoryData of a change of state.
type historyData struct {
	OldState historyState `json:"oldState"`
	NewState historyState `json:"newState"`
}

type historyState struct {
	Value      string          `json:"stateValue"`
	Reason     string          `json:"stateReason"`
	ReasonData json.RawMessage `json:"stateReasonData"`
}

func (s historyState) state(at time.Time) event.AlarmState {
	data := string(s.ReasonData)
	var text string
	if json.Unmarshal(s.ReasonData, &text) == nil {
		data = text
	}
	return event.AlarmState{Value: s.Value, Reason: s.Reason, ReasonData: data, Time: at}
}

// fact puts together what the history, the items before it and the alarm itself say about a change.
func (w *watched) fact(item *alarmspb.AlarmHistoryItem, before []*alarmspb.AlarmHistoryItem) event.AlarmFact {
	w.mu.Lock()
	alarm := w.alarms[item.GetAlarmName()]
	w.mu.Unlock()
	at := item.GetTime().AsTime()
	f := event.AlarmFact{Alarm: item.GetAlarmName(), Time: at, Configuration: alarm.configuration}
	var since time.Time // of the state before
	for _, earlier := range slices.Backward(before) {
		if earlier.GetAlarmName() == f.Alarm {
			since = earlier.GetTime().AsTime()
			break
		}
	}
	var data historyData
	if err := json.Unmarshal([]byte(item.GetData()), &data); err == nil && data.NewState.Value != "" {
		f.State, f.Previous = data.NewState.state(at), data.OldState.state(since)
	} else {
		was, is := states(item.GetSummary())
		f.State, f.Previous = event.AlarmState{Value: is, Time: at}, event.AlarmState{Value: was, Time: since}
	}
	// The history's times are rounded.
	if alarm.state.Value == f.State.Value && alarm.state.Time.Sub(at).Abs() < time.Millisecond {
		f.State = alarm.state
		f.State.Time = at
	}
	return f
}

// states reads "Alarm updated from OK to ALARM".
func states(summary string) (was, is string) {
	words := strings.Fields(summary)
	if len(words) == 6 {
		was, is = words[3], words[5]
	}
	return was, is
}

func metrics(alarm *alarmspb.MetricAlarm) []event.AlarmMetric {
	if len(alarm.GetMetrics()) == 0 {
		stat := alarm.GetExtendedStatistic()
		if stat == "" {
			stat = statistic(alarm.GetStatistic())
		}
		return []event.AlarmMetric{{
			Namespace: alarm.GetNamespace(), Name: alarm.GetMetricName(), Dimensions: dimensions(alarm.GetDimensions()), Stat: stat,
			Period: alarm.GetPeriod().AsDuration(), Unit: alarm.GetUnit(), Expression: alarm.GetSource().GetQuery(), ReturnData: true,
		}}
	}
	list := make([]event.AlarmMetric, len(alarm.GetMetrics()))
	for n, m := range alarm.GetMetrics() {
		list[n] = event.AlarmMetric{
			ID: m.GetId(), Expression: m.GetExpression(), Label: m.GetLabel(), ReturnData: m.GetReturnData(),
			Namespace: m.GetMetricStat().GetNamespace(), Name: m.GetMetricStat().GetMetricName(),
			Dimensions: dimensions(m.GetMetricStat().GetDimensions()), Stat: m.GetMetricStat().GetStat(),
			Period: m.GetMetricStat().GetPeriod().AsDuration(), Unit: m.GetMetricStat().GetUnit(),
		}
		if query := m.GetMetricStat().GetSource().GetQuery(); query != "" {
			list[n].Expression = query
		}
	}
	return list
}

func dimensions(list []*alarmspb.Dimension) map[string]string {
	all := make(map[string]string, len(list))
	for _, d := range list {
		all[d.GetName()] = d.GetValue()
	}
	return all
}

// statistic is CloudWatch's name: SampleCount, Average and so on.
func statistic(s alarmspb.MetricAlarm_Statistic) string {
	switch s {
	case alarmspb.MetricAlarm_STATISTIC_UNSPECIFIED:
		return ""
	case alarmspb.MetricAlarm_STATISTIC_SAMPLE_COUNT:
		return "SampleCount"
	default:
		name := strings.TrimPrefix(s.String(), "STATISTIC_")
		return name[:1] + strings.ToLower(name[1:])
	}
}
