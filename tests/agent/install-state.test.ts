import { lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openInstallState } from "../../src/agent/install-state.ts";
import { InstallStateError } from "../../src/agent/state-file.ts";
import { killOutright, startInstallingAgent } from "./support/crashing-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const otherMachineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c12";

async function stateFile(): Promise<string> {
  return join(await temporaryFolder(), "state.json");
}

async function open(file: string, bootId?: string) {
  const state = await openInstallState(file, machineId, bootId);
  onTestFinished(() => state.close());
  return state;
}

/** What the next process finds. */
async function reopen(state: Awaited<ReturnType<typeof open>>, file: string) {
  state.close();
  return await open(file);
}

test("a new agent has attempted nothing", async () => {
  const file = await stateFile();
  const state = await open(file);
  expect(state.lastAttempted).toBeUndefined();
  expect(state.pendingOutcome).toBeUndefined();
  expect((await reopen(state, file)).lastAttempted).toBeUndefined();
});

describe("over a restart", () => {
  test.each([undefined, "no space left on the disk"])(
    "the outcome %j stays pending until it is reported",
    async (error) => {
      const file = await stateFile();
      let state = await open(file);
      await state.recordAttempt(123n, "request");
      await state.recordOutcome(error);
      state = await reopen(state, file);
      expect(state.pendingOutcome).toMatchObject({ generation: 123n });
      expect(state.pendingOutcome?.error).toBe(error);
      await state.recordAccepted();
      state = await reopen(state, file);
      expect(state.pendingOutcome).toBeUndefined();
      expect(state.lastAttempted).toBe(123n);
    },
  );

  test.each([123n, 122n, -1n])("an attempt at 123 is never followed by one at %d", async (generation) => {
    const file = await stateFile();
    let state = await open(file);
    await state.recordAttempt(123n, "request");
    await state.recordOutcome(undefined);
    await state.recordAccepted();
    await expect(state.recordAttempt(generation, "request")).rejects.toThrow(InstallStateError);
    state = await reopen(state, file);
    await expect(state.recordAttempt(generation, "request")).rejects.toThrow(/does not exceed 123/);
    await state.recordAttempt(2n ** 63n - 1n, "request");
    expect((await reopen(state, file)).lastAttempted).toBe(2n ** 63n - 1n);
  });

  test("an attempt that is under way has no outcome to report, and no other one begins beside it", async () => {
    const file = await stateFile();
    const state = await open(file);
    await state.recordAttempt(5n, "request");
    await expect(state.reportAgain("request")).rejects.toThrow(/generation 5 is being installed/);
    await expect(state.recordAttempt(6n, "request")).rejects.toThrow(/generation 5 is being installed/);
    expect(state.pendingOutcome).toBeUndefined();
    expect(JSON.parse(await readFile(file, "utf8")).attempt).toMatchObject({ generation: "5", phase: "installing" });
    await state.recordOutcome("broken");
    expect(state.pendingOutcome).toMatchObject({ generation: 5n, error: "broken" });
  });

  test("an outcome can be reported again to a server that lost it", async () => {
    const file = await stateFile();
    const state = await open(file);
    await state.recordAttempt(5n, "request");
    await state.recordOutcome("broken");
    await state.recordAccepted();
    await state.reportAgain("request");
    expect((await reopen(state, file)).pendingOutcome).toMatchObject({ generation: 5n, error: "broken" });
  });

  test("an agent that was killed in mid-install has failed, and says so", async () => {
    const file = await stateFile();
    const { agent } = await startInstallingAgent(file, machineId, "echo installing; sleep 600");
    await killOutright(agent);
    const state = await open(file);
    expect(state.pendingOutcome).toMatchObject({
      generation: 7n,
      error: "agent restarted while generation 7 was being installed",
    });
    await expect(state.recordAttempt(7n, "request")).rejects.toThrow(InstallStateError);
    expect((await reopen(state, file)).pendingOutcome?.error).toMatch(/agent restarted/);
  });
});

describe("an attempt of which no end was seen", () => {
  test.each([
    ["this boot", "boot 1", /: the installer may still write to the disk, so this agent installs nothing else until/],
    ["an earlier boot", "boot 2", /^agent restarted while generation 7 was being installed$/],
  ])("in %s has failed, and the report says what that means", async (_when, bootId, error) => {
    const file = await stateFile();
    const before = await open(file, "boot 1");
    await before.recordAttempt(7n, "request", "boot 1");
    before.close();
    const state = await open(file, bootId);
    expect(state.pendingOutcome?.error).toMatch(error);
    expect(state.hanging).toEqual({ generation: 7n, bootId: "boot 1" });
    await state.recordAccepted();
    await state.recordRefusal(8n, "request", "not now");
    expect(state.hanging).toEqual({ generation: 7n, bootId: "boot 1" });
  });

  test("is not one whose end was seen", async () => {
    const file = await stateFile();
    let state = await open(file);
    await state.recordAttempt(7n, "request", "boot 1");
    await state.recordOutcome("no disk");
    expect(state.hanging).toBeUndefined();
    state.close();
    state = await open(file);
    expect(state.hanging).toBeUndefined();
  });
});

describe("the file", () => {
  test("holds the newest state, whichever of several writes at once ends first", async () => {
    const file = await stateFile();
    const state = await open(file);
    await state.recordAttempt(7n, "request", "boot 1");
    await state.recordOutcome(undefined);
    const writes = [state.recordAccepted(), state.recordAfterInstallHang({ generation: 7n, bootId: "boot 1" })];
    for (let start = 0; start < 20; start++) writes.push(state.recordAfterInstallStart("boot 1"));
    await Promise.all([...writes, state.recordAfterInstallEnd()]);
    expect(JSON.parse(await readFile(file, "utf8")).attempt).toEqual({
      ...{ generation: "7", request: "request", phase: "reported", afterInstall: "over" },
    });
  });

  test("is held by one process, and free once that one was killed", async () => {
    const file = await stateFile();
    const { agent } = await startInstallingAgent(file, machineId, "echo installing; sleep 600");
    await expect(openInstallState(file, machineId)).rejects.toThrow(/in use by another agent/);
    await killOutright(agent);
    expect((await open(file)).lastAttempted).toBe(7n);
  });

  test("is held once within a process", async () => {
    const file = await stateFile();
    await open(file);
    await expect(openInstallState(file, machineId)).rejects.toThrow(/in use by another agent/);
  });

  test.each(["there already", "not there yet"])("%s that a link leads to is the same file", async (when) => {
    const file = await stateFile();
    const link = join(await temporaryFolder(), "link.json");
    await symlink(file, link);
    if (when === "there already") (await open(file)).close();
    const state = await open(link);
    await expect(openInstallState(file, machineId)).rejects.toThrow(/in use by another agent/);
    await state.recordAttempt(7n, "request");
    state.close();
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await open(file)).lastAttempted).toBe(7n);
  });

  test.each([
    ["empty", ""],
    ["cut off", `{"machineId":"${machineId}","attempt":{"gener`],
    ["zeros", "\0".repeat(64)],
    ["of another shape", `{"machineId":"${machineId}","attempt":"7"}`],
    ["of another shape, with more in it", `{"machine":"${machineId}","lastAttempted":"7"}`],
    ["without a phase", `{"machineId":"${machineId}","attempt":{"generation":"7","request":"request"}}`],
    [
      "with a generation that is a number",
      `{"machineId":"${machineId}","attempt":{"generation":7,"request":"request","phase":"done"}}`,
    ],
  ])("that is %s is refused as it is, not guessed at", async (_how, content) => {
    const file = await stateFile();
    await writeFile(file, content);
    await expect(openInstallState(file, machineId)).rejects.toThrow(InstallStateError);
    await expect(openInstallState(file, machineId)).rejects.toThrow(/is damaged.*restore it, or delete it when/);
    expect(await readFile(file, "utf8")).toBe(content);
  });

  test.each([
    ["beside an attempt", `{"machineId":"${machineId}","someday":{}}`],
    [
      "in an attempt",
      `{"machineId":"${machineId}","attempt":{"generation":"7","request":"request","phase":"done","someday":1}}`,
    ],
  ])("of a newer agent, with more %s, is refused as that and kept", async (_where, content) => {
    const file = await stateFile();
    await writeFile(file, content);
    await expect(openInstallState(file, machineId)).rejects.toThrow(
      `${file} is of a newer version of the agent, which stores someday: run that version or a later one`,
    );
    expect(await readFile(file, "utf8")).toBe(content);
  });

  test("of another machine is refused", async () => {
    const file = await stateFile();
    (await openInstallState(file, otherMachineId)).close();
    await expect(openInstallState(file, machineId)).rejects.toThrow(`the state of machine ${otherMachineId}`);
  });

  test("that cannot be written is refused before anything depends on it", async () => {
    const folder = await temporaryFolder();
    await expect(openInstallState(join(folder, "absent", "state.json"), machineId)).rejects.toThrow(InstallStateError);
    await mkdir(join(folder, "state.json"));
    await expect(openInstallState(join(folder, "state.json"), machineId)).rejects.toThrow(InstallStateError);
  });

  test("is replaced as a whole, and leaves nothing beside it but its lock", async () => {
    const file = await stateFile();
    const state = await open(file);
    await state.recordAttempt(1n, "request");
    await state.recordOutcome(undefined);
    expect((await readdir(join(file, ".."))).sort()).toEqual(["state.json", "state.json.lock"]);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
      machineId,
      attempt: { generation: "1", request: "request", phase: "done" },
    });
  });
});
