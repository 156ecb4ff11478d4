/** `bmaas machines list --json` prints page by page what one document of all pages would be, byte for byte. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { ListMachinesResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { printableJson } from "../../../src/base/printable.ts";
import { messageToJson } from "../../../src/cli/operator/output.ts";
import { provided } from "../../../src/db/schema/index.ts";
import { bareMachine, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const { secret } = await tokenOf(db, "admin");
const command = operatorCommand(server.adminUrl, secret);
const client = adminClient(MachineService, server.adminUrl, secret);

/** More than two pages, one of them with what JSON and terminals escape. */
async function fillFleet(): Promise<void> {
  await db.$client.query("insert into machine (id) select gen_random_uuid() from generate_series(1, 2100)");
  const machineId = await bareMachine(db);
  await requestInstallation(db, machineId);
  const location = 'a"b\\c\u202e\u001b[31m\n"machines": []';
  await db.insert(provided).values({ machineId, provider: "p", providerId: machineId, location });
}

async function listAll(): Promise<Machine[]> {
  const machines: Machine[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listMachines({ pageSize: 1000, pageToken });
    machines.push(...page.machines);
    pageToken = page.nextPageToken;
    if (pageToken === "") return machines;
  }
}

async function expectDocument(args: string[], machines: Machine[]): Promise<void> {
  const { status, stdout } = await command.run("machines", "list", "--json", ...args);
  expect(status).toBe(0);
  const { watchToken } = JSON.parse(stdout) as { watchToken: string };
  expect(watchToken).not.toBe("");
  const whole = messageToJson(ListMachinesResponseSchema, create(ListMachinesResponseSchema, { machines, watchToken }));
  expect(stdout).toBe(`${printableJson(JSON.stringify(whole, undefined, 2))}\n`);
}

test("of no machines, of some, and of several pages", async () => {
  await expectDocument([], []);
  await fillFleet();
  const machines = await listAll();
  expect(machines).toHaveLength(2101);
  await expectDocument([], machines);
  for (const limit of [1, 1000, 1001, 2101]) await expectDocument(["--limit", String(limit)], machines.slice(0, limit));
  await expectDocument(["--selector", "provider=nobody"], []);
}, 120_000);
