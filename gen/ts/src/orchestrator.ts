// The messages and services of slipway.orchestrator.v1, generated from proto/slipway/orchestrator/v1.
export * from "./gen/slipway/orchestrator/v1/appspec_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/cluster_pb.js";
export * from "./gen/slipway/orchestrator/v1/cluster_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/deployment_configuration_pb.js";
export * from "./gen/slipway/orchestrator/v1/deployment_configuration_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/deployment_pb.js";
export * from "./gen/slipway/orchestrator/v1/deployment_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/event_pb.js";
export * from "./gen/slipway/orchestrator/v1/event_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/explain_pb.js";
export * from "./gen/slipway/orchestrator/v1/plan_pb.js";
export * from "./gen/slipway/orchestrator/v1/service_pb.js";
export * from "./gen/slipway/orchestrator/v1/service_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/task_definition_pb.js";
export * from "./gen/slipway/orchestrator/v1/task_definition_service_pb.js";
export * from "./gen/slipway/orchestrator/v1/task_pb.js";
export * from "./gen/slipway/orchestrator/v1/task_service_pb.js";
