/** What happens between a question and its answer: others act, filters change, and dialogs are closed. */
import { randomUUID } from "node:crypto";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, holdBack, openConsole, setUpConsole, signIn } from "../support/console.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { moveInstallation } from "../support/installation.ts";
import { replaceAgentKey, requestInstallation, testImage } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  /** Creates machines with a label of their own and a disk each, and returns their ids in order. */
  const labelled = async (rack: string, count: number) => {
    const ids = Array.from({ length: count }, () => randomUUID()).sort();
    for (const machineId of ids) {
      await admin().createMachine({ machineId, labels: { rack } });
      await storeHardware(bench.database.db, machineId, [{ ...sda, serialNumber: machineId.slice(0, 8) }]);
    }
    return ids;
  };
  const newestOf = async (machineId: string) => (await admin().getMachine({ machineId })).machine?.installation;
  const dialog = (page: Page) => page.getByRole("dialog");
  const selection = (page: Page) => page.getByRole("group", { name: "Selection" });
  const askToInstall = async (page: Page, group: string) => {
    await page.getByRole("group", { name: group }).getByRole("button", { name: "Install…" }).click();
    await fillRequest(page);
  };
  const fillRequest = async (page: Page) => {
    await page.getByLabel("Image", { exact: true }).fill(testImage.url);
    await page.getByLabel("Digest", { exact: true }).fill(testImage.digest);
    await page.getByLabel("Disk, which is wiped").fill("only");
    await page.getByRole("button", { name: "Go on: which disk?" }).click();
  };

  test("a machine that somebody else has installed since the question is not wiped", async () => {
    const [machineId = ""] = await labelled("one", 1);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await askToInstall(page, "Actions");
    const wipe = dialog(page).getByRole("button", { name: "Install and wipe 1 machine" });
    await wipe.waitFor();
    await requestInstallation(bench.database.db, machineId);
    await moveInstallation(bench.database.db, machineId, 1n, "succeeded");
    await wipe.click();
    await dialog(page).getByRole("alert").getByText("does not exceed 1").waitFor();
    expect(await newestOf(machineId)).toMatchObject({ generation: 1n, state: InstallationState.SUCCEEDED });
  });

  test("the question says what somebody else has requested since the form was opened", async () => {
    const [machineId = ""] = await labelled("overtaken", 1);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByText("● live").waitFor();
    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Install…" }).click();
    await requestInstallation(bench.database.db, machineId);
    await page.locator("#installations .badge").filter({ hasText: "pending" }).waitFor();
    await fillRequest(page);
    await dialog(page).getByText("installations were requested that this would replace").waitFor();
    await dialog(page).getByText("generation 1, pending, by test").waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await dialog(page).getByRole("button", { name: "Install and wipe 1 machine" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect(await newestOf(machineId)).toMatchObject({ generation: 2n, state: InstallationState.PENDING });
  });

  test("of many, those that somebody else has installed since the question are not wiped", async () => {
    const [first = "", second = ""] = await labelled("two", 2);
    await using opened = await open("/machines?filter=label.rack%3Dtwo");
    const { page } = opened;
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByText("all 2 selected").waitFor();
    await askToInstall(page, "Selection");
    await dialog(page).getByLabel("Type 2 to go on").fill("2");
    await requestInstallation(bench.database.db, first);
    await moveInstallation(bench.database.db, first, 1n, "succeeded");
    await dialog(page).getByRole("button", { name: "Install and wipe 2 machines" }).click();
    await dialog(page).getByText("Failed for 1:").waitFor();
    expect(await newestOf(first)).toMatchObject({ generation: 1n, state: InstallationState.SUCCEEDED });
    expect(await newestOf(second)).toMatchObject({ generation: 1n, state: InstallationState.PENDING });
  });

  test("a selection that is still being read when the filter changes is not made", async () => {
    const [former = "", other = ""] = [await labelled("former", 1), await labelled("later", 1)].flat();
    await using opened = await open("/machines?filter=label.rack%3Dformer");
    const { page, context } = opened;
    await page.getByRole("row").filter({ hasText: former }).waitFor();
    const reading = await holdBack(context, "ListMachines");
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await reading.called;
    await page.getByLabel("Filter", { exact: true }).fill("label.rack=later");
    await page.keyboard.press("Enter");
    await page.getByText("label.rack=later").waitFor();
    reading.release();
    await page.getByRole("row").filter({ hasText: other }).waitFor();
    await selection(page).getByRole("button", { name: "Select all that match" }).waitFor();
    await selection(page).getByText("none selected").waitFor();
  });

  test("what does not match any more is not selected any more, if all that match were", async () => {
    const [first = "", second = ""] = await labelled("match", 2);
    const relabel = (rack: string) => admin().setLabels({ machineId: second, set: { rack } });
    await using opened = await open("/machines?filter=label.rack%3Dmatch&columns=labels");
    const { page, context } = opened;
    const row = page.getByRole("row").filter({ hasText: second });
    await page.getByText("● live").waitFor();
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByText("all 2 selected").waitFor();
    await relabel("other");
    await selection(page).getByText("all 1 selected").waitFor();
    expect(await page.getByRole("row", { selected: true }).getByRole("link").textContent()).toBe(first);
    await row.getByRole("checkbox").check();
    await relabel("another");
    await row.getByText("rack=another").waitFor();
    await selection(page).getByText("2 selected", { exact: true }).waitFor();

    // It stops to match while the machines are listed.
    await relabel("match");
    await row.getByText("rack=match").waitFor();
    const [read, changed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await context.route("**/ListMachines", async (route) => {
      const response = await route.fetch();
      read.resolve();
      await changed.promise;
      await route.fulfill({ response });
    });
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await read.promise;
    await relabel("other");
    await row.getByText("rack=other").waitFor();
    changed.resolve();
    await selection(page).getByText("all 1 selected").waitFor();
  });

  test("a key that somebody else has registered since the selection is not revoked", async () => {
    const [machineId = ""] = await labelled("keys", 1);
    await using opened = await open("/machines?filter=label.rack%3Dkeys");
    const { page } = opened;
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByRole("button", { name: "Revoke the key…" }).click();
    const { publicKey } = await replaceAgentKey(bench.database.db, machineId);
    await dialog(page).getByRole("button", { name: "Revoke the key" }).click();
    await dialog(page).getByText("No key was registered when the machine was selected.").waitFor();
    const { machine } = await admin().getMachine({ machineId });
    expect(machine?.agent?.publicKey).toEqual(new Uint8Array(publicKey));
  });

  test("an installation that somebody else has requested since the selection is not cancelled", async () => {
    const [machineId = ""] = await labelled("cancel", 1);
    await using opened = await open("/machines?filter=label.rack%3Dcancel");
    const { page } = opened;
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByRole("button", { name: "Cancel the installation…" }).click();
    await requestInstallation(bench.database.db, machineId);
    await dialog(page).getByRole("button", { name: "Cancel the installation" }).click();
    await dialog(page).getByText("No installation was on record when the machine was selected.").waitFor();
    expect(await newestOf(machineId)).toMatchObject({ generation: 1n, state: InstallationState.PENDING });
  });

  test("an action that ends after its dialog was closed leaves the next dialog open", async () => {
    const [machineId = ""] = await labelled("closed", 1);
    await using opened = await open(`/machines/${machineId}`);
    const { page, context } = opened;
    const actions = page.getByRole("group", { name: "Actions" });
    const holding = await holdBack(context, "BatchSetHolds");
    await actions.getByRole("button", { name: "Hold…" }).click();
    await page.getByLabel("Reason").fill("fan");
    await dialog(page).getByRole("button", { name: "Hold", exact: true }).click();
    await holding.called;
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    await actions.getByRole("button", { name: "Health alert…" }).click();
    await page.getByLabel("Problem").fill("leak");
    const isHeld = page.waitForResponse("**/BatchSetHolds");
    holding.release();
    await (await isHeld).finished();
    await page.locator("main .badge").filter({ hasText: "held" }).first().waitFor();
    expect(await page.getByLabel("Problem").inputValue()).toBe("leak");
  });

  test("a machine that is created after its dialog was closed leads nobody away", async () => {
    await using opened = await open("/machines?filter=label.rack%3Dunseen");
    const { page, context } = opened;
    const creating = await holdBack(context, "CreateMachine");
    await page.getByRole("button", { name: "Create…" }).click();
    await page.getByLabel("Labels").fill("rack=unseen");
    await dialog(page).getByRole("button", { name: "Create the machine" }).click();
    await creating.called;
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    const isCreated = page.waitForResponse("**/CreateMachine");
    creating.release();
    await (await isCreated).finished();
    await page.getByRole("row").nth(1).waitFor();
    expect(new URL(page.url()).pathname).toBe("/machines");
  });

  test("a request that is refused, or would wipe the wrong disk, is changed without being written again", async () => {
    const [machineId = ""] = await labelled("changed", 1);
    await storeHardware(bench.database.db, machineId, [
      sda,
      { ...sda, serialNumber: "OTHER-1", wwn: new Uint8Array(8) },
    ]);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const goOn = page.getByRole("button", { name: "Go on: which disk?" });
    await askToInstall(page, "Actions");
    await dialog(page).getByRole("alert").waitFor();
    await dialog(page).getByRole("button", { name: "Change what you asked for" }).click();
    expect(await page.getByLabel("Image", { exact: true }).inputValue()).toBe(testImage.url);
    await page.getByLabel("Disk, which is wiped").fill("serial=OTHER-1");
    await goOn.click();
    await dialog(page).getByText("serial number OTHER-1").waitFor();
    await dialog(page).getByRole("button", { name: "Back" }).click();
    expect(await page.getByLabel("Digest", { exact: true }).inputValue()).toBe(testImage.digest);
    await page.getByLabel("Disk, which is wiped").fill(`serial=${sda.serialNumber}`);
    await goOn.click();
    await dialog(page).getByText(`serial number ${sda.serialNumber}`).waitFor();
    await dialog(page).getByRole("button", { name: "Install and wipe 1 machine" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect((await newestOf(machineId))?.disk?.serialNumber).toBe(sda.serialNumber);
  });

  test("who replaces what somebody else has set meanwhile sees that before", async () => {
    const [machineId = ""] = await labelled("replaced", 1);
    const provided = { provider: "lab", providerId: machineId, location: "am6" };
    await admin().setProvided({ machineId, provided });
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const note = dialog(page).getByRole("alert").filter({ hasText: "Somebody has changed this since you began" });
    const close = () => dialog(page).getByRole("button", { name: "Close" }).click();
    await page.getByText("● live").waitFor();
    await page.getByRole("button", { name: "Set the provider…" }).click();
    await page.getByLabel("Address").fill("192.0.2.9");
    await admin().setProvided({ machineId, provided: { ...provided, location: "fra2" } });
    await note.getByText(`lab, ${machineId}, fra2`).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await close();
    await page.getByRole("button", { name: "Set what is expected…" }).click();
    await admin().setExpected({ machineId, expected: { serialNumber: "GK47PX2" } });
    await note.getByText("--serial GK47PX2").waitFor();
    await close();
    const actions = page.getByRole("group", { name: "Actions" });
    await actions.getByRole("button", { name: "Hold…" }).click();
    await admin().setHold({ machineId, reason: "fan" });
    await note.getByText("held: fan").waitFor();
    await close();
    await actions.getByRole("button", { name: "Release…" }).click();
    await dialog(page).getByText("Installations can be requested again").waitFor();
    expect(await note.count()).toBe(0);
    await admin().setHold({ machineId, reason: "disk" });
    await note.getByText("held: disk").waitFor();
  });

  test("who releases or holds many sees for which of them somebody else has set a hold meanwhile", async () => {
    const ids = await labelled("several", 3);
    const [first = "", second = "", third = ""] = ids;
    for (const machineId of [first, second]) await admin().setHold({ machineId, reason: "fan" });
    await using opened = await open("/holds?filter=label.rack%3Dseveral");
    const { page } = opened;
    const note = dialog(page)
      .getByRole("alert")
      .filter({ hasText: "Somebody has changed this for 1 of the machines since you began" });
    await page.getByText("● live").waitFor();
    await page.getByRole("row").filter({ hasText: second }).waitFor();
    await page.getByRole("checkbox", { name: "Select all rows that are loaded" }).check();
    await page.getByRole("button", { name: "Release 2…" }).click();
    await dialog(page).getByText("Installations can be requested again").waitFor();
    expect(await note.count()).toBe(0);
    await admin().setHold({ machineId: second, reason: "smoke" });
    await note.getByRole("listitem").filter({ hasText: second }).getByText("held: smoke").waitFor();
    expect(await note.getByRole("listitem").count()).toBe(1);
    expect(await findBarriers(page)).toEqual([]);

    await page.goto(`${bench.server.adminUrl}/machines?filter=label.rack%3Dseveral`);
    await signIn(page, bench.admin.secret);
    await page.getByText("● live").waitFor();
    await selection(page).getByRole("button", { name: "Select all that match" }).click();
    await selection(page).getByRole("button", { name: "Hold…" }).click();
    await admin().setHold({ machineId: third, reason: "leak" });
    await note.getByRole("listitem").filter({ hasText: third }).getByText("held: leak").waitFor();
  });

  test("a hold ends at the time that was chosen, however long its dialog was open", async () => {
    const [machineId = ""] = await labelled("until", 1);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    /** Has so many minutes gone by for the page since it was opened. */
    const letPass = (minutes: number) =>
      page.evaluate((ms) => {
        const { timeOrigin } = performance;
        Date.now = () => timeOrigin + performance.now() + ms;
      }, minutes * 60_000);
    const inAnHour = await page.evaluate(() => {
      const date = new Date(Date.now() + 3_600_000);
      const two = (part: number) => String(part).padStart(2, "0");
      const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
      return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
    });
    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Hold…" }).click();
    await page.getByLabel("Reason").fill("fan");
    await page.getByLabel("Until (optional)").fill(inAnHour);
    const hold = dialog(page).getByRole("button", { name: "Hold", exact: true });
    await letPass(90);
    await hold.click();
    await dialog(page).getByRole("alert").getByText("The hold would end in the past").waitFor();
    await letPass(30);
    await dialog(page)
      .getByText(/--for (?:29|30)m/)
      .waitFor();
    await letPass(40);
    await hold.click();
    await dialog(page).waitFor({ state: "detached" });
    const { machine } = await admin().getMachine({ machineId });
    const { holdTime, endTime } = machine?.hold ?? {};
    const seconds = Number((endTime?.seconds ?? 0n) - (holdTime?.seconds ?? 0n));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(20 * 60);
  });
});
