// A lifecycle hook: before production traffic moves, it looks at the new revision through the test listener.
//
//     node hook.js http://127.0.0.1:8081/health
//
// It registers itself as the hook "smoke-test". Deploy with it:
//
//     deploymentConfiguration: {
//       strategy: Strategy.BLUE_GREEN,
//       lifecycleHooks: [{ hook: "smoke-test", lifecycleStages: [LifecycleStage.POST_TEST_TRAFFIC_SHIFT] }],
//     }

import { createClient, optionsFromEnv } from "@slipway/client";
import { failed, inProgress, serveHooks, succeeded, type HookCall, type HookResult } from "@slipway/client/hook-handler";

const wanted = 3; // good answers, one for each call
const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error("usage: node hook.js http://<test listener>/<path>");
  process.exit(2);
}

async function smokeTest(call: HookCall): Promise<HookResult> {
  const good = Number(call.details["good"] ?? 0);
  const response = await fetch(url!, { signal: call.signal });
  console.log(`${call.service}: attempt ${call.attempt} at ${call.stage}: ${response.status}`);
  if (!response.ok) return failed(`${url} answered ${response.status}`);
  if (good + 1 === wanted) return succeeded(`${url} answered ${wanted} times`);
  return inProgress({ callBackDelayMs: 200, details: { good: good + 1 } });
}

const server = await serveHooks(smokeTest);
const client = createClient(optionsFromEnv());
await client.hooks.registerHook({
  hook: { name: "smoke-test", target: { case: "grpc", value: { address: server.address } } },
});
console.log(`the hook smoke-test is served on ${server.address}`);

process.once("SIGINT", async () => {
  client.close();
  await server.close();
});
