/** An agent that resumes its TLS session is authenticated at each call, as strictly as after a full handshake. */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { revokeAgent } from "../../src/db/queries/agent-key.ts";
import { registerAgents } from "../../src/db/queries/agent-started.ts";
import { transact } from "../../src/db/transact.ts";
import { bareMachine, machineWithAgent, replaceAgentKey, type TestMachine } from "../support/machine.ts";
import { makeFolder } from "../support/program.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";
import { beatInSession } from "../support/tls-session.ts";

const { server, database } = await startServerWithDatabase();
const unknown = { status: 401, body: expect.stringContaining("machine id or public key unknown") };

/** Lets the machine's agent call once with a full handshake, and returns how it can resume its session. */
async function begin({ machineId, key }: TestMachine, agentUrl = server.agentUrl) {
  const target = { agentUrl, ca: server.ca, certificate: createClientCertificate(key) };
  const { isResumed, status, session } = await beatInSession(target, machineId);
  expect({ isResumed, status }).toEqual({ isResumed: false, status: 200 });
  return { ...target, session };
}

test("a heartbeat counts on a resumed session", async () => {
  const machine = await machineWithAgent(database.db);
  const target = await begin(machine);
  expect(await beatInSession(target, machine.machineId)).toMatchObject({ isResumed: true, status: 200 });
});

describe("a resumed session is unauthenticated", () => {
  test("of a key that was revoked", async () => {
    const machine = await machineWithAgent(database.db);
    const target = await begin(machine);
    await transact(database.db, (tx) =>
      revokeAgent(tx, { machineId: machine.machineId, expectedPublicKey: new Uint8Array() }, "test"),
    );
    expect(await beatInSession(target, machine.machineId)).toMatchObject({ isResumed: true, ...unknown });
  });

  test("of a key that was replaced, whatever certificate its client has at hand now", async () => {
    const machine = await machineWithAgent(database.db);
    const target = await begin(machine);
    const newKey = await replaceAgentKey(database.db, machine.machineId);
    const certificate = createClientCertificate(newKey);
    expect(await beatInSession(target, machine.machineId)).toMatchObject({ isResumed: true, ...unknown });
    const both = { ...target, certificate };
    expect(await beatInSession(both, machine.machineId)).toMatchObject({ isResumed: true, ...unknown });
    // The new key counts as soon as it is proved.
    const { session: _, ...full } = both;
    expect(await beatInSession(full, machine.machineId)).toMatchObject({ isResumed: false, status: 200 });
  });

  test("for another machine than that of its key", async () => {
    const [one, other] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
    const target = await begin(one);
    const withOthersKey = { ...target, certificate: createClientCertificate(other.key) };
    expect(await beatInSession(target, other.machineId)).toMatchObject({ isResumed: true, ...unknown });
    expect(await beatInSession(withOthersKey, other.machineId)).toMatchObject({ isResumed: true, ...unknown });
  });

  test("that began without a certificate", async () => {
    const machine = await machineWithAgent(database.db);
    const { agentUrl, ca } = server;
    const { session, status } = await beatInSession({ agentUrl, ca }, machine.machineId);
    expect(status).toBe(401);
    const target = { agentUrl, ca, session, certificate: createClientCertificate(machine.key) };
    expect(await beatInSession(target, machine.machineId)).toMatchObject({
      isResumed: true,
      status: 401,
      body: expect.stringContaining("neither a client certificate nor a signature"),
    });
  });
});

test("a session of a key that is not registered counts once it is", async () => {
  const machineId = await bareMachine(database.db);
  const key = await generateAgentKey();
  const target = { ...server, certificate: createClientCertificate(key) };
  const { session } = await beatInSession(target, machineId);
  expect(await beatInSession({ ...target, session }, machineId)).toMatchObject({ isResumed: true, ...unknown });
  await transact(database.db, (tx) => registerAgents(tx, [{ machineId, publicKey: key.publicKey }], "test"));
  expect(await beatInSession({ ...target, session }, machineId)).toMatchObject({ isResumed: true, status: 200 });
});

describe("a session of another server", () => {
  test("leads to a full handshake, and its key is checked as always", async () => {
    await using other = await startTestServer(database.url);
    const [machine, revoked] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
    const targets = await Promise.all([machine, revoked].map((each) => begin(each)));
    await transact(database.db, (tx) =>
      revokeAgent(tx, { machineId: revoked.machineId, expectedPublicKey: new Uint8Array() }, "test"),
    );
    const [sound, withdrawn] = targets.map((each) => ({ ...each, agentUrl: other.agentUrl, ca: other.ca }));
    if (sound === undefined || withdrawn === undefined) throw new Error("two agents have a session");
    expect(await beatInSession(sound, machine.machineId)).toMatchObject({ isResumed: false, status: 200 });
    expect(await beatInSession(withdrawn, revoked.machineId)).toMatchObject({ isResumed: false, ...unknown });
  });

  test("is resumed if both have the same secret, and its key is checked as always", async () => {
    const file = join(await makeFolder(), "tickets.secret");
    await writeFile(file, randomBytes(48).toString("base64"));
    const environment = { BMAAS_TLS_TICKET_SECRET: file };
    await using one = await startTestServer(database.url, environment);
    await using two = await startTestServer(database.url, environment);
    const machine = await machineWithAgent(database.db);
    const certificate = createClientCertificate(machine.key);
    const { session } = await beatInSession({ ...one, certificate }, machine.machineId);
    const target = { ...two, certificate, session };
    expect(await beatInSession(target, machine.machineId)).toMatchObject({ isResumed: true, status: 200 });
    await replaceAgentKey(database.db, machine.machineId);
    expect(await beatInSession(target, machine.machineId)).toMatchObject({ isResumed: true, ...unknown });
  });
});

test("BMAAS_TLS_TICKETS=off makes every connection prove its key anew", async () => {
  await using strict = await startTestServer(database.url, { BMAAS_TLS_TICKETS: "off" });
  const machine = await machineWithAgent(database.db);
  const target = { ...strict, certificate: createClientCertificate(machine.key) };
  const { session } = await beatInSession(target, machine.machineId);
  expect(await beatInSession({ ...target, session }, machine.machineId)).toMatchObject({
    isResumed: false,
    status: 200,
  });
});
