/** The pages that list something: each opens on real data, does what it offers, and has no barriers. */

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { eq } from "drizzle-orm";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { Role } from "../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import { setHolds } from "../../src/db/queries/machine-hold.ts";
import { machineFinding, osInstallationRequest } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, moveClock, openConsole, setUpConsole } from "../support/console.ts";
import { knock, reportOf } from "../support/enrolments.ts";
import { moveInstallation } from "../support/installation.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { bareMachine, testImage } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { allowLoopback, createReceiver, recordEvent } from "../support/receivers.ts";
import { type Situation, situations } from "../support/situation.ts";
import { startReceiver } from "../support/webhook-receiver.ts";

/** Text that would do harm if it were taken for markup. */
const markup = `<img src=x onerror="document.title='harm'">`;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const made: Record<string, string> = {};
  const bench = setUpConsole(allowLoopback, async ({ db }) => {
    for (const type of ["disk_failing", "agent_silent", "installation_failed", "never_heartbeated"] as const) {
      made[type] = await issueSituations[type].make(db);
    }
    await db
      .update(osInstallationRequest)
      .set({ error: markup })
      .where(eq(osInstallationRequest.machineId, made.installation_failed as string));
    for (const [name, what] of [
      ["installing", "whose agent installs"],
      ["pending", "that is to be installed"],
    ] as const) {
      made[name] = await (situations.find((each) => each.name === what) as Situation).make(db);
    }
    await db
      .update(machineFinding)
      .set({ detail: markup })
      .where(eq(machineFinding.machineId, made.disk_failing as string));
  });

  const open = (path: string, token = bench.admin.secret) =>
    openConsole(bench.browser, bench.server.adminUrl, { path, token });
  const rowWith = (page: Page, text: string) => page.getByRole("row").filter({ hasText: text });

  test("issues are filtered, and say what they mean", async () => {
    await using opened = await open("/issues");
    const { page } = opened;
    const failing = rowWith(page, made.disk_failing as string);
    await failing.getByText("critical").waitFor();
    await failing.getByText(markup).waitFor();
    await rowWith(page, "agent silent").waitFor();
    await expectFit(page);
    const filter = page.getByRole("combobox", { name: "Filter" });
    await filter.fill("severity=dreadful");
    await filter.press("Enter");
    await page.getByText('severity: "dreadful" is not a severity (there are info, warning, critical).').waitFor();
    await filter.fill("severity=critical");
    await filter.press("Enter");
    await rowWith(page, "agent silent").waitFor({ state: "detached" });
    await page.getByText("bmaas issues --severity critical").waitFor();
    expect(new URL(page.url()).search).toContain("severity");
    await page.getByRole("button", { name: "disk failing" }).click();
    const dialog = page.getByRole("dialog", { name: "disk failing" });
    await dialog.getByText("save what is on it and replace the disk").waitFor();
    expect(await dialog.getByRole("link", { name: made.disk_failing as string }).getAttribute("href")).toBe(
      `/machines/${made.disk_failing}`,
    );
    await expectFit(page);
  });

  test("enrolments arrive live, and are approved with what an operator says explicitly", async () => {
    const serial = "SN-asks";
    const ask = (product: string) =>
      knock(bench.server, bench.database, { hardwareReport: reportOf(serial, { product }) });
    await using opened = await open("/enrolments");
    const { page } = opened;
    await page.getByText("● live").waitFor();
    const { enrolmentId: first } = await ask("<b>A1</b>");
    await rowWith(page, serial).getByText("Acme <b>A1</b>").waitFor();
    await rowWith(page, serial).getByRole("button").click();
    const dialog = page.getByRole("dialog", { name: `Enrolment ${first.slice(0, 8)}` });
    await dialog.getByLabel("Labels").fill("rack=r 12 x");
    await dialog.getByRole("button", { name: "Approve as a new machine" }).click();
    await dialog.getByText('Write a label as key=value, not "12".').waitFor();
    await dialog.getByLabel("Labels").fill("rack=r12");
    await dialog.getByText(`bmaas enrolments approve ${first} --label rack=r12`).waitFor();
    await dialog.getByRole("button", { name: "Approve as a new machine" }).click();
    await dialog.getByText("approved").waitFor();
    expect(await dialog.getByRole("link").getAttribute("href")).toMatch(/^\/machines\/[0-9a-f-]{36}$/);
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("No agent waits to be let in.").waitFor();

    const { enrolmentId: second } = await ask("A1");
    await rowWith(page, serial).getByText("resembles a known machine").waitFor();
    await expectFit(page);
    await rowWith(page, serial).getByRole("button").click();
    const again = page.getByRole("dialog", { name: `Enrolment ${second.slice(0, 8)}` });
    await again.getByText("same serial number").waitFor();
    await expectFit(page);
    await again.getByRole("button", { name: "Approve as a new machine" }).click();
    await again.getByRole("alert").filter({ hasText: "serial number" }).waitFor();
    await again.getByRole("checkbox", { name: "Allow a duplicate" }).check();
    await again.locator("code", { hasText: "--allow-duplicate" }).waitFor();
    await again.getByRole("button", { name: "Reject…" }).click();
    await again.getByRole("button", { name: "Reject the agent" }).click();
    await again.getByText("rejected").waitFor();
    await again.getByRole("button", { name: "Forget…" }).click();
    await again.getByRole("button", { name: "Forget the enrolment" }).click();
    await again.waitFor({ state: "detached" });
  });

  test("who may only read is told so before the click", async () => {
    const { enrolmentId } = await knock(bench.server, bench.database, { hardwareReport: reportOf("SN-viewer") });
    const viewer = await tokenOf(bench.database.db, "viewer");
    await using opened = await open(`/enrolments?open=${enrolmentId}`, viewer.secret);
    const dialog = opened.page.getByRole("dialog");
    await dialog.getByText("This needs the role operator; yours is viewer.").waitFor();
    expect(await dialog.getByRole("button", { name: "Approve as a new machine" }).isDisabled()).toBe(true);
    expect(await dialog.getByRole("button", { name: "Reject…" }).getAttribute("aria-disabled")).toBe("true");
  });

  test("each page tells who may only read why its actions are not theirs", async () => {
    const viewer = await tokenOf(bench.database.db, "viewer");
    await using opened = await open("/tokens", viewer.secret);
    const { page } = opened;
    for (const [link, action, role] of [
      ["Tokens", "Create a token…", "admin"],
      ["Join tokens", "Create a join token…", "operator"],
      ["Receivers", "Create a receiver…", "admin"],
      ["Installations", `Install again on ${made.installation_failed}`, "operator"],
      ["Holds", "Release…", "operator"],
    ] as const) {
      await page.getByRole("navigation").getByRole("link", { name: link, exact: true }).click();
      const button = page.getByRole("button", { name: action });
      await button.focus();
      await page.getByRole("tooltip", { name: `This needs the role ${role}; yours is viewer.` }).waitFor();
      expect(await button.getAttribute("aria-disabled")).toBe("true");
    }
  });

  test("a token is created, its secret shown once, and revoked", async () => {
    const name = "ci";
    await using opened = await open("/tokens");
    const { page } = opened;
    await page.getByRole("button", { name: "Create a token…" }).click();
    const dialog = page.getByRole("dialog", { name: "Create a token" });
    await dialog.getByLabel("Who will use it").fill(name);
    await dialog.getByLabel("Role").selectOption({ label: "operator: also changes machines and installs" });
    await dialog.getByText(`bmaas tokens create ${name} --role operator --expires 90d`).waitFor();
    await expectFit(page);
    await dialog.getByRole("button", { name: "Create the token" }).click();
    const shown = page.getByRole("dialog", { name: "Copy the secret now" });
    const secret = (await shown.locator("code").textContent()) as string;
    await expectFit(page);
    await shown.getByRole("button", { name: "I have it" }).click();
    expect(await page.content()).not.toContain(secret);
    await rowWith(page, name).getByText("valid").waitFor();
    await expectFit(page);
    const tokens = adminClient(TokenService, bench.server.adminUrl, secret);
    expect(await tokens.getCaller({})).toMatchObject({ actor: `token:${name}`, role: Role.OPERATOR });
    await page.getByRole("button", { name: `Revoke ${name}` }).click();
    await page.getByRole("button", { name: "Revoke the token" }).click();
    await rowWith(page, name).waitFor({ state: "detached" });
    await page.getByLabel("also revoked and expired ones").check();
    await rowWith(page, name).getByText("revoked").waitFor();
    await expect(tokens.getCaller({})).rejects.toThrow();
  });

  test("whoever revokes the token with which they are signed in is warned", async () => {
    const { name, secret } = await tokenOf(bench.database.db, "admin");
    const other = await tokenOf(bench.database.db, "admin");
    await using opened = await open("/tokens", secret);
    const { page } = opened;
    const warning = page.getByText("You are signed in with this token.");
    await page.getByRole("button", { name: `Revoke ${other.name}` }).click();
    await page.getByRole("heading", { name: `Revoke the token ${other.name}?` }).waitFor();
    expect(await warning.count()).toBe(0);
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: `Revoke ${name}` }).click();
    await warning.waitFor();
    await expectFit(page);
    await page.getByRole("button", { name: "Revoke the token" }).click();
    await page.getByText("The session has ended: the token is revoked.").waitFor();
  });

  test("a token that somebody else creates is listed by itself", async () => {
    await using opened = await open("/tokens");
    const { page } = opened;
    await rowWith(page, "valid").first().waitFor();
    const { name } = await tokenOf(bench.database.db, "viewer");
    await rowWith(page, name).waitFor();
  });

  test("a token that expires while it is shown is not valid any more", async () => {
    const expireTime = timestampFromMs(Date.now() + 3_600_000);
    const { adminUrl } = bench.server;
    await adminClient(TokenService, adminUrl, bench.admin.secret).createToken({
      ...{ name: "passing", role: Role.VIEWER, expireTime },
    });
    const labels = { passing: "yes" };
    await adminClient(JoinTokenService, adminUrl, bench.admin.secret).createJoinToken({
      ...{ maxUses: 1, expireTime, labels },
    });
    await using opened = await open("/tokens");
    const { page } = opened;
    await rowWith(page, "passing").getByText("valid").waitFor();
    await moveClock(page, 2);
    await rowWith(page, "passing").getByText("expired").waitFor();
    expect(await page.getByRole("button", { name: "Revoke passing" }).count()).toBe(0);
    await moveClock(page, 0);
    await page.getByRole("link", { name: "Join tokens" }).click();
    await rowWith(page, "passing=yes").getByText("valid").waitFor();
    await moveClock(page, 2);
    await rowWith(page, "passing=yes").getByText("expired").waitFor();
  });

  test("a join token is created with what it says of machines, and revoked", async () => {
    const location = "am6";
    await using opened = await open("/join-tokens");
    const { page } = opened;
    await page.getByRole("button", { name: "Create a join token…" }).click();
    const dialog = page.getByRole("dialog", { name: "Create a join token" });
    await dialog.getByLabel("How many agents may use it").fill("40");
    await dialog.getByLabel("It lets in").selectOption("approval");
    await dialog.getByLabel("Location of the machines").fill(location);
    await dialog.getByLabel("Labels").fill("rack=r12");
    await expectFit(page);
    await dialog.getByRole("button", { name: "Create the join token" }).click();
    await dialog.getByRole("alert").filter({ hasText: "provider" }).waitFor();
    await dialog.getByLabel("Provider of the machines").fill("acme");
    await dialog.getByRole("button", { name: "Create the join token" }).click();
    await page.getByRole("button", { name: "I have it" }).click();
    const row = rowWith(page, `acme ${location}`);
    await row.getByText("0 of 40").waitFor();
    await row.getByText("rack=r12").waitFor();
    await row.getByText("after approval").waitFor();
    await expectFit(page);
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke the join token" }).click();
    await row.waitFor({ state: "detached" });
  });

  test("a receiver is probed, and its deliveries are shown and sent again", async () => {
    const receiver = await startReceiver();
    const name = "oncall";
    const { url } = receiver;
    await createReceiver(bench.database.db, bench.server.adminUrl, { name, url, events: ["machine.*", "receiver.*"] });
    await recordEvent(bench.database.db, made.agent_silent as string, 1);
    const [first] = await receiver.waitFor(1);
    await using opened = await open("/receivers");
    const { page } = opened;
    await rowWith(page, name).getByText("accepts").waitFor();
    await expectFit(page);
    const act = async (action: string) => {
      await rowWith(page, name)
        .getByRole("button", { name: `Actions on ${name}` })
        .click();
      await page.getByRole("menuitem", { name: action }).click();
    };
    await act("Probe…");
    const probe = page.getByRole("dialog", { name: `Probe ${name}` });
    await probe.getByRole("button", { name: "Send a test event" }).click();
    await probe.getByText("answered 204").waitFor();
    await probe.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("row").filter({ hasText: "delivered" }).waitFor();
    await expectFit(page);
    await page.getByRole("button", { name: first?.type as string }).click();
    const delivery = page.getByRole("dialog", { name: first?.type as string });
    await delivery.getByText(first?.id as string, { exact: true }).waitFor();
    await expectFit(page);
    await delivery.getByRole("button", { name: "Send again…" }).click();
    await page.getByText(`bmaas receivers resend ${name} ${first?.id}`).waitFor();
    await page.getByRole("button", { name: "Send again" }).click();
    await page.getByText("1 event is sent again.").waitFor();
    const messages = await receiver.waitFor(3);
    expect(messages.filter(({ id }) => id === first?.id)).toHaveLength(2);

    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await page.getByRole("link", { name: "All receivers" }).click();
    await page.getByRole("button", { name: "Create a receiver…" }).click();
    const create = page.getByRole("dialog");
    const created = "made";
    await create.getByLabel("Name").fill(created);
    await create.getByLabel("URL").fill("http://192.0.2.1/");
    await create.getByLabel("Types of events").fill("installation.*, nothing");
    await create.getByText(`bmaas receivers create ${created} --url http://192.0.2.1/ --events`).waitFor();
    await expectFit(page);
    await create.getByRole("button", { name: "Create the receiver" }).click();
    await create.getByRole("alert").waitFor();
    await create.getByLabel("URL").fill(receiver.url);
    await create.getByRole("button", { name: "Create the receiver" }).click();
    await create.getByText(/^whsec_/).waitFor();
    await create.getByText("No event of this server matches nothing.").waitFor();
    await create.getByRole("button", { name: "I have it" }).click();
    const ask = async (action: string, button: string) => {
      await rowWith(page, created)
        .getByRole("button", { name: `Actions on ${created}` })
        .click();
      await page.getByRole("menuitem", { name: action }).click();
      await page.getByRole("dialog").getByRole("button", { name: button }).click();
    };
    const secrets = (count: number) =>
      rowWith(page, created)
        .getByRole("cell", { name: String(count), exact: true })
        .first()
        .waitFor();
    await secrets(1);
    await ask("Add a secret…", "Create the secret");
    await page
      .getByRole("dialog")
      .getByText(/^whsec_/)
      .waitFor();
    await page.getByRole("button", { name: "I have it" }).click();
    await secrets(2);
    await ask("Retire the old secrets…", "Retire them");
    await secrets(1);
    await ask("Delete…", "Delete the receiver");
    await rowWith(page, created).waitFor({ state: "detached" });
  });

  test("installations show how far they are, and are cancelled", async () => {
    const pending = made.pending as string;
    await using opened = await open("/installations");
    const { page } = opened;
    const installing = rowWith(page, made.installing as string);
    await installing.getByText("40 % writing").waitFor();
    expect(await installing.getByRole("progressbar").getAttribute("value")).toBe("40");
    await installing.getByText(/^in \d+\smin/).waitFor();
    await rowWith(page, made.installation_failed as string)
      .getByText(markup)
      .waitFor();
    await expectFit(page);
    await rowWith(page, pending).getByRole("button", { name: "Cancel" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(`bmaas install cancel ${pending}`).waitFor();
    await expectFit(page);
    await dialog.getByRole("button", { name: "Cancel the installation" }).click();
    await rowWith(page, pending).getByText("cancelled").waitFor();
    const filter = page.getByRole("combobox", { name: "Filter" });
    await filter.fill("state=failed");
    await filter.press("Enter");
    await rowWith(page, pending).waitFor({ state: "detached" });
    await page.getByText("bmaas install list --state failed").waitFor();
  });

  test("a retry names the disk, asks before it wipes, and leaves its mark without a reload", async () => {
    const { db } = bench.database;
    const machineId = await bareMachine(db);
    const operator = adminClient(InstallationService, bench.server.adminUrl, bench.admin.secret);
    const target = { type: { case: "image", value: testImage } } as const;
    await operator.requestInstallation({ machineId, target, uncheckedDisk: true });
    await moveInstallation(db, machineId, 1n, "failed");
    await using opened = await open("/installations");
    const { page } = opened;
    await rowWith(page, machineId).getByText("os.img from images.example on sda").waitFor();
    await rowWith(page, machineId).getByRole("button", { name: "Install again" }).click();
    const dialog = page.getByRole("dialog", { name: "Install again: wipe 1 machine?" });
    await dialog.getByText("the disk that is named sda at that time, unchecked").waitFor();
    await expectFit(page);
    await dialog.getByRole("button", { name: "Install again and wipe 1 machine" }).click();
    await rowWith(page, machineId).filter({ hasText: "pending" }).waitFor();
  });

  test("holds say why, and are released together", async () => {
    const held = await Promise.all([bareMachine(bench.database.db), bareMachine(bench.database.db)]);
    await using opened = await open("/holds");
    const { page } = opened;
    await page.getByText("No machine is held.").waitFor();
    await page.getByText("● live").waitFor();
    for (const machineId of held) {
      const hold = { machineId, reason: markup, ticket: "https://tickets.example/812", isMuted: true, end: undefined };
      await transact(bench.database.db, (tx) => setHolds(tx, [hold], "test"));
    }
    for (const machineId of held) await rowWith(page, machineId).getByText(markup).waitFor();
    await rowWith(page, held[0] as string)
      .getByRole("link", { name: "https://tickets.example/812" })
      .waitFor();
    await expectFit(page);
    await page.getByLabel("Select all rows that are loaded").check();
    await page.getByRole("button", { name: "Release 2…" }).click();
    const dialog = page.getByRole("dialog");
    await expectFit(page);
    await dialog.getByRole("button", { name: "Release", exact: true }).click();
    await page.getByText("No machine is held.").waitFor();
  });
});
