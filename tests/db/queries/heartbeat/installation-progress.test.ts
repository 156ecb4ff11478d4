/** What progress and reports leave at the request that they are of. */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deliverInstallations } from "../../../../src/db/queries/heartbeat/deliver-installations.ts";
import type {
  HeartbeatRow,
  InstallationProgressRow,
  InstallationReportRow,
} from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createTestDatabase, type TestDatabase } from "../../../support/database.ts";
import {
  createHeartbeatRows,
  readHistory,
  readRequest,
  requestGeneration,
  successOf,
} from "../../../support/heartbeat-rows.ts";
import { waitForBlockedSessions } from "../../../support/wait.ts";

let database: TestDatabase;
let client: pg.Client;
let operator: pg.Client;
let row: HeartbeatRow;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url, pipeline: true });
  operator = new pg.Client({ connectionString: database.url });
  await Promise.all([client.connect(), operator.connect()]);
});

afterAll(async () => {
  await client?.end();
  await operator?.end();
  await database?.close();
});

beforeEach(async () => {
  [row] = (await createHeartbeatRows(operator, 1)) as [HeartbeatRow];
  await requestGeneration(operator, [row], 1n);
});

const give = (generation = 1n) => deliverInstallations(client, [{ ...row, generation }], 1_200_000);
const tell = (progress: InstallationProgressRow) =>
  writeHeartbeats(client, [{ ...row, installationProgress: progress }]);
const report = (installationReport: InstallationReportRow) => writeHeartbeats(client, [{ ...row, installationReport }]);
const stored = (generation = 1n) => readRequest(database, row, generation);
const kinds = async () => (await readHistory(database, row)).map(({ kind }) => kind);

describe("progress", () => {
  test("starts an installation once, and moves on when it is due each time", async () => {
    await give();
    await tell({ generation: 1n, phase: "writing image", percent: 40, quietForMs: 300_000 });
    const first = await stored();
    expect(first).toMatchObject({ phase: "writing image", percent: 40, due: 300_000, timesGiven: 1 });
    expect(first.startedAt).toEqual(first.progressAt);
    await tell({ generation: 1n, percent: 0 });
    const second = await stored();
    expect(second).toMatchObject({ phase: null, percent: 0, due: 90_000, startedAt: first.startedAt });
    expect(Number(second.progressAt)).toBeGreaterThan(Number(first.progressAt));
    expect(await kinds()).toEqual(["installation_given", "installation_started"]);
  });

  test("of a request that was not given is ignored, and nobody is given that request any more", async () => {
    expect(await tell({ generation: 1n, percent: 5 })).toMatchObject([{ kind: "counted", reportRefused: false }]);
    expect(await give()).toEqual([undefined]);
    expect(await stored()).toMatchObject({ firstGivenAt: null, timesGiven: 0, startedAt: null, percent: null });
    expect(await report(successOf(1n))).toMatchObject([{ reportRefused: true }]);
    expect(await kinds()).toEqual(["installation_report_refused"]);
  });

  test.each([
    ["cancelled", "update os_installation_request set cancelled_at = now() where machine_id = $1"],
    ["superseded", "update os_installation_request set superseded_at = now() where machine_id = $1"],
    ["finished", "update os_installation_request set finished_at = now(), result = 'success' where machine_id = $1"],
  ])("of a %s request is ignored", async (_how, statement) => {
    await operator.query(statement, [row.machineId]);
    expect(await tell({ generation: 1n, percent: 5 })).toEqual([{ kind: "counted", reportRefused: false }]);
    expect(await stored()).toMatchObject({ startedAt: null, progressAt: null, percent: null });
    expect(await kinds()).toEqual([]);
  });

  test("of another generation than the open one, which was given, is ignored", async () => {
    await give();
    for (const generation of [0n, 2n, 2n ** 63n - 1n]) {
      expect(await tell({ generation, percent: 5 })).toMatchObject([{ pending: { generation: 1n } }]);
    }
    expect(await stored()).toMatchObject({ startedAt: null, percent: null });
  });

  test("that waits while its request is superseded is ignored", async () => {
    await give();
    await operator.query("begin");
    await requestGeneration(operator, [row], 2n);
    const waiting = tell({ generation: 1n, percent: 5 });
    await waitForBlockedSessions(operator, 1);
    await operator.query("commit");
    expect(await waiting).toMatchObject([{ pending: { generation: 2n } }]);
    expect(await stored()).toMatchObject({ startedAt: null, percent: null });
  });
});

describe("a report", () => {
  const failure = { ...successOf(1n), result: "error", error: "no disk" } as const;

  test("finishes its request with the outcome, in the report's own time", async () => {
    await give();
    await report(failure);
    const { rows } = await operator.query("select reported_at from os_installation_report where machine_id = $1", [
      row.machineId,
    ]);
    expect(await stored()).toMatchObject({ finishedAt: rows[0].reported_at, result: "error", error: "no disk" });
    expect(await kinds()).toEqual(["installation_given", "installation_reported"]);
  });

  test("that comes again, with another outcome too, leaves the first one", async () => {
    await give();
    await report(failure);
    const first = await stored();
    await report(failure);
    await report(successOf(1n));
    expect(await stored()).toEqual(first);
  });

  test("of a superseded request that moves the report forward finishes that request, and leaves the newer one open", async () => {
    await give();
    await requestGeneration(operator, [row], 2n);
    expect(await report(failure)).toMatchObject([{ pending: { generation: 2n } }]);
    expect(await stored(1n)).toMatchObject({ result: "error", supersededAt: expect.any(Date) });
    expect(await stored(2n)).toMatchObject({ finishedAt: null, result: null });
  });

  test("of a superseded request that comes too late finishes nothing", async () => {
    await give();
    await requestGeneration(operator, [row], 2n);
    await give(2n);
    await report(successOf(2n));
    await report(failure);
    expect(await stored(1n)).toMatchObject({ finishedAt: null, result: null });
  });

  test("of a given request that was cancelled finishes it", async () => {
    await give();
    await operator.query("update os_installation_request set cancelled_at = now() where machine_id = $1", [
      row.machineId,
    ]);
    await report(successOf(1n));
    expect(await stored()).toMatchObject({ result: "success", cancelledAt: expect.any(Date) });
  });

  test("that was never requested finishes nothing, and its heartbeat is given nothing", async () => {
    expect(await report(successOf(7n))).toEqual([{ kind: "counted", reportRefused: true }]);
    expect(await stored()).toMatchObject({ finishedAt: null, timesGiven: 0 });
  });
});
