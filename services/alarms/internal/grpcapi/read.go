package grpcapi

import (
	"context"
	"slices"
	"sort"
	"strings"

	"google.golang.org/grpc"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
)

// DescribeAlarms returns alarms of both kinds by name.
func (s *Server) DescribeAlarms(_ context.Context, req *alarmspb.DescribeAlarmsRequest) (*alarmspb.DescribeAlarmsResponse, error) {
	if len(req.GetAlarmNames()) > 0 && req.GetAlarmNamePrefix() != "" {
		return nil, problem.Invalid("alarm_name_prefix", "must not be set together with alarm_names")
	}
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	list := s.Engine.Alarms()
	keep, err := chosen(req, list)
	if err != nil {
		return nil, err
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Definition.Name < list[j].Definition.Name })
	size := int(page.Size(req.GetPageSize(), 50, 100))
	resp := &alarmspb.DescribeAlarmsResponse{}
	n, last := 0, ""
	for _, a := range list {
		if a.Definition.Name <= after || !keep(a) {
			continue
		}
		if n == size {
			resp.NextPageToken = page.Encode(last)
			break
		}
		n, last = n+1, a.Definition.Name
		if a.Definition.Composite != nil {
			resp.CompositeAlarms = append(resp.CompositeAlarms, compositePB(a))
		} else {
			resp.Alarms = append(resp.Alarms, alarmPB(a))
		}
	}
	return resp, nil
}

// chosen tells the alarms that a request asks for.
func chosen(req *alarmspb.DescribeAlarmsRequest, list []engine.Alarm) (func(engine.Alarm) bool, error) {
	wanted := map[string]bool{}
	for _, name := range req.GetAlarmNames() {
		wanted[name] = true
	}
	var children []string
	if of := req.GetChildrenOfAlarmName(); of != "" {
		i := slices.IndexFunc(list, func(a engine.Alarm) bool { return a.Definition.Name == of && a.Definition.Composite != nil })
		if i < 0 {
			return nil, problem.Invalid("children_of_alarm_name", "must be the name of a composite alarm: not %q", of)
		}
		children = list[i].Definition.Composite.Children()
	}
	return func(a engine.Alarm) bool {
		d := a.Definition
		kind := alarmspb.DescribeAlarmsRequest_ALARM_TYPE_METRIC_ALARM
		if d.Composite != nil {
			kind = alarmspb.DescribeAlarmsRequest_ALARM_TYPE_COMPOSITE_ALARM
		}
		switch {
		case len(wanted) > 0 && !wanted[d.Name], !strings.HasPrefix(d.Name, req.GetAlarmNamePrefix()),
			len(req.GetAlarmTypes()) > 0 && !slices.Contains(req.GetAlarmTypes(), kind),
			req.GetState() != alarmspb.MetricAlarm_STATE_UNSPECIFIED && req.GetState() != statePB(a.Stored.State),
			req.GetChildrenOfAlarmName() != "" && !slices.Contains(children, d.Name),
			req.GetParentsOfAlarmName() != "" && (d.Composite == nil || !slices.Contains(d.Composite.Children(), req.GetParentsOfAlarmName())):
			return false
		}
		return true
	}, nil
}

// DescribeAlarmHistory returns what happened to an alarm, newest first.
func (s *Server) DescribeAlarmHistory(ctx context.Context, req *alarmspb.DescribeAlarmHistoryRequest) (*alarmspb.DescribeAlarmHistoryResponse, error) {
	if err := noNUL("alarm_name", req.GetAlarmName()); err != nil {
		return nil, err
	}
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
			if a.Definition.Composite != nil {
				resp.CompositeAlarms = append(resp.CompositeAlarms, compositePB(a))
			} else {
				resp.Alarms = append(resp.Alarms, alarmPB(a))
			}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}
