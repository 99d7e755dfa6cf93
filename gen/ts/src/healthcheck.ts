// The messages and services of slipway.healthcheck.v1, generated from proto/slipway/healthcheck/v1.
export * from "./gen/slipway/healthcheck/v1/target_group_pb.js";
export * from "./gen/slipway/healthcheck/v1/target_group_service_pb.js";
