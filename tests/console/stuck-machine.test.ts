/** From the overview to the cause and the remedy of a machine that is stuck, by what the page says alone. */
import { eq } from "drizzle-orm";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { HealthEffect, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { InstallationState } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { agentHeartbeat, osInstallationReport, osInstallationRequest } from "../../src/db/schema/index.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { looks, openConsole, setUpConsole } from "../support/console.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { adminClient } from "../support/operator.ts";
import { type Situation, situations } from "../support/situation.ts";

const error = "no disk has the serial number S4EVNX0R";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    for (const situation of situations) await situation.make(db);
  });
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const stateOf = async (machineId: string) => (await admin().getMachine({ machineId })).machine;

  /** Makes a machine in a situation, with a disk that an installation can be repeated on. */
  async function make(name: string): Promise<string> {
    const machineId = await (situations.find((each) => each.name === name) as Situation).make(bench.database.db);
    await storeHardware(bench.database.db, machineId, [sda]);
    const isMachine = eq(agentHeartbeat.machineId, machineId);
    await bench.database.db.update(agentHeartbeat).set({ knowsAdditions: true }).where(isMachine);
    return machineId;
  }

  /** Opens the overview, and counts what is done from there on. */
  async function begin(look: (typeof looks)[number]) {
    const opened = await openConsole(bench.browser, bench.server.adminUrl, { token: bench.admin.secret, ...look });
    const { page } = opened;
    let actions = 0;
    return {
      opened,
      page,
      count: () => actions,
      click: async (locator: Locator) => {
        actions += 1;
        await locator.click();
      },
    };
  }
  const explanation = (page: Page) => page.getByRole("region", { name: "What is with this machine" });
  const listOf = (page: Page, title: string) =>
    page.locator("section").filter({ has: page.getByRole("heading", { name: title }) });

  test.each(looks)("an agent that has gone silent with its installation: $viewport.width", async (look) => {
    const machineId = await make("whose agent did not say anything of the request in time");
    const { opened, page, click, count } = await begin(look);
    await using _ = opened;
    const machine = listOf(page, "Overdue").getByRole("listitem").filter({ hasText: machineId });
    await machine.getByText(/^for /).waitFor();
    await click(machine.getByRole("link"));
    const told = explanation(page);
    await told.getByText("has been overdue for").waitFor();
    await told.getByText(/its agent has not been heard for \d+\smin/).waitFor();
    await told.getByText("Check on the machine's console or at its provider").waitFor();
    expect(count()).toBe(1);
    await click(told.getByRole("button", { name: "Install again…" }));
    await click(page.getByRole("dialog").getByRole("button", { name: "Install again and wipe 1 machine" }));
    await told.getByText("was requested").waitFor();
    expect((await stateOf(machineId))?.installation?.state).toBe(InstallationState.PENDING);
    expect(count()).toBe(3);
  });

  test.each(looks)("an installation that failed: $viewport.width", async (look) => {
    const machineId = await make("that failed");
    for (const table of [osInstallationReport, osInstallationRequest]) {
      await bench.database.db.update(table).set({ error }).where(eq(table.machineId, machineId));
    }
    const { opened, page, click, count } = await begin(look);
    await using _ = opened;
    const machine = listOf(page, "Failed in the last hour").getByRole("listitem").filter({ hasText: machineId });
    await machine.getByText(error).waitFor();
    await click(machine.getByRole("link"));
    const told = explanation(page);
    await told.getByText(error).waitFor();
    expect(count()).toBe(1);
    await click(told.getByRole("button", { name: "Install again…" }));
    await click(page.getByRole("dialog").getByRole("button", { name: "Install again and wipe 1 machine" }));
    await told.getByText("was requested").waitFor();
    expect((await stateOf(machineId))?.installation?.state).toBe(InstallationState.PENDING);
    expect(count()).toBe(3);
  });

  test.each(looks)("a health alert that keeps an installation away: $viewport.width", async (look) => {
    const machineId = await make("that is to be installed");
    const health = adminClient(HealthService, bench.server.adminUrl, bench.admin.secret);
    const alert = {
      id: "memtest",
      target: "dimm3",
      severity: HealthSeverity.CRITICAL,
      message: "4 errors in 10 passes",
    };
    await health.putHealth({
      machineId,
      source: "burn-in",
      alerts: [{ ...alert, effects: [HealthEffect.BLOCK_INSTALL] }],
      ttl: { seconds: 86_400n, nanos: 0 },
    });
    const { opened, page, click, count } = await begin(look);
    await using _ = opened;
    const needs = page.getByRole("region", { name: "What needs somebody" });
    await click(needs.getByRole("listitem").filter({ hasText: "critical" }).getByRole("link", { name: "health" }));
    const row = page.getByRole("row").filter({ hasText: machineId });
    await row.getByText("4 errors in 10 passes").waitFor();
    await click(row.getByRole("link"));
    const told = explanation(page);
    await told.getByText("it is withheld").waitFor();
    await told.getByText("Read the machine's health alerts, solve the problems").waitFor();
    expect(count()).toBe(2);
    await click(told.getByRole("button", { name: "Health alerts" }));
    const alerts = page.locator("#health");
    await alerts.getByText("keeps installations away").waitFor();
    await click(alerts.getByRole("button", { name: "Take back what burn-in has put…" }));
    await click(page.getByRole("dialog").getByRole("button", { name: "Take the alerts back" }));
    await told.getByText("no heartbeat has fetched it yet").waitFor();
    expect((await stateOf(machineId))?.health).toBeUndefined();
    expect(count()).toBe(5);
  });
});
