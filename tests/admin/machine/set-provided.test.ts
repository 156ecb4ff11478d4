import { randomUUID } from "node:crypto";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { type Machine, MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const actor = `token:${operator.name}`;
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

const names = () => ({ provider: "lab", providerId: randomUUID() });
const sinceMs = (machine: Machine | undefined) => timestampMs(machine?.stateTime as Timestamp);
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);

test("replaces what was said before as a whole, and keeps since when the machine is provided", async () => {
  const machineId = await bareMachine(database.db);
  const first = { ...names(), reservation: "r", address: "a", location: "l", status: ProviderStatus.RUNNING };
  const before = await machines.setProvided({ machineId, provided: first });
  expect(before.machine).toMatchObject({ state: MachineState.NO_AGENT, provided: first });
  const second = { ...names(), provider: "other" };
  const { machine } = await machines.setProvided({ machineId: machineId.toUpperCase(), provided: second });
  expect(machine?.provided).toMatchObject({
    ...second,
    reservation: "",
    address: "",
    location: "",
    status: ProviderStatus.UNSPECIFIED,
  });
  expect(machine?.stateTime).toEqual(before.machine?.stateTime);
  expect(await history(machineId)).toMatchObject([
    { kind: "machine_provided", actor, detail: { location: "l", status: "running" } },
    { kind: "machine_provided", actor, detail: { provider: "other", location: null, status: "unknown" } },
  ]);
});

test("takes it away, so that the machine is not provided from then on", async () => {
  const machineId = await bareMachine(database.db);
  const provided = names();
  const { machine: before } = await machines.setProvided({ machineId, provided });
  const { machine } = await machines.setProvided({ machineId });
  expect(machine).toMatchObject({ state: MachineState.NOT_PROVIDED });
  expect(machine?.provided).toBeUndefined();
  expect(sinceMs(machine)).toBeGreaterThan(sinceMs(before));
  expect((await history(machineId)).at(-1)).toMatchObject({ kind: "machine_unprovided", actor, detail: provided });
  // Its provider's id is free again.
  const other = await bareMachine(database.db);
  expect(await codeOf(machines.setProvided({ machineId: other, provided }))).toBe("ok");
});

test("records nothing when nothing changes", async () => {
  const machineId = await bareMachine(database.db);
  await machines.setProvided({ machineId });
  expect(await history(machineId)).toEqual([]);
  const provided = names();
  await machines.setProvided({ machineId, provided });
  await machines.setProvided({ machineId, provided });
  expect(await history(machineId)).toHaveLength(1);
});

test("refuses a provider's id of another machine, names that one, and changes nothing", async () => {
  const [holder, machineId] = [await bareMachine(database.db), await bareMachine(database.db)];
  const provided = names();
  await machines.setProvided({ machineId: holder, provided });
  expect(await errorOf(machines.setProvided({ machineId, provided }))).toMatchObject({
    code: "AlreadyExists",
    message: `lab ${provided.providerId} is machine ${holder}`,
    reasons: [`PROVIDER_ID_IN_USE ${holder}`],
  });
  expect((await machines.getMachine({ machineId })).machine?.provided).toBeUndefined();
});

test("of two machines that are given one provider's id at once, one gets it and the other is told", async () => {
  const ids = [await bareMachine(database.db), await bareMachine(database.db)];
  const provided = names();
  const results = await Promise.all(ids.map((machineId) => errorOf(machines.setProvided({ machineId, provided }))));
  const winner = ids[results.findIndex(({ code }) => code === "ok")];
  expect(results.filter(({ code }) => code !== "ok")).toMatchObject([{ reasons: [`PROVIDER_ID_IN_USE ${winner}`] }]);
});

test("refuses what is wrong, nobody, viewers, and machines that do not exist", async () => {
  const machineId = await bareMachine(database.db);
  const provided = names();
  const wrong = { machineId: "x", provided: { ...provided, provider: "" }, requestId: "x" };
  expect(await errorOf(machines.setProvided(wrong))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id", "provided.provider", "request_id"],
  });
  expect(await codeOf(machines.setProvided({ machineId: randomUUID(), provided }))).toBe("NotFound");
  expect(await codeOf(machines.setProvided({ machineId: randomUUID() }))).toBe("NotFound");
  const viewer = await tokenOf(database.db, "viewer");
  const looker = adminClient(MachineService, server.adminUrl, viewer.secret);
  expect(await codeOf(looker.setProvided({ machineId, provided }))).toBe("PermissionDenied");
  const nobody = adminClient(MachineService, server.adminUrl);
  expect(await codeOf(nobody.setProvided({ machineId, provided }))).toBe("Unauthenticated");
  expect(await history(machineId)).toEqual([]);
});

test("under one request id changes once, whatever was changed since", async () => {
  const machineId = await bareMachine(database.db);
  const call = { machineId, provided: { ...names(), location: "first" }, requestId: randomUUID() };
  const answer = await machines.setProvided(call);
  await machines.setProvided({ machineId, provided: { ...names(), location: "second" } });
  expect(await machines.setProvided(call)).toEqual(answer);
  expect((await machines.getMachine({ machineId })).machine?.provided?.location).toBe("second");
});
