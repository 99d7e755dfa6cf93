// Package grpcapi serves slipway.alarms.v1. Its handlers convert, save and tell the engine.
package grpcapi

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
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

// Load takes up every alarm with the datapoints of its evaluation range.
func (s *Server) Load(ctx context.Context) error {
	list, err := s.Store.AlarmsAll(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		pb := &alarmspb.MetricAlarm{}
		if err := proto.Unmarshal(a.Definition, pb); err != nil {
			return fmt.Errorf("read alarm %s: %w", a.Name, err)
		}
		if err := s.takeUp(ctx, definitionOf(pb), a); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) takeUp(ctx context.Context, d alarm.Definition, a store.Alarm) error {
	now := s.Now().UTC()
	past, err := s.Store.DatapointsRange(ctx, d.MetricID(), now.Add(-time.Duration(d.Range()+1)*d.Period), now.Add(2*time.Hour))
	if err != nil {
		return err
	}
	s.Engine.Put(d, a, past)
	return nil
}

// PutMetricAlarm creates an alarm or replaces its definition; the state is kept.
func (s *Server) PutMetricAlarm(ctx context.Context, req *alarmspb.PutMetricAlarmRequest) (resp *alarmspb.PutMetricAlarmResponse, err error) {
	user := userAlarm(req.GetAlarm())
	d := definitionOf(user)
	if err := check(req.GetAlarm(), d); err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(user)
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC()
	var stored store.Alarm
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "PutMetricAlarm", req.GetRequestId(), req, func() (*alarmspb.PutMetricAlarmResponse, error) {
			if err := s.checkEtag(ctx, tx, req.GetAlarm()); err != nil {
				return nil, err
			}
			var created bool
			stored, created, err = s.Store.AlarmPut(ctx, tx, store.Alarm{
				Name: d.Name, Definition: body, State: string(alarm.InsufficientData), Reason: alarm.InitialReason, StateTime: now, ConfigurationTime: now,
			})
			if err != nil {
				return nil, err
			}
			summary := fmt.Sprintf("Alarm %q updated", d.Name)
			if created {
				summary = fmt.Sprintf("Alarm %q created", d.Name)
			}
			item := store.HistoryItem{Alarm: d.Name, Time: now, Type: store.ConfigurationUpdate, Summary: summary, Data: "{}"}
			return &alarmspb.PutMetricAlarmResponse{Alarm: alarmPB(engine.Alarm{Definition: d, Stored: stored})}, s.Store.HistoryAdd(ctx, tx, item)
		})
		return err
	})
	if err == nil && stored.Name != "" {
		err = s.takeUp(ctx, d, stored)
	}
	return resp, err
}

func (s *Server) checkEtag(ctx context.Context, tx pgx.Tx, pb *alarmspb.MetricAlarm) error {
	if pb.GetEtag() == "" {
		return nil
	}
	old, err := s.Store.AlarmLock(ctx, tx, pb.GetName())
	if err != nil {
		return err
	}
	if etag(old.Definition) != pb.GetEtag() {
		return problem.New(problem.Aborted, "STALE_ETAG", "alarm %s was changed since it was read; read it again", pb.GetName())
	}
	return nil
}

// DescribeAlarms returns alarms by name.
func (s *Server) DescribeAlarms(_ context.Context, req *alarmspb.DescribeAlarmsRequest) (*alarmspb.DescribeAlarmsResponse, error) {
	if len(req.GetAlarmNames()) > 0 && req.GetAlarmNamePrefix() != "" {
		return nil, problem.Invalid("alarm_name_prefix", "must not be set together with alarm_names")
	}
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range req.GetAlarmNames() {
		wanted[name] = true
	}
	list := s.Engine.Alarms()
	sort.Slice(list, func(i, j int) bool { return list[i].Definition.Name < list[j].Definition.Name })
	size := int(page.Size(req.GetPageSize(), 50, 100))
	resp := &alarmspb.DescribeAlarmsResponse{}
	for _, a := range list {
		name := a.Definition.Name
		if name <= after || len(wanted) > 0 && !wanted[name] || !strings.HasPrefix(name, req.GetAlarmNamePrefix()) ||
			req.GetState() != alarmspb.MetricAlarm_STATE_UNSPECIFIED && req.GetState() != statePB(a.Stored.State) {
			continue
		}
		if len(resp.GetAlarms()) == size {
			resp.NextPageToken = page.Encode(resp.GetAlarms()[size-1].GetName())
			break
		}
		resp.Alarms = append(resp.Alarms, alarmPB(a))
	}
	return resp, nil
}

// DeleteAlarms deletes alarms, all or none.
func (s *Server) DeleteAlarms(ctx context.Context, req *alarmspb.DeleteAlarmsRequest) (resp *alarmspb.DeleteAlarmsResponse, err error) {
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "DeleteAlarms", req.GetRequestId(), req, func() (*alarmspb.DeleteAlarmsResponse, error) {
			return &alarmspb.DeleteAlarmsResponse{}, s.Store.AlarmsDelete(ctx, tx, req.GetAlarmNames())
		})
		return err
	})
	if err == nil {
		s.Engine.Remove(req.GetAlarmNames())
	}
	return resp, err
}

// SetAlarmState sets a state for a time: the next evaluation overwrites it.
func (s *Server) SetAlarmState(ctx context.Context, req *alarmspb.SetAlarmStateRequest) (resp *alarmspb.SetAlarmStateResponse, err error) {
	var stored store.Alarm
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "SetAlarmState", req.GetRequestId(), req, func() (*alarmspb.SetAlarmStateResponse, error) {
			if stored, err = s.Store.AlarmLock(ctx, tx, req.GetAlarmName()); err != nil {
				return nil, err
			}
			was := stored.State
			stored.State, stored.Reason, stored.StateTime = strings.TrimPrefix(req.GetState().String(), "STATE_"), req.GetStateReason(), s.Now().UTC()
			stored.ReasonData = ""
			data, err := json.Marshal(map[string]string{"oldState": was, "newState": stored.State, "reason": stored.Reason})
			if err != nil {
				return nil, err
			}
			item := store.HistoryItem{
				Alarm: stored.Name, Time: stored.StateTime, Type: store.StateUpdate, Data: string(data),
				Summary: fmt.Sprintf("Alarm updated from %s to %s", was, stored.State),
			}
			if err := s.Store.StateSave(ctx, tx, stored, item); err != nil {
				return nil, err
			}
			pb := &alarmspb.MetricAlarm{}
			if err := proto.Unmarshal(stored.Definition, pb); err != nil {
				return nil, err
			}
			return &alarmspb.SetAlarmStateResponse{Alarm: alarmPB(engine.Alarm{Definition: definitionOf(pb), Stored: stored})}, nil
		})
		return err
	})
	if err == nil && stored.Name != "" {
		s.Engine.SetState(stored)
	}
	return resp, err
}

// DescribeAlarmHistory returns what happened to an alarm, newest first.
func (s *Server) DescribeAlarmHistory(ctx context.Context, req *alarmspb.DescribeAlarmHistoryRequest) (*alarmspb.DescribeAlarmHistoryResponse, error) {
	var below int64
	if err := page.Decode(req.GetPageToken(), &below); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 50, 100))
	list, err := s.Store.HistoryList(ctx, req.GetAlarmName(), below, size+1)
	if err != nil {
		return nil, err
	}
	resp := &alarmspb.DescribeAlarmHistoryResponse{}
	if len(list) > size {
		list = list[:size]
		resp.NextPageToken = page.Encode(list[size-1].ID)
	}
	for _, item := range list {
		resp.Items = append(resp.Items, historyPB(item))
	}
	return resp, nil
}

// WatchAlarms streams a snapshot, then changes.
func (s *Server) WatchAlarms(req *alarmspb.WatchAlarmsRequest, stream grpc.ServerStreamingServer[alarmspb.WatchAlarmsResponse]) error {
	wanted := map[string]bool{}
	for _, name := range req.GetAlarmNames() {
		wanted[name] = true
	}
	sub := s.Engine.Hub().Subscribe(func(name string, _ engine.Alarm) bool { return len(wanted) == 0 || wanted[name] })
	defer sub.Close()
	for {
		changes, err := sub.Next(stream.Context())
		if err != nil {
			return err
		}
		resp := &alarmspb.WatchAlarmsResponse{Snapshot: changes.Snapshot, RemovedAlarms: changes.Deleted}
		for _, a := range changes.Set {
			resp.Alarms = append(resp.Alarms, alarmPB(a))
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}
