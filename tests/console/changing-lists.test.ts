/** What is shown stays with its machine: rows that come, go and change, and pages that one goes back to. */
import { describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../support/agents.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { openConsole, setUpConsole } from "../support/console.ts";
import { machineWithAgent } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  /** Returns an id that comes after those with a smaller place. */
  const idOf = (place: number) => `${place}0000000-0000-4000-8000-${crypto.randomUUID().slice(-12)}`;

  test("the cursor stays on its row when others come before it", async () => {
    const [early, middle, late] = [idOf(1), idOf(2), idOf(3)];
    const labels = { rack: "cursor" };
    for (const machineId of [middle, late]) await admin().createMachine({ machineId, labels });
    await using opened = await open("/machines?filter=label.rack%3Dcursor");
    const { page } = opened;
    await page.getByRole("row").filter({ hasText: late }).waitFor();
    await page.getByText("● live").waitFor();
    await page.keyboard.press("j");
    await page.locator("tr.cursor").filter({ hasText: middle }).waitFor();
    await admin().createMachine({ machineId: early, labels });
    await page.getByRole("row").filter({ hasText: early }).waitFor();
    await page.keyboard.press("x");
    await page.getByText("1 selected").waitFor();
    expect(await page.getByRole("row", { selected: true }).getByRole("link").textContent()).toBe(middle);
    await page.keyboard.press("k");
    await page.locator("tr.cursor").filter({ hasText: early }).waitFor();
    await admin().deleteMachine({ machineId: early });
    await page.getByRole("row").filter({ hasText: early }).waitFor({ state: "detached" });
    expect(await page.locator("tr.cursor").count()).toBe(0);
    await page.keyboard.press("j");
    await page.locator("tr.cursor").filter({ hasText: middle }).waitFor();
  });

  test("a row that has come shows what becomes of it, also when it does not match any more", async () => {
    const [first, added] = [idOf(1), idOf(2)];
    const labels = { rack: "come" };
    await admin().createMachine({ machineId: first, labels });
    await using opened = await open("/machines?filter=label.rack%3Dcome&columns=labels");
    const { page } = opened;
    await page.getByRole("row").filter({ hasText: first }).waitFor();
    await page.getByText("● live").waitFor();
    await admin().createMachine({ machineId: added, labels });
    for (const machineId of [first, added]) {
      const row = page.getByRole("row").filter({ hasText: machineId });
      await row.waitFor();
      await admin().setLabels({ machineId, set: { rack: "gone" } });
      await row.getByText("rack=gone").waitFor();
    }
  });

  test("holds that are released are not selected any more", async () => {
    const ids = [idOf(1), idOf(2)];
    for (const machineId of ids) {
      await admin().createMachine({ machineId, labels: { rack: "held" } });
      await admin().setHold({ machineId, reason: "fan" });
    }
    await using opened = await open("/holds?filter=label.rack%3Dheld");
    const { page } = opened;
    const [first = "", second = ""] = ids;
    await page.getByText("● live").waitFor();
    await page.getByRole("checkbox", { name: `Select ${first}` }).check();
    await page.getByRole("button", { name: "Release 1…" }).waitFor();
    await admin().clearHold({ machineId: first });
    await page.getByRole("row").filter({ hasText: first }).waitFor({ state: "detached" });
    const all = page.getByRole("checkbox", { name: "Select all rows that are loaded" });
    expect(await all.isChecked()).toBe(false);
    await admin().setHold({ machineId: first, reason: "held again by somebody else" });
    await page.getByRole("row").filter({ hasText: first }).waitFor();
    await page.getByRole("checkbox", { name: `Select ${second}` }).check();
    await page.getByRole("button", { name: "Release 1…" }).waitFor();
  });

  test("the explanation of a machine never stands on the page of another", async () => {
    const [one, other] = [idOf(1), idOf(2)];
    const labels = { rack: "explained" };
    for (const machineId of [one, other]) await admin().createMachine({ machineId, labels });
    await using opened = await open("/machines?filter=label.rack%3Dexplained");
    const { page, context } = opened;
    await context.route("**/ExplainMachine", async (route) => {
      if (route.request().postDataBuffer()?.includes(other) !== true) await route.continue();
    });
    const explanation = page.getByRole("region", { name: "What is with this machine" });
    await page.getByRole("link", { name: other }).click();
    await explanation.getByText("Asking the server…").waitFor();
    await page.getByRole("navigation").getByRole("link", { name: "Machines" }).click();
    await page.getByRole("link", { name: one }).click();
    await explanation.getByText("What you can do").waitFor();
    await page.evaluate(() => history.go(-2));
    await page.getByRole("heading", { name: other }).waitFor();
    await explanation.getByText("Asking the server…").waitFor();
  });

  test("what has changed while another page was shown is shown by whoever comes back", async () => {
    const { machineId, key } = await machineWithAgent(bench.database.db);
    await using opened = await open("/machines?columns=product");
    const { page } = opened;
    await page.getByText("● live").waitFor();
    await page.getByRole("link", { name: machineId }).click();
    await page.getByRole("region", { name: "Hardware" }).getByText("has not reported its hardware yet").waitFor();
    await page.goBack();
    using agent = grpcAgent(bench.server, key);
    await agent.heartbeat({ machineId, hardwareReport: { report: { product: "PowerEdge R640", blockDevice: [] } } });
    await page.getByRole("row").filter({ hasText: machineId }).getByText("PowerEdge R640").waitFor();
    await page.getByRole("link", { name: machineId }).click();
    await page.getByRole("region", { name: "Hardware" }).getByText("PowerEdge R640").waitFor();
  });
});
