// The same calls over every protocol, in Node and with what browsers have (fetch is the same in both).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createClient as nodeClient, hasReason, SlipwayError, waitForDeployment, watchEvents, type SlipwayClient } from "@slipway/client";
import { createClient as webClient } from "@slipway/client/web";

import { Dev, eventually } from "./dev.js";
import { createService, register } from "./workload.js";

let dev: Dev;
before(async () => {
  dev = await Dev.start();
  await register(dev.client, "spoken");
  await createService(dev.client, "spoken");
});
after(() => dev.stop());

const clients: [name: string, make: () => SlipwayClient][] = [
  ["gRPC in Node", () => nodeClient(dev.addresses)],
  ["gRPC-Web in Node", () => nodeClient({ ...dev.addresses, protocol: "grpc-web" })],
  ["Connect in Node", () => nodeClient({ ...dev.addresses, protocol: "connect" })],
  ["gRPC-Web in browsers", () => webClient({ ...dev.addresses, protocol: "grpc-web" })],
  ["Connect in browsers", () => webClient(dev.addresses)],
];

for (const [name, make] of clients) {
  test(`${name}: calls, typed errors, streams`, async (t) => {
    const client = make();
    t.after(() => client.close());

    const { service } = await client.services.getService({ service: "spoken" });
    assert.equal(service?.name, "spoken");

    const bad = client.services.createService({ service: { name: "no spaces", taskDefinition: "spoken" } });
    await assert.rejects(bad, (e) => e instanceof SlipwayError && e.violations[0]?.field === "service.name");

    const seen: bigint[] = [];
    let opened = false;
    const watching = (async () => {
      for await (const { event } of watchEvents(client, { service: "spoken", onOpen: () => void (opened = true) })) {
        if (event.deployment !== "") seen.push(event.sequence);
      }
    })();
    await eventually("the watch is open", () => opened);

    const { deployment } = await client.deployments.createDeployment({ service: "spoken" });
    assert(deployment);
    const again = client.deployments.createDeployment({ service: "spoken" });
    await assert.rejects(again, (e) => hasReason(e, "DEPLOYMENT_IN_PROGRESS") && e.metadata["deployment"] === deployment.id);

    const ended = await waitForDeployment(client, deployment.id);
    await eventually("all events are seen", () => seen.length >= Number(ended.eventSequence));
    assert.deepEqual(seen, Array.from(seen, (_, i) => BigInt(i + 1)));
    client.close();
    await assert.rejects(watching, (e) => e instanceof SlipwayError && e.kind === "canceled");
  });
}
