/**
 * A caller's own deadline is its own affair: it hides no stranger, and blames no database that had no time to answer.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { signRequest } from "../../src/agent/request-signing.ts";
import { findWaitEnd, finishInTime } from "../../src/agent-callback/call-patience.ts";
import { defaultFailureRule } from "../../src/agent-callback/stranger-limit.ts";
import { codeOf, grpcAgent, heartbeatPath } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, type TestMachine } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { tokenOf } from "../support/operator.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

let database: TestDatabase;
let proxy: TcpProxy;
let server: TestServer;
let machine: TestMachine;
let viewer = "";
let nonce = BigInt(Date.now()) * 1000n;

beforeAll(async () => {
  database = await createTestDatabase();
  viewer = (await tokenOf(database.db, "viewer")).secret;
  proxy = await startTcpProxy(database.url);
  server = await startTestServer(proxy.url);
  machine = await machineWithAgent(database.db);
  using agent = grpcAgent(server, machine.key);
  await agent.heartbeat({ machineId: machine.machineId });
});

afterAll(async () => {
  await proxy?.setMode("pass");
  await server?.close();
  await proxy?.[Symbol.asyncDispose]();
  await database?.close();
});

const body = () => JSON.stringify({ machineId: machine.machineId });

/** Says that the machine calls, and signs it with another key. */
async function forge(key: AgentKey): Promise<Record<string, string>> {
  nonce += 1n;
  const signer = { machineId: machine.machineId, key, created: Math.floor(Date.now() / 1000), nonce };
  const url = new URL(heartbeatPath, server.agentUrl);
  return await signRequest({ method: "POST", url, body: Buffer.from(body()) }, signer);
}

async function heartbeat(session: ClientHttp2Session, headers: Record<string, string>): Promise<string> {
  const answer = await callHttp2(session, headers, body());
  return answer.status === 200 ? "ok" : JSON.parse(answer.body.toString()).code;
}

/** Calls until the address is over its limit, and returns every code that it got until then. */
async function callUntilLimited(session: ClientHttp2Session, makeHeaders: () => Promise<Record<string, string>>) {
  const codes = new Set<string>();
  for (let call = 0; call < 40 * defaultFailureRule.burst && !codes.has("resource_exhausted"); call += 40) {
    const answers = Array.from({ length: 40 }, async () => heartbeat(session, await makeHeaders()));
    for (const code of await Promise.all(answers)) codes.add(code);
  }
  return [...codes].sort();
}

const look = async () => {
  const page = await scrape(server.adminUrl, viewer);
  return {
    databaseAway: page.sum("bmaas_heartbeats_refused_total", { reason: "database_away" }),
    deadline: page.sum("bmaas_heartbeats_refused_total", { reason: "deadline_exceeded" }),
    unavailable: page.sum("bmaas_calls_total", { code: "unavailable" }),
  };
};

describe.each(["1", "0", "150"])("with a deadline of %s ms", (timeoutMs) => {
  const deadline = { "connect-timeout-ms": timeoutMs };

  test.each(["a certificate", "a signature that names an agent"])(
    "a stranger with %s is sent away as any other, and no database is blamed",
    async (proof) => {
      // A server of its own, which knows the agent and has not met the stranger.
      await using own = await startTestServer(database.url);
      using agent = grpcAgent(own, machine.key);
      await agent.heartbeat({ machineId: machine.machineId });
      const stranger = await generateAgentKey();
      const certificate = proof === "a certificate" ? createClientCertificate(stranger) : {};
      const session = connectHttp2(own.agentUrl, { ca: own.ca, ...certificate });
      const makeHeaders = async () => {
        if (proof === "a certificate") return deadline;
        nonce += 1n;
        const signer = {
          machineId: machine.machineId,
          key: stranger,
          created: Math.floor(Date.now() / 1000),
          nonce,
        };
        const url = new URL(heartbeatPath, own.agentUrl);
        return { ...deadline, ...(await signRequest({ method: "POST", url, body: Buffer.from(body()) }, signer)) };
      };
      const codes = await callUntilLimited(session, makeHeaders);
      session.destroy();
      expect(codes).toContain("resource_exhausted");
      expect(codes).not.toContain("unavailable");
      expect(await codeOf(agent.heartbeat({ machineId: machine.machineId }))).toBe("ok");
      const page = await scrape(own.adminUrl, viewer);
      expect(page.sum("bmaas_heartbeats_refused_total", { reason: "database_away" })).toBe(0);
    },
  );
});

describe("while the database is silent", () => {
  test.each(["1", "100", "201", "400"])(
    "a deadline of %s ms is the caller's, whatever its proof",
    async (timeoutMs) => {
      const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(machine.key) });
      const before = await look();
      await proxy.setMode("freeze");
      const headers = { "connect-timeout-ms": timeoutMs };
      const codes = [
        await heartbeat(session, headers),
        await heartbeat(session, { ...headers, ...(await forge(machine.key)) }),
      ];
      await proxy.setMode("pass");
      session.destroy();
      expect(codes).toEqual(["deadline_exceeded", "deadline_exceeded"]);
      await expect.poll(async () => codeOf(scrape(server.adminUrl, viewer))).toBe("ok");
      const after = await look();
      expect(after.databaseAway).toBe(before.databaseAway);
      expect(after.deadline).toBeGreaterThan(before.deadline);
    },
  );
});

describe("the time that a call has", () => {
  const never = () => new Promise<never>(() => {});

  test("is what its caller's deadline leaves to tell it, and at most 8 s", () => {
    expect(findWaitEnd(undefined, 1_000)).toEqual({ atMs: 9_000, isCallers: false });
    expect(findWaitEnd(10_000, 1_000)).toEqual({ atMs: 9_000, isCallers: false });
    expect(findWaitEnd(5_000, 1_000)).toEqual({ atMs: 5_500, isCallers: true });
    expect(findWaitEnd(1_000, 1_000)).toEqual({ atMs: 1_800, isCallers: true });
    expect(findWaitEnd(200, 1_000)).toEqual({ atMs: 1_100, isCallers: true });
    expect(findWaitEnd(1, 1_000)).toEqual({ atMs: 1_000.5, isCallers: true });
  });

  test("is the database's when it was fair, and when the server's own patience ends", async () => {
    const end = (ms: number, isCallers: boolean) => ({ atMs: performance.now() + ms, isCallers });
    const codes = await Promise.all([
      codeOf(finishInTime(end(1_500, true), never)),
      codeOf(finishInTime(end(-100, false), never)),
      codeOf(finishInTime(end(500, true), never)),
      codeOf(finishInTime(end(-100, true), never)),
    ]);
    expect(codes).toEqual(["Unavailable", "Unavailable", "DeadlineExceeded", "DeadlineExceeded"]);
  });
});
