// What is published: the entry points, and what each brings with it.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | { browser: string; default: string }>;
};

/** The modules that a module imports, directly or not; packages by their names. */
function imported(file: string, found = new Set<string>()): Set<string> {
  for (const [, name] of readFileSync(join(root, file), "utf8").matchAll(/^(?:import|export) .*?from "(.+?)";$/gms)) {
    if (name === undefined) continue;
    const module = name.startsWith(".") ? relative(root, join(root, dirname(file), name)) : name;
    if (found.has(module)) continue;
    found.add(module);
    if (name.startsWith(".")) imported(module, found);
  }
  return found;
}

test("Every entry point can be imported", async () => {
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (path.endsWith(".json")) continue;
    for (const file of typeof target === "string" ? [target] : Object.values(target)) {
      assert(Object.keys(await import(join(root, file))).length > 0, file);
    }
  }
});

test("The entry point for browsers needs nothing of Node", () => {
  const modules = imported("dist/web.js");
  assert(modules.has("dist/watch.js") && modules.has("@connectrpc/connect-web"));
  const node = [...modules].filter((m) => m.startsWith("node:") || m === "@connectrpc/connect-node");
  assert.deepEqual(node, []);
  assert(imported("dist/node.js").has("@connectrpc/connect-node"));
});

test("Both entry points have the same names, but for Node's environment", async () => {
  const [node, web] = await Promise.all([import("@slipway/client"), import("@slipway/client/web")]);
  assert.deepEqual([...Object.keys(web), "optionsFromEnv"].sort(), Object.keys(node).sort());
});

test("All that is generated can be imported from the entry point of its service", () => {
  for (const service of readdirSync(join(root, "dist/gen/slipway"))) {
    if (service === "errors") continue; // hasReason and Reason are what is needed of it
    const text = readFileSync(join(root, `dist/${service}.js`), "utf8");
    for (const file of readdirSync(join(root, `dist/gen/slipway/${service}/v1`))) {
      if (file.endsWith(".js")) assert(text.includes(`/${file}"`), `src/${service}.ts does not export ${file}`);
    }
  }
});
