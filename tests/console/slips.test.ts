/** What a slip of the hand must not do: lose what was typed, stop what wipes, or open what was only marked. */
import { randomUUID } from "node:crypto";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { holdBack, openConsole, setUpConsole } from "../support/console.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { testImage } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  const dialog = (page: Page) => page.getByRole("dialog");
  const selection = (page: Page) => page.getByRole("group", { name: "Selection" });
  /** Creates machines with a label of their own and a disk each, and returns their ids in order. */
  const labelled = async (rack: string, count: number) => {
    const ids = Array.from({ length: count }, () => randomUUID()).sort();
    for (const machineId of ids) {
      await admin().createMachine({ machineId, labels: { rack } });
      await storeHardware(bench.database.db, machineId, [{ ...sda, serialNumber: machineId.slice(0, 8) }]);
    }
    return ids;
  };

  test("a file that is not chosen after all leaves the form as it was", async () => {
    const [machineId = ""] = await labelled("file", 1);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Install…" }).click();
    await page.getByLabel("What", { exact: true }).selectOption("a Metropolis node");
    await page.getByLabel("Image", { exact: true }).fill("registry.example/metropolis:v1");
    // As browsers say it when somebody closes the window in which files are chosen.
    await page
      .getByLabel("Node parameters")
      .evaluate((field) => field.dispatchEvent(new Event("cancel", { bubbles: true })));
    expect(await page.getByLabel("Image", { exact: true }).inputValue()).toBe("registry.example/metropolis:v1");
  });

  test("Escape does not stop installations that have begun, nor hide how they end", async () => {
    const ids = await labelled("escape", 2);
    await using opened = await open("/machines?filter=label.rack%3Descape");
    const { page, context } = opened;
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByRole("button", { name: "Install…" }).click();
    await page.getByLabel("Image", { exact: true }).fill(testImage.url);
    await page.getByLabel("Digest", { exact: true }).fill(testImage.digest);
    await page.getByLabel("Disk, which is wiped").fill("only");
    await page.getByRole("button", { name: "Go on: which disk?" }).click();
    await dialog(page).getByLabel("Type 2 to go on").fill("2");
    const installing = await holdBack(context, "BatchRequestInstallations");
    await dialog(page).getByRole("button", { name: "Install and wipe 2 machines" }).click();
    await installing.called;
    await admin().setHold({ machineId: ids[0] ?? "", reason: "fan" });
    for (let count = 0; count < 2; count++) await page.keyboard.press("Escape");
    installing.release();
    await dialog(page).getByText("Failed for 1:").waitFor();
    const { machine } = await admin().getMachine({ machineId: ids[1] ?? "" });
    expect(machine?.installation?.state).toBe(InstallationState.PENDING);
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
  });

  test("who marks text in a row, to copy it, stays on the list", async () => {
    const [machineId = ""] = await labelled("marked", 1);
    await using opened = await open("/machines?filter=label.rack%3Dmarked&columns=labels");
    const { page } = opened;
    const text = page.getByRole("row").filter({ hasText: machineId }).getByText("rack=marked");
    const box = await text.boundingBox();
    if (box === null) throw new Error("the label cannot be seen");
    const middle = box.y + box.height / 2;
    await page.mouse.move(box.x + 1, middle);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, middle, { steps: 4 });
    await page.mouse.up();
    expect(await page.evaluate(() => String(getSelection()))).toMatch(/^rack/);
    // A click is for the row again: it lets go of what was marked.
    expect(new URL(page.url()).pathname).toBe("/machines");
    await page.mouse.click(box.x + box.width + 20, middle);
    await page.waitForURL(`**/machines/${machineId}`);
  });
});
