package grpcapi

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// userAlarm is the part of an alarm that users write.
func userAlarm(pb *alarmspb.MetricAlarm) *alarmspb.MetricAlarm {
	user := proto.CloneOf(pb)
	user.State, user.StateReason, user.StateReasonData, user.Etag = 0, "", "", ""
	user.StateUpdateTime, user.EvaluationTime, user.ConfigurationUpdateTime = nil, nil, nil
	user.EvaluationState, user.EvaluationStateReason = 0, ""
	return user
}

// userComposite is the part of a composite alarm that users write.
func userComposite(pb *alarmspb.CompositeAlarm) *alarmspb.CompositeAlarm {
	user := proto.CloneOf(pb)
	user.State, user.StateReason, user.StateReasonData, user.Etag = 0, "", "", ""
	user.StateUpdateTime, user.EvaluationTime, user.ConfigurationUpdateTime = nil, nil, nil
	user.EvaluationState, user.EvaluationStateReason = 0, ""
	user.ActionsSuppressedBy, user.ActionsSuppressedReason = 0, ""
	return user
}

// Decode reads a definition as the store keeps it. One that was accepted by an earlier release is not checked again.
func Decode(stored store.Alarm) (engine.Definition, error) {
	if stored.Kind == store.Composite {
		pb := &alarmspb.CompositeAlarm{}
		if err := proto.Unmarshal(stored.Definition, pb); err != nil {
			return engine.Definition{}, err
		}
		d, broken := compositeOf(pb)
		if d.Rule == nil {
			return engine.Definition{}, violated(broken)
		}
		return engine.Definition{Name: stored.Name, Composite: &d}, nil
	}
	pb := &alarmspb.MetricAlarm{}
	if err := proto.Unmarshal(stored.Definition, pb); err != nil {
		return engine.Definition{}, err
	}
	d, broken := definitionOf(pb)
	if len(d.Metrics) == 0 || len(pb.GetMetrics()) > 0 && d.Math == nil {
		return engine.Definition{}, violated(broken)
	}
	return engine.Definition{Name: stored.Name, Metric: &d}, nil
}

func compositeOf(pb *alarmspb.CompositeAlarm) (composite.Definition, []alarm.Violation) {
	return composite.New(composite.Settings{
		Name: pb.GetName(), Rule: pb.GetAlarmRule(), Suppressor: pb.GetActionsSuppressor(),
		Wait: durationOf(pb.GetActionsSuppressorWaitPeriod()), Extension: durationOf(pb.GetActionsSuppressorExtensionPeriod()),
	})
}

func durationOf(pb *durationpb.Duration) *time.Duration {
	if pb == nil {
		return nil
	}
	d := pb.AsDuration()
	return &d
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
	pb.EvaluationState, pb.EvaluationStateReason = evaluationPB(a.Trouble.State), a.Trouble.Reason
	pb.Etag = etag(a.Stored.Definition)
	return pb
}

func compositePB(a engine.Alarm) *alarmspb.CompositeAlarm {
	pb := &alarmspb.CompositeAlarm{}
	_ = proto.Unmarshal(a.Stored.Definition, pb) // what was marshalled here
	pb.State, pb.StateReason, pb.StateReasonData = statePB(a.Stored.State), a.Stored.Reason, a.Stored.ReasonData
	pb.StateUpdateTime, pb.ConfigurationUpdateTime = timestamppb.New(a.Stored.StateTime), timestamppb.New(a.Stored.ConfigurationTime)
	if !a.EvaluationTime.IsZero() {
		pb.EvaluationTime = timestamppb.New(a.EvaluationTime)
	}
	pb.EvaluationState, pb.EvaluationStateReason = evaluationPB(a.Trouble.State), a.Trouble.Reason
	pb.ActionsSuppressedBy, pb.ActionsSuppressedReason = suppressedPB(a.Suppression.By), a.Suppression.Reason
	pb.Etag = etag(a.Stored.Definition)
	return pb
}

func evaluationPB(s string) alarmspb.MetricAlarm_EvaluationState {
	return alarmspb.MetricAlarm_EvaluationState(alarmspb.MetricAlarm_EvaluationState_value["EVALUATION_STATE_"+s])
}

func suppressedPB(by composite.By) alarmspb.CompositeAlarm_SuppressedBy {
	return alarmspb.CompositeAlarm_SuppressedBy(alarmspb.CompositeAlarm_SuppressedBy_value["SUPPRESSED_BY_"+string(by)])
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
