// A lifecycle hook written in TypeScript, called by real deployments.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deploy, DeploymentFailedError, durationFromMs } from "@slipway/client";
import { failed, inProgress, serveHooks, succeeded, type HookCall, type HookHandler } from "@slipway/client/hook-handler";
import { DeploymentConfiguration_Strategy, LifecycleStage } from "@slipway/client/orchestrator";

import { Dev } from "./dev.js";
import { createService, loadBalancer, register } from "./workload.js";

let dev: Dev;
before(async () => {
  dev = await Dev.start();
  await register(dev.client, "hooked");
  await createService(dev.client, "hooked", { loadBalancer: await loadBalancer(dev.client, "hooked") });
});
after(() => dev.stop());

/** Serves a handler as the hook of a deployment, and deploys. Returns the calls it got. */
async function deployWith(handler: HookHandler, maxAttempts = 1): Promise<{ calls: HookCall[]; error: unknown }> {
  const calls: HookCall[] = [];
  const server = await serveHooks((call) => {
    calls.push(call);
    return handler(call);
  });
  const name = `hook-${server.address.split(":")[1]}`;
  await dev.client.hooks.registerHook({
    hook: { name, target: { case: "grpc", value: { address: server.address } }, maxAttempts },
  });
  const deploymentConfiguration = {
    strategy: DeploymentConfiguration_Strategy.BLUE_GREEN,
    lifecycleHooks: [
      {
        hook: name,
        lifecycleStages: [LifecycleStage.POST_SCALE_UP],
        hookDetails: { url: "/health" },
        timeout: durationFromMs(20_000),
      },
    ],
  };
  let error: unknown;
  try {
    await deploy(dev.client, { service: "hooked", deploymentConfiguration });
  } catch (thrown) {
    error = thrown;
  }
  await server.close();
  return { calls, error };
}

test("A hook that succeeds lets the deployment go on, and is told what it does", async () => {
  const { calls, error } = await deployWith(() => succeeded());
  assert.equal(error, undefined);
  assert.equal(calls.length, 1);
  const [call] = calls;
  assert(call);
  assert.equal(call.stage, "POST_SCALE_UP");
  assert.equal(call.attempt, 1);
  assert.equal(`${call.cluster}/${call.service}`, "default/hooked");
  assert.match(call.targetServiceRevision, /^default\/hooked\/\d+$/);
  assert.match(call.deployment, /^d-/);
  assert(call.executionId.includes(call.deployment));
  assert.deepEqual(call.details, { url: "/health" });
});

test("A hook that fails rolls the deployment back and says why", async () => {
  const { calls, error } = await deployWith(() => failed("the smoke test found 3 errors"));
  assert.equal(calls.length, 1);
  assert(error instanceof DeploymentFailedError, String(error));
  assert(error.rolledBack);
  assert.match(error.message, /the smoke test found 3 errors/);
});

test("A hook that is in progress is called again with what it returned", async () => {
  const { calls, error } = await deployWith((call) =>
    call.details["run"] === undefined ? inProgress({ callBackDelayMs: 50, details: { run: 17 } }) : succeeded(),
  );
  assert.equal(error, undefined);
  assert.deepEqual(calls.map((c) => c.details), [{ url: "/health" }, { url: "/health", run: 17 }]);
  assert.deepEqual(calls.map((c) => c.attempt), [1, 2]);
  assert.equal(calls[0]?.executionId, calls[1]?.executionId);
});

test("A hook that throws is called again, and then rolls the deployment back", async () => {
  const once = await deployWith((call) => {
    if (call.attempt === 1) throw new Error("no connection");
    return succeeded();
  }, 2);
  assert.equal(once.error, undefined);
  assert.equal(once.calls.length, 2);
  const always = await deployWith(() => Promise.reject(new Error("no connection")));
  assert(always.error instanceof DeploymentFailedError, String(always.error));
  assert.match(always.error.message, /the handler threw: no connection/);
});

test("A server that closes waits for the call under way, but not for ever", async () => {
  let called = () => {};
  const underWay = new Promise<void>((resolve) => (called = resolve));
  const server = await serveHooks((call) => {
    called();
    return new Promise((resolve) => call.signal.addEventListener("abort", () => resolve(failed("cut off"))));
  });
  await dev.client.hooks.registerHook({
    hook: { name: "slow", target: { case: "grpc", value: { address: server.address } }, maxAttempts: 1 },
  });
  await dev.client.hooks.invokeHook({
    generation: 1n,
    invocation: { id: "by-hand", hook: "slow", service: "default/none", deployment: "d-none", lifecycleStage: "POST_SCALE_UP" },
  });
  await underWay;
  const began = performance.now();
  await server.close(200);
  const took = performance.now() - began;
  assert(took >= 199 && took < 5_000, `${took} ms`);
});
