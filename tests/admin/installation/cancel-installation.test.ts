import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, readTags, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const viewer = await tokenOf(database.db, "viewer");
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);

async function machineWithRequest(): Promise<string> {
  const machineId = await bareMachine(database.db);
  await requestInstallation(database.db, machineId);
  return machineId;
}

const cancellations = async (machineId: string) =>
  (await readTags(database, machineId)).history.filter(({ kind }) => kind === "installation_cancelled");

test("takes a request back that no agent was given, once", async () => {
  const machineId = await machineWithRequest();
  const { installation } = await installations.cancelInstallation({ machineId });
  expect(installation).toMatchObject({ generation: 1n, state: InstallationState.CANCELLED });
  expect(installation?.endTime).toBeDefined();
  const stored = await readInstallation(database, machineId, 1n);
  expect(stored).toMatchObject({ cancelledBy: `token:${operator.name}`, firstGivenAt: null });
  expect(await installations.cancelInstallation({ machineId, expectedGeneration: 1n })).toEqual(
    await installations.cancelInstallation({ machineId }),
  );
  expect((await readInstallation(database, machineId, 1n)).cancelledAt).toEqual(stored.cancelledAt);
  expect(await cancellations(machineId)).toMatchObject([
    { actor: `token:${operator.name}`, detail: { generation: "1" } },
  ]);
});

describe("is refused", () => {
  test.each([
    ["given", "INSTALLATION_GIVEN"],
    ["installing", "INSTALLATION_GIVEN"],
    ["overdue", "INSTALLATION_GIVEN"],
    ["succeeded", "INSTALLATION_ENDED"],
    ["failed", "INSTALLATION_ENDED"],
  ] as const)("for one that is %s", async (state, obstacle) => {
    const machineId = await machineWithRequest();
    await moveInstallation(database.db, machineId, 1n, state);
    expect(await errorOf(installations.cancelInstallation({ machineId }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`${obstacle} machines/${machineId}/installations/1`],
    });
    expect((await readInstallation(database, machineId, 1n)).cancelledAt).toBeNull();
    expect(await cancellations(machineId)).toEqual([]);
  });

  test("for one that was superseded, whose successor stays", async () => {
    const machineId = await machineWithRequest();
    await requestInstallation(database.db, machineId);
    const error = await errorOf(installations.cancelInstallation({ machineId, expectedGeneration: 1n }));
    expect(error).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_ENDED machines/${machineId}/installations/1`],
    });
    expect(error.message).toContain("superseded");
    expect((await readInstallation(database, machineId, 2n)).cancelledAt).toBeNull();
  });

  test("for a generation, an installation or a machine that does not exist", async () => {
    const machineId = await machineWithRequest();
    const cancel = (fields: object) => errorOf(installations.cancelInstallation(fields));
    expect((await cancel({ machineId, expectedGeneration: 2n })).code).toBe("NotFound");
    expect((await cancel({ machineId: await bareMachine(database.db) })).code).toBe("NotFound");
    expect((await cancel({ machineId: randomUUID() })).code).toBe("NotFound");
    expect(await cancel({ machineId: "nope", expectedGeneration: -1n, requestId: "nope" })).toMatchObject({
      code: "InvalidArgument",
      fields: ["machine_id", "expected_generation", "request_id"],
    });
  });
});

test("an earlier one that was cancelled is still cancelled after a newer request", async () => {
  const machineId = await machineWithRequest();
  await installations.cancelInstallation({ machineId });
  await requestInstallation(database.db, machineId);
  const { installation } = await installations.cancelInstallation({ machineId, expectedGeneration: 1n });
  expect(installation).toMatchObject({ generation: 1n, state: InstallationState.CANCELLED });
  expect((await readInstallation(database, machineId, 2n)).cancelledAt).toBeNull();
});

test("is for operators", async () => {
  const machineId = await machineWithRequest();
  const nobody = adminClient(InstallationService, server.adminUrl);
  const looker = adminClient(InstallationService, server.adminUrl, viewer.secret);
  expect(await codeOf(nobody.cancelInstallation({ machineId }))).toBe("Unauthenticated");
  expect(await codeOf(looker.cancelInstallation({ machineId }))).toBe("PermissionDenied");
  expect((await readInstallation(database, machineId, 1n)).cancelledAt).toBeNull();
});

test("a call with a request id is answered the same after a newer request was made", async () => {
  const machineId = await machineWithRequest();
  const call = { machineId, requestId: randomUUID() };
  const answers = await Promise.all(Array.from({ length: 4 }, () => installations.cancelInstallation(call)));
  await requestInstallation(database.db, machineId);
  answers.push(await installations.cancelInstallation(call));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect((await readInstallation(database, machineId, 2n)).cancelledAt).toBeNull();
  expect(await cancellations(machineId)).toHaveLength(1);
});
