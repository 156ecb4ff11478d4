/** What the page does when the fleet changes, and when its server goes away and comes back. */
import { afterAll, describe, expect, test } from "vitest";
import { setProvided } from "../../src/db/queries/provided.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { bareMachine } from "../support/machine.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  let restarted: TestServer | undefined;
  afterAll(() => restarted?.close());

  const provide = (machineId: string) =>
    transact(bench.database.db, (tx) =>
      setProvided(tx, [{ machineId, provider: "<b>acme</b>", providerId: machineId }], "test"),
    );

  test("a change shows without a reload, as text whatever it holds, also when the server restarts meanwhile", async () => {
    const [first, second] = [await bareMachine(bench.database.db), await bareMachine(bench.database.db)];
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/machines", token });
    const { page } = opened;
    const row = (id: string) => page.getByRole("row").filter({ hasText: id });
    await row(first).getByText("not provided").waitFor();
    await page.getByText("● live").waitFor();
    await provide(first);
    await row(first).getByText("no agent").waitFor();
    await row(first).getByText("<b>acme</b>").waitFor();

    const { host } = new URL(bench.server.adminUrl);
    await bench.server.close();
    await page.getByRole("alert").filter({ hasText: "The server has not answered since" }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await provide(second);
    restarted = await startTestServer(bench.database.url, { BMAAS_ADMIN_LISTEN: host });
    await page.getByText("● live").waitFor();
    await row(second).getByText("no agent").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });
});
