/** The list of machines with a hundred thousand of them. */
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { openConsole, setUpConsole } from "../support/console.ts";

const machines = 100_000;

/** Returns the id of the nth machine of the list. */
const idOf = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    await db.execute(sql`
      insert into machine (id)
      select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from generate_series(1, ${machines}) as n`);
    await db.execute(sql`analyze machine`);
  });

  test("is scrolled through to its end, with few rows in the page, and all are selected", {
    timeout: 300_000,
  }, async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/machines", token });
    const { page } = opened;
    await page.getByText(idOf(1)).waitFor();
    const table = page.getByRole("table");
    const countRows = async () => Number(await table.getAttribute("aria-rowcount")) - 1;
    for (let rows = await countRows(); rows < machines; rows = await countRows()) {
      await page.locator(".table-frame").evaluate((frame) => frame.scrollTo(0, frame.scrollHeight));
      await page.waitForFunction(
        (before) => Number(document.querySelector("table")?.getAttribute("aria-rowcount")) - 1 > before,
        rows,
      );
    }
    await page.locator(".table-frame").evaluate((frame) => frame.scrollTo(0, frame.scrollHeight));
    await page.getByText(idOf(machines)).waitFor();
    expect(await countRows()).toBe(machines);
    expect(await page.getByRole("row").count()).toBeLessThan(100);
    await page.locator(".table-frame").evaluate((frame) => frame.scrollTo(0, frame.scrollHeight / 2));
    await page.getByText(idOf(machines / 2)).waitFor();

    // What is this long is not read again by itself, and is read from its beginning by whoever comes back.
    const reads: string[] = [];
    page.on("request", (request) => void (request.url().includes("ListMachines") && reads.push(request.url())));
    await page.evaluate(() => window.dispatchEvent(new Event("visibilitychange")));
    await page.getByRole("link", { name: "Server" }).click();
    await page.getByRole("heading", { name: "Server" }).waitFor();
    expect(reads).toEqual([]);
    await page.getByRole("link", { name: "Machines" }).click();
    await page.getByText(idOf(1)).waitFor();
    expect(await countRows()).toBeLessThan(machines / 50);

    await page.getByRole("button", { name: "Select all that match" }).click();
    await page.getByText("all 100,000 selected").waitFor({ timeout: 120_000 });
    await page.getByRole("button", { name: "Labels…" }).click();
    await page.getByText("$(bmaas machines list --json").waitFor();
  });
});
