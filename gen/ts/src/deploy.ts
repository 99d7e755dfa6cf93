// Deploying, and waiting for what becomes of it.

import type { MessageInitShape } from "@bufbuild/protobuf";

import type { SlipwayClient } from "./client.js";
import { SlipwayError } from "./errors.js";
import { type CreateDeploymentRequestSchema, type Deployment, Deployment_State as State } from "./orchestrator.js";
import { watchDeployment, type DeploymentProgress, type WatchOptions } from "./watch.js";

/** What to deploy: CreateDeploymentRequest, e.g. { service: "web", taskDefinition: "web:2" }. */
export type DeployRequest = MessageInitShape<typeof CreateDeploymentRequestSchema>;

/** How an end is waited for. When the signal is aborted the waiting ends, and the deployment goes on. */
export interface WaitOptions extends WatchOptions {
  /** Called with each change of the deployment, and with the new events. */
  onProgress?: ((progress: DeploymentProgress) => void) | undefined;
}

/** The new revision is not live: the deployment failed, was stopped or was rolled back. */
export class DeploymentFailedError extends Error {
  override readonly name = "DeploymentFailedError";
  /** The deployment as it ended. */
  readonly deployment: Deployment;

  constructor(deployment: Deployment) {
    const state = State[deployment.state].replaceAll("_", " ").toLowerCase();
    super(`deployment ${deployment.id} of ${deployment.service}: ${state}: ${deployment.reason}`);
    this.deployment = deployment;
  }

  /** Whether the old revision serves again. */
  get rolledBack(): boolean {
    return this.deployment.state === State.ROLLBACK_SUCCESSFUL;
  }
}

/**
 * Begins a deployment and waits for its end, over any number of broken connections.
 *
 * @returns the deployment, SUCCESSFUL: the new revision is live.
 * @throws DeploymentFailedError when it ended otherwise.
 * @throws SlipwayError when it was refused (for example with the reason DEPLOYMENT_IN_PROGRESS), when the orchestrator
 *   was out of reach for too long, or when the signal was aborted ("canceled").
 */
export async function deploy(
  client: Pick<SlipwayClient, "deployments">,
  request: DeployRequest,
  options: WaitOptions = {},
): Promise<Deployment> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  const { deployment } = await client.deployments.createDeployment(request, call);
  if (deployment === undefined) throw new SlipwayError({ kind: "internal", message: "the answer names no deployment" });
  return await waitForDeployment(client, deployment.id, options);
}

/** As deploy, for a deployment that has begun, for example with its service. */
export async function waitForDeployment(
  client: Pick<SlipwayClient, "deployments">,
  id: string,
  options: WaitOptions = {},
): Promise<Deployment> {
  let last: Deployment | undefined;
  for await (const progress of watchDeployment(client, id, options)) {
    last = progress.deployment;
    options.onProgress?.(progress);
  }
  if (last === undefined) throw new SlipwayError({ kind: "internal", message: `deployment ${id} was not shown` });
  if (last.state !== State.SUCCESSFUL) throw new DeploymentFailedError(last);
  return last;
}
