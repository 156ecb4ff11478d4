/** The newest events of the fleet on the overview: those of the list and those that come live, each once. */
import { sql } from "drizzle-orm";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { appendHistory } from "../../src/db/queries/machine-history.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { bareMachine } from "../support/machine.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  let machineId = "";
  let made = 0;
  const bench = setUpConsole({}, async ({ db }) => {
    machineId = await bareMachine(db);
    for (let count = 0; count < 12; count += 1) await act(db);
  });

  /** Makes an event, and returns its actor, by whom it is told from others. */
  async function act(db = bench.database.db): Promise<string> {
    made += 1;
    const actor = `token:actor-${made}`;
    const entry = { machineId, actor, kind: "machine_provided" as const, detail: {} };
    await transact(db, (tx) => appendHistory(tx, [entry]));
    return actor;
  }

  const newest = (count: number) => Array.from({ length: count }, (_, index) => `token:actor-${made - index}`);
  const recent = (page: Page) => page.getByRole("region", { name: "Recent events" });
  const actorsOn = async (page: Page) => {
    const lines = await recent(page).getByRole("listitem").allTextContents();
    return lines.map((line) => line.replace(/^.* by /, ""));
  };
  const open = (path = "/") => openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });

  test("begin with what the history has, and grow as things happen", async () => {
    await using opened = await open();
    const { page } = opened;
    await recent(page).getByText(`token:actor-${made}`, { exact: true }).waitFor();
    expect(await actorsOn(page)).toEqual(newest(8));
    expect(await findBarriers(page)).toEqual([]);
    await page.getByText("● live").waitFor();
    for (let count = 0; count < 3; count += 1) await act();
    await recent(page)
      .getByText(await act(), { exact: true })
      .waitFor();
    expect(await actorsOn(page)).toEqual(newest(8));
    await recent(page).getByRole("link").first().click();
    await page.waitForURL(`**/machines/${machineId}`);
  });

  test.each([
    ["made before what happens meanwhile", false],
    ["made after it", true],
  ])("have neither a gap nor anything twice if the list is %s", async (_, isLate) => {
    await using opened = await open("/server");
    const { page } = opened;
    await page.getByText("● live").waitFor();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    await page.route(/ListEvents/, async (route) => {
      const response = isLate ? undefined : await route.fetch();
      ask();
      await released;
      await route.fulfill({ response: response ?? (await route.fetch()) });
    });
    await page.getByRole("link", { name: "Overview" }).click();
    await asked;
    await recent(page)
      .getByText(await act(), { exact: true })
      .waitFor();
    expect(await actorsOn(page)).toEqual(newest(1));
    release();
    await expect.poll(() => actorsOn(page)).toEqual(newest(8));
  });

  test("have what happened while another page was shown", async () => {
    await using opened = await open();
    const { page } = opened;
    await expect.poll(() => actorsOn(page)).toEqual(newest(8));
    await page.getByText("● live").waitFor();
    await page.getByRole("link", { name: "Server" }).click();
    await page.getByRole("heading", { name: "Server" }).first().waitFor();
    await act();
    await page.getByRole("link", { name: "Overview" }).click();
    await expect.poll(() => actorsOn(page)).toEqual(newest(8));
  });

  test("show boots within an hour as one event, at the time of the last one", async () => {
    const { db } = bench.database;
    // Of the key, the beginning is enough to tell agents apart.
    const [agent, shown] = [`agent:${"ab".repeat(32)}`, "agent:abababababab…"];
    await db.execute(sql`
      insert into machine_history (machine_id, at, actor, kind, detail)
      values (${machineId}, now() - interval '50 minutes', ${agent}, 'agent_booted', '{"bootId": "a"}')`);
    await using opened = await open();
    const { page } = opened;
    await expect.poll(() => actorsOn(page)).toEqual(newest(8));
    await page.getByText("● live").waitFor();
    for (const boots of [2, 3]) {
      const detail = { bootId: "b", boots: boots.toString(), lastBootTime: new Date().toISOString() };
      await db.execute(sql`
        update machine_history set detail = ${JSON.stringify(detail)}::jsonb, transaction = pg_current_xact_id()
         where kind = 'agent_booted'`);
      const first = recent(page).getByRole("listitem").first();
      await first.locator(`time[datetime="${detail.lastBootTime}"]`).waitFor();
      expect(await actorsOn(page)).toEqual([shown, ...newest(7)]);
    }
  });
});
