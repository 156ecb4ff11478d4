import { randomUUID } from "node:crypto";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { InstallationState, type InstallationTargetSchema } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { adminRequest } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, readTags, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { decodeRequest } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const viewer = await tokenOf(database.db, "viewer");
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);

type TargetInit = MessageInitShape<typeof InstallationTargetSchema>;

const userData = Buffer.from("password: a-secret-of-ours");
const image = { ...testImage, userData };
const target: TargetInit = { type: { case: "image", value: image } };
const osImage = {
  scheme: "https",
  host: "registry.example:5000",
  repository: "metropolis/node",
  tag: "v1",
  digest: `sha256:${"cd".repeat(32)}`,
};
const metropolis = { nodeParameters: Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x61]), rootDevice: "nvme0n1", osImage };

const stored = async (machineId: string) =>
  toJson(OSInstallationRequestSchema, decodeRequest(await readInstallation(database, machineId, 1n)));
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);

test("stores what agents are given, with its user data, and answers without it", async () => {
  const machineId = await bareMachine(database.db);
  const { installation } = await installations.requestInstallation({
    uncheckedDisk: true,
    machineId: machineId.toUpperCase(),
    target,
  });
  expect(installation).toMatchObject({
    machineId,
    generation: 1n,
    state: InstallationState.PENDING,
    requester: `token:${operator.name}`,
    timesGiven: 0n,
    target: { type: { case: "image", value: testImage } },
  });
  expect(installation?.target?.type.value).not.toHaveProperty("userData");
  expect(await stored(machineId)).toEqual({
    generation: "1",
    image: { ...testImage, userData: userData.toString("base64") },
  });
  expect(await history(machineId)).toMatchObject([
    { kind: "installation_requested", actor: `token:${operator.name}`, detail: { generation: "1" } },
  ]);
});

test("stores a Metropolis node's request, and answers without its parameters", async () => {
  const machineId = await bareMachine(database.db);
  const { installation } = await installations.requestInstallation({
    uncheckedDisk: true,
    machineId,
    target: { type: { case: "metropolis", value: metropolis } },
  });
  expect(installation?.target?.type).toMatchObject({ case: "metropolis", value: { rootDevice: "nvme0n1", osImage } });
  expect(installation?.target?.type.value).toMatchObject({ nodeParameters: new Uint8Array() });
  const nodeParameters = metropolis.nodeParameters.toString("base64");
  expect(await stored(machineId)).toEqual({ generation: "1", metropolis: { ...metropolis, nodeParameters } });
});

test("takes the next generation, or a given one that grows", async () => {
  const machineId = await bareMachine(database.db);
  const request = async (generation = 0n) =>
    (await installations.requestInstallation({ uncheckedDisk: true, machineId, target, generation })).installation
      ?.generation;
  expect(await request()).toBe(1n);
  expect(await request(7n)).toBe(7n);
  expect(await request()).toBe(8n);
  expect(await errorOf(request(8n))).toMatchObject({
    code: "FailedPrecondition",
    preconditions: [`GENERATION_NOT_GROWING machines/${machineId}/installations/8`],
  });
  expect(await request(2n ** 63n - 1n)).toBe(2n ** 63n - 1n);
  expect((await errorOf(request())).code).toBe("FailedPrecondition");
});

describe("while another installation is open", () => {
  test("supersedes one that no agent was given, and says so in the history", async () => {
    const machineId = await bareMachine(database.db);
    await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
    await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
    const first = await installations.getInstallation({ machineId, generation: 1n });
    expect(first.installation?.state).toBe(InstallationState.SUPERSEDED);
    expect((await history(machineId)).map(({ detail }) => detail)).toEqual([
      { generation: "1" },
      { generation: "2", supersedes: "1" },
    ]);
  });

  test.each(["given", "installing", "overdue"] as const)("is refused when that is %s, unless told", async (state) => {
    const machineId = await bareMachine(database.db);
    await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
    await moveInstallation(database.db, machineId, 1n, state);
    expect(await errorOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_GIVEN machines/${machineId}/installations/1`],
    });
    expect((await installations.getInstallation({ machineId })).installation?.generation).toBe(1n);
    const told = await installations.requestInstallation({
      uncheckedDisk: true,
      machineId,
      target,
      supersedeGiven: true,
    });
    expect(told.installation).toMatchObject({ generation: 2n, state: InstallationState.PENDING });
    expect((await readInstallation(database, machineId, 1n)).supersededAt).not.toBeNull();
  });

  test.each(["succeeded", "failed", "cancelled"] as const)("is taken after one that %s", async (state) => {
    const machineId = await bareMachine(database.db);
    await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
    await moveInstallation(database.db, machineId, 1n, state);
    await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
    expect((await readInstallation(database, machineId, 1n)).supersededAt).toBeNull();
    expect((await history(machineId)).at(-1)?.detail).toEqual({ generation: "2" });
  });
});

describe("what is wrong with a request", () => {
  const imageWith = (fields: object): TargetInit => ({ type: { case: "image", value: { ...image, ...fields } } });
  const metropolisWith = (fields: object): TargetInit => ({
    type: { case: "metropolis", value: { ...metropolis, ...fields } },
  });
  const hostless = { ...osImage, host: "a b", repository: "", tag: "-x", digest: "" };

  test.each<[string[], TargetInit | undefined]>([
    [["target"], undefined],
    [["target.type"], {}],
    [["target.image.url"], imageWith({ url: "ftp://images.example/a" })],
    [["target.image.url"], imageWith({ url: "https://images.example:99999/a" })],
    [["target.image.url"], imageWith({ url: "https://images.example/\0" })],
    [["target.image.url", "target.image.digest"], imageWith({ url: "", digest: "abc" })],
    [["target.image.root_device"], imageWith({ rootDevice: "/dev/sda" })],
    [["target.image.root_device"], imageWith({ rootDevice: "../sda" })],
    [["target.image.root_device"], imageWith({ rootDevice: "sda1" })],
    [["target.metropolis.root_device"], metropolisWith({ rootDevice: "dm-0" })],
    [["target.image.user_data"], imageWith({ userData: Buffer.alloc(512 * 1024 + 1) })],
    [["target.metropolis.node_parameters"], metropolisWith({ nodeParameters: Buffer.of() })],
    [["target.metropolis.node_parameters"], metropolisWith({ nodeParameters: Buffer.from([0x0a, 0x05, 0x61]) })],
    [["target.metropolis.node_parameters"], metropolisWith({ nodeParameters: Buffer.from("0a02ffff", "hex") })],
    [["target.metropolis.os_image"], metropolisWith({ osImage: undefined })],
    [
      ["host", "repository", "tag", "digest"].map((name) => `target.metropolis.os_image.${name}`),
      metropolisWith({ osImage: hostless }),
    ],
  ])("is told field by field: %s (%#)", async (fields, wrong) => {
    const machineId = await bareMachine(database.db);
    const request = { machineId, ...(wrong && { target: wrong }) };
    const error = await errorOf(installations.requestInstallation(request));
    expect(error.code).toBe("InvalidArgument");
    expect([...new Set(error.fields)]).toEqual(fields);
    expect(await history(machineId)).toEqual([]);
  });

  test("is told of the machine and the generation as well", async () => {
    const machineId = await bareMachine(database.db);
    const request = { machineId, target };
    const wrong = async (fields: object) =>
      (await errorOf(installations.requestInstallation({ uncheckedDisk: true, ...request, ...fields }))).fields;
    expect(await wrong({ machineId: "nope" })).toEqual(["machine_id"]);
    expect(await wrong({ generation: -1n })).toEqual(["generation"]);
    expect(await wrong({ requestId: "nope" })).toEqual(["request_id"]);
    expect(
      await codeOf(installations.requestInstallation({ uncheckedDisk: true, ...request, machineId: randomUUID() })),
    ).toBe("NotFound");
  });
});

test("is for operators", async () => {
  const machineId = await bareMachine(database.db);
  const nobody = adminClient(InstallationService, server.adminUrl);
  const looker = adminClient(InstallationService, server.adminUrl, viewer.secret);
  expect(await codeOf(nobody.requestInstallation({ uncheckedDisk: true, machineId, target }))).toBe("Unauthenticated");
  expect(await codeOf(looker.requestInstallation({ uncheckedDisk: true, machineId, target }))).toBe("PermissionDenied");
  expect(await history(machineId)).toEqual([]);
});

describe("a request id", () => {
  test("makes one installation of calls at the same time and later ones, all with its answer", async () => {
    const machineId = await bareMachine(database.db);
    const call = { uncheckedDisk: true, machineId, target, requestId: randomUUID() };
    const answers = await Promise.all(Array.from({ length: 5 }, () => installations.requestInstallation(call)));
    await moveInstallation(database.db, machineId, 1n, "given");
    answers.push(await installations.requestInstallation(call));
    expect(new Set(answers.map(({ installation }) => installation?.generation))).toEqual(new Set([1n]));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await history(machineId)).toHaveLength(1);
  });

  test("is of one request only, and keeps no user data", async () => {
    const machineId = await bareMachine(database.db);
    const call = { uncheckedDisk: true, machineId, target, requestId: randomUUID() };
    await installations.requestInstallation(call);
    expect(await errorOf(installations.requestInstallation({ ...call, supersedeGiven: true }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["request_id"],
    });
    for (const { response } of await database.db.select().from(adminRequest)) {
      expect(Buffer.from(response).includes(userData)).toBe(false);
    }
  });
});

test("user data is in no line of the log and in no error", async () => {
  const secret = userData.toString();
  const encoded = userData.toString("base64");
  const machineId = await bareMachine(database.db);
  const messages: string[] = [];
  for (const fields of [{ digest: "abc" }, { rootDevice: secret.slice(0, 9) }]) {
    const wrong: TargetInit = { type: { case: "image", value: { ...image, ...fields } } };
    messages.push(
      (await errorOf(installations.requestInstallation({ uncheckedDisk: true, machineId, target: wrong }))).message,
    );
  }
  const json = JSON.stringify({ machineId, target: { image: { ...testImage, userData: `${encoded}!` } } });
  const answer = await fetch(`${server.adminUrl}/bmaas.admin.v1.InstallationService/RequestInstallation`, {
    method: "POST",
    headers: { authorization: `Bearer ${operator.secret}`, "content-type": "application/json" },
    body: json,
  });
  expect(answer.status).toBe(400);
  messages.push(await answer.text());
  const logged = JSON.stringify(server.logged);
  expect(server.logged.length).toBeGreaterThan(0);
  for (const text of [...messages, logged]) {
    expect(text).not.toContain("a-secret-of-ours");
    expect(text).not.toContain(encoded.slice(0, 20));
  }
});
