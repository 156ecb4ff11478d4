/** What has the focus after a control has left the page: what stands next to it, unless the focus was elsewhere. */
import { randomUUID } from "node:crypto";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createMachines } from "../../src/db/queries/machine.ts";
import { setHolds } from "../../src/db/queries/machine-hold.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { storeHardware } from "../support/hardware.ts";
import { bareMachine } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";

/** More than the console reads again by itself. */
const heldMachines = 3_300;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    const ids = Array.from({ length: heldMachines }, () => randomUUID());
    await transact(db, (tx) => createMachines(tx, ids, "test"));
    for (let at = 0; at < ids.length; at += 1_000) {
      const holds = ids
        .slice(at, at + 1_000)
        .map((machineId) => ({ machineId, reason: "fan", ticket: null, isMuted: false, end: undefined }));
      await transact(db, (tx) => setHolds(tx, holds, "test"));
    }
  });
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  const machines = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);

  /** Names what has the focus: its tag, and its name or its text. */
  const focused = async (page: Page) =>
    await page.evaluate(() => {
      const element = document.activeElement;
      const name =
        element?.getAttribute("aria-label") ?? (element as HTMLInputElement | null)?.labels?.[0]?.textContent;
      return `${element?.tagName.toLowerCase()} ${element?.tagName === "BODY" ? "" : (name ?? element?.textContent)}`;
    });
  const expectFocus = async (page: Page, name: string) => await expect.poll(() => focused(page)).toBe(name);
  /** Presses a button by the keyboard. */
  const press = async (page: Page, name: string) => {
    await page.getByRole("button", { name, exact: true }).focus();
    await page.keyboard.press("Enter");
  };
  /** Has the next call of a method fail, and returns what lets the later ones through. */
  const fail = async (page: Page, method: string) => {
    const body = JSON.stringify({ code: "internal", message: "out of order" });
    await page.route(`**/${method}*`, (route) => route.fulfill({ status: 500, contentType: "application/json", body }));
    return async () => await page.unroute(`**/${method}*`);
  };

  const chips = "/machines?filter=label.a%3D1&filter=label.b%3D2&filter=label.c%3D3";

  test("the next condition, then the former one, then the filter, when a condition is removed", async () => {
    await using opened = await open(chips);
    const { page } = opened;
    await press(page, "Remove label.b=2");
    await expectFocus(page, "button Remove label.c=3");
    await page.keyboard.press("Enter");
    await expectFocus(page, "button Remove label.a=1");
    await page.keyboard.press("Enter");
    await expectFocus(page, "input Filter");
    expect(new URL(page.url()).search).toBe("");
  });

  test("what had it already, or nothing, when a condition is removed by something else", async () => {
    await using opened = await open("/machines");
    const { page } = opened;
    const filter = page.getByLabel("Filter", { exact: true });
    const chip = page.getByRole("button", { name: "Remove label.a=1" });
    for (const holder of ["input Filter", "body "]) {
      await filter.fill("label.a=1");
      await filter.press("Enter");
      await chip.focus();
      if (holder === "body ") await chip.blur();
      else await filter.focus();
      await page.goBack();
      await chip.waitFor({ state: "detached" });
      // As long as it takes to give the focus to something else.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      expect(await focused(page)).toBe(holder);
    }
  });

  test("the list, when it is tried again", async () => {
    await using opened = await open("/server");
    const { page } = opened;
    const letThrough = await fail(page, "ListMachines");
    await page.getByRole("link", { name: "Machines" }).click();
    await page.getByText("Out of order.").waitFor();
    await letThrough();
    await press(page, "Try again");
    await expectFocus(page, "section Machines");
    await page.getByRole("alert").waitFor({ state: "detached" });
    await expectFocus(page, "section Machines");
  });

  test("the heading above, when a page or a part of it is tried again", async () => {
    const machineId = await bareMachine(bench.database.db);
    await storeHardware(bench.database.db, machineId);
    await using opened = await open("/server");
    const { page } = opened;
    const letMachine = await fail(page, "GetMachine");
    await page.getByRole("link", { name: "Machines" }).click();
    await page.getByLabel("Filter", { exact: true }).fill(`id=${machineId}`);
    await page.keyboard.press("Enter");
    const link = page.getByRole("link", { name: machineId });
    await link.focus();
    await page.keyboard.press("Enter");
    await page.getByText("Out of order.").waitFor();
    // The link went with its page.
    await expectFocus(page, `h1 ${machineId}`);
    await letMachine();
    const letHardware = await fail(page, "ListHardwareReports");
    await press(page, "Try again");
    await page.getByRole("region", { name: "Hardware" }).getByText("Out of order.").waitFor();
    await expectFocus(page, `h1 ${machineId}`);
    await letHardware();
    await press(page, "Try again");
    await page.getByRole("region", { name: "Disks" }).waitFor();
    await expectFocus(page, "h2 Hardware");
    expect(await findBarriers(page)).toEqual([]);
  });

  test("the list, when nothing is selected any more, by its button or because the machines are gone", async () => {
    const ids: string[] = [];
    for (let made = 0; made < 2; made++) {
      ids.push((await machines().createMachine({ labels: { rack: "picked" } })).machine?.id ?? "");
    }
    await using opened = await open("/machines?filter=label.rack%3Dpicked");
    const { page } = opened;
    await page.getByRole("checkbox", { name: `Select ${ids[0]}` }).check();
    await press(page, "Select none");
    await expectFocus(page, "section Machines");

    await page.getByRole("checkbox", { name: `Select ${ids[0]}` }).check();
    await press(page, "Delete…");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Delete", exact: true }).focus();
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await page.getByText("none selected").waitFor();
    await expectFocus(page, "section Machines");
  });

  test("the list, when it is read anew", async () => {
    const machineId = await bareMachine(bench.database.db);
    await using opened = await open("/holds");
    const { page } = opened;
    const table = page.getByRole("table");
    await expect
      .poll(
        async () => {
          await page.locator(".table-frame").evaluate((frame) => frame.scrollTo(0, frame.scrollHeight));
          return await table.getAttribute("aria-rowcount");
        },
        { timeout: 60_000 },
      )
      .toBe(String(heldMachines + 1));
    await page.getByText("● live").waitFor();
    await machines().setHold({ machineId, reason: "fan" });
    await page.getByText("too long to be read again").waitFor();
    await press(page, "Read it anew");
    await expectFocus(page, "section Holds");
    await page.getByText("too long to be read again").waitFor({ state: "detached" });
  });

  test("the button that copies, on a page and in a dialog, where the browser has no clipboard for the page", async () => {
    const machineId = await bareMachine(bench.database.db);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const copied: string[] = [];
    await page.exposeFunction("tellCopied", (text: string) => void copied.push(text));
    await page.evaluate(() => {
      // As for pages over plain HTTP from another machine.
      Object.defineProperty(navigator, "clipboard", { value: undefined });
      const { tellCopied } = globalThis as unknown as { tellCopied(text: string): void };
      document.addEventListener("copy", () => tellCopied(String(getSelection())));
    });
    await page.getByRole("button", { name: "Copy", exact: true }).first().focus();
    await page.keyboard.press("Enter");
    await expectFocus(page, "button Copied");
    await press(page, "Hold…");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Copy", exact: true }).focus();
    await page.keyboard.press("Enter");
    await expectFocus(page, "button Copied");
    expect(copied).toEqual([machineId, expect.stringContaining(`bmaas machines hold ${machineId}`)]);
    expect(await page.locator("textarea.visually-hidden").count()).toBe(0);
  });
});
