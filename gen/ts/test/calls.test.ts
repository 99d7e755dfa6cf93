// Unary calls: lists in pages, typed errors, attempts and deadlines.

import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import { Code, createClient, hasKind, hasReason, optionsFromEnv, pages, SlipwayError, watchEvents } from "@slipway/client";

import { Dev, eventually } from "./dev.js";
import { Forwarder } from "./forwarder.js";
import { createService, register } from "./workload.js";

let dev: Dev;
before(async () => void (dev = await Dev.start()));
after(() => dev.stop());

/** The error of a call that must fail. */
async function refused(call: Promise<unknown>): Promise<SlipwayError> {
  try {
    await call;
  } catch (error) {
    assert(error instanceof SlipwayError, String(error));
    return error;
  }
  assert.fail("the call did not fail");
}

test("A list comes in pages", async () => {
  const all = [];
  for (let i = 0; i < 5; i++) all.unshift(await register(dev.client, "paged"));
  const sizes: number[] = [];
  const found: string[] = [];
  for await (const page of pages(dev.client.taskDefinitions.listTaskDefinitions, { family: "paged", pageSize: 2 })) {
    sizes.push(page.taskDefinitions.length);
    found.push(...page.taskDefinitions.map((d) => `${d.family}:${d.revision}`));
  }
  assert.deepEqual(sizes, [2, 2, 1]);
  assert.deepEqual(found, all);
});

test("What is not there is not_found, with its reason", async () => {
  const error = await refused(dev.client.services.getService({ service: "nothing" }));
  assert.equal(error.kind, "not_found");
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.reason, "SERVICE_NOT_FOUND");
  assert.match(error.message, /nothing/);
  assert(hasKind(error, "not_found", "aborted") && hasReason(error, "SERVICE_NOT_FOUND"));
  assert(!hasKind(error, "aborted") && !hasReason(error, "TASK_NOT_FOUND"));
});

test("A bad request names each field and its rule", async () => {
  const error = await refused(
    dev.client.services.createService({ service: { name: "no spaces", taskDefinition: "web", desiredCount: -1 } }),
  );
  assert.equal(error.kind, "invalid_argument");
  assert.equal(error.reason, "INVALID_FIELD");
  assert.deepEqual(error.violations.map((v) => v.field).sort(), ["service.desired_count", "service.name"]);
  for (const { rule } of error.violations) assert.notEqual(rule, "");
});

test("A refusal brings its metadata", async () => {
  await register(dev.client, "once");
  await createService(dev.client, "once");
  const request = { service: "once", taskDefinition: "once:1" };
  const { deployment } = await dev.client.deployments.createDeployment(request);
  const error = await refused(dev.client.deployments.createDeployment(request));
  assert.equal(error.kind, "failed_precondition");
  assert(hasReason(error, "DEPLOYMENT_IN_PROGRESS"));
  assert.deepEqual(error.metadata["deployment"], deployment?.id);
});

test("A request that cannot be encoded is the caller's fault, not the connection's", async () => {
  const error = await refused(dev.client.services.listServices({ pageSize: 1e12 }));
  assert.equal(error.kind, "invalid_argument");
  assert.match(error.message, /page_size/);
});

test("A service that cannot be reached is unavailable, and named", async () => {
  const nobody = await Forwarder.to("127.0.0.1:1");
  await nobody.close();
  const client = createClient({ ...dev.addresses, alarms: nobody.address, maxAttempts: 1 });
  const error = await refused(client.alarms.describeAlarms({}));
  assert.equal(error.kind, "unavailable");
  assert.match(error.message, new RegExp(`alarms at http://${nobody.address} cannot be reached`));
});

test("A read is sent again when the connection breaks", async () => {
  const forwarder = await Forwarder.to(dev.addresses.orchestrator);
  const client = createClient({ ...dev.addresses, orchestrator: forwarder.address });
  let cuts = 2;
  forwarder.onAnswer = () => (cuts-- > 0 ? "cut" : "pass");
  await client.services.listServices({});
  assert.equal(forwarder.connections, 3);
  client.close();
  await forwarder.close();
});

test("A change whose answer is lost is made once", async () => {
  const forwarder = await Forwarder.to(dev.addresses.orchestrator);
  const client = createClient({ ...dev.addresses, orchestrator: forwarder.address });
  const made = async () => (await dev.client.taskDefinitions.listTaskDefinitions({ family: "lost" })).taskDefinitions.length;
  forwarder.onAnswer = () => "drop";
  const cut = eventually("the change is made", async () => (await made()) > 0).then(() => {
    forwarder.onAnswer = () => "pass";
    forwarder.cut();
  });
  assert.equal(await register(client, "lost"), "lost:1");
  await cut;
  assert.equal(forwarder.connections, 2);
  assert.equal(await made(), 1);
  client.close();
  await forwarder.close();
});

test("A call has a deadline", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const orchestrator = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const client = createClient({ orchestrator, timeoutMs: 100 });
  const error = await refused(client.services.listServices({}));
  assert.equal(error.kind, "deadline_exceeded");
  client.close();
  silent.close();
});

test("An aborted call is canceled", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  const error = await refused(dev.client.services.listServices({}, { signal }));
  assert.equal(error.kind, "canceled");
});

test("The token is sent, and not in plain text to another machine", async () => {
  const seen: unknown[] = [];
  const server = http2.createServer((request, response) => {
    seen.push(request.headers["authorization"]);
    response.writeHead(200, { "content-type": "application/grpc", "grpc-status": "16", "grpc-message": "who are you" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const orchestrator = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient({ orchestrator, token: "secret" });
  const error = await refused(client.services.listServices({}));
  assert.equal(error.kind, "unauthenticated");
  assert.equal(error.message, "who are you");
  assert.deepEqual(seen, ["Bearer secret"]);
  client.close();
  server.close();
  const other = { orchestrator: "http://192.0.2.1:7001", token: "secret" };
  assert.throws(() => createClient(other), /unencrypted/);
  createClient({ ...other, insecure: true }).close();
  createClient({ orchestrator: "192.0.2.1:7001", token: "secret" }).close(); // TLS
});

test("A wrong address is told at once", () => {
  assert.throws(() => createClient({ hooks: "ftp://127.0.0.1" }), /hooks: must begin with http/);
  assert.throws(() => createClient({ hooks: "no port:x" }), /hooks: must be a URL or host:port/);
});

test("Closing the client ends what is under way, and it can be used again", async () => {
  const client = createClient(dev.addresses);
  const watching = refused(
    (async () => {
      for await (const _ of watchEvents(client, { onOpen: () => client.close() })) continue;
    })(),
  );
  assert.equal((await watching).kind, "canceled");
  await client.services.listServices({});
  client.close();
});

test("The environment of the command line gives options", () => {
  assert.deepEqual(optionsFromEnv({ SLIPWAY_HOOKS: "there:1", SLIPWAY_TOKEN: "secret", SLIPWAY_INSECURE: "true" }), {
    orchestrator: undefined,
    hooks: "there:1",
    healthcheck: undefined,
    alarms: undefined,
    token: "secret",
    insecure: true,
    tls: undefined,
  });
  assert.throws(() => optionsFromEnv({ SLIPWAY_TLS_CA: "/no/such/file" }), /no such file/);
});
