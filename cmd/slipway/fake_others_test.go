package main

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func (f *fake) GetTargetGroup(_ context.Context, r *healthcheckpb.GetTargetGroupRequest) (*healthcheckpb.GetTargetGroupResponse, error) {
	defer f.lock("")()
	if g, ok := f.groups[r.GetName()]; ok {
		return &healthcheckpb.GetTargetGroupResponse{TargetGroup: proto.CloneOf(g)}, nil
	}
	return nil, problem.New(problem.NotFound, "TARGET_GROUP_NOT_FOUND", "there is no target group %s", r.GetName())
}

func (f *fake) CreateTargetGroup(_ context.Context, r *healthcheckpb.CreateTargetGroupRequest) (*healthcheckpb.CreateTargetGroupResponse, error) {
	defer f.lock("CreateTargetGroup")()
	g := proto.CloneOf(r.GetTargetGroup())
	if g.GetHealthCheck().GetHealthyThreshold() == 1 {
		return nil, problem.Violated(
			problem.Violation{Field: "target_group.health_check.healthy_threshold", Rule: "must be 2 to 10"},
			problem.Violation{Field: "health_check.interval", Rule: "must be above the timeout"})
	}
	g.Etag = f.etag()
	f.groups[g.GetName()] = g
	return &healthcheckpb.CreateTargetGroupResponse{TargetGroup: g}, nil
}

func (f *fake) ModifyTargetGroup(_ context.Context, r *healthcheckpb.ModifyTargetGroupRequest) (*healthcheckpb.ModifyTargetGroupResponse, error) {
	defer f.lock("ModifyTargetGroup")()
	have, g := f.groups[r.GetTargetGroup().GetName()], proto.CloneOf(r.GetTargetGroup())
	g.Etag = have.GetEtag()
	if !proto.Equal(have, g) {
		g.Etag = f.etag()
	}
	f.groups[g.GetName()] = g
	return &healthcheckpb.ModifyTargetGroupResponse{TargetGroup: g}, nil
}

func (f *fake) GetHook(_ context.Context, r *hookspb.GetHookRequest) (*hookspb.GetHookResponse, error) {
	defer f.lock("")()
	if h, ok := f.hooks[r.GetName()]; ok {
		return &hookspb.GetHookResponse{Hook: proto.CloneOf(h)}, nil
	}
	return nil, problem.New(problem.NotFound, "HOOK_NOT_FOUND", "there is no hook %s", r.GetName())
}

func (f *fake) RegisterHook(_ context.Context, r *hookspb.RegisterHookRequest) (*hookspb.RegisterHookResponse, error) {
	defer f.lock("RegisterHook")()
	h := proto.CloneOf(r.GetHook())
	h.Etag = f.hooks[h.GetName()].GetEtag()
	if !proto.Equal(f.hooks[h.GetName()], h) {
		h.Etag = f.etag()
	}
	f.hooks[h.GetName()] = h
	return &hookspb.RegisterHookResponse{Hook: h}, nil
}

func (f *fake) PutMetricAlarm(_ context.Context, r *alarmspb.PutMetricAlarmRequest) (*alarmspb.PutMetricAlarmResponse, error) {
	defer f.lock("PutMetricAlarm")()
	a, have := proto.CloneOf(r.GetAlarm()), f.alarms[r.GetAlarm().GetName()]
	a.Etag, a.State, a.StateUpdateTime = have.GetEtag(), have.GetState(), have.GetStateUpdateTime()
	if have == nil {
		a.State, a.StateUpdateTime = alarmspb.MetricAlarm_STATE_INSUFFICIENT_DATA, at(0)
	}
	if !proto.Equal(have, a) {
		a.Etag = f.etag()
	}
	f.alarms[a.GetName()] = a
	return &alarmspb.PutMetricAlarmResponse{Alarm: a}, nil
}

func (f *fake) DescribeAlarms(_ context.Context, r *alarmspb.DescribeAlarmsRequest) (*alarmspb.DescribeAlarmsResponse, error) {
	defer f.lock("")()
	answer := &alarmspb.DescribeAlarmsResponse{}
	for name, a := range f.alarms {
		if len(r.GetAlarmNames()) == 0 || slices.Contains(r.GetAlarmNames(), name) {
			answer.Alarms = append(answer.Alarms, proto.CloneOf(a))
		}
	}
	slices.SortFunc(answer.GetAlarms(), func(a, b *alarmspb.MetricAlarm) int { return strings.Compare(a.GetName(), b.GetName()) })
	return answer, nil
}

func (f *fake) SetAlarmState(_ context.Context, r *alarmspb.SetAlarmStateRequest) (*alarmspb.SetAlarmStateResponse, error) {
	defer f.lock("SetAlarmState")()
	a, ok := f.alarms[r.GetAlarmName()]
	if !ok {
		return nil, problem.New(problem.NotFound, "ALARM_NOT_FOUND", "there is no alarm %s", r.GetAlarmName())
	}
	a.State, a.StateReason, a.StateUpdateTime = r.GetState(), r.GetStateReason(), at(60)
	return &alarmspb.SetAlarmStateResponse{Alarm: proto.CloneOf(a)}, nil
}

func (f *fake) DescribeAlarmHistory(_ context.Context, r *alarmspb.DescribeAlarmHistoryRequest) (*alarmspb.DescribeAlarmHistoryResponse, error) {
	defer f.lock("")()
	answer := &alarmspb.DescribeAlarmHistoryResponse{}
	if a := f.alarms[r.GetAlarmName()]; a != nil {
		answer.Items = append(answer.Items, &alarmspb.AlarmHistoryItem{
			AlarmName: a.GetName(), Time: a.GetStateUpdateTime(), Type: alarmspb.AlarmHistoryItem_TYPE_STATE_UPDATE,
			Summary: "Alarm updated from INSUFFICIENT_DATA to " + strings.TrimPrefix(a.GetState().String(), "STATE_"),
		})
	}
	return answer, nil
}
