/** What `npm run check:contract` refuses: whatever breaks agents or operators' programs that are in the field. */
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, inject, it } from "vitest";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const agents = "proto/cloud/bmaas/server/api/agent.proto";
const machines = "proto/bmaas/admin/v1/machine_service.proto";
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(inject("testFolder"), "contract-"));
  for (const name of ["buf.yaml", "proto"]) await cp(join(repository, name), join(folder, name), { recursive: true });
});

async function edit(file: string, from: RegExp, to: string): Promise<void> {
  const text = await readFile(join(folder, file), "utf8");
  expect(text).toMatch(from);
  await writeFile(join(folder, file), text.replace(from, to));
}

function compare(): { status: number | null; stdout: string } {
  const released = join(repository, "tools/released-contract.binpb");
  const buf = join(repository, "node_modules/.bin/buf");
  return spawnSync(buf, ["breaking", "--against", released], { cwd: folder, encoding: "utf8" });
}

describe("the contract of the last release", () => {
  it("is kept by this one", () => {
    expect(compare()).toMatchObject({ status: 0, stdout: "" });
  });

  it("lets a message gain a field", async () => {
    await edit(agents, /message HeartbeatResponse \{/, "$&\n  string news = 1000;");
    expect(compare()).toMatchObject({ status: 0, stdout: "" });
  });

  it.each([
    ["a field that changes its type", agents, /string machine_id = 1/, "bytes machine_id = 1", "machine_id"],
    ["a field that changes its name, which is in JSON", agents, /string machine_id = 1/, "string id = 1", "machine_id"],
    ["a method that is renamed, which is in paths", agents, /rpc Heartbeat\(/, "rpc Beat(", "Heartbeat"],
    ["a package that is renamed", agents, /package cloud\.bmaas\.server\.api;/, "package cloud.bmaas;", "api"],
    ["a service that is renamed", machines, /service MachineService/, "service MachinesService", "MachineService"],
  ])("refuses %s", async (_what, file, from, to, named) => {
    await edit(file, from, to);
    expect(compare()).toMatchObject({ status: 100, stdout: expect.stringContaining(named) });
  });
});
