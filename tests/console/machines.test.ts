/** The list of machines: filter, columns, selection, what is done with many, and rows that come and go. */
import { randomUUID } from "node:crypto";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { revokeAdminTokenByName } from "../../src/db/queries/admin-token.ts";
import { createMachines } from "../../src/db/queries/machine.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, openConsole, setUpConsole, signIn } from "../support/console.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { requestInstallation, testImage } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const open = async (query: string, options: Parameters<typeof openConsole>[2] = {}) =>
    await openConsole(bench.browser, bench.server.adminUrl, {
      path: `/machines${query}`,
      token: bench.admin.secret,
      ...options,
    });
  /** Creates machines with a label of their own and a disk each, and returns their ids in order. */
  const labelled = async (rack: string, count: number) => {
    const ids = Array.from({ length: count }, () => randomUUID()).sort();
    for (const machineId of ids) {
      await admin().createMachine({ machineId, labels: { rack } });
      await storeHardware(bench.database.db, machineId, [{ ...sda, serialNumber: machineId.slice(0, 8) }]);
    }
    return ids;
  };
  const rowOf = (page: Page, id: string) => page.getByRole("row").filter({ hasText: id });
  const selection = (page: Page) => page.getByRole("group", { name: "Selection" });
  const stateOf = async (machineId: string) => (await admin().getMachine({ machineId })).machine;

  test("installs on all that match but those that are held, after their number is typed", async () => {
    const rack = "all";
    const [held = "", ...others] = await labelled(rack, 4);
    await admin().setHold({ machineId: held, reason: "fan" });
    await using opened = await open("");
    const { page } = opened;
    await page.getByLabel("Filter", { exact: true }).fill(`label.rack=${rack}`);
    await page.keyboard.press("Enter");
    await rowOf(page, held).waitFor();
    expect(await page.getByRole("row").count()).toBe(5);
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByText("all 4 selected").waitFor();
    await expectFit(page);

    await selection(page).getByRole("button", { name: "Install…" }).click();
    await page.getByLabel("Image", { exact: true }).fill(testImage.url);
    await page.getByLabel("Digest", { exact: true }).fill(testImage.digest);
    await page.getByLabel("Disk, which is wiped").fill("only");
    await page.getByText(`bmaas install request --selector label.rack=${rack} --image`).waitFor();
    await page.getByRole("button", { name: "Go on: which disk?" }).click();
    const question = page.getByRole("dialog", { name: "Install: wipe 3 machines?" });
    await question.getByText("1 of 4 would be refused").waitFor();
    await question.getByText(`serial number ${others[0]?.slice(0, 8)}`).waitFor();
    await expectFit(page);
    const wipe = question.getByRole("button", { name: "Install and wipe 3 machines" });
    expect(await wipe.isDisabled()).toBe(true);
    await question.getByLabel("Type 3 to go on").fill("3");
    await wipe.click();
    await question.waitFor({ state: "detached" });
    for (const id of others) {
      await rowOf(page, id).getByText("installation pending").waitFor();
      expect((await stateOf(id))?.installation?.state).toBe(InstallationState.PENDING);
    }
    expect((await stateOf(held))?.installation).toBeUndefined();

    await selection(page).getByRole("button", { name: "Cancel the installation…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the installation" }).click();
    await page.getByRole("dialog").getByText("4 of 4.").waitFor();
    await page.getByRole("dialog").getByText("Failed for").waitFor();
    for (const id of others) expect((await stateOf(id))?.installation?.state).toBe(InstallationState.CANCELLED);
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();

    // What somebody else requests meanwhile is what the same selection cancels next.
    const [again = ""] = others;
    await requestInstallation(bench.database.db, again);
    await rowOf(page, again).getByText("installation pending").waitFor();
    await selection(page).getByRole("button", { name: "Cancel the installation…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the installation" }).click();
    await page.getByRole("dialog").getByText("4 of 4.").waitFor();
    expect((await stateOf(again))?.installation).toMatchObject({
      generation: 2n,
      state: InstallationState.CANCELLED,
    });
  });

  test("labels and holds those that are ticked, and only those", async () => {
    const [first = "", second = "", third = ""] = await labelled("ticked", 3);
    await using opened = await open("?filter=label.rack%3Dticked");
    const { page } = opened;
    await rowOf(page, first).getByRole("checkbox").check();
    await rowOf(page, third).getByRole("checkbox").check();
    await selection(page).getByText("2 selected").waitFor();
    await selection(page).getByRole("button", { name: "Labels…" }).click();
    await page.getByLabel("Labels", { exact: true }).fill("team=blue nonsense");
    await page.getByRole("dialog").getByRole("button", { name: "Label", exact: true }).click();
    await page.getByText('"nonsense" is no label').waitFor();
    await page.getByLabel("Labels", { exact: true }).fill("team=blue");
    await page.getByText(`bmaas machines label ${first} ${third} team=blue`).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Label", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await selection(page).getByRole("button", { name: "Hold…" }).click();
    await page.getByLabel("Reason").fill("power");
    await page.getByRole("dialog").getByRole("button", { name: "Hold", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const [a, b, c] = [await stateOf(first), await stateOf(second), await stateOf(third)];
    expect([a?.labels.team, b?.labels.team, c?.labels.team]).toEqual(["blue", undefined, "blue"]);
    expect([a?.hold?.reason, b?.hold?.reason, c?.hold?.reason]).toEqual(["power", undefined, "power"]);
  });

  test("rows come and go with their machines, and columns stand in the URL", async () => {
    const [, second = ""] = await labelled("live", 2);
    await using opened = await open("?filter=label.rack%3Dlive");
    const { page } = opened;
    await rowOf(page, second).waitFor();
    await page.getByText("● live").waitFor();
    await admin().createMachine({ labels: { rack: "elsewhere" } });
    const { machine: added } = await admin().createMachine({ labels: { rack: "live" } });
    await rowOf(page, added?.id ?? "").waitFor();
    await admin().deleteMachine({ machineId: second });
    await rowOf(page, second).waitFor({ state: "detached" });
    expect(await page.getByRole("row").count()).toBe(3);

    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByRole("menuitemcheckbox", { name: "Labels" }).click();
    await page.getByRole("menuitemcheckbox", { name: "Product" }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("columnheader", { name: "Labels" }).waitFor();
    expect(await page.getByRole("columnheader", { name: "Product" }).count()).toBe(0);
    expect(new URL(page.url()).searchParams.get("columns")).toContain("labels");
    await rowOf(page, added?.id ?? "")
      .getByText("rack=live")
      .waitFor();
    await rowOf(page, added?.id ?? "")
      .getByRole("link")
      .click();
    await page.getByRole("region", { name: "What is with this machine" }).waitFor();
  });

  test("a machine of which only the server knows whether it matches is counted until the list is read again", async () => {
    const [first = ""] = await labelled("unsure", 1);
    await using opened = await open("?filter=label.rack%3Dunsure&filter=state-overdue%3Dno");
    const { page } = opened;
    await rowOf(page, first).waitFor();
    await page.getByText("● live").waitFor();
    const { machine: added } = await admin().createMachine({ labels: { rack: "unsure" } });
    await page.getByText("1 new:").waitFor();
    expect(await page.getByRole("row").count()).toBe(2);
    await page.getByRole("button", { name: "Reload" }).click();
    await rowOf(page, added?.id ?? "").waitFor();
    await page.getByText("1 new:").waitFor({ state: "detached" });
  });

  test("a machine that comes while the list is read anew is not missed", async () => {
    const [first = "", second = ""] = await labelled("late", 2);
    const unsure = "?filter=label.rack%3Dlate&filter=state-overdue%3Dno";
    await using opened = await open(unsure);
    const { page, context } = opened;
    await rowOf(page, second).getByRole("checkbox").check();
    await page.getByText("● live").waitFor();
    const { machine: early } = await admin().createMachine({ labels: { rack: "late" } });
    await page.getByText("1 new:").waitFor();
    const isRead = Promise.withResolvers<void>();
    const isChanged = Promise.withResolvers<void>();
    await context.route("**/ListMachines*", async (route) => {
      const response = await route.fetch();
      isRead.resolve();
      await isChanged.promise;
      await route.fulfill({ response });
    });
    await page.getByRole("button", { name: "Reload" }).click();
    await isRead.promise;
    const { machine: late } = await admin().createMachine({ labels: { rack: "late" } });
    // A change is heard of after those before it.
    await admin().deleteMachine({ machineId: second });
    await selection(page).getByText("none selected").waitFor();
    isChanged.resolve();
    await rowOf(page, early?.id ?? "").waitFor();
    await rowOf(page, first).waitFor();
    await page.getByText("1 new:").waitFor();
    expect(await rowOf(page, second).count()).toBe(0);
    await page.getByRole("button", { name: "Reload" }).click();
    await rowOf(page, late?.id ?? "").waitFor();
    await page.getByText("new:").waitFor({ state: "detached" });
  });

  test("changes of machines that are not loaded yet are no news", async () => {
    const ids = Array.from(
      { length: 3_000 },
      (_, index) => `ffffffff-0000-4000-8000-${String(index).padStart(12, "0")}`,
    );
    await transact(bench.database.db, (tx) => createMachines(tx, ids, "test"));
    await using opened = await open("?columns=labels");
    const { page } = opened;
    await page.getByText("● live").waitFor();
    for (let at = 500; at < ids.length; at += 1_000) {
      const requests = ids.slice(at, at + 1_000).map((machineId) => ({ machineId, set: { far: "yes" } }));
      await admin().batchSetLabels({ requests, omitMachines: true });
    }
    // A change is shown after those before it.
    const first = "00000000-0000-4000-8000-000000000001";
    await admin().createMachine({ machineId: first });
    await rowOf(page, first).waitFor();
    expect(await page.getByText("new:").count()).toBe(0);
  });

  test("what somebody has begun is not continued by whoever signs in next", async () => {
    const [alice, bob] = [await tokenOf(bench.database.db, "operator"), await tokenOf(bench.database.db, "operator")];
    const ids = await labelled("begun", 7);
    await using opened = await open("?filter=label.rack%3Dbegun", { token: alice.secret });
    const { page, context } = opened;
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByText("all 7 selected").waitFor();
    const calls = Promise.withResolvers<void>();
    await context.route("**/BatchSetHolds", async (route) => {
      await calls.promise;
      await route.continue();
    });
    await selection(page).getByRole("button", { name: "Hold…" }).click();
    await page.getByLabel("Reason").fill("power");
    const isCalled = page.waitForRequest("**/BatchSetHolds");
    await page.getByRole("dialog").getByRole("button", { name: "Hold", exact: true }).click();
    await isCalled;
    await transact(bench.database.db, (tx) => revokeAdminTokenByName(tx, alice.name, "test"));
    calls.resolve();
    await page.getByText("The session has ended").waitFor();
    await signIn(page, bob.secret);
    await page.getByText(`token:${bob.name}`).waitFor();
    await page.getByText("Failed for 7:").waitFor();
    await page.getByText(`This was begun by token:${alice.name}`).first().waitFor();
    for (const id of ids) expect((await stateOf(id))?.hold).toBeUndefined();
  });

  test("a viewer can select, and sees why nothing can be done", async () => {
    const viewer = await tokenOf(bench.database.db, "viewer");
    const [id = ""] = await labelled("viewed", 1);
    await using opened = await open("?filter=label.rack%3Dviewed", { token: viewer.secret });
    const { page } = opened;
    await rowOf(page, id).getByRole("checkbox").check();
    const button = selection(page).getByRole("button", { name: "Install…" });
    expect(await button.getAttribute("aria-disabled")).toBe("true");
    await button.focus();
    await page.getByRole("tooltip").getByText("This needs the role operator; yours is viewer.").waitFor();
  });
});
