/** What ends because time passes, without a change that tells of it: the console says so, and asks the server again. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { HealthAlertSchema, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { healthAlert, machineHold } from "../../src/db/schema/index.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, holdBack, moveClock, openConsole, setUpConsole } from "../support/console.ts";
import { adminClient } from "../support/operator.ts";

const hourMs = 3_600_000;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  const createHeld = async (mute: boolean) => {
    const machineId = randomUUID();
    await admin().createMachine({ machineId });
    const end = { case: "duration", value: durationFromMs(hourMs) } as const;
    await admin().setHold({ machineId, reason: "new fans", mute, end });
    return machineId;
  };
  /** Lets the hold end by the database's clock, as time would: nothing is recorded. */
  const endHold = async (machineId: string) =>
    await bench.database.db.update(machineHold).set({ until: sql`now()` }).where(eq(machineHold.machineId, machineId));

  for (const mute of [false, true]) {
    const what = mute ? "a hold that is muted" : "a hold";

    test(`${what} leaves the page of holds at its time`, async () => {
      const machineId = await createHeld(mute);
      await using opened = await open("/holds");
      const { page, context } = opened;
      const row = page.getByRole("row").filter({ hasText: machineId });
      await row.getByText(/^in (1\sh|59\smin)/).waitFor();
      const reading = await holdBack(context, "ListMachines");
      await moveClock(page, 2);
      await reading.called;
      await row.getByText(/^ended/).waitFor();
      await endHold(machineId);
      reading.release();
      await row.waitFor({ state: "detached" });
    });

    test(`${what} leaves the list of machines at its time`, async () => {
      const machineId = await createHeld(mute);
      await using opened = await open(`/machines?filter=id%3D${machineId}`);
      const { page, context } = opened;
      const row = page.getByRole("row").filter({ hasText: machineId });
      await row.getByText("held").waitFor();
      const reading = await holdBack(context, "ListMachines");
      await moveClock(page, 2);
      await reading.called;
      const ended = row.getByText("hold ended");
      await ended.waitFor();
      await endHold(machineId);
      reading.release();
      await ended.waitFor({ state: "detached" });
      await row.waitFor();
    });

    test(`${what} leaves the page of its machine at its time`, async () => {
      const machineId = await createHeld(mute);
      await using opened = await open(`/machines/${machineId}`);
      const { page, context } = opened;
      await page.getByRole("button", { name: "Release…" }).first().waitFor();
      const [reading, explaining] = [await holdBack(context, "GetMachine"), await holdBack(context, "ExplainMachine")];
      await moveClock(page, 2);
      await Promise.all([reading.called, explaining.called]);
      const ended = page.getByText("hold ended");
      await ended.first().waitFor();
      await expectFit(page);
      await endHold(machineId);
      reading.release();
      explaining.release();
      await expect.poll(() => ended.count()).toBe(0);
      await expect.poll(() => page.getByRole("button", { name: "Release…" }).count()).toBe(0);
    });
  }

  test("a health alert that nobody puts again leaves the page of its machine at its time", async () => {
    const machineId = randomUUID();
    await admin().createMachine({ machineId });
    const alert = create(HealthAlertSchema, { id: "fan", severity: HealthSeverity.WARNING, message: "fan 3 stands" });
    await adminClient(HealthService, bench.server.adminUrl, bench.admin.secret).putHealth({
      ...{ machineId, source: "bmc", alerts: [alert], ttl: durationFromMs(hourMs) },
    });
    await using opened = await open(`/machines/${machineId}`);
    const { page, context } = opened;
    const card = page.locator("#health");
    await card.getByText("unless it is put again").waitFor();
    const [alerts, machines] = [await holdBack(context, "GetHealth"), await holdBack(context, "GetMachine")];
    await moveClock(page, 2);
    await alerts.called;
    await card.getByText("unless it is put again").waitFor({ state: "detached" });
    await card.getByText("ended", { exact: false }).waitFor();
    await bench.database.db.update(healthAlert).set({ until: sql`now()` }).where(eq(healthAlert.machineId, machineId));
    alerts.release();
    await card.getByText("fan 3 stands").waitFor({ state: "detached" });
    machines.release();
    await card.waitFor({ state: "detached" });
  });
});
