// Streams that close when their reader leaves.

import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { createClient, type CallOptions, type Client, type Transport } from "@connectrpc/connect";

import { follower } from "./timing.js";

type Stream = (request: MessageInitShape<DescMessage>, options?: CallOptions) => AsyncIterable<MessageShape<DescMessage>>;

/**
 * Makes a service's client. Connect's own keeps a stream open until its signal is aborted; here leaving the loop, by break,
 * return or an error, closes it. A stream is opened when its loop begins.
 */
export function serviceClient<S extends DescService>(service: S, transport: Transport): Client<S> {
  const client = createClient(service, transport);
  const methods = client as Record<string, unknown>;
  for (const method of service.methods) {
    if (method.methodKind !== "server_streaming") continue;
    const open = methods[method.localName] as Stream;
    methods[method.localName] = (request: MessageInitShape<DescMessage>, options: CallOptions = {}) =>
      leaving(open, request, options);
  }
  return client;
}

async function* leaving(open: Stream, request: MessageInitShape<DescMessage>, options: CallOptions) {
  const { controller, release } = follower(options.signal);
  try {
    yield* open(request, { ...options, signal: controller.signal });
  } finally {
    release();
    controller.abort();
  }
}
