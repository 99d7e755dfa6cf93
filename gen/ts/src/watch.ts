// Streams that outlive their connections.

import type { SlipwayClient } from "./client.js";
import { hasKind, SlipwayError } from "./errors.js";
import type { Deployment, Event } from "./orchestrator.js";
import { Backoff, follower, pause } from "./timing.js";
import { canceled } from "./transport.js";

/** How a stream is watched. */
export interface WatchOptions {
  /** Ends the watch: the loop throws a SlipwayError of the kind "canceled". */
  signal?: AbortSignal | undefined;
  /** How long a lost connection is tried again before the loop throws, ms. Default 5 minutes. */
  patienceMs?: number | undefined;
  /** Called each time the connection is lost. It is made again. */
  onLost?: ((error: SlipwayError) => void) | undefined;
}

const defaultPatienceMs = 5 * 60_000;

/** The kinds of error after which a stream may go on. */
function passes(error: SlipwayError): boolean {
  return hasKind(error, "unavailable", "internal", "aborted", "resource_exhausted", "deadline_exceeded");
}

/**
 * Passes on what a stream brings and opens it again when it breaks, until it ends and ended() says that this is its end.
 * open has to ask for what comes after the last message passed on.
 */
async function* resume<T>(open: (signal: AbortSignal) => AsyncIterable<T>, ended: () => boolean, o: WatchOptions) {
  const { controller, release } = follower(o.signal);
  const backoff = new Backoff();
  let lostAt: number | undefined;
  try {
    for (;;) {
      let error: SlipwayError;
      try {
        for await (const message of open(controller.signal)) {
          lostAt = undefined;
          backoff.reset();
          yield message;
        }
        if (ended()) return;
        error = new SlipwayError({ kind: "unavailable", message: "the server ended the stream" });
      } catch (thrown) {
        error = SlipwayError.from(thrown);
      }
      if (o.signal?.aborted) throw canceled(o.signal);
      if (!passes(error)) throw error;
      lostAt ??= performance.now();
      if (performance.now() - lostAt > (o.patienceMs ?? defaultPatienceMs)) throw error;
      o.onLost?.(error);
      await pause(backoff.next(), o.signal);
    }
  } finally {
    release();
    controller.abort();
  }
}

/** Which events to watch; empty fields select all. */
export interface WatchEventsOptions extends WatchOptions {
  cluster?: string | undefined;
  service?: string | undefined;
  /** The deployment's id. */
  deployment?: string | undefined;
  /** Begin after this place, from an earlier WatchedEvent; without it with events from now on. */
  resumeToken?: string | undefined;
  /** Called each time the server has taken the watch: what happens from then on is seen. */
  onOpen?: (() => void) | undefined;
}

/** An event and its place. */
export interface WatchedEvent {
  event: Event;
  /** To begin after this event another time. */
  resumeToken: string;
}

/** The response header in which the server says where a stream of events begins. */
const resumeHeader = "slipway-resume-token";

/**
 * Watches events as they happen, over any number of broken connections, each event once. It goes on until the loop is
 * left or the signal is aborted.
 *
 *     for await (const { event } of watchEvents(client, { service: "web" })) console.log(event.reason);
 */
export async function* watchEvents(
  client: Pick<SlipwayClient, "events">,
  options: WatchEventsOptions = {},
): AsyncGenerator<WatchedEvent, void, undefined> {
  const { cluster = "", service = "", deployment = "" } = options;
  let resumeToken = options.resumeToken ?? "";
  const onHeader = (header: Headers) => {
    resumeToken ||= header.get(resumeHeader) ?? "";
    options.onOpen?.();
  };
  const open = (signal: AbortSignal) =>
    client.events.watchEvents({ cluster, service, deployment, resumeToken }, { signal, onHeader });
  for await (const message of resume(open, () => false, options)) {
    resumeToken = message.resumeToken;
    if (message.event !== undefined) yield { event: message.event, resumeToken };
  }
}

/** How a deployment is watched. */
export interface WatchDeploymentOptions extends WatchOptions {
  /** Begin after the event with this sequence; without it with the first. */
  afterSequence?: bigint | undefined;
}

/** A deployment as it stands, and the events since the progress before. */
export interface DeploymentProgress {
  deployment: Deployment;
  /** In order; none is left out and none comes twice. */
  events: Event[];
}

/** Watches a deployment until it has ended, over any number of broken connections. */
export async function* watchDeployment(
  client: Pick<SlipwayClient, "deployments">,
  id: string,
  options: WatchDeploymentOptions = {},
): AsyncGenerator<DeploymentProgress, void, undefined> {
  let after = options.afterSequence ?? 0n;
  let done = false;
  const open = (signal: AbortSignal) =>
    client.deployments.watchDeployment({ deployment: id, afterSequence: after }, { signal });
  for await (const { deployment, events } of resume(open, () => done, options)) {
    if (deployment === undefined) continue;
    const fresh = events.filter((e) => e.sequence > after);
    after = fresh.at(-1)?.sequence ?? after;
    done = deployment.finishTime !== undefined && after >= deployment.eventSequence;
    yield { deployment, events: fresh };
    if (done) return;
  }
}
