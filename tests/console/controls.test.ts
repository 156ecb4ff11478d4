/** What every control holds: the focus stays where it was put, and checkboxes are seen, hit and read as such. */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { machineWithAgent, requestInstallation } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";
import { waitUntil } from "../support/wait.ts";

const looks = [
  { colorScheme: "light", forcedColors: "none" },
  { colorScheme: "dark", forcedColors: "none" },
  { colorScheme: "light", forcedColors: "active" },
  { colorScheme: "dark", forcedColors: "active" },
] as const;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const open = async (path: string, token: string | undefined = bench.admin.secret) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, ...(token !== "" && { token }) });
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const focused = (page: Page) => page.locator(":focus");

  /** Keeps calls that match from being answered until `release`, and counts them. */
  async function hold(page: Page, path: string) {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    const calls: string[] = [];
    await page.route(path, async (route) => {
      calls.push(route.request().url());
      await promise;
      await route.continue();
    });
    return { calls, release };
  }

  /** Checks that the button that has the focus is busy, keeps the focus, and does nothing when it is pressed again. */
  async function expectBusy(page: Page, word: string | RegExp, calls: readonly string[]): Promise<void> {
    await expect.poll(() => focused(page).textContent()).toMatch(word);
    expect(await focused(page).getAttribute("aria-disabled")).toBe("true");
    await expect.poll(() => calls.length).toBe(1);
    for (const key of ["Enter", "Space"]) await page.keyboard.press(key);
    await focused(page).click({ force: true });
    expect(await focused(page).textContent()).toMatch(word);
    expect(calls.length).toBe(1);
  }

  test("signing in keeps the focus on its button while the server is asked, and asks once", async () => {
    await using opened = await open("/", "");
    const { page } = opened;
    const { calls, release } = await hold(page, "**/GetCaller");
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).focus();
    await page.keyboard.press("Enter");
    await expectBusy(page, "Signing in…", calls);
    release();
    await page.getByRole("alert").waitFor();
    expect(await focused(page).textContent()).toBe("Sign in");
  });

  test("a dialog's action keeps the focus while it runs, and gives it back to what opened the dialog", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByRole("button", { name: "Hold…" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Reason").fill("fan");
    const { calls, release } = await hold(page, "**/BatchSetHolds");
    await dialog.getByRole("button", { name: "Hold", exact: true }).focus();
    await page.keyboard.press("Enter");
    await expectBusy(page, "Working…", calls);
    // Enter in a field would send the form as well.
    await dialog.getByLabel("Reason").press("Enter");
    expect(calls.length).toBe(1);
    release();
    await dialog.waitFor({ state: "detached" });
    await expect.poll(() => focused(page).textContent()).toBe("Hold…");
    expect((await admin().getMachine({ machineId })).machine?.hold?.reason).toBe("fan");
  });

  test("a button keeps the focus when what it offers has become impossible", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await requestInstallation(bench.database.db, machineId);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const actions = page.getByRole("group", { name: "Actions" });
    const cancel = actions.getByRole("button", { name: "Cancel the installation…" });
    await cancel.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Cancel the installation" }).click();
    await dialog.waitFor({ state: "detached" });
    await expect.poll(() => cancel.getAttribute("aria-disabled")).toBe("true");
    // The focus comes back after the dialog has left the page.
    await expect.poll(() => focused(page).textContent()).toBe("Cancel the installation…");
    await page.keyboard.press("Enter");
    expect(await dialog.count()).toBe(0);
    await page.getByRole("tooltip").waitFor();
  });

  test("keys act on the list that has the focus, and on the first one otherwise", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await storeHardware(bench.database.db, machineId, [{ ...sda, serialNumber: "KEYS-0042" }]);
    // The server reads the identifiers of a report that it did not store itself within seconds.
    const isFound = async () => (await admin().findMachines({ text: "KEYS-0042" })).results.length > 0;
    await waitUntil("the disk is found", isFound);
    await using opened = await open("/find?text=KEYS-0042");
    const { page } = opened;
    const cursorIn = (name: string) => page.getByRole("region", { name, exact: true }).locator("tr.cursor");
    await page.getByRole("region", { name: "Parts" }).getByText("there now").waitFor();
    await page.keyboard.press("j");
    await cursorIn("Machines").waitFor();
    expect(await cursorIn("Parts").count()).toBe(0);
    await page.getByRole("region", { name: "Parts" }).focus();
    await page.keyboard.press("j");
    await cursorIn("Parts").waitFor();
    await page.keyboard.press("?");
    const keys = page.getByRole("dialog", { name: "Keys" });
    await keys.getByText("open the row").waitFor();
    expect(await keys.getByText("next row").count()).toBe(1);
    await page.keyboard.press("Escape");
    await page.getByRole("region", { name: "Machines" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/machines/${machineId}`);
  });

  test("each page says in its title what it is", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open("/join-tokens");
    const { page } = opened;
    await expect.poll(() => page.title()).toBe("Join tokens – bmaas");
    await page.getByRole("link", { name: "Overview" }).click();
    await expect.poll(() => page.title()).toBe("Overview – bmaas");
    await page.getByRole("navigation").getByRole("link", { name: "Machines" }).click();
    await page.getByRole("link", { name: machineId }).click();
    await expect.poll(() => page.title()).toBe(`${machineId} – Machines – bmaas`);
  });

  test("lists and files are read once, with the focus on the button", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open("/machines");
    const { page } = opened;
    await page.getByRole("row").filter({ hasText: machineId }).waitFor();
    const list = await hold(page, "**/ListMachines*");
    await page.getByRole("button", { name: "Select all that match" }).focus();
    await page.keyboard.press("Enter");
    await expectBusy(page, /^0…$/, list.calls);
    list.release();
    await page.getByText(/^all \d+ selected$/).waitFor();
    expect(await focused(page).textContent()).toBe("Select all that match");

    // Enter is also the key that opens the row under the cursor, but not while a link or a button has the focus.
    await page.getByRole("row").filter({ hasText: machineId }).getByRole("link").focus();
    await page.keyboard.press("Enter");
    const save = page.getByRole("button", { name: "Save everything about it" });
    await save.focus();
    const bundle = await hold(page, "**/ListHardwareReports*");
    await page.keyboard.press("Enter");
    await expectBusy(page, "Collecting…", bundle.calls);
    const download = page.waitForEvent("download");
    bundle.release();
    await download;
    // The file is there before its button says so.
    await expect.poll(() => focused(page).textContent()).toBe("Save everything about it");
  });

  test("a machine's link opens its page in this tab without loading it anew, and in another one where that is asked for", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open("/machines");
    const { page } = opened;
    const link = page.getByRole("row").filter({ hasText: machineId }).getByRole("link");
    const another = page.context().waitForEvent("page");
    await link.click({ modifiers: ["ControlOrMeta"] });
    // A new tab shows its own blank page first.
    await (await another).waitForURL(`**/machines/${machineId}`);
    expect(await page.evaluate("location.pathname")).toBe("/machines");
    await page.evaluate("window.isSame = true");
    await link.click();
    await page.getByRole("heading", { level: 1, name: machineId }).waitFor();
    expect(await page.evaluate("window.isSame")).toBe(true);
    await page.goBack();
    await link.waitFor();
    expect(await page.evaluate("window.isSame")).toBe(true);
  });

  /** Returns the contrasts of a checkbox: of its box against the row, and of its tick against the box. */
  const contrastsOf = async (page: Page, name: string) =>
    await page.getByRole("checkbox", { name }).evaluate((box) => {
      const luminance = (colour: string) => {
        const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? [])
          .map((part) => Number(part) / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (one: string, other: string) => {
        const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      const behind = (element: Element | null): string => {
        const colour = element === null ? "rgb(255, 255, 255)" : getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(element?.parentElement ?? null) : colour;
      };
      const style = getComputedStyle(box);
      const tick = getComputedStyle(box, "::before");
      return {
        box: contrast(style.borderTopColor, behind(box.parentElement)),
        tick: tick.content === "none" ? undefined : contrast(tick.borderTopColor, style.backgroundColor),
        ring: `${style.outlineStyle} ${style.outlineWidth}`,
      };
    });

  test.each(looks)(
    "checkboxes of rows are seen, hit and read: $colorScheme, forced colours $forcedColors",
    async ({ colorScheme, forcedColors }) => {
      const label = `${colorScheme}-${forcedColors}`;
      const ids: string[] = [];
      for (let made = 0; made < 2; made++) {
        const { machine } = await admin().createMachine({ labels: { seen: label } });
        ids.push(machine?.id ?? "");
      }
      await using opened = await openConsole(bench.browser, bench.server.adminUrl, {
        path: `/machines?filter=label.seen%3D${label}`,
        token: bench.admin.secret,
        colorScheme,
      });
      const { page } = opened;
      await page.emulateMedia({ forcedColors });
      const [first = "", second = ""] = ids.map((id) => `Select ${id}`);
      const all = "Select all rows that are loaded";
      const box = (name: string) => page.getByRole("checkbox", { name });
      const picture = async (name: string) => (await box(name).screenshot()).toString("base64");
      const isPartly = () => box(all).evaluate((element) => (element as HTMLInputElement).indeterminate);
      await box(second).waitFor();
      const [empty, emptyAll] = [await picture(first), await picture(all)];
      expect(await isPartly()).toBe(false);
      expect((await contrastsOf(page, first)).box).toBeGreaterThanOrEqual(3);

      // Beside the box, where a click would open the machine if it were not for the box.
      const { width = 0, height = 0, x = 0, y = 0 } = (await box(first).locator("xpath=..").boundingBox()) ?? {};
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(24);
      await page.mouse.click(x + 2, y + 2);
      await page.mouse.move(0, 0);
      await page.getByText("1 selected").waitFor();
      expect(new URL(page.url()).pathname).toBe("/machines");
      expect(await box(first).isChecked()).toBe(true);
      expect(await isPartly()).toBe(true);
      for (const [name, former] of [
        [first, empty],
        [all, emptyAll],
      ] as const) {
        expect(await picture(name)).not.toBe(former);
        const { box: edge, tick } = await contrastsOf(page, name);
        expect(Math.min(edge, tick ?? 0), name).toBeGreaterThanOrEqual(3);
      }
      const partly = await picture(all);
      expect(await findBarriers(page)).toEqual([]);

      await page.keyboard.press("Tab");
      await box(second).focus();
      await page.keyboard.press("Space");
      await page.getByText("2 selected").waitFor();
      expect((await contrastsOf(page, second)).ring).toBe("solid 2px");
      expect(await isPartly()).toBe(false);
      expect([partly, emptyAll]).not.toContain(await picture(all));

      // No page has one that is disabled, but whoever adds one shall not have to draw it.
      const enabled = await picture(first);
      await box(first).evaluate((element) => element.setAttribute("disabled", ""));
      expect(await picture(first)).not.toBe(enabled);
    },
  );
});
