package grpcapi

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// userAlarm is the part of an alarm that users write.
func userAlarm(pb *alarmspb.MetricAlarm) *alarmspb.MetricAlarm {
	user := proto.CloneOf(pb)
	user.State, user.StateReason, user.StateReasonData, user.Etag = 0, "", "", ""
	user.StateUpdateTime, user.EvaluationTime, user.ConfigurationUpdateTime = nil, nil, nil
	return user
}

// Decode reads a definition as the store keeps it.
func Decode(definition []byte) (alarm.Definition, error) {
	pb := &alarmspb.MetricAlarm{}
	if err := proto.Unmarshal(definition, pb); err != nil {
		return alarm.Definition{}, err
	}
	return definitionOf(pb), nil
}

func definitionOf(pb *alarmspb.MetricAlarm) alarm.Definition {
	d := alarm.Definition{
		Name: pb.GetName(), Namespace: pb.GetNamespace(), Metric: pb.GetMetricName(), Dimensions: dimensionsOf(pb.GetDimensions()), Unit: pb.GetUnit(),
		Statistic: pb.GetExtendedStatistic(), Period: pb.GetPeriod().AsDuration(), EvaluationPeriods: int(pb.GetEvaluationPeriods()),
		DatapointsToAlarm: int(pb.GetDatapointsToAlarm()), Threshold: pb.GetThreshold(),
		Comparison:       alarm.Comparison(strings.TrimPrefix(pb.GetComparisonOperator().String(), "COMPARISON_OPERATOR_")),
		Missing:          alarm.AsMissing,
		IgnoreLowSamples: pb.GetEvaluateLowSampleCountPercentile() == alarmspb.MetricAlarm_EVALUATE_LOW_SAMPLE_COUNT_PERCENTILE_IGNORE,
	}
	switch pb.GetStatistic() {
	case alarmspb.MetricAlarm_STATISTIC_SAMPLE_COUNT:
		d.Statistic = alarm.SampleCount
	case alarmspb.MetricAlarm_STATISTIC_AVERAGE:
		d.Statistic = alarm.Average
	case alarmspb.MetricAlarm_STATISTIC_SUM:
		d.Statistic = alarm.Sum
	case alarmspb.MetricAlarm_STATISTIC_MINIMUM:
		d.Statistic = alarm.Minimum
	case alarmspb.MetricAlarm_STATISTIC_MAXIMUM:
		d.Statistic = alarm.Maximum
	}
	if d.DatapointsToAlarm == 0 {
		d.DatapointsToAlarm = d.EvaluationPeriods
	}
	if m := pb.GetTreatMissingData(); m != alarmspb.MetricAlarm_TREAT_MISSING_DATA_UNSPECIFIED {
		d.Missing = alarm.Missing(strings.TrimPrefix(m.String(), "TREAT_MISSING_DATA_"))
	}
	return d
}

func dimensionsOf(list []*alarmspb.Dimension) map[string]string {
	dimensions := make(map[string]string, len(list))
	for _, d := range list {
		dimensions[d.GetName()] = d.GetValue()
	}
	return dimensions
}

func alarmPB(a engine.Alarm) *alarmspb.MetricAlarm {
	pb := &alarmspb.MetricAlarm{}
	_ = proto.Unmarshal(a.Stored.Definition, pb) // what was marshalled here
	pb.State, pb.StateReason, pb.StateReasonData = statePB(a.Stored.State), a.Stored.Reason, a.Stored.ReasonData
	pb.StateUpdateTime, pb.ConfigurationUpdateTime = timestamppb.New(a.Stored.StateTime), timestamppb.New(a.Stored.ConfigurationTime)
	if !a.EvaluationTime.IsZero() {
		pb.EvaluationTime = timestamppb.New(a.EvaluationTime)
	}
	pb.Etag = etag(a.Stored.Definition)
	return pb
}

func statePB(s string) alarmspb.MetricAlarm_State {
	return alarmspb.MetricAlarm_State(alarmspb.MetricAlarm_State_value["STATE_"+s])
}

func etag(definition []byte) string {
	sum := sha256.Sum256(definition)
	return hex.EncodeToString(sum[:8])
}

func historyPB(item store.HistoryItem) *alarmspb.AlarmHistoryItem {
	return &alarmspb.AlarmHistoryItem{
		AlarmName: item.Alarm, Time: timestamppb.New(item.Time), Summary: item.Summary, Data: item.Data,
		Type: alarmspb.AlarmHistoryItem_Type(alarmspb.AlarmHistoryItem_Type_value["TYPE_"+item.Type]),
	}
}
