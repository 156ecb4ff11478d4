/**
 * A join token that replaces a machine's key, against the delivery of an installation to the old key, on two server
 * processes: once the key is replaced the old one is given nothing, and what it was given keeps the key in place.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { registerAgents } from "../../../src/db/queries/agent-started.ts";
import { deliverInstallations } from "../../../src/db/queries/heartbeat/deliver-installations.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { enrolmentClient, reportOf } from "../../support/enrolments.ts";
import { readInstallation } from "../../support/installation.ts";
import { machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";
import { uncommitted } from "../../support/uncommitted.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

const { database, servers } = await startTwoServers({ BMAAS_REENROL: "token" });
const { db } = database;
const { secret } = await tokenOf(db, "operator");
const placeOf = (index: number) => servers[index % 2] as ServerProcess;
const tokens = adminClient(JoinTokenService, placeOf(0).adminUrl, secret);
const { secret: joinToken } = await tokens.createJoinToken({
  maxUses: 1000,
  expireTime: timestampFromMs(Date.now() + 3_600_000),
});

/**
 * Makes a machine with a request, whose agent has reported its hardware, and a new agent that describes it and waits.
 * Both are connected.
 */
async function machineWithKnocker(oldPlace: ServerProcess, newPlace: ServerProcess) {
  const { machineId, key } = await machineWithAgent(db);
  const systemUuid = randomUUID();
  const mac = Buffer.from(systemUuid.replaceAll("-", "").slice(0, 12), "hex");
  const hardwareReport = reportOf(`SN-${systemUuid}`, { systemUuid, networkInterface: [{ mac }] });
  const old = grpcAgent(oldPlace, key);
  await old.heartbeat({ machineId, agentVersion: "1", hardwareReport });
  const newKey = await generateAgentKey();
  const client = enrolmentClient(newPlace, newKey);
  await client.enrol({ hardwareReport });
  const generation = await requestInstallation(db, machineId);
  const enrol = () => client.enrol({ hardwareReport, joinToken }).then(({ outcome }) => String(outcome.case));
  return { machineId, key, old, newKey, generation, enrol, [Symbol.dispose]: () => old[Symbol.dispose]() };
}

test("either the old key is given the installation and keeps its place, or the new one takes it and the old gets nothing", async () => {
  const outcomes: string[] = [];
  // Whichever came second gets a head start in the next round, so that the two meet.
  let headStartMs = 0;
  for (let round = 0; round < 60 && (round < 12 || new Set(outcomes).size < 2); round++) {
    using knocker = await machineWithKnocker(placeOf(round), placeOf(round + 1));
    const { machineId, old, newKey, generation, enrol } = knocker;
    const [beat, outcome] = await Promise.all([
      delay(Math.max(headStartMs, 0))
        .then(() => old.heartbeat({ machineId, agentVersion: "1" }))
        .then(
          ({ installationRequest }) => (installationRequest === undefined ? "nothing" : "given"),
          () => "refused",
        ),
      delay(Math.max(-headStartMs, 0)).then(enrol),
    ]);
    outcomes.push(outcome);
    headStartMs += outcome === "accepted" ? -4 : 4;
    const row = await readInstallation(database, machineId, generation);
    if (outcome === "accepted") {
      expect(beat).not.toBe("given");
      expect(row.firstGivenAt).toBeNull();
      expect(await codeOf(old.heartbeat({ machineId }))).toBe("Unauthenticated");
      using agent = grpcAgent(placeOf(round), newKey);
      expect((await agent.heartbeat({ machineId, agentVersion: "1" })).installationRequest?.generation).toBe(
        generation,
      );
    } else {
      expect([outcome, beat]).toEqual(["pending", "given"]);
      expect(row.firstGivenAt).not.toBeNull();
      expect(await enrol()).toBe("pending");
      expect((await old.heartbeat({ machineId, agentVersion: "1" })).installationRequest?.generation).toBe(generation);
    }
  }
  expect(new Set(outcomes)).toEqual(new Set(["accepted", "pending"]));
});

test("a delivery that is under way when the new agent asks keeps the key in place", async () => {
  using knocker = await machineWithKnocker(placeOf(0), placeOf(1));
  const { machineId, key, old, generation, enrol } = knocker;
  await withClient(database.url, async (client) => {
    await client.query("begin");
    const row = { machineId, publicKey: key.publicKey, generation };
    expect(await deliverInstallations(uncommitted(client), [row], 60_000)).toEqual([expect.anything()]);
    const asked = enrol();
    await withClient(database.url, (watcher) => waitForBlockedSessions(watcher, 1));
    await client.query("commit");
    expect(await asked).toBe("pending");
  });
  expect((await old.heartbeat({ machineId, agentVersion: "1" })).installationRequest?.generation).toBe(generation);
});

test("a delivery that waits for the replacement of its key gives nothing", async () => {
  using knocker = await machineWithKnocker(placeOf(0), placeOf(1));
  const { machineId, key, newKey, generation } = knocker;
  let delivered: Promise<unknown> | undefined;
  await withClient(database.url, async (client) => {
    await transact(db, async (tx) => {
      await registerAgents(tx, [{ machineId, publicKey: newKey.publicKey }], "test");
      delivered = deliverInstallations(client, [{ machineId, publicKey: key.publicKey, generation }], 60_000);
      await withClient(database.url, (watcher) => waitForBlockedSessions(watcher, 1));
    });
    expect(await delivered).toEqual([undefined]);
  });
  expect((await readInstallation(database, machineId, generation)).firstGivenAt).toBeNull();
});
