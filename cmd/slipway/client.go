package main

import (
	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// The names of the services, which are those of their flags.
const (
	orchestratorName = "orchestrator"
	hooksName        = "hooks"
	healthcheckName  = "healthcheck"
	alarmsName       = "alarms"
)

type endpoint struct{ name, address string }

// endpoints lists the services and where they are by default.
func endpoints() []endpoint {
	return []endpoint{
		{orchestratorName, "127.0.0.1:7001"},
		{hooksName, "127.0.0.1:7002"},
		{healthcheckName, "127.0.0.1:7003"},
		{alarmsName, "127.0.0.1:7004"},
	}
}

// connections is the connections that were made, by the name of the service.
type connections map[string]*grpc.ClientConn

func (cs connections) close() {
	for _, conn := range cs {
		_ = conn.Close()
	}
}

// api is the services' clients.
type api struct {
	clusters        orchestratorpb.ClusterServiceClient
	taskDefinitions orchestratorpb.TaskDefinitionServiceClient
	configs         orchestratorpb.DeploymentConfigServiceClient
	services        orchestratorpb.ServiceServiceClient
	deployments     orchestratorpb.DeploymentServiceClient
	appSpecs        orchestratorpb.AppSpecServiceClient
	tasks           orchestratorpb.TaskServiceClient
	events          orchestratorpb.EventServiceClient
	hooks           hookspb.HookServiceClient
	targetGroups    healthcheckpb.TargetGroupServiceClient
	alarms          alarmspb.AlarmServiceClient
}

// connect prepares the clients. Nothing goes over the network before the first call.
func (c *cli) connect() (*api, error) {
	c.conns = connections{}
	for _, s := range endpoints() {
		conn, err := grpcclient.Dial(grpcclient.Config{
			Target: *c.addresses[s.name], CACert: c.tlsCA, Token: c.token, Insecure: c.insecure, Name: s.name,
		})
		if err != nil {
			return nil, err
		}
		c.conns[s.name] = conn
	}
	orchestrator := c.conns[orchestratorName]
	return &api{
		clusters:        orchestratorpb.NewClusterServiceClient(orchestrator),
		taskDefinitions: orchestratorpb.NewTaskDefinitionServiceClient(orchestrator),
		configs:         orchestratorpb.NewDeploymentConfigServiceClient(orchestrator),
		services:        orchestratorpb.NewServiceServiceClient(orchestrator),
		deployments:     orchestratorpb.NewDeploymentServiceClient(orchestrator),
		appSpecs:        orchestratorpb.NewAppSpecServiceClient(orchestrator),
		tasks:           orchestratorpb.NewTaskServiceClient(orchestrator),
		events:          orchestratorpb.NewEventServiceClient(orchestrator),
		hooks:           hookspb.NewHookServiceClient(c.conns[hooksName]),
		targetGroups:    healthcheckpb.NewTargetGroupServiceClient(c.conns[healthcheckName]),
		alarms:          alarmspb.NewAlarmServiceClient(c.conns[alarmsName]),
	}, nil
}

// explainer explains errors of the services with the addresses that are in use.
func (c *cli) explainer() fault.Explainer {
	x := fault.Explainer{Endpoints: map[string]fault.Endpoint{}, Timeout: callTimeout}
	if c.timeout > 0 {
		x.Timeout = c.timeout
	}
	for name, address := range c.addresses {
		x.Endpoints[name] = fault.Endpoint{Address: *address, Flag: "--" + name}
	}
	return x
}
