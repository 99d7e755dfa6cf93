// The messages and services of slipway.alarms.v1, generated from proto/slipway/alarms/v1.
export * from "./gen/slipway/alarms/v1/alarm_pb.js";
export * from "./gen/slipway/alarms/v1/alarm_service_pb.js";
