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
    expect(await program.exited).toBe(10);
    expect(program.output.stderr.split("\n").slice(-2)).toEqual([said, ""]);
    expect(program.output.stderr).not.toMatch(/^ +at /m);
  });
});
