package event

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The sources of events.
const (
	SourceECS        = "aws.ecs"
	SourceCodeDeploy = "aws.codedeploy"
	SourceCloudWatch = "aws.cloudwatch"
	SourceSlipway    = "slipway" // what AWS has no event for
)

// The detail types of events.
const (
	DeploymentStateChange = "ECS Deployment State Change"
	ServiceAction         = "ECS Service Action"
	HookStateChange       = "ECS Hook State Change"
	CodeDeployStateChange = "CodeDeploy Deployment State-change Notification"
	AlarmStateChange      = "CloudWatch Alarm State Change"
	SlipwayEvent          = "Slipway Event"
)

// Types lists every detail type.
func Types() []string {
	return []string{DeploymentStateChange, ServiceAction, HookStateChange, CodeDeployStateChange, AlarmStateChange, SlipwayEvent}
}

// Event is one thing that happened.
type Event struct {
	ID        string // a UUID, derived from what happened
	Type      string // the detail-type
	Source    string
	Account   string
	Region    string
	Time      time.Time
	Resources []string // ARNs
	Detail    json.RawMessage
	OrderKey  string // events with the same key keep their order
	Subject   string // what it is about, for CloudEvents: a deployment's id, "cluster/service", an alarm's name
}

// Place is where an installation says that it is; AWS's events have both in every ARN.
type Place struct {
	Account string // 12 digits
	Region  string
}

// ARN of a resource of this place.
func (p Place) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + p.Region + ":" + p.Account + ":" + resource
}

// ClusterARN has ECS's shape, and so have the others.
func (p Place) ClusterARN(cluster string) string { return p.ARN("ecs", "cluster/"+cluster) }

// ServiceARN names a service.
func (p Place) ServiceARN(cluster, service string) string {
	return p.ARN("ecs", "service/"+cluster+"/"+service)
}

// ServiceDeploymentARN names a deployment.
func (p Place) ServiceDeploymentARN(cluster, service, deployment string) string {
	return p.ARN("ecs", "service-deployment/"+cluster+"/"+service+"/"+deployment)
}

// AlarmARN names an alarm.
func (p Place) AlarmARN(alarm string) string { return p.ARN("cloudwatch", "alarm:"+alarm) }

// id is a UUID of version 8 of what makes an event one and the same: what is recorded twice has one id.
func id(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	sum := h.Sum(nil)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Envelope is EventBridge's, in its order of fields.
type Envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// EventBridge returns the event as EventBridge has it. Its time has whole seconds, as there.
func (e Event) EventBridge() ([]byte, error) {
	resources := e.Resources
	if resources == nil {
		resources = []string{}
	}
	return marshal(Envelope{
		Version: "0", ID: e.ID, DetailType: e.Type, Source: e.Source, Account: e.Account, Region: e.Region,
		Time: e.Time.UTC().Format("2006-01-02T15:04:05Z"), Resources: resources, Detail: e.Detail,
	})
}

// cloudEvent is CloudEvents 1.0, structured JSON.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DetailType      string          `json:"detailtype"` // extensions, in the spec's lower case
	EventSource     string          `json:"eventsource"`
	Account         string          `json:"account"`
	Region          string          `json:"region"`
	Data            json.RawMessage `json:"data"`
}

// CloudEvent turns an envelope into a CloudEvent: the detail is its data. subject may be empty.
func CloudEvent(envelope []byte, subject string) ([]byte, error) {
	var e Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("read an event's envelope: %w", err)
	}
	source := e.Source
	if len(e.Resources) > 0 {
		source = e.Resources[0]
	}
	return marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Type: cloudType(e.Source, e.DetailType), Source: uriReference(source), Subject: subject, Time: e.Time,
		DataContentType: "application/json", DetailType: e.DetailType, EventSource: e.Source, Account: e.Account, Region: e.Region, Data: e.Detail,
	})
}

// uriReference escapes what a URI may not have; names of alarms may hold anything.
func uriReference(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}%", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// cloudType is the detail type in the manner of CloudEvents' types: "slipway.ecs.deployment-state-change".
func cloudType(source, detailType string) string {
	service := strings.TrimPrefix(source, "aws.")
	prefix := "slipway."
	if service == SourceSlipway {
		return prefix + "event"
	}
	name := detailType
	for _, brand := range []string{"ECS ", "CodeDeploy ", "CloudWatch "} {
		name = strings.TrimPrefix(name, brand)
	}
	return prefix + service + "." + strings.ReplaceAll(strings.ToLower(name), " ", "-")
}

// marshal is JSON without the escapes that are for HTML only.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write an event as JSON: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
