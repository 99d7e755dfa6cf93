// What is the same in Node and in browsers. node.ts and web.ts add createClient.

export type { Addresses, ClientOptions, Protocol, SlipwayClient } from "./client.js";
export { deploy, DeploymentFailedError, waitForDeployment, type DeployRequest, type WaitOptions } from "./deploy.js";
export { hasKind, hasReason, SlipwayError, type ErrorFields, type Kind, type Reason, type Violation } from "./errors.js";
export { pages, type Page, type PageRequest } from "./pages.js";
export {
  watchDeployment,
  watchEvents,
  type DeploymentProgress,
  type WatchDeploymentOptions,
  type WatchedEvent,
  type WatchEventsOptions,
  type WatchOptions,
} from "./watch.js";

// What is needed to make and read messages, so that one import is enough.
export { create, fromJson, toJson, toJsonString, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
export {
  durationFromMs,
  durationMs,
  timestampDate,
  timestampFromDate,
  type Duration,
  type Timestamp,
} from "@bufbuild/protobuf/wkt";
export { Code } from "@connectrpc/connect";
