/** Health alerts that programs put on machines: what replaces what, what they keep away, and how they end. */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { FleetService } from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { type HealthAlertSchema, HealthEffect, HealthService } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { HealthSeverity } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { moveInstallation } from "../../support/installation.ts";
import { bareMachine, machineWithAgent, readTags, requestInstallation } from "../../support/machine.ts";
import { scrape } from "../../support/metrics.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { imageYaml, mistakesOf, seedText } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const actor = `token:${operator.name}`;
const healths = adminClient(HealthService, server.adminUrl, operator.secret);
const machines = adminClient(MachineService, server.adminUrl, operator.secret);
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);
const { BLOCK_INSTALL, MUTE } = HealthEffect;
const { CRITICAL, WARNING, INFO } = HealthSeverity;
type Alert = MessageInitShape<typeof HealthAlertSchema>;

const put = (machineId: string, source: string, alerts: readonly Alert[], ttlMs = 3_600_000) =>
  healths.putHealth({ machineId, source, alerts: [...alerts], ttl: durationFromMs(ttlMs) });
const get = async (machineId: string) => (await healths.getHealth({ machineId })).alerts;
const namesOf = async (machineId: string) =>
  (await get(machineId)).map(({ source, id, target }) => [source, id, target].join(" ").trim());
const history = async (machineId: string) =>
  (await readTags(database, machineId)).history.filter(({ kind }) => kind === "health_changed");
const memtest: Alert = { id: "memtest", severity: CRITICAL, message: "4 errors", effects: [BLOCK_INSTALL] };
const smart = (target: string, severity = WARNING): Alert => ({ id: "smart", target, severity });
const target = {
  type: {
    case: "image" as const,
    value: { url: "https://images.example/os.img", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "sda" },
  },
};

describe("alerts", () => {
  test("are merged by source, keep their beginning while they are repeated, and are on record", async () => {
    const machineId = await bareMachine(database.db);
    const first = await put(machineId.toUpperCase(), "smartd", [smart("sda"), smart("sdb", CRITICAL)]);
    expect(first.machine).toMatchObject({
      id: machineId,
      health: { severity: CRITICAL, alerts: 2, blocksInstall: false },
    });
    const since = first.alerts.map(({ sinceTime }) => sinceTime);
    await put(machineId, "burn-in", [memtest]);
    const again = await put(machineId, "smartd", [smart("sda"), { ...smart("sdc", INFO), message: "warm" }]);
    expect(again.alerts).toMatchObject([
      { id: "smart", target: "sda", source: "smartd", severity: WARNING, effects: [], sinceTime: since[1] },
      { id: "smart", target: "sdc", source: "smartd", severity: INFO, message: "warm" },
    ]);
    expect(again.alerts[1]?.sinceTime).not.toEqual(since[1]);
    expect(await get(machineId)).toMatchObject([
      { source: "burn-in", id: "memtest", message: "4 errors", effects: [BLOCK_INSTALL] },
      { source: "smartd", target: "sda" },
      { source: "smartd", target: "sdc" },
    ]);
    await put(machineId, "smartd", [smart("sda"), smart("sdc", INFO)]);
    await put(machineId, "burn-in", []);
    expect(await history(machineId)).toMatchObject([
      { actor, detail: { source: "smartd", began: "smart of sda (warning); smart of sdb (critical)", ended: null } },
      { detail: { began: "memtest (critical, blocks installations): 4 errors", blocksInstall: "true" } },
      { detail: { began: "smart of sdc (info): warm", ended: "smart of sdb", changed: null, blocksInstall: null } },
      { detail: { source: "burn-in", began: null, ended: "memtest", blocksInstall: null } },
    ]);
  });

  test("change their severity and effects without another beginning", async () => {
    const machineId = await bareMachine(database.db);
    const [before] = (await put(machineId, "bmc", [smart("sda")])).alerts;
    const [after] = (await put(machineId, "bmc", [{ ...smart("sda", CRITICAL), effects: [BLOCK_INSTALL, MUTE] }]))
      .alerts;
    expect(after).toMatchObject({ severity: CRITICAL, effects: [BLOCK_INSTALL, MUTE], sinceTime: before?.sinceTime });
    expect((await history(machineId)).at(-1)?.detail).toMatchObject({
      ...{ changed: "smart of sda (critical, blocks installations, mutes)", began: null, blocksInstall: "true" },
    });
    // Only what follows from an alert is worth a row: figures in messages move all the time.
    await put(machineId, "bmc", [{ ...smart("sda", CRITICAL), effects: [BLOCK_INSTALL, MUTE], message: "81 °C" }]);
    expect(await history(machineId)).toHaveLength(2);
  });

  test("end by the database's clock, and begin anew when they are put again", async () => {
    const machineId = await bareMachine(database.db);
    const [lasting] = (await put(machineId, "bmc", [memtest], 3_600_000)).alerts;
    const [row] = await observe(database)<{ lasts: string }[]>`
      select extract(epoch from until - since)::float8 as lasts from health_alert where machine_id = ${machineId}`;
    expect(Number(row?.lasts)).toBe(3600);
    const [brief] = (await put(machineId, "bmc", [memtest], 1000)).alerts;
    expect(brief?.sinceTime).toEqual(lasting?.sinceTime);
    await put(machineId, "smartd", [smart("sda")]);
    await expect.poll(() => namesOf(machineId)).toEqual(["smartd smart sda"]);
    expect((await machines.getMachine({ machineId })).machine?.health).toMatchObject({
      alerts: 1,
      blocksInstall: false,
    });
    const [anew] = (await put(machineId, "bmc", [memtest])).alerts;
    expect(timestampMs(anew?.sinceTime ?? ({ seconds: 0n, nanos: 0 } as never))).toBeGreaterThan(
      timestampMs(brief?.endTime ?? ({ seconds: 0n, nanos: 0 } as never)) - 1,
    );
    expect(await history(machineId)).toHaveLength(3);
  });

  test("whose time is over are deleted by the next put", async () => {
    const machineId = await bareMachine(database.db);
    await put(machineId, "bmc", [memtest], 1000);
    await expect.poll(() => namesOf(machineId)).toEqual([]);
    await put(machineId, "smartd", []);
    expect(await observe(database)`select from health_alert where machine_id = ${machineId}`).toHaveLength(0);
  });

  test("name in the history how many more there are", async () => {
    const machineId = await bareMachine(database.db);
    await put(
      machineId,
      "bmc",
      Array.from({ length: 100 }, (_, index) => ({ ...memtest, target: `dimm${index}` })),
    );
    const [event] = await history(machineId);
    expect(event?.detail.began).toMatch(/^memtest of dimm0 \(.*; and 90 more$/);
  });
});

describe("while an alert blocks installations", () => {
  test("nothing is requested of the machine, and the refusal says by which alert", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await put(machineId, "burn-in", [smart("sda"), { ...memtest, target: "dimm3" }]);
    const reason = "memtest of dimm3 (critical, from burn-in): 4 errors";
    expect(await errorOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`MACHINE_BLOCKED machines/${machineId}`],
      message: expect.stringContaining(`machine ${machineId} is blocked by the health alert ${reason}; `),
    });
    const text = `machines: [{ id: ${machineId}, install: { uncheckedDisk: true, image: ${imageYaml()} } }]`;
    expect(await mistakesOf(() => seedText(database.db, text))).toEqual([
      expect.stringMatching(/install: machine .* is blocked by the health alert memtest of dimm3/),
    ]);
    await put(machineId, "burn-in", [smart("sda")]);
    expect(await codeOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target }))).toBe("ok");
  });

  test("a failed installation is not retried", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const generation = await requestInstallation(database.db, machineId);
    await moveInstallation(database.db, machineId, generation, "failed");
    await put(machineId, "burn-in", [memtest]);
    expect(await codeOf(installations.retryInstallation({ machineId }))).toBe("FailedPrecondition");
    await put(machineId, "burn-in", []);
    expect(await codeOf(installations.retryInstallation({ machineId }))).toBe("ok");
  });

  test("its agent is given nothing, whether it had it before or not, until the alert's time is over", async () => {
    for (const wasGiven of [false, true]) {
      const { machineId, key } = await machineWithAgent(database.db);
      using agent = grpcAgent(server, key);
      const generation = await requestInstallation(database.db, machineId);
      const ask = async () => (await agent.heartbeat({ machineId })).installationRequest?.generation;
      if (wasGiven) expect(await ask()).toBe(generation);
      const endMs = Date.now() + 1_500;
      await put(machineId, "bmc", [memtest], 1_500);
      for (let given = await ask(); Date.now() < endMs; given = await ask()) expect(given).toBeUndefined();
      await expect.poll(ask).toBe(generation);
    }
  });

  test("explanations say which, until when, and what to do", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    await put(machineId, "burn-in", [memtest, smart("sda"), smart("sdb"), smart("sdc")]);
    const { condition, next, nextTime, remedies } = await machines.explainMachine({ machineId });
    expect(condition).toMatch(
      /but it is withheld, because a health alert blocks installations; it has the health alerts/,
    );
    expect(condition).toMatch(
      /memtest \(critical, from burn-in\): 4 errors, for .* \(since .*\), which blocks installations; smart of sda .*; 1 more$/,
    );
    expect(next).toBe("the agent is given it with its first heartbeat after this time, if the alert is not put again");
    expect(timestampMs(nextTime as never)).toBeGreaterThan(Date.now() + 3_000_000);
    expect(remedies[0]?.command).toBe(`bmaas machines health ${machineId}`);
    await machines.setHold({ machineId, reason: "bench" });
    expect((await machines.explainMachine({ machineId })).next).toBe("");
  });
});

test("PutHealth answers after deliveries that are under way have ended", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const delivery = new pg.Client({ connectionString: database.url });
  await delivery.connect();
  await delivery.query("begin");
  // As a delivery does before it looks for alerts that block.
  await delivery.query("select from agent_started where machine_id = $1 for no key update", [machineId]);
  let hasAnswered = false;
  const putting = put(machineId, "burn-in", [memtest]).then(() => {
    hasAnswered = true;
  });
  await waitForBlockedSessions(delivery, 1);
  expect(hasAnswered).toBe(false);
  await delivery.query("commit");
  await putting;
  await delivery.end();
});

test("lists and watchers go by it", async () => {
  const provider = randomUUID();
  const create = async () => {
    const { machine } = await machines.createMachine({ provided: { provider, providerId: randomUUID() } });
    return machine?.id ?? "";
  };
  const [blocked, free, past] = [await create(), await create(), await create()];
  await using watch = await startWatch(machines, { filter: { blocked: true } });
  await put(blocked, "burn-in", [memtest, { ...memtest, target: "dimm1" }]);
  await put(free, "burn-in", [smart("sda")]);
  await put(past, "burn-in", [memtest], 1000);
  const list = async (isBlocked: boolean) =>
    (await machines.listMachines({ filter: { provider, blocked: isBlocked } })).machines.map(({ id }) => id);
  await expect.poll(() => list(true)).toEqual([blocked]);
  expect(await list(false)).toEqual([free, past].toSorted());
  expect((await machines.listMachines({ filter: { provider, blocked: true }, pageSize: 1 })).machines).toMatchObject([
    { id: blocked, health: { alerts: 2, blocksInstall: true, severity: CRITICAL } },
  ]);
  expect(await watch.waitFor(blocked, "health_changed")).toMatchObject({
    ...{ actor, detail: { source: "burn-in", blocksInstall: "true" }, machine: { health: { blocksInstall: true } } },
  });
});

test("an alert that mutes takes its machine out of alerts once, as a muted hold does", async () => {
  const fresh = await startServerWithDatabase();
  const { secret } = await tokenOf(fresh.database.db, "operator");
  const client = adminClient(HealthService, fresh.server.adminUrl, secret);
  const ids = await Promise.all([1, 2, 3].map(() => bareMachine(fresh.database.db)));
  const mute = { severity: INFO, effects: [MUTE] };
  const ttl = durationFromMs(60_000);
  const alerts = [
    { id: "a", ...mute },
    { id: "b", ...mute },
  ];
  await client.putHealth({ machineId: ids[0] ?? "", source: "work", alerts, ttl });
  await client.putHealth({ machineId: ids[1] ?? "", source: "work", alerts: [{ id: "a", severity: INFO }], ttl });
  const holds = adminClient(MachineService, fresh.server.adminUrl, secret);
  await holds.setHold({ machineId: ids[0] ?? "", reason: "bench", mute: true });
  const { groups } = await adminClient(FleetService, fresh.server.adminUrl, secret).getFleet({});
  expect(groups).toMatchObject([{ machines: 3n, heldMachines: 1n, mutedMachines: 1n }]);
  expect((await scrape(fresh.server.adminUrl, secret)).sum("bmaas_fleet_muted_machines")).toBe(1);
  expect((await holds.getMachine({ machineId: ids[0] ?? "" })).machine?.health).toMatchObject({ muted: true });
});

describe("too much", () => {
  test("of a source is refused, and what is there stays", async () => {
    const machineId = await bareMachine(database.db);
    await put(machineId, "bmc", [smart("sda")]);
    const many = Array.from({ length: 101 }, (_, index) => smart(`sd${index}`));
    const { code, message } = await errorOf(put(machineId, "bmc", many));
    expect([code, message]).toEqual([
      "ResourceExhausted",
      expect.stringMatching(/^101 alerts of bmc are more than the 100/),
    ]);
    expect(await namesOf(machineId)).toEqual(["bmc smart sda"]);
    expect(await history(machineId)).toHaveLength(1);
    expect((await put(machineId, "bmc", many.slice(1))).alerts).toHaveLength(100);
  });

  test("sources are refused, but those that are there can change and go", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId, health: { alert: [{ id: "own" }] } });
    for (let source = 0; source < 10; source++) await put(machineId, `s${source}`, [smart("sda")]);
    const { code, message } = await errorOf(put(machineId, "eleventh", [smart("sda")]));
    expect([code, message]).toEqual([
      "ResourceExhausted",
      expect.stringMatching(/has alerts of 10 other sources .*: s0, s1/),
    ]);
    expect(await get(machineId)).toHaveLength(11);
    expect(await codeOf(put(machineId, "s3", [smart("sdb")]))).toBe("ok");
    expect(await codeOf(put(machineId, "eleventh", []))).toBe("ok");
    await put(machineId, "s4", []);
    expect(await codeOf(put(machineId, "eleventh", [smart("sda")]))).toBe("ok");
  });
});

test("refuses what is wrong, nobody, viewers, and machines that do not exist", async () => {
  const machineId = await bareMachine(database.db);
  const fieldsOf = async (call: Promise<unknown>) => {
    const { code, fields } = await errorOf(call);
    return [code, ...(fields ?? [])];
  };
  const ttl = durationFromMs(60_000);
  expect(await fieldsOf(healths.putHealth({ machineId, source: "bmc" }))).toEqual(["InvalidArgument", "ttl"]);
  expect(await fieldsOf(healths.putHealth({ machineId, ttl }))).toEqual(["InvalidArgument", "source"]);
  expect(await fieldsOf(put(machineId, "agent", [memtest]))).toEqual(["InvalidArgument", "source"]);
  for (const ttlMs of [0, 999, 30 * 86_400_000 + 1])
    expect(await fieldsOf(put(machineId, "bmc", [], ttlMs)), String(ttlMs)).toEqual(["InvalidArgument", "ttl"]);
  const wrong: readonly [Alert, string][] = [
    [{ severity: INFO }, "id"],
    [{ id: "x" }, "severity"],
    [{ id: "x", severity: 9 as HealthSeverity }, "severity"],
    [{ id: "x".repeat(65), severity: INFO }, "id"],
    [{ id: "x", severity: INFO, target: "t".repeat(129) }, "target"],
    [{ id: "x", severity: INFO, message: "m".repeat(1025) }, "message"],
    [{ id: "x", severity: INFO, message: "two\nlines" }, "message"],
    [{ id: "x", severity: INFO, effects: [0 as HealthEffect] }, "effects[0]"],
  ];
  for (const [alert, field] of wrong) {
    expect(await fieldsOf(put(machineId, "bmc", [alert])), field).toEqual(["InvalidArgument", `alerts[0].${field}`]);
  }
  expect(await fieldsOf(put(machineId, "bmc", [smart("sda"), memtest, smart("sda", CRITICAL)]))).toEqual([
    ...["InvalidArgument", "alerts[2]"],
  ]);
  expect(await codeOf(put(randomUUID(), "bmc", []))).toBe("NotFound");
  expect(await codeOf(healths.getHealth({ machineId: randomUUID() }))).toBe("NotFound");
  const viewer = adminClient(HealthService, server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  expect(await codeOf(viewer.putHealth({ machineId, source: "bmc", ttl }))).toBe("PermissionDenied");
  expect(await codeOf(viewer.getHealth({ machineId }))).toBe("ok");
  expect(await history(machineId)).toEqual([]);
});
