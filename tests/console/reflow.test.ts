/**
 * Lists are read without scrolling sideways, however long their texts and however narrow the page (WCAG 1.4.10). The
 * tables that need two dimensions scroll in their own frames, by the keyboard too.
 */
import { eq } from "drizzle-orm";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createMachines } from "../../src/db/queries/machine.ts";
import { machineFinding, osInstallationReport, osInstallationRequest } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { grpcAgent } from "../support/agents.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, looks, openConsole, setUpConsole } from "../support/console.ts";
import { knock, reportOf } from "../support/enrolments.ts";
import { sda, storeHardware } from "../support/hardware.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { machineWithAgent } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";
import { createReceiver } from "../support/receivers.ts";

/** The narrowest page of the criterion. */
const narrowest = { colorScheme: "light", viewport: { width: 320, height: 640 } } as const;

const long = "w".repeat(200);
const sentence =
  "the agent could not write the image to the disk because of something that takes long to tell; ".repeat(3);
const label = "rack-".padEnd(60, "x");

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole({}, async ({ db }) => {
    const failing = await issueSituations.disk_failing.make(db);
    const failed = await issueSituations.installation_failed.make(db);
    await db.update(machineFinding).set({ detail: long }).where(eq(machineFinding.machineId, failing));
    for (const table of [osInstallationReport, osInstallationRequest]) {
      await db.update(table).set({ error: sentence }).where(eq(table.machineId, failed));
    }
    await storeHardware(db, failed, [{ ...sda, serialNumber: label, deviceModel: long }]);
  });

  const open = async (path: string, look: (typeof looks)[number] | typeof narrowest) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret, ...look });
  const machines = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);

  /** Returns what is wider than the page or reaches out of its list. */
  const findWide = async (page: Page) =>
    await page.evaluate(() => {
      const wide: string[] = [];
      const root = document.documentElement;
      if (root.scrollWidth > window.innerWidth) wide.push(`the page: ${root.scrollWidth}`);
      for (const frame of document.querySelectorAll(".table-frame")) {
        if (frame.scrollWidth > frame.clientWidth) wide.push(`the list: ${frame.scrollWidth} of ${frame.clientWidth}`);
        const { right } = frame.getBoundingClientRect();
        for (const cell of frame.querySelectorAll("td *")) {
          if (cell.getBoundingClientRect().right > right) wide.push(cell.outerHTML);
        }
      }
      return wide;
    });

  const rowWith = (page: Page, text: string) => page.getByRole("row").filter({ hasText: text }).first();

  test.each([...looks, narrowest])(
    "issues and what is found, with the longest texts: $viewport.width, $colorScheme",
    async (look) => {
      await machines().createMachine({ labels: { [label]: `v${look.viewport.width}${label.slice(5)}` } });
      await using opened = await open("/issues", look);
      const { page } = opened;
      await rowWith(page, "disk failing").getByText(long.slice(0, 60)).waitFor();
      await rowWith(page, "installation failed").getByText(sentence.slice(0, 40)).waitFor();
      expect(await findWide(page)).toEqual([]);
      expect(await findBarriers(page)).toEqual([]);
      await page.getByRole("navigation").getByRole("link", { name: "Find" }).click();
      for (const text of [`v${look.viewport.width}`, "rack-xxx"]) {
        await page.getByLabel("What to look for").fill(text);
        await page.getByRole("button", { name: "Find", exact: true }).click();
        await rowWith(page, text).waitFor();
        await page.getByText("Looking…").first().waitFor({ state: "detached" });
        expect(await findWide(page)).toEqual([]);
      }
      await rowWith(page, label).waitFor();
      expect(await findBarriers(page)).toEqual([]);
    },
  );

  test.each(looks)("every other list: $viewport.width, $colorScheme", { timeout: 120_000 }, async (look) => {
    const { machine } = await machines().createMachine({});
    const hold = { reason: sentence.slice(0, 250), ticket: long.slice(0, 100) };
    await machines().setHold({ machineId: machine?.id ?? "", ...hold });
    await knock(bench.server, bench.database, {
      hardwareReport: reportOf(`S${look.viewport.width}${label}`, { product: long.slice(0, 100) }),
    });
    const joinTokens = adminClient(JoinTokenService, bench.server.adminUrl, bench.admin.secret);
    const expireTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 86_400), nanos: 0 };
    await joinTokens.createJoinToken({ maxUses: 4, expireTime, provider: label, labels: { [label]: label } });
    await using opened = await open("/server", look);
    const { page } = opened;
    for (const [name, text] of [
      ["Installations", sentence.slice(0, 40)],
      ["Enrolments", `S${look.viewport.width}`],
      ["Holds", hold.reason.slice(0, 40)],
      ["Tokens", bench.admin.name],
      ["Join tokens", label.slice(0, 40)],
      ["Receivers", "oncall"],
      ["Server", "DATABASE_URL"],
    ] as const) {
      if (name === "Receivers") {
        const receiver = { name: `oncall-${look.viewport.width}`, url: `https://example.com/${long}` };
        const events = ["installation.*", "issue.*", "machine_created", "machine_deleted", "enrolment.*"];
        await createReceiver(bench.database.db, bench.server.adminUrl, { ...receiver, events });
      }
      await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { name, level: 1 }).waitFor();
      await rowWith(page, text).waitFor();
      expect(await findWide(page), name).toEqual([]);
      // On a narrow page, where each cell has its column's name before it, those without content are left out.
      const note = rowWith(page, text).locator("td[data-column=Note]");
      if (name === "Enrolments") expect(await note.isVisible()).toBe(look === looks[0]);
    }
    expect(await findBarriers(page)).toEqual([]);
  });

  test("numbers are never parted from their units", async () => {
    const { machineId, key } = await machineWithAgent(bench.database.db);
    await machines().setLabels({ machineId, set: { rack: "units" } });
    const end = { case: "duration", value: { seconds: 234_000n, nanos: 0 } } as const;
    await machines().setHold({ machineId, reason: "fan", end });
    using agent = grpcAgent(bench.server, key);
    const report = { blockDevice: [sda], memoryInstalledBytes: 68_719_476_736n };
    await agent.heartbeat({ machineId, hardwareReport: { report } });
    await using opened = await open("/holds?filter=label.rack%3Dunits", looks[0]);
    const { page } = opened;
    await rowWith(page, machineId)
      .getByText(/^in 2\sd 1[67]\sh$/)
      .waitFor();
    /** Makes everything as narrow as it can be, and returns the numbers that have no unit right behind them. */
    const findParted = () =>
      page.evaluate(() => {
        const walker = document.createTreeWalker(document.querySelector("main") as HTMLElement, NodeFilter.SHOW_TEXT);
        const [together, parted]: [string[], string[]] = [[], []];
        while (walker.nextNode()) {
          const { data, parentElement } = walker.currentNode as Text;
          for (const { index, 0: words } of data.matchAll(/\d\s(?:d|h|min|s|ms|[KMGT]i?B|%)(?!\w)/g)) {
            const narrow = { display: "inline-block", width: "1px", whiteSpace: "normal", overflowWrap: "normal" };
            Object.assign(parentElement?.style ?? {}, narrow);
            const range = new Range();
            const topAt = (at: number) => {
              range.setStart(walker.currentNode, index + at);
              range.setEnd(walker.currentNode, index + at + 1);
              return range.getBoundingClientRect().top;
            };
            (topAt(0) === topAt(2) ? together : parted).push(words);
          }
        }
        return { together: [...new Set(together.map((words) => words.slice(2)))].sort(), parted };
      });
    expect(await findParted()).toEqual({ together: expect.arrayContaining(["d", "h"]), parted: [] });
    await rowWith(page, machineId).getByRole("link", { name: machineId }).click();
    await page.getByRole("region", { name: "Disks" }).getByText("TB").waitFor();
    expect(await findParted()).toEqual({ together: expect.arrayContaining(["TB", "GiB", "d", "h"]), parted: [] });
  });

  test.each(looks)(
    "rows of unequal heights are scrolled to the last: $viewport.width",
    { timeout: 120_000 },
    async (look) => {
      const rack = `r${look.viewport.width}`;
      const ids = Array.from(
        { length: 90 },
        (_, at) =>
          `eeeeeeee-${look.viewport.width.toString().padStart(4, "0")}-4000-8000-${String(at).padStart(12, "0")}`,
      );
      await transact(bench.database.db, (tx) => createMachines(tx, ids, "test"));
      for (const [at, machineId] of ids.entries()) {
        await machines().setLabels({ machineId, set: { rack } });
        await machines().setHold({ machineId, reason: at % 3 === 0 ? sentence.slice(0, 250) : "fan" });
      }
      await using opened = await open(`/holds?filter=label.rack%3D${rack}`, look);
      const { page } = opened;
      await rowWith(page, ids[0] as string).waitFor();
      const frame = page.locator(".table-frame");
      const seen = new Set<string>();
      for (let isEnd = false; !isEnd; ) {
        const rows = await frame.evaluate((element) =>
          [...element.querySelectorAll("tbody tr:not(.spacer)")].map((row) => {
            const { top, bottom } = row.getBoundingClientRect();
            return { id: row.querySelector("a")?.textContent ?? "", top, bottom };
          }),
        );
        for (const [index, row] of rows.entries()) {
          seen.add(row.id);
          expect(row.top).toBeGreaterThanOrEqual((rows[index - 1]?.bottom ?? Number.NEGATIVE_INFINITY) - 1);
        }
        isEnd = await frame.evaluate(async (element) => {
          const before = element.scrollTop;
          element.scrollTop += element.clientHeight / 2;
          await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
          return element.scrollTop === before && element.scrollTop + element.clientHeight >= element.scrollHeight - 1;
        });
      }
      expect([...seen].sort()).toEqual(ids);
      expect(await findWide(page)).toEqual([]);
    },
  );

  test.each([looks[1], narrowest])(
    "tables that scroll sideways are reached and scrolled by the keyboard: $viewport.width",
    { timeout: 120_000 },
    async (look) => {
      const rack = `wide-${look.viewport.width}`;
      const { machineId, key } = await machineWithAgent(bench.database.db);
      await machines().setLabels({ machineId, set: { rack } });
      const networkInterface = [{ name: "ib0", driver: "ipoib", longAddress: new Uint8Array(20).fill(7) }];
      using agent = grpcAgent(bench.server, key);
      const report = { blockDevice: [{ ...sda, serialNumber: label }], networkInterface };
      await agent.heartbeat({ machineId, hardwareReport: { report } });
      await using opened = await open(`/machines?filter=label.rack%3D${rack}`, look);
      const { page } = opened;
      /** Presses Tab, and then the arrow until the frame is at its end. */
      const scroll = async (name: string) => {
        await page.keyboard.press("Tab");
        const frame = page.getByRole("region", { name, exact: true });
        expect(await frame.evaluate((element) => element === document.activeElement)).toBe(true);
        const hidden = () => frame.evaluate((each) => each.scrollWidth - each.clientWidth - each.scrollLeft);
        expect(await hidden()).toBeGreaterThan(0);
        await expect
          .poll(async () => {
            await page.keyboard.press("ArrowRight");
            return await hidden();
          })
          .toBeLessThan(1);
      };
      const link = rowWith(page, machineId).getByRole("link");
      await link.waitFor();
      await page.getByRole("button", { name: "Select all that match" }).focus();
      await scroll("Machines");
      expect(await findBarriers(page)).toEqual([]);
      await link.click();
      await page.getByRole("region", { name: "Disks" }).waitFor();
      await page.getByRole("button", { name: "Labels…" }).last().focus();
      await scroll("Disks");
      await scroll("Network interfaces");
      expect(await findWide(page)).toEqual([]);
      expect(await findBarriers(page)).toEqual([]);
    },
  );
});
