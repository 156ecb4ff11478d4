/** Forcing what the server refuses: an image for an agent that has never shown that it knows images. */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../support/agents.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole } from "../support/console.ts";
import { hardwareOf, sda } from "../support/hardware.ts";
import { moveInstallation } from "../support/installation.ts";
import { machineWithAgent, testImage } from "../support/machine.ts";
import { adminClient } from "../support/operator.ts";

const refusal = /needs an agent that knows images.*or force it\./;

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const clientOf = <Service extends typeof MachineService | typeof InstallationService>(service: Service) =>
    adminClient(service, bench.server.adminUrl, bench.admin.secret);
  const open = async (path: string) =>
    await openConsole(bench.browser, bench.server.adminUrl, { path, token: bench.admin.secret });

  /** Creates a machine with a label whose agent has called, as Monogon's does or with its version. */
  const machineThatCalled = async (rack: string, agentVersion?: string) => {
    const { machineId, key } = await machineWithAgent(bench.database.db);
    await clientOf(MachineService).setLabels({ machineId, set: { rack } });
    using agent = grpcAgent(bench.server, key);
    const hardwareReport = hardwareOf([{ ...sda, serialNumber: machineId.slice(0, 8) }]);
    await agent.heartbeat({ machineId, hardwareReport, ...(agentVersion && { agentVersion }) });
    return machineId;
  };
  /** Has an image been requested of the machine and failed. */
  const failInstallation = async (machineId: string) => {
    const value = { url: testImage.url, digest: testImage.digest };
    const target = {
      type: { case: "image" as const, value },
      disk: { choice: { case: "only" as const, value: true } },
    };
    await clientOf(InstallationService).requestInstallation({ machineId, target, force: true });
    await moveInstallation(bench.database.db, machineId, 1n, "failed");
  };
  const newestOf = async (machineId: string) => {
    const { machine } = await clientOf(MachineService).getMachine({ machineId });
    return machine?.installation && { generation: machine.installation.generation, state: machine.installation.state };
  };
  const failed = { generation: 1n, state: InstallationState.FAILED };
  const again = { generation: 2n, state: InstallationState.PENDING };
  const dialog = (page: Page) => page.getByRole("dialog");
  const goOn = (page: Page) => dialog(page).getByRole("button", { name: "Go on: which disk?" });

  test("a refused retry is forced only after it is ticked and its disk confirmed", async () => {
    const machineId = await machineThatCalled("one");
    await failInstallation(machineId);
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    const retry = page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Install again…" });
    await retry.click();
    await dialog(page).getByRole("alert").filter({ hasText: refusal }).waitFor();
    const force = dialog(page).getByRole("checkbox", { name: "Force" });
    expect(await force.isChecked()).toBe(false);
    expect(await goOn(page).getAttribute("aria-disabled")).toBe("true");
    expect(await findBarriers(page)).toEqual([]);
    const calls: string[] = [];
    page.on("request", (request) => void (request.url().includes("Retry") && calls.push(request.url())));
    await goOn(page).click({ force: true });
    await force.press("Enter");
    await dialog(page).getByRole("button", { name: "Close" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect(calls).toEqual([]);
    expect(await newestOf(machineId)).toEqual(failed);

    // What was ticked is not ticked the next time.
    for (const isConfirmed of [false, true]) {
      await retry.click();
      expect(await force.isChecked()).toBe(false);
      await force.check();
      await goOn(page).click();
      const question = page.getByRole("dialog", { name: "Install again: wipe 1 machine?" });
      await question.getByText(`serial number ${machineId.slice(0, 8)}`).waitFor();
      await question.getByText("Forced: the agent has never shown that it supports images").waitFor();
      expect(await newestOf(machineId)).toEqual(failed);
      const name = isConfirmed ? "Install again and wipe 1 machine" : "Cancel";
      await question.getByRole("button", { name }).last().click();
      await question.waitFor({ state: "detached" });
    }
    expect(await newestOf(machineId)).toEqual(again);
  });

  test("of many, those that can be forced are left out until they are forced", async () => {
    const ids = [
      await machineThatCalled("many"),
      await machineThatCalled("many"),
      await machineThatCalled("many", "1.0"),
    ];
    const [first = "", second = "", able = ""] = ids;
    const held = await machineThatCalled("many");
    for (const machineId of [...ids, held]) await failInstallation(machineId);
    await clientOf(MachineService).setHold({ machineId: held, reason: "fan" });
    await using opened = await open("/machines?filter=label.rack%3Dmany");
    const { page } = opened;
    const selection = page.getByRole("group", { name: "Selection" });
    await selection.getByRole("button", { name: "Select all that match" }).click();
    await selection.getByText("all 4 selected").waitFor();

    await selection.getByRole("button", { name: "Install again…" }).click();
    const one = page.getByRole("dialog", { name: "Install again: wipe 1 machine?" });
    await one.getByText("3 of 4 would be refused").waitFor();
    await one.getByText(refusal).first().waitFor();
    await one.getByRole("button", { name: "Force those that can be forced…" }).click();
    expect(await dialog(page).getByText(refusal).count()).toBe(2);
    expect(await dialog(page).getByRole("checkbox").isChecked()).toBe(false);
    await dialog(page).getByRole("button", { name: "Leave them out" }).click();
    await one.getByRole("button", { name: "Install again and wipe 1 machine" }).click();
    await one.waitFor({ state: "detached" });
    expect(await Promise.all([...ids, held].map(newestOf))).toEqual([failed, failed, again, failed]);

    // The selection follows what happens to its machines.
    await page.getByRole("row").filter({ hasText: able }).getByText("installation pending").waitFor();
    await selection.getByRole("button", { name: "Install again…" }).click();
    await dialog(page).getByText("the server would refuse each of them").waitFor();
    await dialog(page).getByRole("checkbox", { name: "Force 2 of 4" }).check();
    await goOn(page).click();
    const two = page.getByRole("dialog", { name: "Install again: wipe 2 machines?" });
    await two.getByText("Forced for 2: the agent has never shown").waitFor();
    await two.getByText("2 of 4 would be refused").waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await two.getByLabel("Type 2 to go on").fill("2");
    await two.getByRole("button", { name: "Install again and wipe 2 machines" }).click();
    await two.waitFor({ state: "detached" });
    expect(await Promise.all([first, second, able, held].map(newestOf))).toEqual([again, again, again, failed]);
  });

  test("a refused request is forced without being written again", async () => {
    const machineId = await machineThatCalled("asked");
    await using opened = await open(`/machines/${machineId}`);
    const { page } = opened;
    await page.getByRole("group", { name: "Actions" }).getByRole("button", { name: "Install…" }).click();
    await page.getByLabel("Image", { exact: true }).fill(testImage.url);
    await page.getByLabel("Digest", { exact: true }).fill(testImage.digest);
    await page.getByLabel("Disk, which is wiped").fill("only");
    await goOn(page).click();
    await dialog(page).getByRole("alert").filter({ hasText: refusal }).waitFor();
    await dialog(page).getByRole("checkbox", { name: "Force" }).check();
    await goOn(page).click();
    expect(await newestOf(machineId)).toBeUndefined();
    await dialog(page).getByRole("button", { name: "Install and wipe 1 machine" }).click();
    await dialog(page).waitFor({ state: "detached" });
    expect(await newestOf(machineId)).toEqual({ generation: 1n, state: InstallationState.PENDING });
  });
});
