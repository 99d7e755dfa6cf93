// The examples, as programs.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { deploy } from "@slipway/client";
import { DeploymentConfiguration_Strategy, LifecycleStage } from "@slipway/client/orchestrator";

import { Dev, web } from "./dev.js";
import { createService, loadBalancer, register } from "./workload.js";

/** The package's folder. Compiled, this file is in build/test. */
const root = fileURLToPath(new URL("../..", import.meta.url));

let dev: Dev;
let dir: string;
before(async () => {
  dev = await Dev.start();
  dir = await mkdtemp(join(tmpdir(), "slipway-examples-"));
});
after(async () => {
  await dev.stop();
  await rm(dir, { recursive: true });
});

/** Starts an example in a folder of its own. */
function start(name: string, ...args: string[]): { program: ChildProcess; line: (wanted: RegExp) => Promise<string>; all: string[] } {
  const file = join(root, `build/examples/${name}.js`);
  const { orchestrator, hooks } = dev.addresses;
  const env = { ...process.env, SLIPWAY_ORCHESTRATOR: orchestrator, SLIPWAY_HOOKS: hooks };
  const program = spawn(process.execPath, [file, ...args], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
  after(() => program.kill("SIGKILL"));
  const all: string[] = [];
  let told = () => {};
  for (const stream of [program.stdout, program.stderr]) {
    createInterface(stream).on("line", (line) => {
      all.push(line);
      told();
    });
  }
  const line = async (wanted: RegExp): Promise<string> => {
    for (;;) {
      const found = all.find((l) => wanted.test(l));
      if (found !== undefined) return found;
      assert(program.exitCode === null, `${name} ended before ${wanted}: ${all.join("\n")}`);
      await Promise.race([new Promise<void>((resolve) => (told = resolve)), once(program, "close")]);
    }
  };
  return { program, line, all };
}

/** Waits until a program has ended and all it said is read. */
async function ended(program: ChildProcess): Promise<number | null> {
  if (program.exitCode === null || !program.stdout?.closed) await once(program, "close");
  return program.exitCode;
}

test("deploy.ts creates a service, deploys it, and says what failed; watch.ts tells of it and goes on later", async () => {
  const watcher = start("watch", "hello");
  await watcher.line(/^watching/);
  const first = start("deploy", web, "VERSION=v1");
  assert.equal(await ended(first.program), 0, first.all.join("\n"));
  await first.line(/^hello:1 is live/);
  await watcher.line(/SERVICE_DEPLOYMENT_COMPLETED/);
  watcher.program.kill("SIGINT");
  assert.equal(await ended(watcher.program), 0);

  const second = start("deploy", web, "EXIT_AFTER=0s");
  assert.equal(await ended(second.program), 1, second.all.join("\n"));
  await second.line(/rollback successful/);
  await second.line(/The revision before serves again/);
  assert.notEqual(await readFile(join(dir, "slipway-events.place"), "utf8"), "");
  const later = start("watch", "hello");
  await later.line(/SERVICE_DEPLOYMENT_FAILED/);
  later.program.kill("SIGINT");
  assert.equal(await ended(later.program), 0);
  assert.deepEqual(later.all.filter((line) => line !== "watching" && watcher.all.includes(line)), []);
});

test("The first program of the README runs as it stands there", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const [, text = ""] = /```js\n(import .*?)```/s.exec(readme) ?? [];
  assert.match(text, /createClient\(\)/);
  const file = join(root, "build/test/readme.js"); // where the package is found by its name
  await writeFile(file, text.replace("createClient()", `createClient(${JSON.stringify(dev.addresses)})`).replaceAll("hello", "readme"));
  const program = spawn(process.execPath, [file, web], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface(program.stdout);
  let last = "";
  for await (const line of lines) last = line;
  assert.equal(await ended(program), 0);
  assert.equal(last, "readme is live");
});

test("hook.ts tests the new revision before traffic moves", async () => {
  await register(dev.client, "shop");
  const balancer = await loadBalancer(dev.client, "shop");
  await createService(dev.client, "shop", { loadBalancer: balancer });
  const hook = start("hook", `http://${balancer.testListener}/health`);
  await hook.line(/is served on/);
  await deploy(dev.client, {
    service: "shop",
    deploymentConfiguration: {
      strategy: DeploymentConfiguration_Strategy.BLUE_GREEN,
      lifecycleHooks: [{ hook: "smoke-test", lifecycleStages: [LifecycleStage.POST_TEST_TRAFFIC_SHIFT] }],
    },
  });
  assert.equal(hook.all.filter((l) => /shop: attempt \d at POST_TEST_TRAFFIC_SHIFT: 200/.test(l)).length, 3);
  hook.program.kill("SIGINT");
  assert.equal(await ended(hook.program), 0);
});
