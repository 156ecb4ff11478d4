import { randomUUID } from "node:crypto";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import { HardwareService } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { hardwareReport } from "../../../src/db/schema/index.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, machineWithAgent } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const hardware = adminClient(HardwareService, server.adminUrl, viewer.secret);

/** A machine whose agent found one disk after the other, of growing size. */
async function machineWithReports(count: number): Promise<string> {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  for (let size = 1; size <= count; size++) {
    const report = { blockDevice: [{ serialNumber: "S1", capacityBytes: BigInt(size) }] };
    await agent.heartbeat({ machineId, hardwareReport: { report } });
    // What did not change is not kept a second time.
    await agent.heartbeat({ machineId, hardwareReport: { report } });
  }
  return machineId;
}

test("gives the last ten, newest first, each with its difference to the one before", async () => {
  const machineId = await machineWithReports(12);
  const { reports } = await hardware.listHardwareReports({ machineId: machineId.toUpperCase() });
  const sizes = reports.map(({ report }) => report?.report?.blockDevice[0]?.capacityBytes);
  expect(sizes).toEqual([12n, 11n, 10n, 9n, 8n, 7n, 6n, 5n, 4n, 3n]);
  expect(reports.map(({ differences }) => differences)).toMatchObject([
    ...[12, 11, 10, 9, 8, 7, 6, 5, 4].map((size) => [
      { path: "report.block_device[S1].capacity_bytes", oldValue: `${size - 1}`, newValue: `${size}` },
    ]),
    [],
  ]);
  const times = reports.map(({ reportTime }) => (reportTime ? timestampDate(reportTime).getTime() : 0));
  expect(times).toEqual(times.toSorted((a, b) => b - a));
});

test.each([1, 2, 3])(
  "gives the %s newest when asked for so many, the last with its difference, too",
  async (pageSize) => {
    const machineId = await machineWithReports(3);
    const { reports } = await hardware.listHardwareReports({ machineId, pageSize });
    expect(reports.map(({ differences }) => differences.map(({ newValue }) => newValue))).toEqual(
      [["3"], ["2"], []].slice(0, pageSize),
    );
  },
);

test("a report that cannot be decoded keeps its place", async () => {
  const machineId = await machineWithReports(2);
  await database.db
    .update(hardwareReport)
    .set({ report: Buffer.from([0xff]) })
    .where(eq(hardwareReport.machineId, machineId));
  const { reports } = await hardware.listHardwareReports({ machineId });
  expect(reports).toMatchObject([{ differences: [] }, { differences: [] }]);
  expect(reports.map(({ report }) => report?.report?.blockDevice[0]?.capacityBytes)).toEqual([undefined, 1n]);
});

test("says shares in JSON as they were measured", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const report = { memoryUsableRatio: 0.97, blockDevice: [{ serialNumber: "S1", usageRatio: 0.03 }] };
  await agent.heartbeat({ machineId, hardwareReport: { report } });
  const answer = await fetch(`${server.adminUrl}/bmaas.admin.v1.HardwareService/ListHardwareReports`, {
    method: "POST",
    headers: { authorization: `Bearer ${viewer.secret}`, "content-type": "application/json" },
    body: JSON.stringify({ machineId }),
  });
  const { reports } = (await answer.json()) as { reports: { report: { report: object } }[] };
  expect(reports[0]?.report.report).toEqual({
    memoryUsableRatio: 0.97,
    blockDevice: [{ serialNumber: "S1", usageRatio: 0.03 }],
  });
});

test("a machine whose agent found nothing yet has none", async () => {
  const machineId = await bareMachine(database.db);
  expect((await hardware.listHardwareReports({ machineId })).reports).toEqual([]);
});

test("refuses what is wrong, a machine that does not exist, and nobody", async () => {
  const machineId = await bareMachine(database.db);
  const nobody = adminClient(HardwareService, server.adminUrl);
  expect(await errorOf(hardware.listHardwareReports({ machineId: "nope", pageSize: 11 }))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id", "page_size"],
  });
  expect(await codeOf(hardware.listHardwareReports({ machineId: randomUUID() }))).toBe("NotFound");
  expect(await codeOf(nobody.listHardwareReports({ machineId }))).toBe("Unauthenticated");
});
