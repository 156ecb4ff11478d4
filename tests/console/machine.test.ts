/** The page of a machine: an installation from request to success, failure and retry, and what is on record. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import type { AgentOptions } from "../../src/agent/agent-options.ts";
import type { InstallProgress } from "../../src/agent/install-progress.ts";
import { appendHistory } from "../../src/db/queries/machine-history.ts";
import { transact } from "../../src/db/transact.ts";
import { startAgent } from "../agent/support/running-agent.ts";
import { temporaryFolder } from "../agent/support/temporary-folder.ts";
import { grpcAgent } from "../support/agents.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, openConsole, setUpConsole } from "../support/console.ts";
import { sda } from "../support/hardware.ts";
import { bareMachine, machineWithAgent, requestInstallation, type TestMachine, testImage } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";

/** Text that would run, or change what stands around it, if it were taken for more than text. */
const markup = '<img src=x onerror="document.title=1">\u202e';

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const open = async (machineId: string, options: Parameters<typeof openConsole>[2] = {}) =>
    await openConsole(bench.browser, bench.server.adminUrl, {
      path: `/machines/${machineId}`,
      token: bench.admin.secret,
      ...options,
    });
  const runAgentOf = async ({ machineId, key }: TestMachine, install: AgentOptions["install"]) => {
    const { agentUrl: url, ca } = bench.server;
    const sleep = async () => await new Promise((resolve) => setTimeout(resolve, 50));
    const collectHardware = async () => create(AgentHardwareReportSchema, { report: { blockDevice: [sda] } });
    return await startAgent({ url, ca }, await temporaryFolder(), {
      machineId,
      client: createAgentClient({ endpoint: url, key, ca }),
      install,
      sleep,
      collectHardware,
      progressIntervalMs: 50,
      findDisk: async ({ capacityBytes }) => ({ path: "/dev/sda", name: "sda", capacityBytes }),
    });
  };
  const history = (page: Page) => page.getByRole("region", { name: "History" });
  // Not by its role: an open dialog hides the page's roles.
  const installations = (page: Page) => page.locator("#installations");
  /** What the machine is known by. The history has the same words a moment later. */
  const fact = (page: Page) => page.locator("main dd");
  const stateOf = (page: Page, name: string) => installations(page).locator(".badge").filter({ hasText: name });

  test("the history has the reader's times, and the ticket of a hold is a link", async () => {
    const machineId = await bareMachine(bench.database.db);
    const end = { case: "endTime", value: timestampFromDate(new Date("2099-01-31T22:30:00Z")) } as const;
    const ticket = "https://tickets.example/812";
    const machines = adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
    await machines.setHold({ machineId, reason: "a fan", ticket, end });
    await using opened = await open(machineId);
    const { page } = opened;
    await history(page).getByText("31 Jan 2099, 23:30:00").waitFor();
    await page.getByRole("link", { name: ticket }).waitFor();
    await expectFit(page);
  });

  test("an installation runs from its request to its failure and its retry to success without a reload", async () => {
    const machine = await machineWithAgent(bench.database.db);
    const started: PromiseWithResolvers<(progress: InstallProgress) => void>[] = [];
    const ended: PromiseWithResolvers<string | undefined>[] = [];
    for (let run = 0; run < 2; run++) {
      started.push(Promise.withResolvers());
      ended.push(Promise.withResolvers());
    }
    const agent = await runAgentOf(machine, async (_request, _signal, report) => {
      started.shift()?.resolve(report);
      return await ended[0]?.promise;
    });
    await agent.happened("heartbeat", 2);
    const [first, second] = started;
    await using opened = await open(machine.machineId);
    const { page } = opened;
    await page.getByRole("region", { name: "Hardware" }).getByText("Samsung SSD 860").waitFor();

    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Install…" }).click();
    await page.getByLabel("Image", { exact: true }).fill(testImage.url);
    await page.getByLabel("Digest", { exact: true }).fill("sha256:00");
    await page.getByLabel("Disk, which is wiped").fill("only");
    await page.getByRole("button", { name: "Go on: which disk?" }).click();
    await page.getByText("The digest is not a digest").waitFor();
    await page.getByLabel("Digest", { exact: true }).fill(testImage.digest);
    await page.getByText(`--digest ${testImage.digest} --disk only`).waitFor();
    await page.getByRole("button", { name: "Go on: which disk?" }).click();
    const question = page.getByRole("dialog", { name: "Install: wipe 1 machine?" });
    await question.getByText("This wipes sda, Samsung SSD 860, serial number S3Z8NB0K123456").waitFor();
    await question.getByRole("button", { name: "Install and wipe 1 machine" }).click();
    await question.waitFor({ state: "detached" });

    const report = await first?.promise;
    report?.({ phase: markup, percent: 40 });
    await installations(page).getByText("40 %").waitFor();
    await installations(page).getByText('<img src=x onerror="document.title=1">\\u{202e}').waitFor();
    expect(await installations(page).getByRole("progressbar").getAttribute("value")).toBe("40");
    await installations(page).getByText("unless the agent reports before").waitFor();
    ended[0]?.resolve(`no disk ${markup}`);
    await stateOf(page, "failed").waitFor();
    await installations(page).getByText("no disk <img src=x").waitFor();
    await history(page).getByText("installation reported").waitFor();
    ended.shift();

    const remedies = page.getByRole("region", { name: "What is with this machine" });
    await remedies.getByText(`bmaas install retry ${machine.machineId}`, { exact: true }).waitFor();
    await remedies.getByRole("button", { name: "Install again…" }).click();
    await page.getByRole("button", { name: "Install again and wipe 1 machine" }).click();
    (await second?.promise)?.({ phase: "writing", percent: 90 });
    await installations(page).getByText("90 %").waitFor();
    ended[0]?.resolve(undefined);
    await stateOf(page, "succeeded").waitFor();
    await page
      .locator("main .badge")
      .filter({ hasText: /installed$/ })
      .first()
      .waitFor();
    await history(page).getByText(`token:${bench.admin.name}`).first().waitFor();
    expect(await page.title()).not.toBe("1");
  });

  test("holds by reason, and the second of two operators is told by the server's words", async () => {
    const machine = await machineWithAgent(bench.database.db);
    await requestInstallation(bench.database.db, machine.machineId);
    await using opened = await open(machine.machineId);
    const { page } = opened;
    const actions = page.getByRole("group", { name: "Actions" });
    await actions.getByRole("button", { name: "Cancel the installation…" }).click();
    // Meanwhile the agent is given the request, so the question is about what has passed.
    using agent = grpcAgent(bench.server, machine.key);
    await agent.heartbeat({ machineId: machine.machineId });
    await stateOf(page, "given").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the installation" }).click();
    await page.getByRole("dialog").getByRole("alert").getByText("given").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    const cancel = actions.getByRole("button", { name: "Cancel the installation…" });
    expect(await cancel.getAttribute("aria-disabled")).toBe("true");

    await actions.getByRole("button", { name: "Hold…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Hold", exact: true }).click();
    await page.getByText("Write why the machines are held").waitFor();
    await page.getByLabel("Reason").fill("fan is on the bench");
    await page.getByLabel("Ticket (optional)").fill("https://tickets.example/812");
    await page.getByLabel("Leave them out of alerts as well").check();
    await page.getByText(`hold ${machine.machineId} --reason 'fan is on the bench'`).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Hold", exact: true }).click();
    await page.getByRole("heading", { name: "Held" }).getByText("held and muted").waitFor();
    const admin = adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
    const { machine: held } = await admin.getMachine({ machineId: machine.machineId });
    expect(held?.hold).toMatchObject({
      reason: "fan is on the bench",
      ticket: "https://tickets.example/812",
      muted: true,
    });
    await actions.getByRole("button", { name: "Release…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Release", exact: true }).click();
    await page.getByRole("heading", { name: "Held" }).waitFor({ state: "detached" });
  });

  test("remedies that need a key or the provider's data ask for them", async () => {
    const machineId = await bareMachine(bench.database.db);
    const [first, second, third] = [await generateAgentKey(), await generateAgentKey(), await generateAgentKey()];
    const admin = adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
    await using opened = await open(machineId);
    const { page } = opened;
    const remedies = page.getByRole("region", { name: "What is with this machine" });
    await remedies.getByRole("button", { name: "Set the provider…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Set the provider", exact: true }).click();
    await page.getByText("Write the provider's name and its id of the machine.").waitFor();
    await page.getByLabel("Provider", { exact: true }).fill("acme");
    await page.getByLabel("Provider's id of the machine").fill("id of it");
    await page.getByText(`set-provided ${machineId} --provider acme --provider-id 'id of it'`).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Set the provider", exact: true }).click();
    await fact(page).getByText("id of it", { exact: true }).waitFor();

    await remedies.getByRole("button", { name: "Register the key…" }).click();
    await page.getByLabel("Public key").fill("abc");
    await page.getByRole("dialog").getByRole("button", { name: "Register the key" }).click();
    await page.getByText("This is no public key").waitFor();
    await page.getByLabel("Public key").fill(Buffer.from(first.publicKey).toString("hex"));
    await page.getByRole("dialog").getByRole("button", { name: "Register the key" }).click();
    await fact(page).getByText(Buffer.from(first.publicKey).toString("hex"), { exact: true }).waitFor();

    await remedies.getByRole("button", { name: "Replace the key…" }).click();
    const agents = adminClient(AgentService, bench.server.adminUrl, bench.admin.secret);
    await agents.replaceAgent({ machineId, publicKey: second.publicKey });
    await page.getByLabel("Public key").fill(Buffer.from(third.publicKey).toString("hex"));
    await page.getByRole("dialog").getByRole("button", { name: "Replace the key" }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
    const { machine } = await admin.getMachine({ machineId });
    expect(machine?.agent?.publicKey).toEqual(new Uint8Array(second.publicKey));
    expect(machine?.provided).toMatchObject({ provider: "acme", providerId: "id of it" });
  });

  test("what has the focus in the history keeps it when something happens", async () => {
    const machineId = await bareMachine(bench.database.db);
    const record = async (letter: string) => {
      const entry = {
        machineId,
        actor: "test",
        kind: "machine_labelled",
        detail: { what: letter.repeat(200) },
      } as const;
      await transact(bench.database.db, (tx) => appendHistory(tx, [entry]));
      await history(page).getByText(letter.repeat(100)).waitFor();
    };
    await using opened = await open(machineId);
    const { page } = opened;
    await page.getByText("● live").waitFor();
    await record("x");
    await history(page).getByRole("button", { name: "Copy all 200 characters" }).focus();
    await record("y");
    expect(await history(page).locator("li:focus-within").textContent()).toContain("xxx");
  });

  test("a viewer sees why nothing can be clicked", async () => {
    const viewer = await tokenOf(bench.database.db, "viewer");
    await using opened = await open(await bareMachine(bench.database.db), { token: viewer.secret });
    const { page } = opened;
    const button = page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Hold…" });
    expect(await button.getAttribute("aria-disabled")).toBe("true");
    await button.focus();
    await page.getByRole("tooltip").getByText("This needs the role operator; yours is viewer.").waitFor();
  });

  test("what agents say is text, changed hardware is marked, and all can use it", async () => {
    const machine = await machineWithAgent(bench.database.db);
    const { machineId } = machine;
    const admin = adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
    await admin.setLabels({ machineId, set: { rack: "r12" } });
    using agent = grpcAgent(bench.server, machine.key);
    const report = (deviceModel: string) => ({
      report: {
        product: markup,
        blockDevice: [{ ...sda, deviceModel, use: [markup] }],
        networkInterface: [{ name: "eth0", driver: markup, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), linkUp: true }],
      },
      warning: [markup, "x".repeat(5_000)],
    });
    const agentVersion = "<b>1</b>";
    const health = { alert: [{ id: markup.slice(0, 38), severity: 2, message: "<b>worn</b>" }] };
    await agent.heartbeat({ machineId, hardwareReport: report("old model"), agentVersion });
    await agent.heartbeat({ machineId, hardwareReport: report(`new ${markup}`), agentVersion, health });

    await using opened = await open(machineId);
    const { page } = opened;
    const hardware = page.getByRole("region", { name: "Hardware" });
    await hardware.getByText("old model").waitFor();
    await hardware.getByRole("row").filter({ hasText: "sda" }).getByText("changed").waitFor();
    await hardware.getByText("Copy all 5,000 characters").waitFor();
    await fact(page).getByText("<b>1</b>", { exact: true }).waitFor();
    await page.locator("#health").getByText("<b>worn</b>", { exact: true }).waitFor();
    await page.getByText("rack=r12").waitFor();
    await history(page).getByText("agent registered").waitFor();
    expect(await page.locator("main img, main .safe-text b").count()).toBe(0);
    await expectFit(page);
  });

  test("a machine that is gone says so, and its history stays", async () => {
    const machineId = await bareMachine(bench.database.db);
    await using opened = await open(machineId);
    const { page } = opened;
    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("There is no machine with this id.").waitFor();
    await history(page).getByText("machine deleted").waitFor();
    await page.reload();
    await page.getByLabel("Token", { exact: false }).fill(bench.admin.secret);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByText("There is no machine with this id.").waitFor();
    await history(page).getByText("machine created").waitFor();
    await expectFit(page);
    await page.getByText("● live").waitFor();
    await adminClient(MachineService, bench.server.adminUrl, bench.admin.secret).createMachine({ machineId });
    await page.getByRole("region", { name: "What is with this machine" }).waitFor();
    await page.goto(`${bench.server.adminUrl}/machines/nonsense`);
    await page.getByLabel("Token", { exact: false }).fill(bench.admin.secret);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "machine_id" }).waitFor();
  });
});
