/** Workers accept each other's TLS sessions, and those of the workers that they replace. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, replaceAgentKey } from "../support/machine.ts";
import { beatInSession } from "../support/tls-session.ts";
import { replaceWorkers, startWithWorkers } from "../support/worker-processes.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

test("a session is resumed by every worker and by their successors, and a replaced key by none", {
  timeout: 240_000,
}, async () => {
  await using server = await startWithWorkers(database);
  const { machineId, key } = await machineWithAgent(database.db);
  const first = { agentUrl: server.agentUrl, ca: server.ca, certificate: createClientCertificate(key) };
  const { session } = await beatInSession(first, machineId);
  const target = { ...first, session };
  /** Connections go to the workers in turn. */
  const beatFourTimes = async () => {
    const calls: { isResumed: boolean; status: number }[] = [];
    for (let call = 0; call < 4; call++) {
      const { isResumed, status } = await beatInSession(target, machineId);
      calls.push({ isResumed, status });
    }
    return calls;
  };
  const all = (status: number) => Array.from({ length: 4 }, () => ({ isResumed: true, status }));

  expect(await beatFourTimes()).toEqual(all(200));
  await replaceWorkers(server);
  expect(await beatFourTimes()).toEqual(all(200));
  await replaceAgentKey(database.db, machineId);
  expect(await beatFourTimes()).toEqual(all(401));
});
