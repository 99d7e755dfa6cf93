// A running Slipway for a test file: `slipway dev` on free ports, in a folder of its own.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { createClient, pages, toJsonString, type Addresses, type SlipwayClient } from "@slipway/client";
import { Service_State, ServiceSchema, type Service } from "@slipway/client/orchestrator";

/** The folder with the programs that `make build` makes. Compiled, this file is in gen/ts/build/test. */
const bin = process.env["SLIPWAY_BIN"] ?? fileURLToPath(new URL("../../../../bin", import.meta.url));

/** The workload: examples/web. */
export const web = join(bin, "slipway-example-web");

const startWithinMs = 30_000;
const fileWithinMs = 120_000; // all tests of a file; they take a few seconds

/** Slipway, running. */
export class Dev {
  private constructor(
    readonly addresses: Addresses,
    readonly client: SlipwayClient,
    private readonly program: ChildProcess,
    private readonly dir: string,
  ) {}

  static async start(): Promise<Dev> {
    const dir = await mkdtemp(join(tmpdir(), "slipway-ts-"));
    await chmod(dir, 0o755); // PostgreSQL runs as another user when this one is root
    const services = ["orchestrator", "hooks", "healthcheck", "alarms", "proxy"];
    const listen = services.map((name) => `--listen-${name}=127.0.0.1:0`);
    const program = spawn(join(bin, "slipway"), ["dev", "--dir", dir, ...listen], { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => program.kill());
    setTimeout(() => {
      console.error(`the tests of this file took longer than ${fileWithinMs} ms`);
      process.exit(1);
    }, fileWithinMs).unref();
    const addresses = await addressesOf(program);
    return new Dev(addresses, createClient(addresses), program, dir);
  }

  /** Deletes the services, so that no task goes on, and stops. */
  async stop(): Promise<void> {
    try {
      await this.deleteServices();
    } finally {
      this.client.close();
      this.program.kill();
      if (this.program.exitCode === null) await once(this.program, "exit");
      await rm(this.dir, { recursive: true, force: true });
    }
  }

  private async deleteServices(): Promise<void> {
    const { services } = this.client;
    for await (const page of pages(services.listServices, {})) {
      for (const { cluster, name } of page.services) await services.deleteService({ cluster, service: name, force: true });
    }
    for await (const page of pages(services.listServices, {})) {
      for (const { cluster, name } of page.services) {
        let left: Service | undefined;
        const gone = async () => {
          left = (await services.getService({ cluster, service: name })).service;
          return left?.state === Service_State.INACTIVE;
        };
        await eventually(() => `service ${name} is gone; it is ${toJsonString(ServiceSchema, left!)}`, gone);
      }
    }
  }
}

/** Reads what `slipway dev` prints until it has said all addresses. */
async function addressesOf(program: ChildProcess): Promise<Addresses> {
  const found = new Map<string, string>();
  const late = setTimeout(() => program.kill(), startWithinMs);
  assert(program.stdout);
  for await (const line of createInterface(program.stdout)) {
    const [, name, address] = /^ {2}(\w+).* (127\.0\.0\.1:\d+)$/.exec(line) ?? [];
    if (name && address) found.set(name, address);
    if (line.startsWith("Try:")) break;
  }
  clearTimeout(late);
  program.stdout.resume();
  const address = (name: string) => {
    const a = found.get(name);
    assert(a, `slipway dev did not start, or did not say where ${name} is`);
    return a;
  };
  return {
    orchestrator: address("orchestrator"),
    hooks: address("hooks"),
    healthcheck: address("healthcheck"),
    alarms: address("alarms"),
  };
}

/** Waits for a condition, for 20 s at most. */
export async function eventually(what: string | (() => string), holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`never: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port for a listener of the proxy. It lies below those that the system gives to outgoing connections. */
export async function freeAddress(): Promise<string> {
  for (;;) {
    const port = 21_000 + Math.floor(Math.random() * 8_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return `127.0.0.1:${port}`;
  }
}
