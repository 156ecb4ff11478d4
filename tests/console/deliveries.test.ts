/** What is shown of a delivery stays current while it is open. */
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { receiverDelivery } from "../../src/db/schema/index.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, openConsole, setUpConsole } from "../support/console.ts";
import { bareMachine } from "../support/machine.ts";
import { allowLoopback, createReceiver, recordEvent } from "../support/receivers.ts";
import { startReceiver } from "../support/webhook-receiver.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole(allowLoopback);

  test("a delivery that is open is read again, also when it does not match the list's filter any more", async () => {
    const { db } = bench.database;
    const receiver = await startReceiver();
    await createReceiver(db, bench.server.adminUrl, { name: "oncall", url: receiver.url, events: ["machine.*"] });
    await recordEvent(db, await bareMachine(db), 1);
    const [message] = await receiver.waitFor(1);
    const ofMessage = eq(receiverDelivery.id, message?.id as string);
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, {
      path: "/receivers/oncall?filter=state%3Ddelivered",
      token: bench.admin.secret,
    });
    const { page } = opened;
    await page.getByRole("button", { name: message?.type as string }).click();
    const dialog = page.getByRole("dialog", { name: message?.type as string });
    await dialog.getByText("delivered", { exact: false }).first().waitFor();
    await expectFit(page);
    await db.update(receiverDelivery).set({ state: "given_up" }).where(ofMessage);
    await dialog.getByText("given up").waitFor();
    await db.delete(receiverDelivery).where(ofMessage);
    await dialog.getByText("The server keeps this delivery no longer").waitFor();
    await expectFit(page);
    expect(await dialog.getByRole("button", { name: "Send again…" }).getAttribute("aria-disabled")).toBe("true");
  });
});
