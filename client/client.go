package client

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// Client is the services of one Slipway installation. It may be used by many goroutines at once.
//
// The fields are the generated clients. Their calls return *Error, get a deadline of 5 s when the context has none, and
// are tried a few times while a service is Unavailable. A test may put its own implementation into a field: Deploy, Wait,
// Watch, ReportResult and ReportLifecycleEvent work on a Client with nothing but the field that they need (Deployments, Hooks
// or LifecycleEvents).
type Client struct {
	Clusters          orchestratorpb.ClusterServiceClient
	TaskDefinitions   orchestratorpb.TaskDefinitionServiceClient
	DeploymentConfigs orchestratorpb.DeploymentConfigServiceClient
	Services          orchestratorpb.ServiceServiceClient
	Deployments       orchestratorpb.DeploymentServiceClient
	Tasks             orchestratorpb.TaskServiceClient
	Events            orchestratorpb.EventServiceClient
	Hooks             hookspb.HookServiceClient
	LifecycleEvents   hookspb.LifecycleEventServiceClient
	TargetGroups      healthcheckpb.TargetGroupServiceClient
	Alarms            alarmspb.AlarmServiceClient

	patience time.Duration
	conns    []*grpc.ClientConn
}

// Dial prepares the connections. Nothing goes over the network before the first call, and a connection that breaks is
// made again: the error is about the configuration only. Close the client when done.
func Dial(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{patience: cfg.Patience}
	var conns [4]grpc.ClientConnInterface
	for i, e := range cfg.endpoints() {
		inner, err := grpcclient.Dial(grpcclient.Config{
			Target: *e.address, CACert: cfg.CACert, Token: cfg.Token, Insecure: cfg.Insecure, Name: e.name,
		})
		if err != nil {
			_ = c.Close()
			return nil, toError(err)
		}
		c.conns = append(c.conns, inner)
		conns[i] = conn{inner}
	}
	orchestrator, hooks, healthcheck, alarms := conns[0], conns[1], conns[2], conns[3]
	c.Clusters = orchestratorpb.NewClusterServiceClient(orchestrator)
	c.TaskDefinitions = orchestratorpb.NewTaskDefinitionServiceClient(orchestrator)
	c.DeploymentConfigs = orchestratorpb.NewDeploymentConfigServiceClient(orchestrator)
	c.Services = orchestratorpb.NewServiceServiceClient(orchestrator)
	c.Deployments = orchestratorpb.NewDeploymentServiceClient(orchestrator)
	c.Tasks = orchestratorpb.NewTaskServiceClient(orchestrator)
	c.Events = orchestratorpb.NewEventServiceClient(orchestrator)
	c.Hooks = hookspb.NewHookServiceClient(hooks)
	c.LifecycleEvents = hookspb.NewLifecycleEventServiceClient(hooks)
	c.TargetGroups = healthcheckpb.NewTargetGroupServiceClient(healthcheck)
	c.Alarms = alarmspb.NewAlarmServiceClient(alarms)
	return c, nil
}

// DialEnv is Dial with the environment's configuration; see FromEnv.
func DialEnv() (*Client, error) {
	cfg, err := FromEnv()
	if err != nil {
		return nil, err
	}
	return Dial(cfg)
}

// Close closes the connections. Calls under way end as Canceled; deployments go on.
func (c *Client) Close() error {
	var all []error
	for _, conn := range c.conns {
		if err := conn.Close(); err != nil {
			all = append(all, fmt.Errorf("close the connection to %s: %w", conn.Target(), err))
		}
	}
	c.conns = nil
	return errors.Join(all...)
}
