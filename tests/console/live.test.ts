/** What the page does when the fleet changes, and when its server goes away and comes back. */
import { afterAll, describe, expect, test } from "vitest";
import { setProvided } from "../../src/db/queries/provided.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, holdBack, openConsole, setUpConsole, signIn } from "../support/console.ts";
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
    const banner = page.getByRole("alert").filter({ hasText: "The server has not answered since" });
    await banner.filter({ hasText: ": there is no connection." }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await provide(second);
    restarted = await startTestServer(bench.database.url, { BMAAS_ADMIN_LISTEN: host });
    await page.getByText("● live").waitFor();
    await row(second).getByText("no agent").waitFor();
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });

  test("what could not be read while the server was away is read by itself once it is back", async () => {
    const machineId = await bareMachine(bench.database.db);
    const { adminUrl } = restarted ?? bench.server;
    await using opened = await openConsole(bench.browser, adminUrl, { path: "/machines", token: bench.admin.secret });
    const { page, context } = opened;
    await page.getByText("● live").waitFor();
    const json = { code: "internal", message: "the server is stopping" };
    for (const method of ["GetMachine", "ListHardwareReports"]) {
      await context.route(`**/${method}`, (route) => route.fulfill({ status: 500, json }));
    }
    await page.getByRole("link", { name: machineId }).click();
    await page.getByRole("alert").filter({ hasText: "The server is stopping." }).waitFor();
    await context.unroute("**/GetMachine");
    await page.getByRole("button", { name: "Try again" }).click();
    const hardware = page.getByRole("region", { name: "Hardware" });
    await hardware.getByText("The server is stopping.").waitFor();

    await (restarted ?? bench.server).close();
    await page.getByText("○ not connected").waitFor();
    await context.unroute("**/ListHardwareReports");
    restarted = await startTestServer(bench.database.url, { BMAAS_ADMIN_LISTEN: new URL(adminUrl).host });
    await page.getByText("● live").waitFor();
    await hardware.getByText("The agent has not reported its hardware yet.").waitFor();
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });

  test("what changes between the first answer and the begin of the stream is not missed", async () => {
    const machineId = await bareMachine(bench.database.db);
    const { adminUrl } = restarted ?? bench.server;
    await using opened = await openConsole(bench.browser, adminUrl, { path: "/machines" });
    const { page, context } = opened;
    const [made, shown] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await context.route("**/ListMachines", async (route) => {
      const response = await route.fetch();
      made.resolve();
      await shown.promise;
      await route.fulfill({ response });
    });
    const watching = await holdBack(context, "WatchMachines");
    await signIn(page, bench.admin.secret);
    await made.promise;
    await provide(machineId);
    watching.release();
    await page.getByText("● live").waitFor();
    shown.resolve();
    await page.getByRole("row").filter({ hasText: machineId }).getByText("no agent").waitFor();
  });

  test("what was found is shown as it is now", async () => {
    const machineId = await bareMachine(bench.database.db);
    const { adminUrl } = restarted ?? bench.server;
    const path = `/find?text=${machineId}`;
    await using opened = await openConsole(bench.browser, adminUrl, { path, token: bench.admin.secret });
    const { page } = opened;
    const row = page.getByRole("region", { name: "Machines" }).getByRole("row").filter({ hasText: machineId });
    await row.getByText("not provided").waitFor();
    await page.getByText("● live").waitFor();
    await provide(machineId);
    await row.getByText("no agent").waitFor();
  });

  test("a hidden tab has no stream, and once it is seen again it shows what has happened, and that it is old", async () => {
    const machineId = await bareMachine(bench.database.db);
    const { adminUrl } = restarted ?? bench.server;
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, adminUrl, { path: "/machines", token });
    const { page, context } = opened;
    const row = page.getByRole("row").filter({ hasText: machineId });
    await row.getByText("not provided").waitFor();
    await page.getByText("● live").waitFor();
    const see = (state: "visible" | "hidden") =>
      page.evaluate((value) => {
        Object.defineProperty(document, "visibilityState", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
    const isEnded = page.waitForEvent("requestfailed", (request) => request.url().includes("WatchMachines"));
    await see("hidden");
    await isEnded;
    await page.getByText("○ paused").waitFor();
    await provide(machineId);
    await context.route("**/console.json", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...((await response.json()) as object), build: "another" } });
    });
    expect(await row.getByText("not provided").count()).toBe(1);
    await see("visible");
    await row.getByText("no agent").waitFor();
    const banner = page.getByRole("status").filter({ hasText: "The server has a newer version of this page." });
    await banner.getByRole("button", { name: "Reload" }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
  });
});
