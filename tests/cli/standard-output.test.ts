/** A command whose standard output cannot be written says so in one line, and ends with a status of its own. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { TestDatabase } from "../support/database.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startProgram } from "../support/program.ts";
import { startServerWithDatabase, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let machineId: string;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  const { secret } = await tokenOf(database.db, "admin");
  const { machine } = await adminClient(MachineService, server.adminUrl, secret).createMachine({
    requestId: randomUUID(),
  });
  machineId = machine?.id ?? "";
});

const said = "bmaas: standard output takes no more, so it is not whole: ENOSPC: no space left on device, write";
/** Linux's file that is a full disk. */
const full = "/dev/full";

/** Machines at a place of their own, more than a command changes at once. */
async function makePlace(secret: string): Promise<string> {
  const location = `place-${randomUUID().slice(0, 8)}`;
  const machines = adminClient(MachineService, server.adminUrl, secret);
  for (let at = 0; at < 30; at++) {
    const provided = { provider: "lab", providerId: randomUUID(), location };
    await machines.createMachine({ requestId: randomUUID(), provided });
  }
  return location;
}

test.each([
  ["has no reader", undefined, 0],
  ["is a full disk", full, 11],
])("a change of many machines goes on to its end when its output %s", async (_what, stdoutFile, status) => {
  if (stdoutFile !== undefined && !existsSync(stdoutFile)) return;
  const { secret } = await tokenOf(database.db, "admin");
  const location = await makePlace(secret);
  const environment = { BMAAS_ADMIN_URL: server.adminUrl, BMAAS_ADMIN_TOKEN: secret };
  const args = ["machines", "delete", "--yes", "--selector", `location=${location}`];
  const program = startProgram(args, { environment, ...(stdoutFile && { stdoutFile }) });
  onTestFinished(() => void program.child.kill("SIGKILL"));
  program.child.stdout?.destroy();
  expect(await program.exited).toBe(status);
  const left = await adminClient(MachineService, server.adminUrl, secret).listMachines({ filter: { location } });
  expect(left.machines).toEqual([]);
});

describe.skipIf(!existsSync(full))("on a full disk", () => {
  test.each([
    "--help",
    "--version",
    "completion bash",
    "machines list",
    "machines list --json",
    "machines get --json ID",
    "machines create --id NEW",
    "machines watch",
    "machines watch --json",
    "status",
    "history ID",
  ])("bmaas %s", async (line) => {
    const { secret } = await tokenOf(database.db, "admin");
    const environment = { BMAAS_ADMIN_URL: server.adminUrl, BMAAS_ADMIN_TOKEN: secret };
    const args = line.replace("ID", machineId).replace("NEW", randomUUID()).split(" ");
    const program = startProgram(args, { environment, stdoutFile: full });
    const machines = adminClient(MachineService, server.adminUrl, secret);
    // A watcher prints what happens.
    const happening = setInterval(() => void machines.createMachine({ requestId: randomUUID() }), 500);
    onTestFinished(() => clearInterval(happening));
    onTestFinished(() => void program.child.kill("SIGKILL"));
    expect(await program.exited).toBe(11);
    expect(program.output.stderr.split("\n").slice(-2)).toEqual([said, ""]);
    expect(program.output.stderr).not.toMatch(/^ +at /m);
  });
});
