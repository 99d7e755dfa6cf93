// Package event is what subscribers are told: it turns what the orchestrator and the alarms service say into the events
// of Amazon ECS, CodeDeploy and CloudWatch, in EventBridge's envelope or as CloudEvents. It is pure: an event made twice
// of the same fact is the same, with the same id.
//
// Detail types and fields are those of the ECS developer guide (ecs_cwe_events, ecs_service_deployment_events), the
// CodeDeploy user guide (monitoring-cloudwatch-events) and the CloudWatch user guide (cloudwatch-and-eventbridge).
package event
