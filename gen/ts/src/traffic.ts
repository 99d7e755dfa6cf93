// The messages and services of slipway.traffic.v1, generated from proto/slipway/traffic/v1.
export * from "./gen/slipway/traffic/v1/traffic_pb.js";
export * from "./gen/slipway/traffic/v1/traffic_service_pb.js";
