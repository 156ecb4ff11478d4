/** What operators say of machines, and look up of them, beside installations: each as the API does it. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { HealthEffect, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity, ProviderStatus } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../support/agents.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { expectFit, openConsole, setUpConsole } from "../support/console.ts";
import { knock, reportOf } from "../support/enrolments.ts";
import { sda } from "../support/hardware.ts";
import { bareMachine, machineWithAgent } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";
import { type Situation, situations } from "../support/situation.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const admin = () => adminClient(MachineService, bench.server.adminUrl, bench.admin.secret);
  const stateOf = async (machineId: string) => (await admin().getMachine({ machineId })).machine;
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });
  const explanation = (page: Page) => page.getByRole("region", { name: "What is with this machine" });
  const dialog = (page: Page) => page.getByRole("dialog");

  test("a machine is created with all that is known of it", async () => {
    const providerId = "slot-7";
    await using opened = await open("/machines");
    const { page } = opened;
    await page.getByRole("button", { name: "Create…" }).click();
    await dialog(page).getByLabel("Labels").fill("rack=r7");
    await dialog(page).getByLabel("Provider", { exact: true }).fill("lab");
    await dialog(page).getByLabel("MAC addresses").fill("02:00:00:00:00:07 nonsense");
    await expectFit(page);
    await dialog(page).getByRole("button", { name: "Create the machine" }).click();
    await dialog(page).getByText("Write the provider's name and its id of the machine.").waitFor();
    await dialog(page).getByLabel("Provider's id of the machine").fill(providerId);
    await dialog(page).getByRole("button", { name: "Create the machine" }).click();
    await dialog(page).getByText("The address nonsense").waitFor();
    await dialog(page).getByLabel("MAC addresses").fill("02:00:00:00:00:07");
    await dialog(page).getByLabel("Status according to the provider").selectOption("running");
    await dialog(page)
      .getByText(
        `bmaas machines create --provider lab --provider-id ${providerId} --status running --label rack=r7 --expect-mac 02:00:00:00:00:07`,
      )
      .waitFor();
    await dialog(page).getByRole("button", { name: "Create the machine" }).click();
    await explanation(page).waitFor();
    const machineId = new URL(page.url()).pathname.split("/").at(-1) ?? "";
    expect(await stateOf(machineId)).toMatchObject({
      labels: { rack: "r7" },
      provided: { provider: "lab", providerId, status: ProviderStatus.RUNNING },
      expected: { macAddresses: ["02:00:00:00:00:07"] },
    });
  });

  test("what is expected of a machine is set, shown, changed and taken back", async () => {
    const machineId = await bareMachine(bench.database.db);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const ask = () => page.getByRole("button", { name: "Set what is expected…" }).click();
    const set = () => dialog(page).getByRole("button", { name: "Set what is expected" }).click();
    await ask();
    await set();
    await dialog(page).getByText("Write at least one of them.").waitFor();
    await dialog(page).getByLabel("Serial number").fill("GK47PX2");
    await dialog(page).getByText(`bmaas machines expect ${machineId} --serial GK47PX2`).waitFor();
    await set();
    await page.locator("main dd").getByText("GK47PX2", { exact: true }).waitFor();
    await page.getByText("Its agent has never enrolled.").waitFor();
    await ask();
    expect(await dialog(page).getByLabel("Serial number").inputValue()).toBe("GK47PX2");
    await dialog(page).getByLabel("MAC addresses").fill("02:00:00:00:00:01, 02:00:00:00:00:02");
    await set();
    await dialog(page).waitFor({ state: "detached" });
    expect((await stateOf(machineId))?.expected).toMatchObject({
      serialNumber: "GK47PX2",
      macAddresses: ["02:00:00:00:00:01", "02:00:00:00:00:02"],
    });
    await ask();
    for (const label of ["Serial number", "MAC addresses"]) await dialog(page).getByLabel(label).fill("");
    await dialog(page).getByText(`bmaas machines expect ${machineId} --clear`).waitFor();
    await set();
    await dialog(page).waitFor({ state: "detached" });
    expect((await stateOf(machineId))?.expected).toBeUndefined();
  });

  test("a change of the provider's data keeps the rest of it", async () => {
    const provided = { provider: "lab", reservation: "r-1", address: "192.0.2.9", location: "am6" };
    const status = ProviderStatus.STOPPED;
    const { machine } = await admin().createMachine({ provided: { ...provided, providerId: randomUUID(), status } });
    const machineId = machine?.id ?? "";
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByRole("button", { name: "Set the provider…" }).click();
    await dialog(page).getByLabel("Location").fill("fra2");
    await dialog(page).getByRole("button", { name: "Set the provider" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect((await stateOf(machineId))?.provided).toMatchObject({ ...provided, location: "fra2", status });
    await page.getByRole("button", { name: "Set the provider…" }).click();
    await dialog(page).getByLabel("No provider makes it available any more").check();
    await dialog(page).getByText(`bmaas machines set-provided ${machineId} --none`).waitFor();
    await dialog(page).getByRole("button", { name: "Set the provider" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect((await stateOf(machineId))?.provided).toBeUndefined();
  });

  test("a key is revoked, but not one that somebody has registered meanwhile", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByRole("button", { name: "Revoke the key…" }).click();
    await dialog(page).getByText(`bmaas agents revoke ${machineId}`).waitFor();
    await dialog(page).getByRole("button", { name: "Revoke the key" }).click();
    await page.getByText("No agent's key is registered.", { exact: true }).waitFor();
    expect((await stateOf(machineId))?.agent).toBeUndefined();
    await page.getByRole("button", { name: "Register the key…" }).first().waitFor();
  });

  test("a health alert is put by hand, blocks, and is taken back", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    const health = adminClient(HealthService, bench.server.adminUrl, bench.admin.secret);
    const former = { id: "fan", target: "1", severity: HealthSeverity.INFO };
    await health.putHealth({ machineId, source: "operator", alerts: [former], ttl: { seconds: 600n } });
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const actions = page.getByRole("group", { name: "Actions" });
    await actions.getByRole("button", { name: "Health alert…" }).click();
    await dialog(page).getByRole("button", { name: "Put a health alert" }).click();
    await dialog(page).getByText("Write what kind of problem it is").waitFor();
    await dialog(page).getByLabel("Problem").fill("leak");
    await dialog(page).getByLabel("In a sentence").fill("It drips.");
    await dialog(page).getByLabel("Severity").selectOption("critical");
    await dialog(page).getByText(`| bmaas machines health ${machineId} --put - --source operator --ttl 1d`).waitFor();
    await expectFit(page);
    // Somebody else puts one while the dialog is open.
    const meanwhile = { id: "noise", target: "", severity: HealthSeverity.INFO };
    await health.putHealth({ machineId, source: "operator", alerts: [former, meanwhile], ttl: { seconds: 600n } });
    await dialog(page).getByRole("button", { name: "Put a health alert" }).click();
    await page.locator("#health").getByText("It drips.").waitFor();
    const { alerts } = await health.getHealth({ machineId });
    expect(alerts.map(({ id }) => id)).toEqual(["leak", "fan", "noise"]);
    expect(alerts[0]).toMatchObject({ severity: HealthSeverity.CRITICAL, effects: [HealthEffect.BLOCK_INSTALL] });
    await explanation(page).getByText("which blocks installations").waitFor();
    await expect.poll(() => explanation(page).getAttribute("class")).toBe("explain bad");
    const install = actions.getByRole("button", { name: "Install…", disabled: true });
    await install.focus();
    await page.getByRole("tooltip").getByText("A health alert keeps installations away").waitFor();
    await page.getByRole("button", { name: "What it means, and what to do about health" }).first().click();
    await dialog(page).getByText("Means", { exact: true }).waitFor();
    await dialog(page).getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Take back what operator has put…" }).click();
    await dialog(page).getByText(`bmaas machines health ${machineId} --clear --source operator`).waitFor();
    await expectFit(page);
    await dialog(page).getByRole("button", { name: "Take the alerts back" }).click();
    await page.locator("#health").waitFor({ state: "detached" });
    expect((await health.getHealth({ machineId })).alerts).toEqual([]);
  });

  test("an explanation is whole, and its times are the reader's", async () => {
    const name = "whose agent began to install and did not go on in time";
    const machineId = await (situations.find((each) => each.name === name) as Situation).make(bench.database.db);
    const { condition } = await admin().explainMachine({ machineId });
    const [instant = ""] = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/.exec(condition) ?? [];
    expect(condition.length).toBeGreaterThan(300);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await explanation(page).getByText("its agent has not been heard for").waitFor();
    const time = explanation(page)
      .locator(`time[datetime="${new Date(instant).toISOString()}"]`)
      .first();
    expect(await time.getAttribute("title")).toBe(instant.replace("Z", " UTC"));
    expect(await explanation(page).locator(".condition").textContent()).not.toContain("Z)");
    const inBerlin = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "Europe/Berlin" });
    expect(await time.textContent()).toContain(inBerlin.format(new Date(instant)));
  });

  test("an agent with another key that asks to be let in as a machine is one click away from it", async () => {
    const { machineId, key } = await machineWithAgent(bench.database.db);
    const hardwareReport = reportOf(`SN-${randomUUID()}`);
    using agent = grpcAgent(bench.server, key);
    await agent.heartbeat({ machineId, hardwareReport });
    const { enrolmentId } = await knock(bench.server, bench.database, { hardwareReport });
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await explanation(page).getByText(`enrolment ${enrolmentId}`).waitFor();
    await explanation(page)
      .getByText(`enrolments approve ${enrolmentId} --machine ${machineId} --replace-key`)
      .waitFor();
    await explanation(page).getByRole("link", { name: "The enrolment" }).click();
    await page.getByRole("dialog", { name: `Enrolment ${enrolmentId.slice(0, 8)}` }).waitFor();
  });

  test("all that is known of a machine is saved in a file", async () => {
    const { machineId } = await machineWithAgent(bench.database.db);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const downloaded = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save everything about it" }).click();
    const download = await downloaded;
    expect(download.suggestedFilename()).toBe(`bmaas-${machineId}.json`);
    const bundle = JSON.parse(readFileSync(await download.path(), "utf8")) as Record<string, { machine?: object }>;
    expect(Object.keys(bundle)).toEqual(
      ["explanation", "machine", "hardware", "installations", "history", "issues", "health", "server"].map(
        (name) => `${name}.json`,
      ),
    );
    expect(bundle["machine.json"]?.machine).toMatchObject({ id: machineId });
    expect(JSON.stringify(bundle["history.json"])).toContain("agent_registered");
  });

  test("a disk is found in its machine, and in the one that had it", async () => {
    const serialNumber = "ZC1-0042";
    const disk = { ...sda, serialNumber };
    const [before, now] = [await machineWithAgent(bench.database.db), await machineWithAgent(bench.database.db)];
    const report = async ({ machineId, key }: typeof now, blockDevice: (typeof disk)[]) => {
      using agent = grpcAgent(bench.server, key);
      await agent.heartbeat({ machineId, hardwareReport: { report: { blockDevice } } });
    };
    await report(before, [disk]);
    await report(before, []);
    await report(now, [disk]);
    await using opened = await open("/machines");
    const { page } = opened;
    await page.getByRole("row").nth(1).waitFor();
    await page.keyboard.press("f");
    await page.getByRole("heading", { name: "Find" }).waitFor();
    await page.keyboard.type(serialNumber.toLowerCase());
    await page.keyboard.press("Enter");
    const machines = page.getByRole("region", { name: "Machines" });
    const parts = page.getByRole("region", { name: "Parts" });
    await machines.getByRole("row").filter({ hasText: now.machineId }).getByText(serialNumber).waitFor();
    await parts.getByRole("row").filter({ hasText: now.machineId }).getByText("there now").waitFor();
    const past = parts.getByRole("row").filter({ hasText: before.machineId });
    await past.getByText(`disk serial number ${serialNumber}`).waitFor();
    await past.getByText("Samsung SSD 860").waitFor();
    expect(await past.getByText("there now").count()).toBe(0);
    expect(new URL(page.url()).search).toContain(serialNumber.toLowerCase());
    await page.getByText(`bmaas hardware where ${serialNumber.toLowerCase()}`).waitFor();
    await expectFit(page);
    await page.getByLabel("What to look for").fill(now.machineId);
    await page.getByRole("button", { name: "Find", exact: true }).click();
    await machines.getByText(`machine id ${now.machineId}`).waitFor();
    await page.getByLabel("What to look for").fill("nothing has this");
    await page.getByRole("button", { name: "Find", exact: true }).click();
    await page.getByText("No machine has this, nor anything that begins with it.").waitFor();
    await page.getByText("No machine has or had a part with this.").waitFor();
    await page.goBack();
    await page.goBack();
    await machines.getByRole("link", { name: now.machineId }).click();
    await explanation(page).waitFor();
  });

  test("machines that are selected are deleted together", async () => {
    const made = await Promise.all(
      ["a", "b"].map(async () => (await admin().createMachine({ labels: { gone: "soon" } })).machine?.id ?? ""),
    );
    await using opened = await open("/machines?filter=label.gone%3Dsoon");
    const { page } = opened;
    await page.getByRole("row").nth(2).waitFor();
    await page.getByRole("button", { name: "Select all that match" }).click();
    await page.getByRole("group", { name: "Selection" }).getByRole("button", { name: "Delete…" }).click();
    await dialog(page).getByText("bmaas machines delete --selector label.gone=soon").waitFor();
    await dialog(page).getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("No machine matches.").waitFor();
    for (const machineId of made) await expect(admin().getMachine({ machineId })).rejects.toThrow();
  });
});
