/** The overview and the server's page, in both themes and from 360 pixels up. */
import { describe, expect, test } from "vitest";
import { setProvided } from "../../src/db/queries/provided.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { bareMachine } from "../support/machine.ts";
import { situations } from "../support/situation.ts";

const looks = [
  { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", viewport: { width: 360, height: 740 } },
] as const;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    for (const situation of situations) await situation.make(db);
    const machineId = await bareMachine(db);
    const place = { provider: "acme", providerId: machineId, location: "am6" };
    await transact(db, (tx) => setProvided(tx, [{ machineId, ...place }], "test"));
  });

  test.each(looks)(
    "the overview has a bar for each place, whose parts lead to the machines: $colorScheme",
    async (look) => {
      const token = bench.admin.secret;
      await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token, ...look });
      const { page } = opened;
      const place = page.getByRole("listitem").filter({ hasText: "acme am6" });
      await place.getByRole("link", { name: "no agent 1" }).waitFor();
      await page.getByText("Heartbeats", { exact: true }).waitFor();
      await page.getByRole("heading", { name: "Overdue, oldest first" }).waitFor();
      expect(await findBarriers(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(look.viewport.width);
      await place.getByRole("link", { name: "no agent 1" }).click();
      await page.getByText("location=am6").waitFor();
      await page.getByRole("row").filter({ hasText: "acme" }).waitFor();
    },
  );

  test.each(looks)("the server's page has versions and settings, and no secret: $colorScheme", async (look) => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/server", token, ...look });
    const { page } = opened;
    await page.locator(".badge.good").filter({ hasText: "ready" }).waitFor();
    await page.getByRole("row").filter({ hasText: "DATABASE_URL" }).getByText("secret").waitFor();
    expect(await page.content()).not.toContain(bench.database.url);
    expect(await findBarriers(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(look.viewport.width);
  });

  test("keys lead to the filter, move in tables, and list themselves", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/machines", token });
    const { page } = opened;
    await page.getByRole("row").nth(2).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    expect(await page.getByRole("row").nth(1).getAttribute("class")).toBe("cursor");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).getByText("next row").waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("state=nonsense");
    await page.keyboard.press("Enter");
    await page.getByText('state: "nonsense" is not a state').waitFor();
  });
});
