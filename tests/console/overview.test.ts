/** The overview and the server's page, in both themes and from 360 pixels up. */
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ListFleetSamplesResponseSchema } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { HealthAlertSchema, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { IssueService } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { setProvided } from "../../src/db/queries/provided.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, openConsole, setUpConsole } from "../support/console.ts";
import { bareMachine } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";
import { situations } from "../support/situation.ts";
import { waitUntil } from "../support/wait.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    for (const situation of situations) await situation.make(db);
    const machineId = await bareMachine(db);
    const place = { provider: "acme", providerId: machineId, location: "am6" };
    await transact(db, (tx) => setProvided(tx, [{ machineId, ...place }], "test"));
  });

  test("the overview has a bar for each place, whose parts lead to the machines", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token });
    const { page } = opened;
    const place = page.getByRole("listitem").filter({ hasText: "acme am6" });
    await place.getByRole("link", { name: "no agent 1" }).waitFor();
    await page.getByText("Heartbeats", { exact: true }).waitFor();
    await page.getByRole("heading", { name: "Overdue, oldest first" }).waitFor();
    await expectFit(page);
    const needs = page.getByRole("region", { name: "What needs somebody" });
    await needs.getByRole("link", { name: "installation failed" }).waitFor();
    await place.getByRole("link", { name: "no agent 1" }).click();
    await page.getByText("location=am6").waitFor();
    await page.getByRole("row").filter({ hasText: "acme" }).waitFor();
  });

  test("what needs somebody leads to its issues, and figures to their machines", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token });
    const { page } = opened;
    const needs = page.getByRole("region", { name: "What needs somebody" });
    await needs.getByRole("link", { name: "installation failed" }).click();
    await page.getByText("type=installation_failed").first().waitFor();
    await page.getByRole("row").nth(1).getByText("installation failed").waitFor();
    await page.goBack();
    await page.locator(".figures").getByRole("link", { name: "failed" }).click();
    await page.getByText("state=installation_failed").first().waitFor();
    await page.getByRole("row").nth(1).getByText("installation failed").first().waitFor();
  });

  test("issues of one type lead to those of their severity", async () => {
    const health = adminClient(HealthService, bench.server.adminUrl, bench.admin.secret);
    for (const severity of [HealthSeverity.CRITICAL, HealthSeverity.WARNING]) {
      const alerts = [create(HealthAlertSchema, { id: HealthSeverity[severity], severity })];
      const machineId = await bareMachine(bench.database.db);
      await health.putHealth({ machineId, source: "bmc", alerts, ttl: { seconds: 3_600n } });
    }
    const issues = adminClient(IssueService, bench.server.adminUrl, bench.admin.secret);
    await waitUntil("both are issues", async () => {
      const { issues: found } = await issues.listIssues({ types: ["health"] });
      return found.length === 2;
    });
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token: bench.admin.secret });
    const { page } = opened;
    for (const severity of ["critical", "warning"]) {
      await page.getByRole("link", { name: `health, ${severity}` }).click();
      await page.getByText(`severity=${severity}`).first().waitFor();
      await expect.poll(() => page.getByRole("row").count()).toBe(2);
      await page.getByRole("row").nth(1).getByText(severity, { exact: false }).first().waitFor();
      await page.goBack();
    }
  });

  test("figures are unknown until the fleet is counted, and nothing else is asked of the database before", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/server", token });
    const { page } = opened;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const lists: string[] = [];
    page.on("request", (request) => void (request.url().includes("ListMachines") && lists.push(request.url())));
    await page.route(/GetFleet|ListFleetSamples/, async (route) => {
      await released;
      await route.continue();
    });
    await page.getByRole("link", { name: "Overview" }).click();
    const machines = page.locator(".figures > div").filter({ hasText: "machines" }).first().locator("dd");
    await machines.waitFor();
    await page.getByText("Loading the curves…").waitFor();
    expect(await machines.textContent()).toMatch(/^–/);
    expect(lists).toEqual([]);
    release();
    await page.waitForFunction(() => document.querySelector(".figures")?.getAttribute("aria-busy") === "false");
    expect(Number.parseInt((await machines.textContent()) ?? "", 10)).toBeGreaterThan(0);
    await expect.poll(() => lists.length).toBeGreaterThan(0);
  });

  test("curves have the reader's times", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/server", token });
    const { page } = opened;
    await page.evaluate(() => {
      const drawn: string[] = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
        drawn.push(text);
        fillText.call(this, text, ...at);
      };
      Object.assign(globalThis, { drawn });
    });
    const begin = Date.UTC(2026, 2, 1, 18);
    const samples = Array.from({ length: 121 }, (_, index) => ({
      sampleTime: timestampFromMs(begin + index * 30_000),
    }));
    const answer = toBinary(ListFleetSamplesResponseSchema, create(ListFleetSamplesResponseSchema, { samples }));
    await page.route(/ListFleetSamples/, (route) =>
      route.fulfill({ contentType: "application/proto", body: Buffer.from(answer) }),
    );
    await page.getByRole("link", { name: "Overview" }).click();
    const readDrawn = () => page.evaluate(() => (globalThis as unknown as { drawn: string[] }).drawn);
    await expect.poll(readDrawn).toContain("19:30");
    expect((await readDrawn()).filter((text) => /[ap]m|\//i.test(text))).toEqual([]);
  });

  test("the places of a label are not those of another one, while the fleet is being counted", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token });
    const { page } = opened;
    await page.getByRole("listitem").filter({ hasText: "acme am6" }).waitFor();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await page.route(/GetFleet$/, async (route) => {
      await released;
      await route.continue();
    });
    await page.getByLabel("Group by label").fill("rack");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Machines by label and state" }).waitFor();
    expect(await page.getByText("without rack").count()).toBe(0);
    await page.getByText("Counting…").waitFor();
    release();
    await page.getByText("without rack").waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Machines by place and state" }).waitFor();
    await expect.poll(() => page.getByLabel("Group by label").inputValue()).toBe("");
  });

  test("the server's page has versions and settings, and no secret", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/server", token });
    const { page } = opened;
    await page.locator(".badge.good").filter({ hasText: "ready" }).waitFor();
    await page.getByRole("row").filter({ hasText: "DATABASE_URL" }).getByText("secret").waitFor();
    expect(await page.content()).not.toContain(bench.database.url);
    await expectFit(page);
  });

  test("keys lead to the filter, move in tables, and list themselves", async () => {
    const token = bench.admin.secret;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/machines", token });
    const { page } = opened;
    await page.getByRole("row").nth(2).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await expect.poll(() => page.getByRole("row").nth(1).getAttribute("class")).toBe("cursor");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).getByText("next row").waitFor();
    await expectFit(page);
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("state=nonsense");
    await page.keyboard.press("Enter");
    await page.getByText('state: "nonsense" is not a state').waitFor();
  });
});
