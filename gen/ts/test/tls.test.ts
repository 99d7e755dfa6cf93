// TLS, between this client and a server of this package. The certificate comes from openssl.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Code, createClient, hasKind, type NodeClientOptions } from "@slipway/client";
import { serveHooks, succeeded } from "@slipway/client/hook-handler";

/** A self-signed certificate for 127.0.0.1; undefined when openssl is not here. */
function certificate(): { cert: string; key: string } | undefined {
  const dir = mkdtempSync(join(tmpdir(), "slipway-tls-"));
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const subject = ["-subj", "/CN=slipway test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", cert, ...subject];
  const made = spawnSync("openssl", args).status === 0;
  const pem = made ? { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } : undefined;
  rmSync(dir, { recursive: true });
  return pem;
}

test("TLS is spoken, and only with those who are trusted", async (t) => {
  const pem = certificate();
  if (pem === undefined) return t.skip("openssl is not installed here");
  const server = await serveHooks(() => succeeded(), { tls: pem });
  t.after(() => server.close(0));
  const call = async (options: NodeClientOptions) => {
    const client = createClient({ orchestrator: server.address, maxAttempts: 1, ...options });
    t.after(() => client.close());
    await client.services.listServices({});
  };
  // The server is no orchestrator: that it says so shows that it was understood.
  const answered = (e: unknown) => hasKind(e, "failed_precondition") && e.code === Code.Unimplemented;
  await assert.rejects(call({ tls: { ca: pem.cert } }), answered);
  await assert.rejects(call({ tls: { ca: Buffer.from(pem.cert) }, token: "secret" }), answered);
  await assert.rejects(call({ tls: {} }), (e) => hasKind(e, "unavailable") && /certificate/.test(e.message));
  await assert.rejects(call({}), (e) => hasKind(e, "unavailable"));
});
