/**
 * Two machines with one id and key, as cloned disks make them: they are noticed, and nothing is installed on either.
 */
import { sql } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { countFleet } from "../../src/db/queries/fleet.ts";
import { grpcAgent, type HeartbeatInit, type TestAgent } from "../support/agents.ts";
import { readInstallation } from "../support/installation.ts";
import {
  machineWithAgent,
  readTags,
  replaceAgentKey,
  requestInstallation,
  type TestMachine,
} from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const { secret } = await tokenOf(db, "operator");
const machines = adminClient(MachineService, server.adminUrl, secret);
let machine: TestMachine;
let agent: TestAgent;

beforeEach(async () => {
  machine = await machineWithAgent(db);
  agent = grpcAgent(server, machine.key);
  return () => agent[Symbol.dispose]();
});

const beat = (init: HeartbeatInit) => agent.heartbeat({ machineId: machine.machineId, ...init });
/** What a heartbeat of the machine that booted under this id is asked for. */
const boot = async (bootId: string) => (await beat({ bootId })).installationRequest?.generation;
/** What a heartbeat with the hardware report of a machine of this serial number is asked for. */
const hardware = async (serialNumber: string) =>
  (await beat({ hardwareReport: { report: { product: "X1", serialNumber } } })).installationRequest?.generation;
const historyOf = async (kind: string) =>
  (await readTags(database, machine.machineId)).history.filter((event) => event.kind === kind);
const request = () => requestInstallation(db, machine.machineId);
const explain = () => machines.explainMachine({ machineId: machine.machineId });
const warnings = () =>
  server.logged.filter(({ level, machineId, sign }) => level === 40 && machineId === machine.machineId && sign);

interface StoredDuplicate {
  readonly sign: string;
  readonly value: string;
  readonly otherValue: string;
  readonly minutes: number;
}

/** What is stored of two machines, with for how many minutes from now on they are believed. */
const findDuplicate = async () => {
  const [row] = await observe(database)<StoredDuplicate[]>`
    select sign, value, other_value, round(extract(epoch from until - seen_at) / 60)::int as minutes
      from duplicate_agent where machine_id = ${machine.machineId}`;
  return row;
};

/** Lets the signs stop for longer than they are believed. */
const letTimePass = () =>
  db.execute(sql`
    update duplicate_agent set since = since - interval '2 days', seen_at = seen_at - interval '2 days',
           until = until - interval '2 days' where machine_id = ${machine.machineId}`);

describe("a boot id that comes back after another one", () => {
  test("is two machines: neither is given an installation any more", async () => {
    await request();
    expect([await boot("a"), await boot("b")]).toEqual([1n, 1n]);
    expect([await boot("a"), await boot("b"), await boot("b"), await boot("a")]).toEqual(Array(4).fill(undefined));
    expect(await readInstallation(database, machine.machineId, 1n)).toMatchObject({ timesGiven: 2n });
    expect(await request()).toBe(2n);
    expect([await boot("a"), await boot("b")]).toEqual([undefined, undefined]);
    expect(await readInstallation(database, machine.machineId, 2n)).toMatchObject({ firstGivenAt: null });
  });

  test("is logged and in the history once, whatever else they say, and is no boot", async () => {
    for (const bootId of ["a", "b", "a", "b", "a"]) await boot(bootId);
    const found = { sign: "boot_id", value: "a", otherValue: "b" };
    expect(await historyOf("agent_duplicated")).toMatchObject([
      { actor: `agent:${machine.key.publicKeyHex}`, detail: found },
    ]);
    expect(warnings()).toEqual([expect.objectContaining({ ...found, publicKey: machine.key.publicKeyHex })]);
    expect((await historyOf("agent_booted")).map(({ detail }) => detail)).toEqual([
      { bootId: "b", previousBootId: "a" },
    ]);
    expect(await findDuplicate()).toEqual({ ...found, minutes: 60 });
  });

  test("is explained, with until when, and that the key of the right one ends it", async () => {
    for (const bootId of ["a", "b", "a"]) await boot(bootId);
    const said = /; two machines call with its id and key: boot id "a" came back after "b", last \d+ s ago/;
    expect((await explain()).condition).toMatch(said);
    await request();
    const { condition, next, nextTime, remedies } = await explain();
    expect(condition).toMatch(
      /^installation 1 was requested .*, but it is withheld, because two machines call with this/,
    );
    expect(condition).toMatch(said);
    expect(next).toMatch(/if no further sign of two machines appears$/);
    expect(Number(nextTime?.seconds) * 1000).toBeGreaterThan(Date.now() + 50 * 60_000);
    expect(remedies[0]?.command).toBe(`bmaas agents replace ${machine.machineId} PUBLIC_KEY`);
  });

  test("is counted in the fleet", async () => {
    const before = (await countFleet(db)).duplicateAgents;
    for (const bootId of ["a", "b", "a"]) await boot(bootId);
    expect((await countFleet(db)).duplicateAgents).toBe(before + 1n);
    await letTimePass();
    expect((await countFleet(db)).duplicateAgents).toBe(before);
  });

  test("holds until the key is replaced, and the old one is heard no more", async () => {
    await request();
    for (const bootId of ["a", "b", "a"]) await boot(bootId);
    const right = await generateAgentKey();
    await adminClient(AgentService, server.adminUrl, secret).replaceAgent({
      machineId: machine.machineId,
      publicKey: right.publicKey,
    });
    using successor = grpcAgent(server, right);
    const answer = await successor.heartbeat({ machineId: machine.machineId, bootId: "b" });
    expect(answer.installationRequest?.generation).toBe(1n);
    await expect(boot("a")).rejects.toThrow(/unknown/);
    expect(await findDuplicate()).toBeUndefined();
    expect((await explain()).condition).not.toContain("two machines");
  });

  test("is forgotten when only one of them is heard for a while; should it be heard again, that is told anew", async () => {
    for (const bootId of ["a", "b", "a"]) await boot(bootId);
    await request();
    expect(await boot("a")).toBeUndefined();
    await letTimePass();
    expect(await boot("a")).toBe(1n);
    expect((await explain()).condition).not.toContain("two machines");
    expect(await boot("b")).toBeUndefined();
    expect(await historyOf("agent_duplicated")).toHaveLength(2);
    expect(warnings()).toHaveLength(2);
  });

  test("is noticed among several machines, and what is kept of boots is bounded", async () => {
    for (let number = 0; number < 40; number++) await boot(`boot ${number}`);
    expect(await findDuplicate()).toBeUndefined();
    const [past] = await observe(database)<{ bootIds: string[] }[]>`
      select array_to_json(boot_ids) as boot_ids from agent_past where machine_id = ${machine.machineId}`;
    expect(past?.bootIds).toEqual(Array.from({ length: 16 }, (_, index) => `boot ${index + 23}`));
    await boot("boot 23");
    expect(await findDuplicate()).toMatchObject({ value: "boot 23", otherValue: "boot 39" });
  });

  test("is waited for as long as the agents may be silent, where that is longer", async () => {
    const quiet = { generation: 9n, quietFor: { seconds: 7200n, nanos: 0 } };
    for (const bootId of ["a", "b", "a"]) await beat({ bootId, installationProgress: quiet });
    expect(await findDuplicate()).toMatchObject({ minutes: 120 });
  });
});

describe("is one machine", () => {
  test.each([
    ["that boots again and again", ["a", "b", "c", "d", "e"]],
    ["that goes on calling under one boot id", ["a", "a", "b", "b", "b"]],
    ["whose agent does not always say it", ["a", "", "a", "", "a"]],
  ])("one %s", async (_what, bootIds) => {
    await request();
    for (const bootId of bootIds) expect(await boot(bootId)).toBe(1n);
    expect(await findDuplicate()).toBeUndefined();
    expect(await historyOf("agent_duplicated")).toEqual([]);
  });

  test.each([
    ["whose board was replaced", ["one", "two", "two"]],
    ["whose agent cannot always read its serial number", ["one", "", "one", "", "one"]],
    [
      "whose firmware shows its serial number at times",
      ["one", "To be filled by O.E.M.", "one", "Default string", "one"],
    ],
  ])("one %s", async (_what, serialNumbers) => {
    await request();
    for (const serialNumber of serialNumbers) expect(await hardware(serialNumber)).toBe(1n);
    expect(await findDuplicate()).toBeUndefined();
  });

  test("one whose key was replaced since", async () => {
    for (const bootId of ["a", "b"]) await boot(bootId);
    machine = { ...machine, key: await replaceAgentKey(db, machine.machineId) };
    agent[Symbol.dispose]();
    agent = grpcAgent(server, machine.key);
    await boot("a");
    expect(await findDuplicate()).toBeUndefined();
  });
});

describe("serial numbers of agents that say nothing of boots", () => {
  test("alternate: two machines, neither of which is given an installation for a day", async () => {
    await request();
    expect([await hardware("SERIAL-A"), await hardware("SERIAL-B")]).toEqual([1n, 1n]);
    expect(await hardware("SERIAL-A")).toBeUndefined();
    expect((await beat({})).installationRequest).toBeUndefined();
    const found = { sign: "serial_number", value: "SERIAL-A", otherValue: "SERIAL-B" };
    expect(await findDuplicate()).toEqual({ ...found, minutes: 24 * 60 });
    expect(await historyOf("agent_duplicated")).toMatchObject([{ detail: found }]);
    expect(warnings()).toEqual([expect.objectContaining(found)]);
    expect((await explain()).condition).toContain('serial number "SERIAL-A" came back after "SERIAL-B"');
  });

  test("beside boot ids tell of the same two machines once", async () => {
    for (const box of ["a", "b", "a", "b"]) {
      await beat({ bootId: `boot of ${box}`, hardwareReport: { report: { serialNumber: `SERIAL-${box}` } } });
    }
    expect(await historyOf("agent_duplicated")).toHaveLength(1);
    expect(warnings()).toHaveLength(1);
  });
});
