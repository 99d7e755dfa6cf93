// Lifecycle hooks written in TypeScript: a server of slipway.hooks.v1.HookHandlerService. Node only.

import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";

import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import {
  Contract,
  HookHandlerService,
  HookStatus,
  type HandleHookRequest,
  type HandleHookResponseSchema,
} from "./hooks.js";
import type { LifecycleStage } from "./orchestrator.js";

/** The lifecycle stages, e.g. "POST_TEST_TRAFFIC_SHIFT". */
export type Stage = Exclude<keyof typeof LifecycleStage, "UNSPECIFIED">;

/** One call of a hook: one attempt at one stage of one deployment. */
export interface HookCall {
  /** The invocation's id; the same in all its attempts. */
  executionId: string;
  /** The attempt's number, from 1. After a crash the same attempt may come again: answer it the same way. */
  attempt: number;
  /** The stage the deployment is at. */
  stage: Stage | (string & {});
  /** The deployment's id. */
  deployment: string;
  /**
   * CodeDeploy's contract: what the handler answers does not count. The call is made once, and the result is told by
   * client.lifecycleEvents.putLifecycleEventHookExecutionStatus with deployment and executionId. Only these, the attempt
   * and the stage are set.
   */
  reportBack: boolean;
  /** The service's cluster. */
  cluster: string;
  /** The service's name. */
  service: string;
  /** The new service revision, also while rolling back. */
  targetServiceRevision: string;
  /** Percent of test traffic by service revision, at TEST_TRAFFIC_SHIFT. */
  testTrafficWeights: Record<string, number>;
  /** Percent of production traffic by service revision, at PRE_PRODUCTION_TRAFFIC_SHIFT and PRODUCTION_TRAFFIC_SHIFT. */
  productionTrafficWeights: Record<string, number>;
  /** The hook's configured details, and what earlier attempts of this invocation returned. */
  details: JsonObject;
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/** An answer, made by succeeded, failed or inProgress. */
export type HookResult = MessageInitShape<typeof HandleHookResponseSchema>;

/** The deployment goes on. */
export function succeeded(reason = ""): HookResult {
  return { hookStatus: HookStatus.SUCCEEDED, reason };
}

/** The deployment rolls back, for this reason. */
export function failed(reason: string): HookResult {
  return { hookStatus: HookStatus.FAILED, reason };
}

/** The work goes on: the hook is called again after the delay (by default 30 s), with these details among its own. */
export function inProgress(o: { callBackDelayMs?: number; details?: JsonObject; reason?: string } = {}): HookResult {
  return {
    hookStatus: HookStatus.IN_PROGRESS,
    reason: o.reason ?? "",
    ...(o.callBackDelayMs !== undefined && { callBackDelay: durationFromMs(o.callBackDelayMs) }),
    ...(o.details !== undefined && { hookDetails: o.details }),
  };
}

/**
 * What users write. An error it throws is no answer: the hook is called again, up to its max_attempts, and then the
 * deployment rolls back. To roll back at once, return failed().
 */
export type HookHandler = (call: HookCall) => HookResult | Promise<HookResult>;

/** The routes of a handler, to serve it with an adapter of Connect (connect-node, connect-fastify, connect-express). */
export function hookRoutes(handler: HookHandler): (router: ConnectRouter) => void {
  return (router) => {
    router.service(HookHandlerService, {
      async handleHook(request, context) {
        try {
          return await handler(callOf(request, context.signal));
        } catch (thrown) {
          if (thrown instanceof ConnectError) throw thrown;
          const text = thrown instanceof Error ? thrown.message : String(thrown);
          throw new ConnectError(`the handler threw: ${text}`, Code.Internal, undefined, undefined, thrown);
        }
      },
    });
  };
}

function callOf(r: HandleHookRequest, signal: AbortSignal): HookCall {
  const details = r.executionDetails;
  const [cluster = "", service = ""] = (details?.serviceArn ?? "").split("/").slice(-2);
  return {
    executionId: r.executionId,
    attempt: r.attempt,
    stage: r.lifecycleStage,
    deployment: r.deploymentId || (r.resourceArn.split("/").at(-1) ?? ""),
    reportBack: r.contract === Contract.CODEDEPLOY,
    cluster,
    service,
    targetServiceRevision: details?.targetServiceRevisionArn ?? "",
    testTrafficWeights: details?.testTrafficWeights ?? {},
    productionTrafficWeights: details?.productionTrafficWeights ?? {},
    details: r.hookDetails ?? {},
    signal,
  };
}

/** Where a handler is served. */
export interface ServeHooksOptions {
  /** Default "127.0.0.1". */
  host?: string | undefined;
  /** Default 0, a free one. */
  port?: number | undefined;
  /** PEM of a certificate and its key, for hooks registered with tls. */
  tls?: { cert: string | Uint8Array; key: string | Uint8Array } | undefined;
}

/** A running server. */
export interface HookServer {
  /** host:port, as RegisterHook takes it. */
  readonly address: string;
  /** Takes no more calls and waits for those under way, up to graceMs (default 5000). */
  close(graceMs?: number): Promise<void>;
}

/**
 * Serves a handler over gRPC:
 *
 *     const server = await serveHooks(async (call) => (await smokeTest(call)) ? succeeded() : failed("the smoke test"));
 *     await client.hooks.registerHook({
 *       hook: { name: "smoke-test", target: { case: "grpc", value: { address: server.address } } },
 *     });
 */
export async function serveHooks(handler: HookHandler, options: ServeHooksOptions = {}): Promise<HookServer> {
  const { host = "127.0.0.1", port = 0, tls } = options;
  const routes = connectNodeAdapter({ routes: hookRoutes(handler) });
  const pem = (value: string | Uint8Array) => Buffer.from(value as Uint8Array);
  const server = tls
    ? http2.createSecureServer({ cert: pem(tls.cert), key: pem(tls.key) }, routes)
    : http2.createServer(routes);
  const sessions = new Set<http2.Http2Session>();
  server.on("session", (session: http2.Http2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const at = server.address() as AddressInfo;
  const address = `${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}`;
  return { address, close: (graceMs = 5_000) => closeServer(server, sessions, graceMs) };
}

async function closeServer(server: http2.Http2Server, sessions: Set<http2.Http2Session>, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const session of sessions) session.close();
  const cut = setTimeout(() => sessions.forEach((session) => session.destroy()), graceMs);
  await closed;
  clearTimeout(cut);
}
