import { randomUUID } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { writeHeartbeats } from "../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { deleteMachine } from "../../../src/db/queries/machine-deletion.ts";
import { deletedMachine, hardwareReportPast } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { runTransaction } from "../../../src/db/transaction.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { success } from "../../support/fleet.ts";
import { type MovableState, moveInstallation } from "../../support/installation.ts";
import { bareMachine, machineWithAgent, readTags, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const admin = await tokenOf(db, "admin");
const machines = adminClient(MachineService, server.adminUrl, admin.secret);

const kinds = async (machineId: string) => (await readTags(database, machineId)).history.map(({ kind }) => kind);
const floorOf = async (machineId: string) =>
  (await db.select().from(deletedMachine).where(eq(deletedMachine.machineId, machineId)))[0]?.generation;

test("deletes a machine with all that is known of it, but for its history", async () => {
  const machine = await machineWithAgent(db);
  const { machineId } = machine;
  using agent = grpcAgent(server, machine.key);
  await agent.heartbeat({ machineId, hardwareReport: { report: { manufacturer: "a" } } });
  await agent.heartbeat({ machineId, hardwareReport: { report: { manufacturer: "b" } } });
  const generation = await requestInstallation(db, machineId);
  await agent.heartbeat({ machineId });
  await agent.heartbeat({ machineId, ...success(generation) });
  const before = await kinds(machineId);
  await machines.deleteMachine({ machineId: machineId.toUpperCase() });
  expect(await codeOf(machines.getMachine({ machineId }))).toBe("NotFound");
  const { history, ...tags } = await readTags(database, machineId);
  expect(tags).toEqual({ heartbeat: undefined, hardware: undefined, report: undefined });
  expect(await db.$count(hardwareReportPast, eq(hardwareReportPast.machineId, machineId))).toBe(0);
  expect(history.map(({ kind }) => kind)).toEqual([...before, "machine_deleted"]);
  expect(history.at(-1)).toMatchObject({ actor: `token:${admin.name}`, detail: {} });
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("Unauthenticated");
});

describe("while an installation is open", () => {
  test.each<MovableState | "pending">(["pending", "given", "installing", "overdue"])(
    "is refused when that is %s, unless told",
    async (state) => {
      const machineId = await bareMachine(db);
      await requestInstallation(db, machineId);
      if (state !== "pending") await moveInstallation(db, machineId, 1n, state);
      const error = await errorOf(machines.deleteMachine({ machineId }));
      expect(error).toMatchObject({
        code: "FailedPrecondition",
        preconditions: [`INSTALLATION_OPEN machines/${machineId}`],
      });
      expect(error.message).toContain(`installation 1 of machine ${machineId} is ${state}`);
      expect(await codeOf(machines.getMachine({ machineId }))).toBe("ok");
      await machines.deleteMachine({ machineId, force: true });
      expect(await codeOf(machines.getMachine({ machineId }))).toBe("NotFound");
      expect((await readTags(database, machineId)).history.at(-1)).toMatchObject({
        kind: "machine_deleted",
        detail: { openGeneration: "1", openState: state },
      });
    },
  );

  test.each<MovableState>(["succeeded", "failed", "cancelled"])("is taken after one that %s", async (state) => {
    const machineId = await bareMachine(db);
    await requestInstallation(db, machineId);
    await moveInstallation(db, machineId, 1n, state);
    expect(await codeOf(machines.deleteMachine({ machineId }))).toBe("ok");
  });
});

test("a machine that is created again goes on from the generations of the one before, however often", async () => {
  const machineId = randomUUID();
  await machines.createMachine({ machineId });
  await requestInstallation(db, machineId, 7n);
  await machines.deleteMachine({ machineId, force: true });
  expect(await floorOf(machineId)).toBe(7n);
  await machines.createMachine({ machineId });
  await machines.deleteMachine({ machineId });
  expect(await floorOf(machineId)).toBe(7n);
  await machines.createMachine({ machineId });
  await expect(requestInstallation(db, machineId, 7n)).rejects.toMatchObject({ name: "GenerationNotGrowingError" });
  expect(await requestInstallation(db, machineId)).toBe(8n);
  expect((await machines.getMachine({ machineId })).machine?.installation?.generation).toBe(8n);
});

describe("heartbeats", () => {
  test("one in flight is waited for, and what it reports counts", async () => {
    const { machineId, key } = await machineWithAgent(db);
    const generation = await requestInstallation(db, machineId);
    await withClient(database.url, async (client) => {
      await client.query("begin");
      // As a heartbeat does until it commits.
      await client.query("select from agent_started where machine_id = $1 for no key update", [machineId]);
      const deletion = machines.deleteMachine({ machineId });
      await waitForBlockedSessions(client, 1);
      await client.query(
        "update os_installation_request set finished_at = now(), result = 'success' where machine_id = $1",
        [machineId],
      );
      await client.query("commit");
      await deletion;
    });
    expect(await floorOf(machineId)).toBe(generation);
    const [outcome] = await withClient(database.url, (client) =>
      writeHeartbeats(client, [{ machineId, publicKey: key.publicKey }]),
    );
    expect(outcome).toMatchObject({ kind: "unauthenticated" });
  });

  test("one that waits for the deletion is unauthenticated, and writes nothing", async () => {
    const { machineId, key } = await machineWithAgent(db);
    using agent = grpcAgent(server, key);
    let beat: Promise<string> | undefined;
    await transact(db, async (tx) => {
      await deleteMachine(tx, { machineId, force: false }, "test");
      beat = codeOf(agent.heartbeat({ machineId }));
      await withClient(database.url, (client) => waitForBlockedSessions(client, 1));
    });
    expect(await beat).toBe("Unauthenticated");
    expect(await kinds(machineId)).toEqual(["machine_created", "agent_registered", "machine_deleted"]);
    const { rows } = await db.execute(sql`select from agent_heartbeat where machine_id = ${machineId}`);
    expect(rows).toEqual([]);
  });

  test("go on all the while without a deadlock", async () => {
    const fleet = await Promise.all(Array.from({ length: 20 }, () => machineWithAgent(db)));
    const rows = fleet.map(({ machineId, key }) => ({ machineId, publicKey: key.publicKey }));
    const kindsOf = async (client: pg.Client) => (await writeHeartbeats(client, rows)).map(({ kind }) => kind);
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    let isDeleted = false;
    const storm = withClient(database.url, async (client) => {
      while (!isDeleted) {
        await kindsOf(client);
        begin();
      }
      return new Set(await kindsOf(client));
    });
    // Without transact's second tries, so that a deadlock fails whomever PostgreSQL picks.
    const remove = (machineId: string) =>
      runTransaction(db, "isolation level read committed", (tx) =>
        deleteMachine(tx, { machineId, force: false }, "test"),
      );
    const deleting = begun
      .then(() => Promise.all(rows.map(({ machineId }) => remove(machineId))))
      .finally(() => {
        isDeleted = true;
      });
    const [kindsAfter] = await Promise.all([storm, deleting]);
    expect(kindsAfter).toEqual(new Set(["unauthenticated"]));
  });
});

test("refuses what is no machine, nobody, and operators", async () => {
  const machineId = await bareMachine(db);
  expect(await errorOf(machines.deleteMachine({ machineId: "x", requestId: "x" }))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id", "request_id"],
  });
  expect(await codeOf(machines.deleteMachine({ machineId: randomUUID() }))).toBe("NotFound");
  expect(await codeOf(adminClient(MachineService, server.adminUrl).deleteMachine({ machineId }))).toBe(
    "Unauthenticated",
  );
  for (const role of ["viewer", "operator"] as const) {
    const caller = adminClient(MachineService, server.adminUrl, (await tokenOf(db, role)).secret);
    expect(await codeOf(caller.deleteMachine({ machineId, force: true }))).toBe("PermissionDenied");
  }
  expect(await kinds(machineId)).toEqual(["machine_created"]);
});

test("under one request id deletes once, and leaves the machine alone that was created since", async () => {
  const machineId = await bareMachine(db);
  const call = { machineId, requestId: randomUUID() };
  await machines.deleteMachine(call);
  await machines.createMachine({ machineId });
  await machines.deleteMachine(call);
  expect(await codeOf(machines.getMachine({ machineId }))).toBe("ok");
});
