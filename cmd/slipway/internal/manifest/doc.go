// Package manifest turns files into messages of the API. A document of a file is the body of one request in
// protojson, written as YAML or JSON, e.g. {"taskDefinition": {...}}: what grpcurl takes, a file takes. Two
// things may be written shorter: an enum's value without its prefix, and a duration as "5m".
//
// The package knows the contract's descriptors and no server. A mistake in a file is told with file, line and
// column, all mistakes at once.
package manifest

import (
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Kind is what a document describes: the one key of the document that holds the resource.
type Kind string

// The kinds.
const (
	Cluster          Kind = "cluster"
	TargetGroup      Kind = "targetGroup"
	Alarm            Kind = "alarm"
	CompositeAlarm   Kind = "compositeAlarm"
	Hook             Kind = "hook"
	DeploymentConfig Kind = "deploymentConfig"
	TaskDefinition   Kind = "taskDefinition"
	Service          Kind = "service"
)

// Kinds lists the kinds in the order in which they are applied: what is named before what names it.
func Kinds() []Kind {
	return []Kind{Cluster, TargetGroup, Alarm, CompositeAlarm, Hook, DeploymentConfig, TaskDefinition, Service}
}

// request returns an empty message of the kind's request. A service's is that of its update, which has every
// field that its creation has.
func (k Kind) request() proto.Message {
	switch k {
	case Cluster:
		return &orchestratorpb.CreateClusterRequest{}
	case TargetGroup:
		return &healthcheckpb.CreateTargetGroupRequest{}
	case Alarm:
		return &alarmspb.PutMetricAlarmRequest{}
	case CompositeAlarm:
		return &alarmspb.PutCompositeAlarmRequest{}
	case Hook:
		return &hookspb.RegisterHookRequest{}
	case DeploymentConfig:
		return &orchestratorpb.CreateDeploymentConfigRequest{}
	case TaskDefinition:
		return &orchestratorpb.RegisterTaskDefinitionRequest{}
	case Service:
		return &orchestratorpb.UpdateServiceRequest{}
	}
	return nil
}

// Document is one resource of a file.
type Document struct {
	// Kind is what it describes.
	Kind Kind
	// Name is the resource's name, for messages to people; a task definition's is its family.
	Name string
	// Request is the request that the document is the body of; a service's is an UpdateServiceRequest.
	Request proto.Message
	// At is where the document begins.
	At Position

	fields map[string]Position
}

// Has reports whether the document has the field, e.g. "service.desired_count", whatever its value is.
func (d Document) Has(path string) bool {
	_, ok := d.fields[path]
	return ok
}

// Find returns where the field is, e.g. "service.load_balancer.target_group", or where the nearest field around
// it is. Paths may be written with or without the name of the resource in front.
func (d Document) Find(path string) Position {
	for _, p := range []string{path, snake(string(d.Kind)) + "." + path} {
		for p != "" {
			if at, ok := d.fields[p]; ok {
				return at
			}
			p = parent(p)
		}
	}
	return d.At
}
