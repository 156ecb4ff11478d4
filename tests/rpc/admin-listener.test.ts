/** The operators' listener, and that neither listener serves what is the other's. */
import { connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { describe, expect, test } from "vitest";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { heartbeatPath } from "../support/agents.ts";
import { makeFolder } from "../support/program.ts";
import { callHttp2, openRaw } from "../support/raw-connection.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();

const probes = [
  ["/healthz", { status: "ok" }],
  ["/readyz", { status: "ready" }],
] as const;

async function getByHttp2(url: string, path: string, ca?: string) {
  const session = connectHttp2(url, ca === undefined ? {} : { ca });
  const answer = await callHttp2(session, { ":method": "GET", ":path": path, "content-type": "" }, (stream) =>
    stream.end(),
  );
  session.destroy();
  return answer;
}

describe.each(probes)("%s", (path, expected) => {
  test("answers over HTTP/1.1 and over HTTP/2 in plaintext, on one port", async () => {
    const http1 = await fetch(server.adminUrl + path);
    expect([http1.status, await http1.json()]).toEqual([200, expected]);
    const http2 = await getByHttp2(server.adminUrl, path);
    expect([http2.status, JSON.parse(http2.body.toString())]).toEqual([200, expected]);
  });

  test("answers HEAD without a body, and nothing but GET and HEAD", async () => {
    const head = await fetch(server.adminUrl + path, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const post = await fetch(server.adminUrl + path, { method: "POST", body: "{}" });
    expect(post.status).toBe(404);
  });

  test("is not served to agents", async () => {
    const answer = await getByHttp2(server.agentUrl, path, server.ca);
    expect(answer.status).toBe(404);
    using connection = await openRaw({ url: server.agentUrl, ca: server.ca });
    await connection.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await connection.until(/\}$/)).toMatch(/^HTTP\/1\.1 404 /);
  });
});

test("heartbeats are not served to operators", async () => {
  for (const type of ["application/json", "application/proto"]) {
    const answer = await fetch(server.adminUrl + heartbeatPath, {
      method: "POST",
      headers: { "content-type": type },
      body: "{}",
    });
    expect([answer.status, await answer.json()]).toMatchObject([404, { code: "unimplemented" }]);
  }
  const session = connectHttp2(server.adminUrl);
  const grpc = await callHttp2(session, { "content-type": "application/grpc" }, Buffer.alloc(5));
  session.destroy();
  expect([grpc.status, grpc.headers["grpc-status"]]).toEqual([200, "12"]);
});

test("with a certificate of the operator's it speaks TLS with both versions of HTTP, and nothing else", async () => {
  const { ca, certFile, keyFile } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  await using secured = await startTestServer(database.url, {
    BMAAS_ADMIN_TLS_CERT: certFile,
    BMAAS_ADMIN_TLS_KEY: keyFile,
  });
  expect(secured.adminUrl).toMatch(/^https:/);
  for (const [path, expected] of probes) {
    const agent = new Agent({ ca });
    const http1 = await new Promise<number | undefined>((resolve, reject) => {
      request(secured.adminUrl + path, { agent }, (answer) => resolve(answer.resume().statusCode))
        .on("error", reject)
        .end();
    });
    agent.destroy();
    expect(http1).toBe(200);
    const http2 = await getByHttp2(secured.adminUrl, path, ca);
    expect([http2.status, JSON.parse(http2.body.toString())]).toEqual([200, expected]);
  }
  await expect(fetch(secured.adminUrl.replace("https:", "http:"))).rejects.toThrow();
});
