// The messages and services of slipway.hooks.v1, generated from proto/slipway/hooks/v1.
export * from "./gen/slipway/hooks/v1/hook_handler_service_pb.js";
export * from "./gen/slipway/hooks/v1/hook_pb.js";
export * from "./gen/slipway/hooks/v1/hook_service_pb.js";
export * from "./gen/slipway/hooks/v1/lifecycle_event_service_pb.js";
export * from "./gen/slipway/hooks/v1/subscription_pb.js";
export * from "./gen/slipway/hooks/v1/subscription_service_pb.js";
