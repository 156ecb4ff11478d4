import { randomUUID } from "node:crypto";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { osInstallationRequest } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { type MovableState, moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, readTags, requestInstallation, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { decodeRequest } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const viewer = await tokenOf(database.db, "viewer");
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);

/** A machine whose installation of generation 1 is where `state` says. */
async function machineWhereItIs(state: MovableState): Promise<string> {
  const machineId = await bareMachine(database.db);
  const userData = Buffer.from("#cloud-config");
  const target = { type: { case: "image", value: { ...testImage, userData } } } as const;
  await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
  await moveInstallation(database.db, machineId, 1n, state);
  return machineId;
}

const replaceRequest = (machineId: string, request: Uint8Array) =>
  database.db.update(osInstallationRequest).set({ request }).where(eq(osInstallationRequest.machineId, machineId));

const requested = async (machineId: string) =>
  (await readTags(database, machineId)).history.filter(({ kind }) => kind === "installation_requested");

test("requests what failed once more, user data included, under the next generation", async () => {
  const machineId = await machineWhereItIs("failed");
  const { installation } = await installations.retryInstallation({ machineId, expectedGeneration: 1n });
  expect(installation).toMatchObject({
    generation: 2n,
    state: InstallationState.PENDING,
    requester: `token:${operator.name}`,
    target: { type: { case: "image", value: testImage } },
  });
  const stored = decodeRequest(await readInstallation(database, machineId, 2n));
  expect(toJson(OSInstallationRequestSchema, stored)).toEqual({
    generation: "2",
    image: { ...testImage, userData: Buffer.from("#cloud-config").toString("base64") },
  });
  expect((await requested(machineId)).at(-1)).toMatchObject({
    actor: `token:${operator.name}`,
    detail: { generation: "2", retryOf: "1" },
  });
  expect(await readInstallation(database, machineId, 1n)).toMatchObject({ result: "error", supersededAt: null });
});

test("supersedes an overdue one", async () => {
  const machineId = await machineWhereItIs("overdue");
  expect((await installations.retryInstallation({ machineId })).installation?.generation).toBe(2n);
  expect((await readInstallation(database, machineId, 1n)).supersededAt).not.toBeNull();
  expect((await requested(machineId)).at(-1)?.detail).toEqual({ generation: "2", retryOf: "1", supersedes: "1" });
});

test("keeps what only a newer server knows of the request", async () => {
  const machineId = await machineWhereItIs("failed");
  const request = create(OSInstallationRequestSchema, { generation: 1n });
  request.$unknown = [{ no: 18, wireType: 2, data: new Uint8Array([2, 8, 1]) }];
  await replaceRequest(machineId, toBinary(OSInstallationRequestSchema, request));
  await installations.retryInstallation({ machineId });
  const stored = decodeRequest(await readInstallation(database, machineId, 2n));
  expect(stored.generation).toBe(2n);
  expect(stored.$unknown?.map(({ no, data }) => [no, [...data]])).toEqual([[18, [2, 8, 1]]]);
});

describe("is refused", () => {
  test.each(["given", "installing", "succeeded", "cancelled"] as const)("for one that is %s", async (state) => {
    const machineId = await machineWhereItIs(state);
    const error = await errorOf(installations.retryInstallation({ machineId }));
    expect(error).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_NOT_RETRYABLE machines/${machineId}/installations/1`],
    });
    expect(error.message).toContain(`is in the state ${state}`);
    expect(await requested(machineId)).toHaveLength(1);
  });

  test("for a pending one, and for a failed one with a newer one after it", async () => {
    const machineId = await machineWhereItIs("failed");
    await requestInstallation(database.db, machineId);
    expect(await errorOf(installations.retryInstallation({ machineId }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_NOT_RETRYABLE machines/${machineId}/installations/2`],
    });
  });

  test("when the newest is not the expected one", async () => {
    const machineId = await machineWhereItIs("failed");
    const error = await errorOf(installations.retryInstallation({ machineId, expectedGeneration: 2n }));
    expect(error).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_NOT_NEWEST machines/${machineId}/installations/2`],
    });
  });

  test.each([
    ["bytes that are no message", Buffer.from([0xff])],
    ["a message without a type", Buffer.from([0x08, 0x01])],
  ])("for a stored request that is %s, and says so", async (_, bytes) => {
    const machineId = await machineWhereItIs("failed");
    await replaceRequest(machineId, bytes);
    const error = await errorOf(installations.retryInstallation({ machineId }));
    expect(error).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`REQUEST_UNREADABLE machines/${machineId}/installations/1`],
    });
    expect(error.message).toContain("cannot be decoded");
    expect(await requested(machineId)).toHaveLength(1);
  });

  test("for a machine without installations, without existence, or without an id", async () => {
    const machineId = await bareMachine(database.db);
    expect(await codeOf(installations.retryInstallation({ machineId }))).toBe("NotFound");
    expect(await codeOf(installations.retryInstallation({ machineId: randomUUID() }))).toBe("NotFound");
    const wrong = installations.retryInstallation({ machineId: "nope", expectedGeneration: -1n, requestId: "nope" });
    expect(await errorOf(wrong)).toMatchObject({
      code: "InvalidArgument",
      fields: ["machine_id", "expected_generation", "request_id"],
    });
  });
});

test("is for operators", async () => {
  const machineId = await machineWhereItIs("failed");
  const nobody = adminClient(InstallationService, server.adminUrl);
  const looker = adminClient(InstallationService, server.adminUrl, viewer.secret);
  expect(await codeOf(nobody.retryInstallation({ machineId }))).toBe("Unauthenticated");
  expect(await codeOf(looker.retryInstallation({ machineId }))).toBe("PermissionDenied");
  expect(await requested(machineId)).toHaveLength(1);
});

test("calls with one request id retry once, at the same time and later", async () => {
  const machineId = await machineWhereItIs("failed");
  const call = { machineId, requestId: randomUUID() };
  const answers = await Promise.all(Array.from({ length: 4 }, () => installations.retryInstallation(call)));
  answers.push(await installations.retryInstallation(call));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await requested(machineId)).toHaveLength(2);
});

test("of operators who retry at once, one does and the others are told", async () => {
  const machineId = await machineWhereItIs("failed");
  const calls = Array.from({ length: 4 }, () => codeOf(installations.retryInstallation({ machineId })));
  expect((await Promise.all(calls)).toSorted()).toEqual([
    "FailedPrecondition",
    "FailedPrecondition",
    "FailedPrecondition",
    "ok",
  ]);
  expect(await requested(machineId)).toHaveLength(2);
});
