// The messages and services of slipway.runtime.v1, generated from proto/slipway/runtime/v1.
export * from "./gen/slipway/runtime/v1/runtime_pb.js";
export * from "./gen/slipway/runtime/v1/runtime_service_pb.js";
