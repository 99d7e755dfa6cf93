// Services and task definitions to test with.

import assert from "node:assert/strict";

import { durationFromMs, waitForDeployment, type MessageInitShape, type SlipwayClient } from "@slipway/client";
import {
  DeploymentConfiguration_Strategy,
  type DeploymentConfigurationSchema,
  type LoadBalancerSchema,
} from "@slipway/client/orchestrator";

import { freeAddress, web } from "./dev.js";

/** Registers the next revision of a family and returns its name, "family:revision". */
export async function register(client: SlipwayClient, family: string, environment: Record<string, string> = {}): Promise<string> {
  const { taskDefinition } = await client.taskDefinitions.registerTaskDefinition({
    taskDefinition: {
      family,
      containerDefinitions: [
        {
          name: "web",
          command: [web],
          portMappings: [{ containerPort: 80 }],
          environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        },
      ],
    },
  });
  assert(taskDefinition);
  return `${taskDefinition.family}:${taskDefinition.revision}`;
}

/** All tasks at once; a task is healthy as soon as it runs. */
export const rolling = { strategy: DeploymentConfiguration_Strategy.ROLLING, minimumHealthyTime: durationFromMs(50) };

/** What a service of a test may have. */
export interface ServiceInit {
  desiredCount?: number;
  deploymentConfiguration?: MessageInitShape<typeof DeploymentConfigurationSchema>;
  loadBalancer?: MessageInitShape<typeof LoadBalancerSchema>;
}

/** Creates a service of the family's latest revision and waits until it is live. */
export async function createService(client: SlipwayClient, name: string, init: ServiceInit = {}): Promise<void> {
  const { deployment } = await client.services.createService({
    service: { name, taskDefinition: name, desiredCount: 1, deploymentConfiguration: rolling, ...init },
  });
  assert(deployment);
  await waitForDeployment(client, deployment.id);
}

/** Creates two target groups and returns a load balancer over them. */
export async function loadBalancer(client: SlipwayClient, name: string) {
  const groups = [`${name}-a`, `${name}-b`] as const;
  for (const group of groups) {
    await client.targetGroups.createTargetGroup({
      targetGroup: {
        name: group,
        healthCheck: { path: "/health", interval: durationFromMs(100), timeout: durationFromMs(100), healthyThreshold: 2 },
      },
    });
  }
  return {
    targetGroup: groups[0],
    alternateTargetGroup: groups[1],
    productionListener: await freeAddress(),
    testListener: await freeAddress(),
    deregistrationDelay: durationFromMs(1_000),
  };
}
