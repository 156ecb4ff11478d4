/** Dialogs whose calls take long: what is shown once is not lost, and what ends late touches nothing else. */
import type { DescService } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { Role } from "../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, holdBack, openConsole, setUpConsole, signIn } from "../support/console.ts";
import { knock, reportOf } from "../support/enrolments.ts";
import { bareMachine } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";
import { allowLoopback, createReceiver } from "../support/receivers.ts";

const dialog = (page: Page) => page.getByRole("dialog");
const click = async (page: Page, name: string) => await page.getByRole("button", { name, exact: true }).click();
const actOnReceiver = async (page: Page, name: string, action: string) => {
  await page.getByRole("button", { name: `Actions on ${name}` }).click();
  await page.getByRole("menuitem", { name: action }).click();
};

/** A dialog whose answer has a secret: its page, how it is opened and filled in, its button, and its call. */
const secrets = [
  {
    page: "Tokens",
    method: "CreateToken",
    list: "ListTokens",
    button: "Create the token",
    ask: async (page: Page) => {
      await click(page, "Create a token…");
      await page.getByLabel("Who will use it").fill("once");
    },
  },
  {
    page: "Join tokens",
    method: "CreateJoinToken",
    list: "ListJoinTokens",
    button: "Create the join token",
    ask: async (page: Page) => await click(page, "Create a join token…"),
  },
  {
    page: "Receivers",
    method: "CreateReceiver",
    list: "ListReceivers",
    button: "Create the receiver",
    ask: async (page: Page) => {
      await click(page, "Create a receiver…");
      await page.getByLabel("Name").fill("once");
      await page.getByLabel("URL").fill("http://127.0.0.1:9/");
      await page.getByLabel("Types of events").fill("hold.*");
    },
  },
  {
    page: "Receivers",
    method: "AddReceiverSecret",
    list: "ListReceivers",
    button: "Create the secret",
    ask: async (page: Page) => await actOnReceiver(page, "known", "Add a secret…"),
  },
] as const;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole(allowLoopback);
  const client = <Service extends DescService>(service: Service) =>
    adminClient(service, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  const makeReceiver = async (name: string) => {
    const receiver = { name, url: "http://127.0.0.1:9/", events: ["hold.*"] };
    await createReceiver(bench.database.db, bench.server.adminUrl, receiver);
  };

  test.each(secrets)("the secret of $method is waited for, and not left by accident", async (row) => {
    if (row.method === "AddReceiverSecret") await makeReceiver("known");
    await using opened = await open("/holds");
    const { page, context } = opened;
    await page.getByRole("navigation").getByRole("link", { name: row.page, exact: true }).click();
    /** Goes back in the browser, and waits until the page has gone forward again. */
    const tryToLeave = () =>
      page.evaluate(async () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        let moves = 0;
        addEventListener("popstate", () => ++moves === 2 && resolve());
        history.back();
        await promise;
      });
    await row.ask(page);
    const creating = await holdBack(context, row.method);
    await dialog(page).getByRole("button", { name: row.button }).click();
    await creating.called;
    for (let count = 0; count < 2; count++) await page.keyboard.press("Escape");
    await tryToLeave();
    await dialog(page).getByText("The secret comes with the server's answer").waitFor();
    await dialog(page).getByRole("button", { name: "Close without the secret" }).waitFor();
    await expectFit(page);
    // It does not depend on the list behind the dialog, either.
    await holdBack(context, row.list);
    creating.release();
    const shown = page.getByRole("dialog", { name: "Copy the secret now" });
    await shown.waitFor();
    for (let count = 0; count < 2; count++) await page.keyboard.press("Escape");
    await tryToLeave();
    expect((await shown.locator("code").textContent())?.length).toBeGreaterThan(20);
    await shown.getByRole("button", { name: "I have it" }).click();
    await shown.waitFor({ state: "detached" });
    await page.goBack();
    await page.getByRole("heading", { name: "Holds" }).waitFor();
  });

  test("two clicks in a row make one token", async () => {
    await using opened = await open("/tokens");
    const { page, context } = opened;
    await click(page, "Create a token…");
    await page.getByLabel("Who will use it").fill("twice");
    const box = await page.getByRole("button", { name: "Create the token" }).boundingBox();
    if (box === null) throw new Error("the button cannot be seen");
    let calls = 0;
    context.on("request", (request) => {
      if (request.url().endsWith("/CreateToken")) calls += 1;
    });
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    // A page that is busy gets both clicks at once.
    const busy = page.evaluate(() => {
      const end = performance.now() + 1_000;
      while (performance.now() < end);
    });
    const clicks = [page.mouse.click(x, y), page.mouse.click(x, y)];
    await Promise.all([busy, ...clicks]);
    await page.getByRole("dialog", { name: "Copy the secret now" }).waitFor();
    expect(calls).toBe(1);
  });

  test("what was decided of an agent is shown also while nothing is live", async () => {
    const { enrolmentId } = await knock(bench.server, bench.database, { hardwareReport: reportOf("SN-unheard") });
    const path = `/enrolments?open=${enrolmentId}`;
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path });
    const { page, context } = opened;
    await context.route("**/WatchMachines", (route) => route.abort("connectionrefused"));
    await signIn(page, bench.admin.secret);
    await page.getByText("○ not connected").waitFor();
    await click(page, "Reject…");
    await click(page, "Reject the agent");
    await dialog(page).getByText("rejected").waitFor();
    await click(page, "Approve as a new machine");
    await dialog(page).getByText("approved").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("No agent waits to be let in.").waitFor();
  });

  test("what is shown of a receiver in a dialog is as it is now", async () => {
    const name = "grows";
    await makeReceiver(name);
    const add = () => client(ReceiverService).addReceiverSecret({ name });
    await add();
    await using opened = await open("/receivers");
    const { page } = opened;
    await actOnReceiver(page, name, "Retire the old secrets…");
    await dialog(page).getByText("It has 2 secrets.").waitFor();
    await add();
    await dialog(page).getByText("It has 3 secrets.").waitFor();
  });

  /** Dialogs whose action ends after they were closed: each of one thing, and of another one that stays open. */
  const closed: readonly Closed[] = [
    {
      method: "RevokeToken",
      make: async (names) => {
        for (const name of names) await client(TokenService).createToken({ name, role: Role.VIEWER });
        return "/tokens";
      },
      ask: async (page, name) => await page.getByRole("button", { name: `Revoke ${name}` }).click(),
      button: "Revoke the token",
      done: (page, name) => page.locator("tr", { hasText: name }).waitFor({ state: "detached" }),
    },
    {
      method: "RevokeJoinToken",
      make: async (names) => {
        const expireTime = timestampFromMs(Date.now() + 3_600_000);
        for (const rack of names) {
          await client(JoinTokenService).createJoinToken({ maxUses: 1, expireTime, labels: { rack } });
        }
        return "/join-tokens";
      },
      ask: async (page, name) => {
        await page.getByRole("row").filter({ hasText: name }).getByRole("button", { name: "Revoke" }).click();
      },
      button: "Revoke the join token",
      done: (page, name) => page.locator("tr", { hasText: name }).waitFor({ state: "detached" }),
    },
    {
      method: "DeleteReceiver",
      make: async (names) => {
        for (const name of names) await makeReceiver(name);
        return "/receivers";
      },
      ask: async (page, name) => await actOnReceiver(page, name, "Delete…"),
      button: "Delete the receiver",
      done: (page, name) => page.locator("tr", { hasText: name }).waitFor({ state: "detached" }),
    },
    {
      method: "RetireReceiverSecrets",
      make: async (names) => {
        for (const name of names) {
          await makeReceiver(name);
          await client(ReceiverService).addReceiverSecret({ name });
        }
        return "/receivers";
      },
      ask: async (page, name) => await actOnReceiver(page, name, "Retire the old secrets…"),
      button: "Retire them",
      done: (page, name) => page.locator("tr", { hasText: name }).locator("td", { hasText: /^1$/ }).waitFor(),
    },
    {
      method: "ForgetEnrolment",
      make: async (names) => {
        for (const name of names) await knock(bench.server, bench.database, { hardwareReport: reportOf(name) });
        return "/enrolments";
      },
      ask: async (page, name) => {
        await page.getByRole("row").filter({ hasText: name }).getByRole("button").click();
        await click(page, "Forget…");
      },
      button: "Forget the enrolment",
      done: (page, name) => page.locator("tr", { hasText: name }).waitFor({ state: "detached" }),
    },
    {
      method: "PutHealth",
      make: async (names) => {
        const machineId = await bareMachine(bench.database.db);
        const alerts = [{ id: "fan", severity: HealthSeverity.WARNING }];
        const ttl = { seconds: 3_600n };
        for (const source of names) await client(HealthService).putHealth({ machineId, source, alerts, ttl });
        return `/machines/${machineId}`;
      },
      ask: async (page, name) => await click(page, `Take back what ${name} has put…`),
      button: "Take the alerts back",
      done: (page, name) => page.locator("#health li", { hasText: name }).waitFor({ state: "detached" }),
    },
  ];

  test.each(closed)("$method that ends after its dialog was closed leaves the next dialog open", async (row) => {
    const [first, second] = [`first-${row.method}`, `second-${row.method}`] as const;
    await using opened = await open(await row.make([first, second]));
    const { page, context } = opened;
    await page.getByText("● live").waitFor();
    await row.ask(page, first);
    const acting = await holdBack(context, row.method);
    await dialog(page).getByRole("button", { name: row.button }).click();
    await acting.called;
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    await row.ask(page, second);
    await dialog(page).waitFor();
    const title = await dialog(page).getByRole("heading", { level: 1 }).textContent();
    const isAnswered = page.waitForResponse(`**/${row.method}`);
    acting.release();
    await (await isAnswered).finished();
    await row.done(page, first);
    expect(await dialog(page).getByRole("heading", { level: 1 }).allTextContents()).toEqual([title]);
  });
});

interface Closed {
  readonly method: string;
  /** Makes what the dialogs are about, each with a name, and returns the path of their page. */
  readonly make: (names: readonly string[]) => Promise<string>;
  readonly ask: (page: Page, name: string) => Promise<void>;
  readonly button: string;
  readonly done: (page: Page, name: string) => Promise<void>;
}
