/** Holds: what they keep away from a machine, where they are shown, and how they end. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { FleetService } from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
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
import { waitForBlockedSessions, waitUntil } from "../../support/wait.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const actor = `token:${operator.name}`;
const machines = adminClient(MachineService, server.adminUrl, operator.secret);
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);
const inMs = (milliseconds: number) => timestampFromMs(Date.now() + milliseconds);
const target = {
  type: {
    case: "image" as const,
    value: { url: "https://images.example/os.img", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "sda" },
  },
};

test("is shown with its machine, takes the place of an earlier one, and is on record", async () => {
  const machineId = await bareMachine(database.db);
  const endTime = inMs(3_600_000);
  const end = { case: "endTime" as const, value: endTime };
  const first = { reason: "fan", ticket: "https://tickets.example/1", end, mute: true };
  const answer = await machines.setHold({ machineId: machineId.toUpperCase(), ...first });
  const shown = { reason: "fan", ticket: first.ticket, actor, muted: true, endTime };
  expect(answer).toMatchObject({ machine: { id: machineId, hold: shown } });
  expect(answer.replaced).toBeUndefined();
  const second = await machines.setHold({ machineId, reason: "power" });
  expect(second.replaced).toMatchObject(shown);
  expect((await machines.getMachine({ machineId })).machine?.hold).toMatchObject({
    ...{ reason: "power", ticket: "", muted: false },
  });
  expect(second.machine?.hold?.endTime).toBeUndefined();
  const { machine, cleared } = await machines.clearHold({ machineId });
  expect(machine?.hold).toBeUndefined();
  expect(cleared).toEqual(second.machine?.hold);
  expect((await machines.clearHold({ machineId })).cleared).toBeUndefined();
  expect(await history(machineId)).toMatchObject([
    { kind: "machine_held", actor, detail: { reason: "fan", ticket: first.ticket, muted: "true" } },
    { kind: "machine_held", actor, detail: { reason: "power", ticket: null, until: null, muted: null } },
    { kind: "machine_released", actor, detail: { reason: "power" } },
  ]);
});

describe("while a machine is held", () => {
  test("nothing is requested of it, and the refusal says who holds it, why and until when", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const endTime = inMs(3_600_000);
    await machines.setHold({ machineId, reason: "bench", ticket: "T-7", end: { case: "endTime", value: endTime } });
    const refused = await errorOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target }));
    const until = new Date(Number(endTime.seconds) * 1000).toISOString().slice(0, 19).replace("T", " ");
    expect(refused).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`MACHINE_HELD machines/${machineId}`],
      message: expect.stringMatching(
        `^machine ${machineId} is held by ${actor} until ${until}.*: bench \\(T-7\\); release`,
      ),
    });
    const text = `machines: [{ id: ${machineId}, install: { uncheckedDisk: true, image: ${imageYaml()} } }]`;
    expect(await mistakesOf(() => seedText(database.db, text))).toEqual([
      expect.stringMatching(/install: machine .* is held by .*: bench/),
    ]);
    await machines.clearHold({ machineId });
    expect(await codeOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target }))).toBe("ok");
  });

  test("a failed installation is not retried", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const generation = await requestInstallation(database.db, machineId);
    await moveInstallation(database.db, machineId, generation, "failed");
    await machines.setHold({ machineId, reason: "bench" });
    expect(await codeOf(installations.retryInstallation({ machineId }))).toBe("FailedPrecondition");
    await machines.clearHold({ machineId });
    expect(await codeOf(installations.retryInstallation({ machineId }))).toBe("ok");
  });

  test("its agent is given nothing, whether it had it before or not, until the hold ends by itself", async () => {
    for (const wasGiven of [false, true]) {
      const { machineId, key } = await machineWithAgent(database.db);
      using agent = grpcAgent(server, key);
      const generation = await requestInstallation(database.db, machineId);
      const ask = async () => (await agent.heartbeat({ machineId })).installationRequest?.generation;
      if (wasGiven) expect(await ask()).toBe(generation);
      const endMs = Date.now() + 3_000;
      await machines.setHold({ machineId, reason: "bench", end: { case: "endTime", value: timestampFromMs(endMs) } });
      for (let given = await ask(); Date.now() < endMs; given = await ask()) expect(given).toBeUndefined();
      await expect.poll(ask).toBe(generation);
      expect((await machines.getMachine({ machineId })).machine?.hold).toBeUndefined();
    }
  });

  test("explanations say so, and how to release it", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    await machines.setHold({ machineId, reason: "bench" });
    const { condition, next, remedies } = await machines.explainMachine({ machineId });
    expect(condition).toMatch(/it is withheld, because the machine is held; .*|it is held by/);
    expect(condition).toContain(`it is held by ${actor}: bench`);
    expect(next).toBe("");
    expect(remedies[0]?.command).toBe(`bmaas machines release ${machineId}`);
    await machines.setHold({ machineId, reason: "bench", end: { case: "endTime", value: inMs(3_600_000) } });
    const later = await machines.explainMachine({ machineId });
    expect(later.next).toBe("the agent is given it with its first heartbeat after this time");
    expect(later.nextTime).toBeDefined();
  });
});

test("SetHold answers after deliveries that are under way have ended", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const delivery = new pg.Client({ connectionString: database.url });
  await delivery.connect();
  await delivery.query("begin");
  // As a delivery does before it looks for holds.
  await delivery.query("select from agent_started where machine_id = $1 for no key update", [machineId]);
  let hasAnswered = false;
  const holding = machines.setHold({ machineId, reason: "bench" }).then(() => {
    hasAnswered = true;
  });
  await waitUntil("SetHold waits for the agent's row", async () => {
    const { rowCount } = await delivery.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return (rowCount ?? 0) > 0;
  });
  expect(hasAnswered).toBe(false);
  await delivery.query("commit");
  await holding;
  await delivery.end();
});

test("heartbeats do not wait while SetHold reads its answer", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const other = new pg.Client({ connectionString: database.url });
  await other.connect();
  await other.query("begin");
  // Answers have the labels, and nothing that a heartbeat does needs them.
  await other.query("lock table machine_label in access exclusive mode");
  const holding = machines.setHold({ machineId, reason: "bench" });
  await waitForBlockedSessions(other, 1);
  await agent.heartbeat({ machineId });
  await other.query("rollback");
  await other.end();
  expect((await holding).machine?.hold?.reason).toBe("bench");
});

test("SetHold answers with the delivery for which it waited", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const generation = await requestInstallation(database.db, machineId);
  const delivery = new pg.Client({ connectionString: database.url });
  await delivery.connect();
  await delivery.query("begin");
  await delivery.query("select from agent_started where machine_id = $1 for no key update", [machineId]);
  const holding = Promise.all([
    machines.setHold({ machineId, reason: "bench" }),
    machines.batchSetHolds({ requests: [{ machineId, reason: "power" }] }),
  ]);
  await waitForBlockedSessions(delivery, 2);
  await delivery.query(
    `update os_installation_request
        set first_given_at = now(), last_given_at = now(), times_given = 1, due_at = now() + interval '1 hour'
      where machine_id = $1 and generation = $2`,
    [machineId, generation],
  );
  await delivery.query("commit");
  await delivery.end();
  const [one, batch] = await holding;
  for (const machine of [one.machine, batch.machines[0]]) expect(machine?.state).toBe(MachineState.INSTALLATION_GIVEN);
});

test("lasts as long as it says by the database's clock, whatever the caller's clock shows", async () => {
  const machineId = await bareMachine(database.db);
  const lasting = (seconds: bigint) => ({ case: "duration" as const, value: { seconds, nanos: 0 } });
  const { machine } = await machines.setHold({ machineId, reason: "bench", end: lasting(3_600n) });
  const [row] = await observe(database)<{ lasts: string }[]>`
    select extract(epoch from until - held_at)::text as lasts from machine_hold where machine_id = ${machineId}`;
  expect(Number(row?.lasts)).toBe(3_600);
  expect(machine?.hold?.endTime).toBeDefined();
  const { machine: briefly } = await machines.setHold({ machineId, reason: "bench", end: lasting(1n) });
  expect(briefly?.hold).toBeDefined();
  const isHeld = async () => (await machines.getMachine({ machineId })).machine?.hold !== undefined;
  await expect.poll(isHeld).toBe(false);
  for (const seconds of [0n, -1n, 3_155_760_001n]) {
    const refused = await errorOf(machines.setHold({ machineId, reason: "bench", end: lasting(seconds) }));
    expect(refused).toMatchObject({ code: "InvalidArgument", fields: ["duration"] });
  }
});

test("lists and watchers go by it", async () => {
  const provider = randomUUID();
  const create = async () => {
    const { machine } = await machines.createMachine({ provided: { provider, providerId: randomUUID() } });
    return machine?.id ?? "";
  };
  const [held, free, past] = [await create(), await create(), await create()];
  await using watch = await startWatch(machines, { filter: { held: true } });
  await machines.setHold({ machineId: held, reason: "bench" });
  await machines.setHold({ machineId: past, reason: "short", end: { case: "duration", value: { seconds: 1n } } });
  const list = async (isHeld: boolean) =>
    (await machines.listMachines({ filter: { provider, held: isHeld } })).machines.map(({ id }) => id);
  await expect.poll(() => list(true)).toEqual([held]);
  expect(await list(false)).toEqual([free, past].toSorted());
  expect((await machines.listMachines({ filter: { held: true } })).machines.map(({ id }) => id)).toContain(held);
  expect(await watch.waitFor(held, "machine_held")).toMatchObject({ actor, machine: { hold: { reason: "bench" } } });
});

test("the fleet and metrics count held machines, and those that are left out of alerts", async () => {
  const fresh = await startServerWithDatabase();
  const { secret } = await tokenOf(fresh.database.db, "operator");
  const client = adminClient(MachineService, fresh.server.adminUrl, secret);
  const ids = await Promise.all([1, 2, 3].map(() => bareMachine(fresh.database.db)));
  await client.setHold({ machineId: ids[0] ?? "", reason: "bench" });
  await client.setHold({ machineId: ids[1] ?? "", reason: "bench", mute: true });
  const { groups } = await adminClient(FleetService, fresh.server.adminUrl, secret).getFleet({});
  expect(groups).toMatchObject([{ machines: 3n, heldMachines: 2n, mutedMachines: 1n }]);
  const page = await scrape(fresh.server.adminUrl, secret);
  expect(page.sum("bmaas_fleet_held_machines")).toBe(2);
  expect(page.sum("bmaas_fleet_muted_machines")).toBe(1);
});

test("refuses what is wrong, nobody, viewers, and machines that do not exist", async () => {
  const machineId = await bareMachine(database.db);
  const fieldsOf = async (call: Promise<unknown>) => {
    const { code, fields } = await errorOf(call);
    return [code, ...(fields ?? [])];
  };
  expect(await fieldsOf(machines.setHold({ machineId }))).toEqual(["InvalidArgument", "reason"]);
  expect(await fieldsOf(machines.setHold({ machineId, reason: " x" }))).toEqual(["InvalidArgument", "reason"]);
  const past = { machineId, reason: "x", end: { case: "endTime" as const, value: inMs(-60_000) } };
  expect(await fieldsOf(machines.setHold(past))).toEqual(["InvalidArgument", "end_time"]);
  expect(await codeOf(machines.setHold({ machineId: randomUUID(), reason: "x" }))).toBe("NotFound");
  expect(await codeOf(machines.clearHold({ machineId: randomUUID() }))).toBe("NotFound");
  const viewer = adminClient(MachineService, server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  expect(await codeOf(viewer.setHold({ machineId, reason: "x" }))).toBe("PermissionDenied");
  expect(await codeOf(adminClient(MachineService, server.adminUrl).clearHold({ machineId }))).toBe("Unauthenticated");
  expect(await history(machineId)).toEqual([]);
});
