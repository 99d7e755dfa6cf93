// Package grpcapi serves slipway.alarms.v1. Its handlers convert, save and tell the engine.
package grpcapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// Server is the AlarmService.
type Server struct {
	alarmspb.UnimplementedAlarmServiceServer
	Store  *store.Store
	Engine *engine.Engine
	Now    func() time.Time
	ARN    func(alarm string) string // for reasons

	recent recentRequests
}

// PutMetricAlarm creates an alarm or replaces its definition; the state is kept.
func (s *Server) PutMetricAlarm(ctx context.Context, req *alarmspb.PutMetricAlarmRequest) (resp *alarmspb.PutMetricAlarmResponse, err error) {
	user := userAlarm(req.GetAlarm())
	m, broken := definitionOf(user)
	for _, metric := range m.Metrics {
		if metric.Source != series.Pushed && !s.Engine.Has(metric.Source) {
			broken = append(broken, alarm.Violation{Field: metric.Field + "source", Rule: missingSource(metric.Source)})
		}
	}
	if err := errors.Join(noNUL("request_id", req.GetRequestId()), checkMetric(user, broken)); err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(user)
	if err != nil {
		return nil, err
	}
	d := engine.Definition{Name: m.Name, Metric: &m}
	err = s.Engine.Change(ctx, []string{d.Name}, func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "PutMetricAlarm", req.GetRequestId(), req, func() (*alarmspb.PutMetricAlarmResponse, error) {
			stored, err := s.put(ctx, tx, store.Alarm{Name: d.Name, Kind: store.Metric, Definition: body}, req.GetAlarm().GetEtag(), user)
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

// missingSource says what the operator has to set.
func missingSource(s series.Source) string {
	if s == series.Prometheus {
		return "is Prometheus, which this alarms service is not set up for: start it with -prometheus-url"
	}
	return "is CloudWatch, which this alarms service is not set up for: start it with -cloudwatch-region"
}

// put saves an alarm and that it was put.
func (s *Server) put(ctx context.Context, tx pgx.Tx, a store.Alarm, etag string, user proto.Message) (store.Alarm, error) {
	if err := s.checkEtag(ctx, tx, a.Name, etag); err != nil {
		return store.Alarm{}, err
	}
	now := s.Now().UTC()
	a.State, a.Reason, a.StateTime, a.ConfigurationTime = string(alarm.InsufficientData), alarm.InitialReason, now, now
	stored, created, err := s.Store.AlarmPut(ctx, tx, a)
	if err != nil {
		return stored, err
	}
	item := store.HistoryItem{Alarm: a.Name, Time: now, Type: store.ConfigurationUpdate, Summary: fmt.Sprintf("Alarm %q updated", a.Name)}
	kind := "Update"
	if created {
		item.Summary, kind = fmt.Sprintf("Alarm %q created", a.Name), "Create"
	}
	if item.Data, err = configurationData(kind, user); err != nil {
		return stored, err
	}
	return stored, s.Store.HistoryAdd(ctx, tx, item)
}

// configurationData is the HistoryData of a change of definition, as CloudWatch has it, with the alarm in Slipway's fields.
func configurationData(kind string, user proto.Message) (string, error) {
	definition, err := protojson.Marshal(user)
	if err != nil {
		return "", fmt.Errorf("write an alarm as JSON: %w", err)
	}
	body, err := json.Marshal(map[string]any{"version": "1.0", "type": kind, strings.ToLower(kind) + "dAlarm": json.RawMessage(definition)})
	return string(body), err
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
			if err := inUse(s.Engine.Alarms(), req.GetAlarmNames()); err != nil {
				return nil, err
			}
			effect = engine.Remove(req.GetAlarmNames())
			return &alarmspb.DeleteAlarmsResponse{}, s.deleteAlarms(ctx, tx, req.GetAlarmNames())
		})
		return effect, err
	})
	return resp, err
}

// deleteAlarms deletes alarms and remembers that they were.
func (s *Server) deleteAlarms(ctx context.Context, tx pgx.Tx, names []string) error {
	if err := s.Store.AlarmsDelete(ctx, tx, names); err != nil {
		return err
	}
	now := s.Now().UTC()
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		err := s.Store.HistoryAdd(ctx, tx, store.HistoryItem{
			Alarm: name, Time: now, Type: store.ConfigurationUpdate, Summary: fmt.Sprintf("Alarm %q deleted", name), Data: `{"version":"1.0","type":"Delete"}`,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SetAlarmState sets a state for a time: the next evaluation overwrites it.
func (s *Server) SetAlarmState(ctx context.Context, req *alarmspb.SetAlarmStateRequest) (resp *alarmspb.SetAlarmStateResponse, err error) {
	var n nuls
	n.check("request_id", req.GetRequestId())
	n.check("alarm_name", req.GetAlarmName())
	n.check("state_reason", req.GetStateReason())
	n.check("state_reason_data", req.GetStateReasonData())
	if data := req.GetStateReasonData(); data != "" && !json.Valid([]byte(data)) {
		n = append(n, problem.Violation{Field: "state_reason_data", Rule: "must be JSON"})
	}
	if err := n.err(); err != nil {
		return nil, err
	}
	err = s.Engine.Change(ctx, []string{req.GetAlarmName()}, func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "SetAlarmState", req.GetRequestId(), req, func() (*alarmspb.SetAlarmStateResponse, error) {
			stored, err := s.setState(ctx, tx, req)
			if err != nil {
				return nil, err
			}
			effect = engine.SetState(stored)
			if stored.Kind == store.Composite {
				return &alarmspb.SetAlarmStateResponse{CompositeAlarm: compositePB(engine.Alarm{Stored: stored})}, nil
			}
			return &alarmspb.SetAlarmStateResponse{Alarm: alarmPB(engine.Alarm{Stored: stored})}, nil
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
	was := stored
	stored.State, stored.Reason, stored.StateTime = strings.TrimPrefix(req.GetState().String(), "STATE_"), req.GetStateReason(), s.Now().UTC()
	stored.ReasonData = req.GetStateReasonData()
	return stored, s.Store.StateSave(ctx, tx, stored, engine.StateUpdate(was, stored), store.Fence{})
}
