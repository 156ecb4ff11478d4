/** What agents report about their machines' health: what is kept of it, what follows, and what it costs. */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { HealthEffect, HealthSeverity } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { readHistoryPosition } from "../../src/db/queries/history-position.ts";
import { listMachineChanges } from "../../src/db/queries/machine-change.ts";
import { type EventMessage, toMessageId, writeHistoryMessage } from "../../src/receivers/event-message.ts";
import { codeOf, grpcAgent, type HeartbeatInit } from "../support/agents.ts";
import { machineWithAgent, readTags, replaceAgentKey, requestInstallation } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { startWatch } from "../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const { name, secret } = await tokenOf(database.db, "operator");
const healths = adminClient(HealthService, server.adminUrl, secret);
const machines = adminClient(MachineService, server.adminUrl, secret);
type Report = NonNullable<HeartbeatInit["health"]>;
const { BLOCK_INSTALL } = HealthEffect;

async function createAgent() {
  const { machineId, key } = await machineWithAgent(database.db);
  const agent = grpcAgent(server, key);
  return {
    machineId,
    actor: `agent:${key.publicKeyHex}`,
    beat: (init: HeartbeatInit = {}) => agent.heartbeat({ machineId, ...init }),
    report: (health: Report) => agent.heartbeat({ machineId, health }),
    alerts: async () => (await healths.getHealth({ machineId })).alerts,
    history: async () => (await readTags(database, machineId)).history.filter(({ kind }) => kind === "health_changed"),
    rows: () =>
      observe(database)<{ id: string; xmin: string; lasts: number }[]>`
        select alert_id as id, xmin::text, extract(epoch from until - now())::float8 as lasts
          from health_alert where machine_id = ${machineId} order by alert_id`,
    [Symbol.dispose]: () => agent[Symbol.dispose](),
  };
}

test("replaces what the agent reported before, and nothing of others; heartbeats without it leave it", async () => {
  using agent = await createAgent();
  const { machineId } = agent;
  const ttl = durationFromMs(60_000);
  await healths.putHealth({ machineId, source: "bmc", alerts: [{ id: "psu", severity: 2 }], ttl });
  await agent.report({
    alert: [{ id: "raid", target: "md0", severity: HealthSeverity.CRITICAL, message: "degraded" }],
  });
  await agent.beat();
  const [own] = await agent.alerts();
  expect(own).toMatchObject({ source: "agent", id: "raid", target: "md0", severity: 3, message: "degraded" });
  await agent.report({ alert: [{ id: "raid", target: "md0" }, { id: "fan" }] });
  expect(await agent.alerts()).toMatchObject([
    { source: "agent", id: "fan", severity: 2, target: "" },
    { source: "agent", id: "raid", severity: 2, sinceTime: own?.sinceTime },
    { source: "bmc", id: "psu" },
  ]);
  await agent.report({});
  expect(await agent.alerts()).toMatchObject([{ source: "bmc" }]);
  expect((await agent.history()).slice(1)).toMatchObject([
    {
      actor: agent.actor,
      detail: {
        ...{ source: "agent", began: null, changed: null, ended: "fan; raid of md0", changes: "3" },
        alerts: "raid of md0 (critical); fan (warning); raid of md0 (warning)",
      },
    },
  ]);
});

test("outlives the agent's key, and is taken back by the next agent or by an operator", async () => {
  using agent = await createAgent();
  const { machineId } = agent;
  const alert = [{ id: "raid", effects: [BLOCK_INSTALL] }, { id: "fan" }];
  await agent.report({ alert });
  const next = await replaceAgentKey(database.db, machineId);
  expect(await agent.alerts()).toMatchObject([{ id: "fan" }, { id: "raid", effects: [BLOCK_INSTALL] }]);
  using nextAgent = grpcAgent(server, next);
  await nextAgent.heartbeat({ machineId, health: { alert: alert.slice(0, 1) } });
  expect(await agent.alerts()).toMatchObject([{ id: "raid" }]);
  await adminClient(AgentService, server.adminUrl, secret).revokeAgent({ machineId });
  expect(await agent.alerts()).toMatchObject([{ id: "raid" }]);
  const answer = await healths.putHealth({ machineId, source: "agent", alerts: [], ttl: durationFromMs(1000) });
  expect(answer).toMatchObject({ machine: { id: machineId }, alerts: [] });
  expect(answer.machine?.health?.blocksInstall ?? false).toBe(false);
  expect((await agent.history()).at(-1)).toMatchObject({
    ...{ actor: `token:${name}`, detail: { source: "agent", ended: "raid", began: null } },
  });
});

describe("that changes all the time", () => {
  const flap = (agent: { report: (health: Report) => Promise<unknown> }, id: string) =>
    agent.report({ alert: [{ id, message: `${Math.random()}` }] });
  const age = (machineId: string, minutes: number) =>
    observe(database)`
      update machine_history set at = at - ${minutes} * interval '1 minute' where machine_id = ${machineId}`;

  test("is one row of the history an hour, which names what changed and is read again after each change", async () => {
    using agent = await createAgent();
    const { machineId } = agent;
    await using watch = await startWatch(machines);
    const { position } = await readHistoryPosition(database.db);
    const told: EventMessage[] = [];
    for (const id of ["fan", "raid", "fan", "psu"]) {
      await flap(agent, id);
      const changes = await waitUntil(`the change of ${id} is the last one`, async () => {
        const all = await listMachineChanges(database.db, position, 1000);
        const own = all.flatMap((change) => ("issue" in change || change.machineId !== machineId ? [] : [change]));
        return own.some(({ detail }) => detail.began?.startsWith(id)) && own;
      });
      expect(changes).toHaveLength(1);
      told.push(...changes.map((change) => writeHistoryMessage(change, undefined)));
      await age(machineId, 10);
    }
    expect(await agent.history()).toMatchObject([
      {
        actor: agent.actor,
        detail: {
          ...{ began: expect.stringMatching(/^psu \(warning\): 0\.\d+$/), ended: "fan", changes: "4" },
          alerts: "fan (warning); raid (warning); psu (warning)",
        },
      },
    ]);
    // A receiver is told each change, at its time.
    expect(new Set(told.map((message) => toMessageId("receiver", message))).size).toBe(4);
    expect(told[3]?.at.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(JSON.parse(told[0]?.payload ?? "").data.text).not.toContain("alerts=");
    await waitUntil("the watch tells the fourth", () => watch.events.some(({ detail }) => detail.changes === "4"));
    await age(machineId, 30);
    await flap(agent, "fan");
    expect((await agent.history()).map(({ detail }) => detail.changes ?? "1")).toEqual(["4", "1"]);
  });

  test("names twenty alerts, and costs no more if the agent invents them", async () => {
    using agent = await createAgent();
    for (let round = 0; round < 5; round++) {
      await agent.report({ alert: Array.from({ length: 9 }, (_, index) => ({ id: `x${round}${index}` })) });
    }
    const rows = await agent.history();
    expect(rows).toHaveLength(1);
    const names = String(rows[0]?.detail.alerts).split("; ");
    expect(names.slice(0, 2)).toEqual(["x00 (warning)", "x01 (warning)"]);
    expect([names.length, names.at(-1)]).toEqual([21, "and more"]);
  });

  test("has another row for another key, and none of what operators' programs put", async () => {
    using agent = await createAgent();
    const { machineId } = agent;
    await flap(agent, "fan");
    await healths.putHealth({
      machineId,
      source: "bmc",
      alerts: [{ id: "psu", severity: 2 }],
      ttl: durationFromMs(60_000),
    });
    await healths.putHealth({ machineId, source: "bmc", alerts: [], ttl: durationFromMs(60_000) });
    await flap(agent, "raid");
    const key = await replaceAgentKey(database.db, machineId);
    using successor = grpcAgent(server, key);
    await successor.heartbeat({ machineId, health: { alert: [{ id: "fan" }] } });
    expect((await agent.history()).map(({ actor, detail }) => [actor, detail.changes ?? "1"])).toEqual([
      [agent.actor, "2"],
      [expect.stringMatching(/^token:/), "1"],
      [expect.stringMatching(/^token:/), "1"],
      [`agent:${key.publicKeyHex}`, "1"],
    ]);
  });
});

test("blocks installations from the answer to the same heartbeat on", async () => {
  using agent = await createAgent();
  const generation = await requestInstallation(database.db, agent.machineId);
  const alert = [{ id: "raid", effects: [BLOCK_INSTALL] }];
  expect((await agent.report({ alert })).installationRequest).toBeUndefined();
  expect((await agent.beat()).installationRequest).toBeUndefined();
  const { condition } = await machines.explainMachine({ machineId: agent.machineId });
  expect(condition).toMatch(/it has the health alert raid \(warning, from agent\), for .*, which blocks installations/);
  expect((await agent.report({ alert: [{ id: "raid" }] })).installationRequest?.generation).toBe(generation);
});

test("never mutes its machine, which a stolen key could hide by that", async () => {
  using agent = await createAgent();
  await agent.report({ alert: [{ id: "fan", effects: [HealthEffect.MUTE, BLOCK_INSTALL] }] });
  expect(await agent.alerts()).toMatchObject([{ id: "fan", effects: [1] }]);
  const { machine } = await machines.getMachine({ machineId: agent.machineId });
  expect(machine?.issues.map(({ type }) => type)).toContain("health");
});

test("that is repeated unchanged is written only when its time would be over too soon", async () => {
  using agent = await createAgent();
  const report = { alert: [{ id: "raid", message: "degraded" }, { id: "fan" }], ttl: durationFromMs(3_600_000) };
  await agent.report(report);
  const before = await agent.rows();
  await agent.report(report);
  expect(await agent.rows()).toMatchObject(before.map(({ id, xmin }) => ({ id, xmin })));
  expect(Math.min(...before.map(({ lasts }) => lasts))).toBeGreaterThan(3_600);
  await observe(
    database,
  )`update health_alert set until = now() + interval '59 minutes' where machine_id = ${agent.machineId} and alert_id = 'fan'`;
  await agent.report(report);
  const after = await agent.rows();
  expect(after.map(({ xmin }, index) => xmin === before[index]?.xmin)).toEqual([false, true]);
  expect(after[0]?.lasts).toBeGreaterThan(3_600);
  expect(await agent.history()).toHaveLength(1);
});

test("is kept for an hour unless the agent says for how long, and for a day at most", async () => {
  using agent = await createAgent();
  const lasting = async (health: Omit<Report, "$typeName" | "alert">) => {
    await agent.report({ alert: [{ id: String(Math.random()) }], ...health });
    const [row] = await agent.rows();
    // A quarter longer at most, so that the agent can repeat it unchanged.
    return Math.round((row?.lasts ?? 0) / 1.25);
  };
  expect(await lasting({})).toBe(3_600);
  expect(await lasting({ ttl: durationFromMs(7_200_000) })).toBe(7_200);
  expect(await lasting({ ttl: durationFromMs(365 * 86_400_000) })).toBe(86_400);
  expect(await codeOf(agent.report({ ttl: { seconds: -1n, nanos: 0 } }))).toBe("InvalidArgument");
});

test("is bounded, printable, and never stops the heartbeat", async () => {
  using agent = await createAgent();
  const fillers = Array.from({ length: 200 }, (_, index) => ({ id: `x${index}`, severity: HealthSeverity.INFO }));
  const worst = { id: "a\0\n b".padEnd(500, "c"), target: "t".repeat(500), message: " m\u0007\nn".padEnd(5_000, "o") };
  const important = [
    { ...worst, severity: HealthSeverity.CRITICAL },
    { id: "raid", effects: [BLOCK_INSTALL, 77 as HealthEffect] },
  ];
  await agent.report({
    alert: [
      { id: " " },
      ...fillers,
      ...important,
      { id: "raid", message: "twice" },
      { id: "y", severity: 99 as HealthSeverity },
    ],
  });
  const alerts = await agent.alerts();
  expect(alerts).toHaveLength(100);
  expect(alerts[0]).toMatchObject({
    id: expect.stringMatching(/^a\ufffd bc+$/),
    severity: 3,
    message: expect.stringMatching(/^m no+$/),
  });
  expect([alerts[0]?.id.length, alerts[0]?.target.length]).toEqual([63, 128]);
  expect(alerts.slice(1, 3)).toMatchObject([
    { id: "raid", message: "", severity: 2, effects: [1] },
    { id: "y", severity: 2 },
  ]);
});

test("shows that the agent knows more than Monogon's", async () => {
  using agent = await createAgent();
  await agent.beat();
  const knows = async () =>
    (
      await observe(database)<{ knows: boolean }[]>`
    select knows_additions as knows from agent_heartbeat where machine_id = ${agent.machineId}`
    )[0]?.knows;
  expect(await knows()).toBe(false);
  await agent.report({});
  expect(await knows()).toBe(true);
});
