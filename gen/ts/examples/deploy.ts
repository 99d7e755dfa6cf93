// Deploys a program as the service "hello": the first run creates the service, each further run deploys it anew.
//
//     node deploy.js /path/to/program [NAME=value ...]
//
// The program has to listen on $PORT. SLIPWAY_ORCHESTRATOR says where Slipway is (default: slipway dev on this machine).

import {
  createClient,
  deploy,
  DeploymentFailedError,
  durationFromMs,
  hasKind,
  optionsFromEnv,
  waitForDeployment,
  type DeploymentProgress,
} from "@slipway/client";
import { DeploymentConfiguration_Strategy as Strategy } from "@slipway/client/orchestrator";

const name = "hello";
const [program, ...variables] = process.argv.slice(2);
if (program === undefined) {
  console.error("usage: node deploy.js /path/to/program [NAME=value ...]");
  process.exit(2);
}

const client = createClient(optionsFromEnv());

const { taskDefinition } = await client.taskDefinitions.registerTaskDefinition({
  taskDefinition: {
    family: name,
    containerDefinitions: [
      {
        name,
        command: [program],
        portMappings: [{ containerPort: 80 }],
        environment: variables.map((v) => ({ name: v.split("=", 1)[0] ?? "", value: v.slice(v.indexOf("=") + 1) })),
      },
    ],
  },
});
const revision = `${name}:${taskDefinition?.revision}`;
console.log(`registered ${revision}`);

const onProgress = ({ events }: DeploymentProgress) => {
  for (const event of events) console.log(`  ${event.reason}`);
};

// Ctrl-C ends the waiting; the deployment goes on.
const left = new AbortController();
process.once("SIGINT", () => left.abort());
const options = { onProgress, signal: left.signal };

try {
  if (await exists()) {
    await deploy(client, { service: name, taskDefinition: revision }, options);
  } else {
    const { deployment } = await client.services.createService({
      service: {
        name,
        taskDefinition: revision,
        desiredCount: 2,
        deploymentConfiguration: {
          strategy: Strategy.ROLLING,
          minimumHealthyTime: durationFromMs(1_000),
          deploymentCircuitBreaker: { enable: true, rollback: true },
        },
      },
    });
    await waitForDeployment(client, deployment?.id ?? "", options);
  }
  console.log(`${revision} is live`);
} catch (error) {
  if (error instanceof DeploymentFailedError) {
    console.error(error.message);
    console.error(error.rolledBack ? "The revision before serves again." : "Nothing was rolled back.");
  } else if (hasKind(error, "canceled")) {
    console.error("Left; the deployment goes on.");
  } else {
    throw error;
  }
  process.exitCode = 1;
} finally {
  client.close();
}

async function exists(): Promise<boolean> {
  try {
    await client.services.getService({ service: name });
    return true;
  } catch (error) {
    if (hasKind(error, "not_found")) return false;
    throw error;
  }
}
