// Streams over connections that break.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Interceptor } from "@connectrpc/connect";
import {
  createClient,
  hasKind,
  waitForDeployment,
  watchDeployment,
  watchEvents,
  type SlipwayClient,
  type WatchedEvent,
} from "@slipway/client";
import {
  DeploymentConfiguration_Strategy,
  LifecycleHookStatus_Status,
  LifecycleStage as Stage,
  type Deployment,
} from "@slipway/client/orchestrator";

import { Dev, eventually } from "./dev.js";
import { Forwarder } from "./forwarder.js";
import { createService, loadBalancer, register } from "./workload.js";

let dev: Dev;
let forwarder: Forwarder;
let client: SlipwayClient; // its orchestrator is behind the forwarder
before(async () => {
  dev = await Dev.start();
  forwarder = await Forwarder.to(dev.addresses.orchestrator);
  client = createClient({ ...dev.addresses, orchestrator: forwarder.address });
});
after(async () => {
  client.close();
  await forwarder.close();
  await dev.stop();
});

/** The sequences of all events of a deployment, as the server lists them. */
async function listed(deployment: string): Promise<bigint[]> {
  return (await dev.client.events.listEvents({ deployment, pageSize: 1000 })).events.map((e) => e.sequence);
}

/** Begins a deployment and waits for nothing. */
async function begin(service: string): Promise<string> {
  const { deployment } = await dev.client.deployments.createDeployment({ service });
  assert(deployment);
  return deployment.id;
}

/** Creates a service whose deployments pause four times, so that a test says when they go on. */
async function createPausing(service: string): Promise<void> {
  await register(dev.client, service);
  await createService(dev.client, service, { loadBalancer: await loadBalancer(dev.client, service) });
  const stages = [Stage.PRE_SCALE_UP, Stage.POST_SCALE_UP, Stage.POST_TEST_TRAFFIC_SHIFT, Stage.POST_PRODUCTION_TRAFFIC_SHIFT];
  const deploymentConfiguration = {
    strategy: DeploymentConfiguration_Strategy.BLUE_GREEN,
    lifecycleHooks: [{ pause: true, lifecycleStages: stages }],
  };
  const { deployment } = await dev.client.services.updateService({ service: { name: service, deploymentConfiguration } });
  assert.equal(deployment, undefined);
}

/** The pause that a deployment waits at. */
function pausedAt(deployment: Deployment): string | undefined {
  return deployment.lifecycleHooks.find((h) => h.status === LifecycleHookStatus_Status.AWAITING_ACTION)?.hookId;
}

test("A deployment is watched to its end, each event once, over cut connections", async () => {
  await createPausing("cut");
  const id = await begin("cut");
  const seen: bigint[] = [];
  const answered = new Set<string>();
  let lost = 0;
  for await (const { deployment, events } of watchDeployment(client, id, { onLost: () => void lost++ })) {
    seen.push(...events.map((e) => e.sequence));
    const hookId = pausedAt(deployment);
    if (hookId === undefined || answered.has(hookId)) continue;
    answered.add(hookId);
    forwarder.cut();
    await dev.client.deployments.continueDeployment({ deployment: id, hookId });
  }
  assert.equal(answered.size, 4);
  assert.equal(lost, 4);
  assert.deepEqual(seen, await listed(id));
  assert.deepEqual(seen, Array.from(seen, (_, i) => BigInt(i + 1)));
});

test("A message that is cut in the middle is not lost", async () => {
  await register(dev.client, "half");
  await createService(dev.client, "half");
  const id = await begin("half");
  await waitForDeployment(dev.client, id);
  const seen: bigint[] = [];
  let halves = 3;
  forwarder.onAnswer = (piece) => {
    if (piece.length < 200 || halves === 0) return "pass"; // the handshake
    halves--;
    return "half";
  };
  for await (const { events } of watchDeployment(client, id)) seen.push(...events.map((e) => e.sequence));
  forwarder.onAnswer = () => "pass";
  assert.equal(halves, 0);
  assert.deepEqual(seen, await listed(id));
});

/** Events of a service, watched through the forwarder in the background until stop. */
function watchInBackground(service: string) {
  const controller = new AbortController();
  const watch = { seen: [] as WatchedEvent[], opened: 0 };
  const options = { service, signal: controller.signal, onOpen: () => void watch.opened++ };
  const ended = (async () => {
    for await (const watched of watchEvents(client, options)) watch.seen.push(watched);
  })();
  const stop = async () => {
    controller.abort();
    await assert.rejects(ended, (e) => hasKind(e, "canceled"));
  };
  const of = (id: string) => watch.seen.filter(({ event }) => event.deployment === id).map(({ event }) => event.sequence);
  return { watch, stop, of };
}

test("Events are watched from now on, each once, over cut connections", async (t) => {
  await createPausing("events");
  const { watch, stop, of } = watchInBackground("events");
  t.after(stop);
  await eventually("the watch is open", () => watch.opened === 1);
  const id = await begin("events");
  const answered = new Set<string>();
  for await (const { deployment } of watchDeployment(dev.client, id)) {
    const hookId = pausedAt(deployment);
    if (hookId === undefined || answered.has(hookId)) continue;
    answered.add(hookId);
    forwarder.cut();
    await dev.client.deployments.continueDeployment({ deployment: id, hookId });
    await eventually("the watch is open again", () => watch.opened === 1 + answered.size);
  }
  const all = await listed(id);
  await eventually("all events are seen", () => of(id).length >= all.length);
  assert.deepEqual(of(id), all);
});

test("What happens before the first event of a broken stream is seen is not missed", async (t) => {
  await register(dev.client, "early");
  await createService(dev.client, "early");
  const { watch, stop, of } = watchInBackground("early");
  t.after(stop);
  await eventually("the watch is open", () => watch.opened === 1);
  forwarder.down = true;
  forwarder.cut();
  const id = await begin("early");
  await waitForDeployment(dev.client, id);
  forwarder.down = false;
  const all = await listed(id);
  await eventually("all events are seen", () => of(id).length >= all.length);
  assert.deepEqual(of(id), all);
});

test("A resume token begins after its event another time", async (t) => {
  await register(dev.client, "token");
  await createService(dev.client, "token");
  const { watch, stop, of } = watchInBackground("token");
  t.after(stop);
  await eventually("the watch is open", () => watch.opened === 1);
  const id = await begin("token");
  await waitForDeployment(dev.client, id);
  const all = await listed(id);
  await eventually("all events are seen", () => of(id).length >= all.length);
  const first = watch.seen.find(({ event }) => event.deployment === id);
  const rest: bigint[] = [];
  for await (const { event } of watchEvents(client, { deployment: id, resumeToken: first?.resumeToken })) {
    rest.push(event.sequence);
    if (rest.length === all.length - 1) break;
  }
  assert.deepEqual(rest, all.slice(1));
});

test("A watch gives up after its patience, and at once when there is nothing to watch", async () => {
  forwarder.down = true;
  forwarder.cut();
  const began = performance.now();
  const watching = async () => {
    for await (const _ of watchDeployment(client, "d-1", { patienceMs: 300 })) assert.fail("something was seen");
  };
  await assert.rejects(watching, (e) => hasKind(e, "unavailable"));
  assert(performance.now() - began >= 300);
  forwarder.down = false;
  await assert.rejects(watching, (e) => hasKind(e, "not_found"));
});

test("Leaving the loop of a plain stream closes it", async (t) => {
  await register(dev.client, "plain");
  await createService(dev.client, "plain");
  let signal: AbortSignal | undefined;
  const noteSignal: Interceptor = (next) => (request) => {
    signal = request.signal;
    return next(request);
  };
  const plain = createClient({ ...dev.addresses, interceptors: [noteSignal] });
  t.after(() => plain.close());
  const id = await begin("plain");
  for await (const { deployment } of plain.deployments.watchDeployment({ deployment: id })) {
    assert.equal(deployment?.id, id);
    assert.equal(signal?.aborted, false);
    break;
  }
  assert.equal(signal?.aborted, true);
});
