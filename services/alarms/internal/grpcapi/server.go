// Package grpcapi serves slipway.alarms.v1. Its handlers convert, save and tell the engine.
package grpcapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// Server is the AlarmService.
type Server struct {
	alarmspb.UnimplementedAlarmServiceServer
	Store  *store.Store
	Engine *engine.Engine
	Now    func() time.Time

	recent recentRequests
}

// PutMetricAlarm creates an alarm or replaces its definition; the state is kept.
func (s *Server) PutMetricAlarm(ctx context.Context, req *alarmspb.PutMetricAlarmRequest) (resp *alarmspb.PutMetricAlarmResponse, err error) {
	user := userAlarm(req.GetAlarm())
	d := definitionOf(user)
	if err := check(req, d); err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(user)
	if err != nil {
		return nil, err
	}
	err = s.Engine.Change(ctx, []string{d.Name}, func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "PutMetricAlarm", req.GetRequestId(), req, func() (*alarmspb.PutMetricAlarmResponse, error) {
			stored, err := s.put(ctx, tx, d, body, req.GetAlarm().GetEtag())
			if err != nil {
				return nil, err
			}
			effect, err = s.Engine.Put(ctx, tx, d, stored)
			return &alarmspb.PutMetricAlarmResponse{Alarm: alarmPB(engine.Alarm{Definition: d, Stored: stored})}, err
		})
		return effect, err
	})
	return resp, err
}

// put saves an alarm and that it was put.
func (s *Server) put(ctx context.Context, tx pgx.Tx, d alarm.Definition, body []byte, etag string) (store.Alarm, error) {
	if err := s.checkEtag(ctx, tx, d.Name, etag); err != nil {
		return store.Alarm{}, err
	}
	now := s.Now().UTC()
	stored, created, err := s.Store.AlarmPut(ctx, tx, store.Alarm{
		Name: d.Name, Definition: body, State: string(alarm.InsufficientData), Reason: alarm.InitialReason, StateTime: now, ConfigurationTime: now,
	})
	if err != nil {
		return stored, err
	}
	summary := fmt.Sprintf("Alarm %q updated", d.Name)
	if created {
		summary = fmt.Sprintf("Alarm %q created", d.Name)
	}
	return stored, s.Store.HistoryAdd(ctx, tx, store.HistoryItem{
		Alarm: d.Name, Time: now, Type: store.ConfigurationUpdate, Summary: summary, Data: "{}",
	})
}

func (s *Server) checkEtag(ctx context.Context, tx pgx.Tx, name, want string) error {
	if want == "" {
		return nil
	}
	old, err := s.Store.AlarmLock(ctx, tx, name)
	if err != nil {
		return err
	}
	if etag(old.Definition) != want {
		return problem.New(problem.Aborted, "STALE_ETAG", "alarm %s was changed since it was read; read it again", name)
	}
	return nil
}

// DeleteAlarms deletes alarms, all or none.
func (s *Server) DeleteAlarms(ctx context.Context, req *alarmspb.DeleteAlarmsRequest) (resp *alarmspb.DeleteAlarmsResponse, err error) {
	var n nuls
	n.check("request_id", req.GetRequestId())
	for i, name := range req.GetAlarmNames() {
		n.check(fmt.Sprintf("alarm_names[%d]", i), name)
	}
	if err := n.err(); err != nil {
		return nil, err
	}
	err = s.Engine.Change(ctx, req.GetAlarmNames(), func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "DeleteAlarms", req.GetRequestId(), req, func() (*alarmspb.DeleteAlarmsResponse, error) {
			effect = engine.Remove(req.GetAlarmNames())
			return &alarmspb.DeleteAlarmsResponse{}, s.Store.AlarmsDelete(ctx, tx, req.GetAlarmNames())
		})
		return effect, err
	})
	return resp, err
}

// SetAlarmState sets a state for a time: the next evaluation overwrites it.
func (s *Server) SetAlarmState(ctx context.Context, req *alarmspb.SetAlarmStateRequest) (resp *alarmspb.SetAlarmStateResponse, err error) {
	var n nuls
	n.check("request_id", req.GetRequestId())
	n.check("alarm_name", req.GetAlarmName())
	n.check("state_reason", req.GetStateReason())
	if err := n.err(); err != nil {
		return nil, err
	}
	err = s.Engine.Change(ctx, []string{req.GetAlarmName()}, func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "SetAlarmState", req.GetRequestId(), req, func() (*alarmspb.SetAlarmStateResponse, error) {
			stored, err := s.setState(ctx, tx, req)
			if err != nil {
				return nil, err
			}
			d, err := Decode(stored.Definition)
			effect = engine.SetState(stored)
			return &alarmspb.SetAlarmStateResponse{Alarm: alarmPB(engine.Alarm{Definition: d, Stored: stored})}, err
		})
		return effect, err
	})
	return resp, err
}

// setState saves a state that was set and that it was set.
func (s *Server) setState(ctx context.Context, tx pgx.Tx, req *alarmspb.SetAlarmStateRequest) (store.Alarm, error) {
	stored, err := s.Store.AlarmLock(ctx, tx, req.GetAlarmName())
	if err != nil {
		return stored, err
	}
	was := stored.State
	stored.State, stored.Reason, stored.StateTime = strings.TrimPrefix(req.GetState().String(), "STATE_"), req.GetStateReason(), s.Now().UTC()
	stored.ReasonData = ""
	data, err := json.Marshal(map[string]string{"oldState": was, "newState": stored.State, "reason": stored.Reason})
	if err != nil {
		return stored, err
	}
	return stored, s.Store.StateSave(ctx, tx, stored, store.HistoryItem{
		Alarm: stored.Name, Time: stored.StateTime, Type: store.StateUpdate, Data: string(data),
		Summary: fmt.Sprintf("Alarm updated from %s to %s", was, stored.State),
	})
}
