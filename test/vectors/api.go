package main

import (
	"google.golang.org/grpc"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// api is the parts of the public API that rows are checked with.
type api struct {
	deployments   orchestratorpb.DeploymentServiceClient
	subscriptions hookspb.SubscriptionServiceClient
	targetGroups  healthcheckpb.TargetGroupServiceClient
	alarms        alarmspb.AlarmServiceClient
	conns         []*grpc.ClientConn
}

func dial(a stack.Addresses) (*api, error) {
	p := &api{}
	var failed error
	open := func(address string) grpc.ClientConnInterface {
		cc, err := grpcclient.Dial(grpcclient.Config{Target: address, Name: "vectors"})
		if err != nil {
			failed = err
			return nil
		}
		p.conns = append(p.conns, cc)
		return cc
	}
	p.deployments = orchestratorpb.NewDeploymentServiceClient(open(a.Orchestrator))
	p.subscriptions = hookspb.NewSubscriptionServiceClient(open(a.Hooks))
	p.targetGroups = healthcheckpb.NewTargetGroupServiceClient(open(a.Healthcheck))
	p.alarms = alarmspb.NewAlarmServiceClient(open(a.Alarms))
	return p, failed
}

func (p *api) close() {
	for _, cc := range p.conns {
		_ = cc.Close()
	}
}
