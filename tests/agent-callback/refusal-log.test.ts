/** Agents that are refused, and agents whose request nobody can read, are in the log and do not fill it. */
import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import * as schema from "../../src/db/schema/index.ts";
import { codeOf, grpcAgent } from "../support/agents.ts";
import { machineWithAgent, requestInstallation } from "../support/machine.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();

const warn = 40;
const debug = 20;
const linesOf = (msg: string) => server.logged.filter((line) => line.msg === msg);

test("refusals are loud within a budget, and at debug past it", async () => {
  const { machineId } = await machineWithAgent(database.db);
  using stranger = grpcAgent(server, await generateAgentKey());
  for (let call = 0; call < 60; call++) expect(await codeOf(stranger.heartbeat({ machineId }))).toBe("Unauthenticated");
  const lines = linesOf("refused an agent's identity");
  expect(lines).toHaveLength(60);
  const loud = lines.filter(({ level }) => level === warn);
  // One more every three seconds, on a machine that may be slow.
  expect(loud.length).toBeGreaterThanOrEqual(20);
  expect(loud.length).toBeLessThan(60);
  expect(lines.filter(({ level }) => level === debug)).toHaveLength(60 - loud.length);
  expect(loud[0]).toMatchObject({ machineId, reason: "machine id or public key unknown" });
});

test("a request that cannot be read is told once in a while, not with each heartbeat", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  await database.db
    .update(schema.osInstallationRequest)
    .set({ request: Buffer.of(0xff) })
    .where(eq(schema.osInstallationRequest.machineId, machineId));
  using agent = grpcAgent(server, key);
  for (let call = 0; call < 10; call++) expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
  const told = server.logged.filter(
    (line) => line.machineId === machineId && /cannot be decoded/.test(String(line.msg)),
  );
  expect(told).toHaveLength(1);
});
