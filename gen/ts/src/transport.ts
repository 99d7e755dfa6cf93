// What every call of this client has, whatever protocol carries it: a deadline, attempts, and SlipwayErrors.

import {
  create,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import type { Interceptor, Transport } from "@connectrpc/connect";

import { SlipwayError } from "./errors.js";
import { Backoff, follower, pause } from "./timing.js";

/** How calls are made. */
export interface CallDefaults {
  /** Names the server in messages, e.g. "orchestrator at http://127.0.0.1:7001". */
  peer: string;
  /** How long a call without a timeoutMs of its own may take with all its attempts, ms; 0 for ever. Not for streams. */
  timeoutMs: number;
  /** How often a call is sent while the server cannot be reached. */
  maxAttempts: number;
  /** An id that no other has. */
  randomId: () => string;
  /** Where each call is kept until it has ended, so that all can be ended. */
  underWay: Set<AbortController>;
}

/**
 * Wraps a transport. A call fails with a SlipwayError. It is sent again only when the service is unavailable, and only
 * where that can do no harm: a read, or a change with a request_id. A change gets a random one when it has none, so that
 * sending it twice does it once. A stream has no deadline.
 */
export function slipwayTransport(inner: Transport, defaults: CallDefaults): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const message = whole(method, input, defaults.randomId);
      const limit = timeoutMs ?? defaults.timeoutMs;
      const end = limit > 0 ? performance.now() + limit : Infinity;
      const attempts = safeToRepeat(method) ? defaults.maxAttempts : 1;
      const backoff = new Backoff();
      const call = begin(defaults.underWay, signal);
      try {
        for (let attempt = 1; ; attempt++) {
          const left = end === Infinity ? 0 : Math.max(1, Math.round(end - performance.now()));
          try {
            return await inner.unary(method, call.signal, left, header, message, contextValues);
          } catch (thrown) {
            const error = SlipwayError.from(thrown, defaults.peer);
            const wait = backoff.next();
            if (error.kind !== "unavailable" || attempt >= attempts || performance.now() + wait >= end) throw error;
            await pause(wait, call.signal);
            if (call.signal.aborted) throw canceled(call.signal);
          }
        }
      } finally {
        call.end();
      }
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const call = begin(defaults.underWay, signal);
      try {
        const response = await inner.stream(method, call.signal, timeoutMs ?? 0, header, input, contextValues);
        return { ...response, message: ending(response.message, call, defaults.peer) };
      } catch (thrown) {
        call.end();
        throw SlipwayError.from(thrown, defaults.peer);
      }
    },
  };
}

/** A call under way. */
interface Call {
  /** Ends the call: the caller's own signal, or that the client is closed. */
  signal: AbortSignal;
  /** Says that it has ended; what is left of it is closed. */
  end: () => void;
}

function begin(underWay: Set<AbortController>, signal?: AbortSignal): Call {
  const { controller, release } = follower(signal);
  underWay.add(controller);
  const end = () => {
    release();
    underWay.delete(controller);
    controller.abort();
  };
  return { signal: controller.signal, end };
}

/** Passes messages on, and notes the end. */
async function* ending<T>(messages: AsyncIterable<T>, call: Call, peer: string) {
  try {
    yield* messages;
  } catch (thrown) {
    throw SlipwayError.from(thrown, peer);
  } finally {
    call.end();
  }
}

/** The error of a call whose signal was aborted. */
export function canceled(signal: AbortSignal): SlipwayError {
  return new SlipwayError({ kind: "canceled", message: "the call was canceled", cause: signal.reason });
}

function safeToRepeat(method: DescMethod): boolean {
  return method.idempotency === Idempotency.NO_SIDE_EFFECTS || method.input.field["requestId"] !== undefined;
}

/** The message to send: one that can be encoded, with a request_id where there is a field for it. */
function whole<I extends DescMessage>(
  method: DescMethodUnary<I>,
  input: MessageInitShape<I>,
  randomId: () => string,
): MessageInitShape<I> {
  const message: Message & { requestId?: string } = create<DescMessage>(method.input, input);
  try {
    toBinary<DescMessage>(method.input, message); // while it is sent, an error looks like one of the connection
  } catch (cause) {
    throw new SlipwayError({ kind: "invalid_argument", message: cause instanceof Error ? cause.message : String(cause), cause });
  }
  if (message.requestId !== "") return message as unknown as MessageInitShape<I>;
  // The caller's own message stays as it is: used a second time it is another request.
  return { ...message, requestId: randomId() } as unknown as MessageInitShape<I>;
}

/** Sends "authorization: Bearer <token>" with each call. */
export function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
