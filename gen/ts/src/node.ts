// The entry point for Node: native gRPC over HTTP/2.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";

import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";

import { assemble, type Addresses, type ClientOptions, type Protocol, type SlipwayClient } from "./client.js";

export * from "./index.js";

/** Options of the client in Node. */
export interface NodeClientOptions extends ClientOptions {
  /** Default "grpc", over HTTP/2. The others go over HTTP/1.1, where HTTP/2 does not get through. */
  protocol?: Protocol | undefined;
  /** For https:// addresses; with it host:port is TLS on this machine too. */
  tls?: TlsOptions | undefined;
}

/** How TLS is spoken. */
export interface TlsOptions {
  /** The authorities to trust, PEM; the system's by default. */
  ca?: string | Uint8Array | undefined;
  /** A client certificate, PEM. */
  cert?: string | Uint8Array | undefined;
  /** Its key, PEM. */
  key?: string | Uint8Array | undefined;
  /** The name in the server's certificate, when it is not the address's host. */
  servername?: string | undefined;
}

/** Where `slipway dev` and the services by default listen. */
const local: Addresses = {
  orchestrator: "http://127.0.0.1:7001",
  hooks: "http://127.0.0.1:7002",
  healthcheck: "http://127.0.0.1:7003",
  alarms: "http://127.0.0.1:7004",
};

// As in Slipway's own clients: a dead connection is found within 15 s. The services allow a ping each 5 s.
const keepalive = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

/**
 * Makes a client. Nothing is connected before the first call, and a connection that broke is made again with the next.
 * An idle client does not keep the program running; close() ends its connections at once.
 *
 * @throws TypeError when an option is wrong.
 */
export function createClient(options: NodeClientOptions = {}): SlipwayClient {
  const closed: (() => void)[] = [];
  const nodeOptions = options.tls === undefined ? {} : tlsOptions(options.tls);
  return assemble(options, {
    addresses: local,
    tls: options.tls !== undefined,
    open: (baseUrl, interceptors) => {
      if (options.protocol === undefined || options.protocol === "grpc") {
        const sessionManager = new Http2SessionManager(baseUrl, keepalive, nodeOptions);
        closed.push(() => sessionManager.abort());
        return createGrpcTransport({ baseUrl, interceptors, sessionManager });
      }
      const { Agent } = baseUrl.startsWith("https:") ? https : http;
      const agent = new Agent({ keepAlive: true });
      closed.push(() => agent.destroy());
      const common = { baseUrl, interceptors, httpVersion: "1.1" as const, nodeOptions: { ...nodeOptions, agent } };
      return options.protocol === "connect" ? createConnectTransport(common) : createGrpcWebTransport(common);
    },
    randomId: randomUUID,
    close: () => closed.forEach((close) => close()),
  });
}

/** Node wants its own buffers, and nothing that is undefined. */
function tlsOptions(tls: TlsOptions): Record<string, string | Buffer> {
  const options: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(tls) as [string, string | Uint8Array | undefined][]) {
    if (value !== undefined) options[name] = typeof value === "string" ? value : Buffer.from(value);
  }
  return options;
}

/**
 * The options that the command line takes from its environment: SLIPWAY_ORCHESTRATOR, SLIPWAY_HOOKS,
 * SLIPWAY_HEALTHCHECK, SLIPWAY_ALARMS, SLIPWAY_TOKEN, SLIPWAY_INSECURE, and SLIPWAY_TLS_CA, a PEM file.
 *
 * @throws when that file cannot be read.
 */
export function optionsFromEnv(env: Record<string, string | undefined> = process.env): NodeClientOptions {
  const ca = env["SLIPWAY_TLS_CA"];
  return {
    orchestrator: env["SLIPWAY_ORCHESTRATOR"] || undefined,
    hooks: env["SLIPWAY_HOOKS"] || undefined,
    healthcheck: env["SLIPWAY_HEALTHCHECK"] || undefined,
    alarms: env["SLIPWAY_ALARMS"] || undefined,
    token: env["SLIPWAY_TOKEN"] || undefined,
    insecure: /^(1|t|true)$/i.test(env["SLIPWAY_INSECURE"] ?? ""),
    tls: ca ? { ca: readFileSync(ca) } : undefined,
  };
}
