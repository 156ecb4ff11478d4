/**
 * What becomes of an agent whose key is replaced while it calls: the old key ends with the replacement, on every server
 * and connection.
 */
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { signRequest } from "../../src/agent/request-signing.ts";
import { agentStarted } from "../../src/db/schema/index.ts";
import { codeOf, heartbeatPath } from "../support/agents.ts";
import { connectMachine, machineOn, success } from "../support/fleet.ts";
import { machineWithAgent, readTags, replaceAgentKey, requestInstallation } from "../support/machine.ts";
import { type ServerProcess, startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

describe("a key that is replaced under load, on two servers", () => {
  test("does not succeed once the replacement is committed; the new one does at once", async () => {
    const fleet = await Promise.all(Array.from({ length: 3 }, () => machineOn(database.db, servers)));
    const accepted = await Promise.all(
      fleet.map(async (machine) => {
        let current = { key: machine.key, beat: machine.beat, [Symbol.dispose]: machine[Symbol.dispose] };
        let accepted = 0;
        for (let round = 0; round < 6; round++) {
          const old = current;
          let replaced = false;
          const calls: { startedAfter: boolean; code: string }[] = [];
          const streams = [0, 1, 0, 1].map(async (server) => {
            for (let startedAfter = false; !startedAfter; ) {
              startedAfter = replaced;
              calls.push({ startedAfter, code: await codeOf(old.beat(server)) });
            }
          });
          await old.beat(round % 2);
          const key = await replaceAgentKey(database.db, machine.machineId);
          replaced = true;
          current = { key, ...connectMachine(machine.machineId, key, servers) };
          expect(await Promise.all([codeOf(current.beat(0)), codeOf(current.beat(1))])).toEqual(["ok", "ok"]);
          await Promise.all(streams);
          old[Symbol.dispose]();
          const codesOf = (after: boolean) =>
            calls.filter((call) => call.startedAfter === after).map(({ code }) => code);
          expect(new Set(codesOf(true))).toEqual(new Set(["Unauthenticated"]));
          expect(["ok", "Unauthenticated"]).toEqual(expect.arrayContaining(codesOf(false)));
          accepted += codesOf(false).filter((code) => code === "ok").length;
        }
        current[Symbol.dispose]();
        return accepted;
      }),
    );
    // A key that was refused all along proves nothing.
    for (const count of accepted) expect(count).toBeGreaterThan(6);
  });

  test("reports nothing any more", async () => {
    using old = await machineOn(database.db, servers);
    const generation = await requestInstallation(database.db, old.machineId);
    expect(await old.beat(0)).toBe(generation);
    const key = await replaceAgentKey(database.db, old.machineId);
    expect(await codeOf(old.beat(0, success(generation)))).toBe("Unauthenticated");
    expect((await readTags(database, old.machineId)).report).toBeUndefined();
    using current = connectMachine(old.machineId, key, servers);
    expect(await current.beat(1)).toBe(generation);
  });
});

test("the new key's signatures count from any nonce, and the old key's from none", async () => {
  const machine = await machineWithAgent(database.db);
  const now = BigInt(Date.now()) * 1000n;
  expect(await beatSigned(servers[0], machine, now)).toBe(200);
  const key = await replaceAgentKey(database.db, machine.machineId);
  expect(await beatSigned(servers[0], machine, now + 1n)).toBe(401);
  expect(await beatSigned(servers[1], { ...machine, key }, 5n)).toBe(200);
  expect(await beatSigned(servers[0], { ...machine, key }, 5n)).toBe(401);
  expect(await beatSigned(servers[0], { ...machine, key }, 6n)).toBe(200);
});

/** Sends a signed heartbeat with the nonce given and resolves with the HTTP status. */
async function beatSigned(server: ServerProcess, { machineId, key }: Parameters<typeof signed>[0], nonce: bigint) {
  const url = new URL(heartbeatPath, server.agentUrl);
  const body = Buffer.from(JSON.stringify({ machineId }));
  const headers = await signed({ machineId, key }, url, body, nonce);
  const answer = await createNodeFetch({ ca: server.ca })(url, { method: "POST", headers, body });
  return answer.status;
}

async function signed(
  signer: Awaited<ReturnType<typeof machineWithAgent>>,
  url: URL,
  body: Uint8Array,
  nonce: bigint,
): Promise<Record<string, string>> {
  const created = Math.floor(Date.now() / 1000);
  const fields = await signRequest({ method: "POST", url, body }, { ...signer, created, nonce });
  return { "content-type": "application/json", ...fields };
}

describe("a resumed TLS session", () => {
  test("speaks for its key while that is registered, and is refused from the revocation on", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    const first = await openTls(servers[0], createClientCertificate(key));
    expect(await beatOn(first.http2, machineId)).toBe(200);
    const session = await first.session;
    first.http2.destroy();

    // Without a certificate: the identity is the session's alone.
    const resumed = await openTls(servers[0], { session });
    expect([resumed.socket.isSessionReused(), resumed.socket.getProtocol()]).toEqual([true, "TLSv1.3"]);
    expect(await beatOn(resumed.http2, machineId)).toBe(200);
    await database.db.delete(agentStarted).where(eq(agentStarted.machineId, machineId));
    expect(await beatOn(resumed.http2, machineId)).toBe(401);
    resumed.http2.destroy();

    const again = await openTls(servers[0], { session });
    expect(again.socket.isSessionReused()).toBe(true);
    expect(await beatOn(again.http2, machineId)).toBe(401);
    again.http2.destroy();
  });
});

async function openTls(server: ServerProcess, options: { cert?: string; key?: string; session?: Buffer }) {
  const { hostname, port } = new URL(server.agentUrl);
  const socket = connectTls({ host: hostname, port: Number(port), ca: server.ca, ALPNProtocols: ["h2"], ...options });
  // TLS 1.3 sends tickets once the handshake is over.
  const session = once(socket, "session").then(([ticket]) => ticket as Buffer);
  await once(socket, "secureConnect");
  return { socket, session, http2: connectHttp2(server.agentUrl, { createConnection: () => socket }) };
}

/** Sends a heartbeat on a connection and resolves with the HTTP status. */
async function beatOn(http2: ClientHttp2Session, machineId: string): Promise<number> {
  const stream = http2.request({ ":method": "POST", ":path": heartbeatPath, "content-type": "application/json" });
  stream.end(JSON.stringify({ machineId }));
  const [headers] = await once(stream, "response");
  stream.resume();
  return headers[":status"] as number;
}
