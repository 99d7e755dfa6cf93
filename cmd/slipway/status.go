package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/live"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status SERVICE",
		Short: "Show one screen about a service: task sets, traffic, deployment, waits, hooks, alarms",
		Long: `Show one screen about a service and its deployment at work, or its last. With -o json:
{"service": ..., "deployment": ..., "alarms": [...]}.`,
		Example: `  slipway status web`,
		Args:    exactly("SERVICE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.status(cmd, args[0]) },
	}
}

func (c *cli) status(cmd *cobra.Command, name string) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	v := live.StatusView{Now: c.now(), Width: 100, Color: c.color(), ASCII: c.ascii()}
	if v.Service, err = c.service(ctx, a, name); err != nil {
		return err
	}
	if v.Deployment, err = c.deploymentOf(ctx, a, v.Service); err != nil {
		return err
	}
	if v.Alarms, err = alarmsOf(ctx, a, v.Service); err != nil {
		v.AlarmsTrouble = strings.TrimPrefix(c.explainer().Lines(err)[0], "error: ")
	}
	if c.output != "table" {
		return c.statusDocument(v)
	}
	v.Whole = true
	if width, _, ok := c.size(); ok {
		v.Width, v.Whole = width, false
	}
	_, err = fmt.Fprintln(c.out, strings.Join(live.Status(v), "\n"))
	return err
}

// alarmsOf returns the alarms that a service's deployments look at. A status is worth having without them, so they
// get a short time.
func alarmsOf(ctx context.Context, a *api, s *orchestratorpb.Service) ([]*alarmspb.MetricAlarm, error) {
	names := s.GetDeploymentConfiguration().GetAlarms().GetAlarmNames()
	if len(names) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return pages(0, func(token string) ([]*alarmspb.MetricAlarm, string, error) {
		r, err := a.alarms.DescribeAlarms(ctx, &alarmspb.DescribeAlarmsRequest{AlarmNames: names, PageSize: 100, PageToken: token})
		list := r.GetAlarms()
		for _, c := range r.GetCompositeAlarms() { // of which a status shows the state
			list = append(list, &alarmspb.MetricAlarm{
				Name: c.GetName(), Description: c.GetDescription(), State: c.GetState(), StateReason: c.GetStateReason(),
				StateUpdateTime: c.GetStateUpdateTime(),
				EvaluationState: c.GetEvaluationState(), EvaluationStateReason: c.GetEvaluationStateReason(),
			})
		}
		return list, r.GetNextPageToken(), err
	})
}

// statusDocument writes the answers that the status is made of as one object.
func (c *cli) statusDocument(v live.StatusView) error {
	object := struct {
		Service    json.RawMessage   `json:"service"`
		Deployment json.RawMessage   `json:"deployment,omitempty"`
		Alarms     []json.RawMessage `json:"alarms,omitempty"`
	}{}
	var err error
	part := func(m proto.Message) json.RawMessage {
		data, failed := encode(m)
		if failed != nil {
			err = failed
		}
		return data
	}
	object.Service = part(v.Service)
	if v.Deployment != nil {
		object.Deployment = part(v.Deployment)
	}
	for _, alarm := range v.Alarms {
		object.Alarms = append(object.Alarms, part(alarm))
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return c.raw(data)
}
