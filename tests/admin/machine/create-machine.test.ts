import { randomUUID } from "node:crypto";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machine as machineTable } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

const provided = () => ({ provider: "lab", providerId: randomUUID(), location: "basement" });
const history = async (machineId: string) => (await readTags(database, machineId)).history;
const countMachines = () => database.db.$count(machineTable);

test("creates a machine under a given id, in lower case, and records who did", async () => {
  const machineId = randomUUID();
  const { machine } = await machines.createMachine({ machineId: machineId.toUpperCase() });
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NOT_PROVIDED });
  expect(machine?.createTime).toEqual(machine?.stateTime);
  expect(await history(machineId)).toMatchObject([
    { kind: "machine_created", actor: `token:${operator.name}`, detail: {} },
  ]);
});

test("makes an id when none is given, and takes what the provider says", async () => {
  const said = { ...provided(), reservation: "r1", address: "192.0.2.1", status: ProviderStatus.RUNNING };
  const { machine } = await machines.createMachine({ provided: said });
  expect(machine).toMatchObject({ state: MachineState.NO_AGENT, provided: said });
  const machineId = machine?.id ?? "";
  expect(await machines.getMachine({ machineId })).toMatchObject({ machine: { id: machineId, provided: said } });
  expect((await history(machineId)).map(({ kind }) => kind)).toEqual(["machine_created", "machine_provided"]);
});

describe("refuses", () => {
  test("an id that exists, and says so to programs", async () => {
    const machineId = randomUUID();
    await machines.createMachine({ machineId });
    expect(await errorOf(machines.createMachine({ machineId }))).toMatchObject({
      code: "AlreadyExists",
      message: `machine ${machineId} already exists`,
      reasons: [`MACHINE_EXISTS ${machineId}`],
    });
    expect(await history(machineId)).toHaveLength(1);
  });

  test("a provider's id of another machine, names that one, and creates nothing", async () => {
    const said = provided();
    const { machine: holder } = await machines.createMachine({ provided: said });
    const machineId = randomUUID();
    const error = await errorOf(machines.createMachine({ machineId, provided: said }));
    expect(error).toMatchObject({ code: "AlreadyExists", reasons: [`PROVIDER_ID_IN_USE ${holder?.id}`] });
    expect(error.message).toContain(holder?.id);
    expect(await database.db.select().from(machineTable).where(eq(machineTable.id, machineId))).toEqual([]);
    expect(await history(machineId)).toEqual([]);
  });

  test.each([
    [["machine_id"], { machineId: "4b9f3a52" }],
    [["request_id"], { requestId: "again" }],
    [["provided.provider", "provided.provider_id"], { provided: {} }],
    [["provided.provider"], { provided: { ...provided(), provider: "a\0b" } }],
    [["provided.location"], { provided: { ...provided(), location: " am6" } }],
    [["provided.address"], { provided: { ...provided(), address: "a".repeat(256) } }],
    [["provided.status"], { provided: { ...provided(), status: 99 as ProviderStatus } }],
  ])("what is wrong, field by field: %s (%#)", async (fields, request) => {
    const before = await countMachines();
    const error = await errorOf(machines.createMachine(request));
    expect(error.code).toBe("InvalidArgument");
    expect([...new Set(error.fields)]).toEqual(fields);
    expect(await countMachines()).toBe(before);
  });

  test("a text that is not one plain line, in words and not by a pattern", async () => {
    const said = { ...provided(), provider: "a\0b", location: " am6" };
    const plain = "must neither contain control characters nor begin or end with a space";
    expect((await errorOf(machines.createMachine({ provided: said }))).message).toBe(
      `provided.provider: ${plain}; provided.location: ${plain}`,
    );
  });

  test("nobody and viewers", async () => {
    const before = await countMachines();
    const viewer = await tokenOf(database.db, "viewer");
    const looker = adminClient(MachineService, server.adminUrl, viewer.secret);
    expect(await codeOf(adminClient(MachineService, server.adminUrl).createMachine({}))).toBe("Unauthenticated");
    expect(await codeOf(looker.createMachine({}))).toBe("PermissionDenied");
    expect(await countMachines()).toBe(before);
  });
});

test("calls at once and again under one request id make one machine", async () => {
  const request = { provided: provided(), requestId: randomUUID() };
  const answers = await Promise.all(Array.from({ length: 4 }, () => machines.createMachine(request)));
  answers.push(await machines.createMachine(request));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await history(answers[0]?.machine?.id ?? "")).toHaveLength(2);
});

test("of operators who create one machine at once, one does and the others are told", async () => {
  const machineId = randomUUID();
  const codes = await Promise.all(Array.from({ length: 4 }, () => codeOf(machines.createMachine({ machineId }))));
  expect(codes.toSorted()).toEqual(["AlreadyExists", "AlreadyExists", "AlreadyExists", "ok"]);
  expect(await history(machineId)).toHaveLength(1);
});
