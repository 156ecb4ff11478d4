/** Pages with more machines than they can look at: the list of a hundred thousand, and what needs somebody of many. */
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { openConsole, setUpConsole } from "../support/console.ts";

const machines = 100_000;
/** How many machines are overdue, and as many have failed: more than a page of the API looks at. */
const troubled = 1_200;

/** Returns the id of the nth machine of the list. */
const idOf = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    await db.execute(sql`
      insert into machine (id)
      select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from generate_series(1, ${machines}) as n`);
    await db.execute(sql`
      insert into os_installation_request (machine_id, generation, requested_at, requested_by, first_given_at, last_given_at,
                                           times_given, due_at, finished_at, result, error, request)
      select id, 1, at, 'test', at, at, 1, at + interval '1 hour', case when is_failed then at end,
             case when is_failed then 'error' end, case when is_failed then 'no such disk' end, '\\x00'
        from (select id, n > ${troubled} as is_failed,
                     now() - case n when ${troubled} then interval '9 days' when ${2 * troubled} then interval '1 minute'
                                    else interval '3 days' + n * interval '1 second' end as at
                from (select id, row_number() over (order by id) as n from machine) as numbered
               where n <= ${2 * troubled}) as made`);
    await db.execute(sql`
      insert into os_installation_report (machine_id, generation, reported_at, result, error, report)
      select machine_id, 1, finished_at, 'error', error, '\\x00' from os_installation_request where result = 'error'`);
    await db.execute(sql`analyze machine, os_installation_request, os_installation_report`);
  });

  test("the oldest that is overdue and the newest that failed are shown, however many there are", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token });
    const { page } = opened;
    const listOf = (title: string) => page.locator("section.card").filter({ hasText: title });
    const [oldest, newest] = [listOf("Overdue, oldest first"), listOf("Failed in the last hour")];
    await oldest
      .getByRole("listitem")
      .first()
      .filter({ hasText: idOf(troubled) })
      .waitFor();
    await newest
      .getByRole("listitem")
      .first()
      .filter({ hasText: idOf(2 * troubled) })
      .waitFor();
    expect(await newest.getByRole("listitem").count()).toBe(1);
    expect(await oldest.getByRole("listitem").count()).toBe(8);
    await oldest.getByRole("link", { name: "All of them" }).click();
    await page
      .getByRole("row")
      .filter({ hasText: idOf(1) })
      .getByText("installation overdue")
      .first()
      .waitFor();
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
