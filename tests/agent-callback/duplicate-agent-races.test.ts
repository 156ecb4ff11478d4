/**
 * Two machines with one key that call two server processes at once: once they have been noticed, nothing is handed out.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { codeOf } from "../support/agents.ts";
import { connectMachine, machineOn, success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { type ServerProcess, startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

interface Sample {
  readonly noticed: boolean;
  readonly timesGiven: number;
}

/** Looks at the machine again and again, each time in one snapshot, until `end` is called. */
function watch(machineId: string, generation: bigint) {
  const samples: Sample[] = [];
  const look = async () => {
    const [sample] = await observe(database)<Sample[]>`
      select times_given::int, exists (select from duplicate_agent where machine_id = ${machineId}) as noticed
        from os_installation_request where machine_id = ${machineId} and generation = ${generation}`;
    samples.push(sample as Sample);
  };
  let isEnding = false;
  const watching = (async () => {
    for (; !isEnding; await delay(1)) await look();
  })();
  return {
    end: async () => {
      isEnding = true;
      await watching;
      await look();
      return samples;
    },
  };
}

test("no delivery is recorded once they are noticed, whatever is in flight meanwhile", async () => {
  const tally = { given: 0, withheld: 0 };
  for (let round = 0; round < 100 && (round < 12 || tally.given === 0 || tally.withheld === 0); round++) {
    using machine = await machineOn(database.db, servers);
    const { machineId } = machine;
    await machine.beat(0, { bootId: "a" });
    await machine.beat(1, { bootId: "b" });
    const generation = await requestInstallation(database.db, machineId);
    const watcher = watch(machineId, generation);
    // The first "a" to be counted is the sign; it meets the "b" before it at a moment that is another one each time.
    const calls = [machine.beat(round % 2, { bootId: "b" })];
    await delay(round % 8);
    calls.push(...["a", "b", "a"].map((bootId, index) => machine.beat((index + round + 1) % 2, { bootId })));
    const handed = (await Promise.all(calls)).filter((given) => given !== undefined);
    const after = await Promise.all([machine.beat(0, { bootId: "a" }), machine.beat(1, { bootId: "b" })]);
    expect(after).toEqual([undefined, undefined]);
    const samples = await watcher.end();
    const timesSinceNoticed = new Set(samples.filter(({ noticed }) => noticed).map(({ timesGiven }) => timesGiven));
    expect([...timesSinceNoticed]).toEqual([handed.length]);
    const { history } = await readTags(database, machineId);
    expect(history.filter(({ kind }) => kind === "agent_duplicated")).toHaveLength(1);
    tally[handed.length > 0 ? "given" : "withheld"]++;
  }
  // A race that only ever has one outcome proves nothing.
  expect(tally.given).toBeGreaterThan(0);
  expect(tally.withheld).toBeGreaterThan(0);
});

test("a key that is replaced leaves nothing of two machines behind, and its agent's reports count if they were given", async () => {
  const { secret } = await tokenOf(database.db, "operator");
  const missing = new Set(["given to the successor", "withheld", "reported"]);
  for (let round = 0; round < 150 && (round < 12 || missing.size > 0); round++) {
    using machine = await machineOn(database.db, servers);
    const { machineId } = machine;
    for (const bootId of ["a", "b"]) await machine.beat(round % 2, { bootId });
    const generation = await requestInstallation(database.db, machineId);
    const key = await generateAgentKey();
    using successor = connectMachine(machineId, key, servers);
    const { adminUrl } = servers[round % 2] as ServerProcess;
    const replace = () =>
      adminClient(AgentService, adminUrl, secret).replaceAgent({ machineId, publicKey: key.publicKey });
    const calls = [
      codeOf(machine.beat(0, { bootId: "a" })),
      codeOf(machine.beat(1, { bootId: "b" })),
      delay(round % 5).then(replace),
      delay(round % 3).then(() => codeOf(machine.beat(0, { bootId: "b", ...success(generation) }))),
      codeOf(successor.beat(1, { bootId: "c" })),
    ];
    await Promise.all(calls);
    const { firstGivenAt } = await readInstallation(database, machineId, generation);
    const { report } = await readTags(database, machineId);
    const given = await successor.beat(0, { bootId: "c" });
    expect(await codeOf(machine.beat(1, { bootId: "a" }))).toBe("Unauthenticated");
    const [left] = await observe(database)<{ duplicates: number; past: string | null }[]>`
      select (select count(*)::int from duplicate_agent where machine_id = ${machineId}) as duplicates,
             (select boot_ids::text from agent_past where machine_id = ${machineId}) as past`;
    expect(left).toEqual({ duplicates: 0, past: null });
    if (report !== undefined) {
      expect([firstGivenAt, given]).toEqual([expect.any(Date), undefined]);
      missing.delete("reported");
    } else missing.delete(given === generation ? "given to the successor" : "withheld");
  }
  expect([...missing]).toEqual([]);
});
