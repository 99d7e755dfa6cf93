// Deploying and waiting for the end.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deploy, DeploymentFailedError, hasKind, hasReason } from "@slipway/client";
import {
  Deployment_State,
  DeploymentConfiguration_Strategy,
  LifecycleStage,
  StopDeploymentRequest_StopType,
  ThresholdConfiguration_Type,
} from "@slipway/client/orchestrator";

import { Dev } from "./dev.js";
import { createService, loadBalancer, register, rolling } from "./workload.js";

let dev: Dev;
before(async () => void (dev = await Dev.start()));
after(() => dev.stop());

/** The error of a deployment that must fail. */
async function failure(deploying: Promise<unknown>): Promise<DeploymentFailedError> {
  try {
    await deploying;
  } catch (error) {
    assert(error instanceof DeploymentFailedError, String(error));
    return error;
  }
  assert.fail("the deployment succeeded");
}

test("A deployment that succeeds is returned, and its progress is told", async () => {
  await register(dev.client, "good");
  await createService(dev.client, "good", { desiredCount: 2 });
  const taskDefinition = await register(dev.client, "good", { VERSION: "v2" });
  const states = new Set<Deployment_State>();
  const events: string[] = [];
  const deployment = await deploy(dev.client, { service: "good", taskDefinition }, {
    onProgress: (p) => {
      states.add(p.deployment.state);
      events.push(...p.events.map((e) => e.name));
    },
  });
  assert.equal(deployment.state, Deployment_State.SUCCESSFUL);
  assert.equal(deployment.targetServiceRevision?.taskDefinition, "good:2");
  assert(states.has(Deployment_State.SUCCESSFUL));
  assert.equal(events[0], "SERVICE_DEPLOYMENT_IN_PROGRESS");
  assert(events.includes("SERVICE_DEPLOYMENT_COMPLETED"), events.join());
});

test("A deployment that fails throws what became of it", async () => {
  await register(dev.client, "bad");
  await createService(dev.client, "bad", {
    deploymentConfiguration: {
      ...rolling,
      deploymentCircuitBreaker: {
        enable: true,
        rollback: true,
        thresholdConfiguration: { type: ThresholdConfiguration_Type.COUNT, value: 1 },
      },
    },
  });
  const taskDefinition = await register(dev.client, "bad", { EXIT_AFTER: "0s" });
  const error = await failure(deploy(dev.client, { service: "bad", taskDefinition }));
  assert.equal(error.deployment.state, Deployment_State.ROLLBACK_SUCCESSFUL);
  assert(error.rolledBack);
  assert.match(error.message, new RegExp(`deployment ${error.deployment.id} of bad: rollback successful: .*failed`));
  assert.equal(error.deployment.taskFailures?.failureCount, 1);
});

test("A deployment that is stopped throws, and one that waits can be left", async () => {
  await register(dev.client, "paused");
  await createService(dev.client, "paused", { loadBalancer: await loadBalancer(dev.client, "paused") });
  const request = {
    service: "paused",
    deploymentConfiguration: {
      strategy: DeploymentConfiguration_Strategy.BLUE_GREEN,
      lifecycleHooks: [{ pause: true, lifecycleStages: [LifecycleStage.POST_SCALE_UP] }],
    },
  };
  const leave = new AbortController();
  let id = "";
  const left = deploy(dev.client, request, {
    signal: leave.signal,
    onProgress: ({ deployment }) => {
      id = deployment.id;
      if (deployment.lifecycleStage === LifecycleStage.POST_SCALE_UP) leave.abort();
    },
  });
  await assert.rejects(left, (e) => hasKind(e, "canceled"));
  await assert.rejects(deploy(dev.client, request), (e) => hasReason(e, "DEPLOYMENT_IN_PROGRESS") && e.metadata["deployment"] === id);

  const error = await failure(
    deploy(dev.client, { ...request, supersede: true }, {
      onProgress: ({ deployment: d }) => {
        if (d.lifecycleStage !== LifecycleStage.POST_SCALE_UP || d.state !== Deployment_State.IN_PROGRESS) return;
        const stopType = StopDeploymentRequest_StopType.ABORT;
        void dev.client.deployments.stopDeployment({ deployment: d.id, stopType, reason: "enough", requestId: d.id });
      },
    }),
  );
  assert.equal(error.deployment.state, Deployment_State.STOPPED);
  assert(!error.rolledBack);
});
