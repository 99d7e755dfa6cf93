// The entry point for browsers: the Connect protocol or gRPC-Web, over fetch.

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { assemble, type ClientOptions, type Protocol, type SlipwayClient } from "./client.js";

export * from "./index.js";

/** Options of the client in browsers. The addresses are by default the page's own origin. */
export interface WebClientOptions extends ClientOptions {
  /** Default "connect": JSON that the browser's tools can show. */
  protocol?: Exclude<Protocol, "grpc"> | undefined;
  /** In place of the browser's fetch. */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Makes a client.
 *
 * @throws TypeError when an option is wrong.
 */
export function createClient(options: WebClientOptions = {}): SlipwayClient {
  const here = globalThis.location?.origin ?? "http://localhost";
  return assemble(options, {
    addresses: { orchestrator: here, hooks: here, healthcheck: here, alarms: here },
    tls: false,
    open: (baseUrl, interceptors) => {
      const common = { baseUrl, interceptors, ...(options.fetch && { fetch: options.fetch }) };
      return options.protocol === "grpc-web" ? createGrpcWebTransport(common) : createConnectTransport(common);
    },
    randomId,
    close: () => {},
  });
}

/** crypto.randomUUID is for secure contexts only, and a page that came over http:// is none. */
function randomId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
