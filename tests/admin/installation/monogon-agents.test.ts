/** Images are not asked for of agents that may not know them: Monogon agents report an error and reboot. */
import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { grpcAgent, type HeartbeatInit, type TestAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { success } from "../../support/fleet.ts";
import { findInstallation, moveInstallation } from "../../support/installation.ts";
import {
  machineWithAgent,
  replaceAgentKey,
  requestInstallation,
  type TestMachine,
  testImage,
} from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { imageYaml, mistakesOf, newPublicKey, seedText } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const { secret } = await tokenOf(db, "operator");
const installations = adminClient(InstallationService, server.adminUrl, secret);
const operator: OperatorCommand = operatorCommand(server.adminUrl, secret);
let machine: TestMachine;
let agent: TestAgent;

beforeEach(async () => {
  machine = await machineWithAgent(db);
  agent = grpcAgent(server, machine.key);
  return () => agent[Symbol.dispose]();
});

const image = { type: { case: "image", value: testImage } } as const;
const osImage = { scheme: "https", host: "a", repository: "b", tag: "", digest: testImage.digest };
const metropolis = {
  type: { case: "metropolis", value: { nodeParameters: Uint8Array.of(8, 1), rootDevice: "sda", osImage } },
} as const;
const beat = (init: HeartbeatInit = {}) => agent.heartbeat({ machineId: machine.machineId, ...init });
const request = (more: { force?: boolean; target?: typeof image | typeof metropolis } = {}) =>
  errorOf(
    installations.requestInstallation({ uncheckedDisk: true, machineId: machine.machineId, target: image, ...more }),
  );
const retry = (force = false) => errorOf(installations.retryInstallation({ machineId: machine.machineId, force }));
const refused = () => ({
  code: "FailedPrecondition",
  preconditions: [`AGENT_TOO_OLD machines/${machine.machineId}/installations/1`],
  message: expect.stringMatching(/has never shown that it does.* or force it$/),
});
const done = { code: "ok" };

describe("an image", () => {
  test("is asked for of an agent that has never called: nobody can know", async () => {
    expect(await request()).toMatchObject(done);
  });

  test("is not asked for of an agent that has called like Monogon's, unless by force", async () => {
    await beat();
    await beat({ hardwareReport: { report: { serialNumber: "1" } } });
    expect(await request()).toMatchObject(refused());
    expect(await findInstallation(database, machine.machineId, 1n)).toBeUndefined();
    expect(await request({ force: true })).toMatchObject(done);
    expect((await beat()).installationRequest?.type.case).toBe("image");
  });

  /** A heartbeat with a field of this number, which this server does not know. */
  const unknown = (no: number) => {
    const message = create(HeartbeatRequestSchema, { machineId: machine.machineId });
    message.$unknown = [{ no, wireType: 2, data: Uint8Array.of(0) }];
    return message;
  };

  test.each<[string, HeartbeatInit]>([
    ["its version", { agentVersion: "1.0" }],
    ["its boot id", { bootId: "a" }],
    ["an empty one", { bootId: "" }],
    ["progress", { installationProgress: { generation: 1n } }],
  ])("is asked for of an agent that has once sent %s", async (_what, init) => {
    await beat(init);
    await beat();
    expect(await request()).toMatchObject(done);
  });

  test("is asked for of an agent that has sent what only newer servers know, but not Monogon's own", async () => {
    await agent.heartbeat(unknown(4));
    expect(await request()).toMatchObject(refused());
    await agent.heartbeat(unknown(200));
    expect(await request()).toMatchObject(done);
  });

  test("is asked for once the key was replaced, since the new agent has not called", async () => {
    await beat();
    await replaceAgentKey(db, machine.machineId);
    expect(await request()).toMatchObject(done);
  });
});

test("a Metropolis node is asked for of any agent", async () => {
  await beat();
  expect(await request({ target: metropolis })).toMatchObject(done);
});

test("a retry asks for as much as the first time", async () => {
  await requestInstallation(db, machine.machineId);
  await beat();
  await beat({ installationReport: { generation: 1n, result: { case: "error", value: { error: "unknown type" } } } });
  const message = expect.stringMatching(/^installation 2 of machine .* needs an agent that knows images/);
  expect(await retry()).toMatchObject({ ...refused(), preconditions: [expect.stringMatching(/\/2$/)], message });
  expect(await retry(true)).toMatchObject(done);
});

test("a retry of a Metropolis node needs no force", async () => {
  await beat();
  await request({ target: metropolis });
  await beat();
  await moveInstallation(db, machine.machineId, 1n, "failed");
  expect(await retry()).toMatchObject(done);
  expect(await errorOf(beat(success(1n)))).toMatchObject(done);
});

test("the command line takes the same --force to request and to retry", async () => {
  await beat();
  const { machineId } = machine;
  const asked = ["install", "request", machineId, "--image", testImage.url, "--digest", testImage.digest];
  const wanted = [...asked, "--root-device", "sda", "--unchecked-disk"];
  const told = await operator.run(...wanted);
  expect([told.status, told.stderr]).toEqual([4, expect.stringContaining("never shown that it does")]);
  expect((await operator.run(...wanted, "--force")).status).toBe(0);
  await moveInstallation(db, machineId, 1n, "failed");
  expect((await operator.run("install", "retry", machineId)).status).toBe(4);
  expect((await operator.run("install", "retry", machineId, "--force")).status).toBe(0);
});

describe("a seed file", () => {
  const seed = (more: string, install = `image: ${imageYaml()}`) =>
    mistakesOf(() =>
      seedText(db, `machines: [{ id: ${machine.machineId}, ${more} install: { uncheckedDisk: true, ${install} } }]`),
    );

  test("is refused where it asks for an image, saying what to write, and seeds nothing", async () => {
    await beat();
    expect(await seed("")).toEqual([expect.stringMatching(/install\.image: needs an agent .* write force: true/)]);
    expect(await findInstallation(database, machine.machineId, 1n)).toBeUndefined();
    expect(await seed("", `force: true, image: ${imageYaml()}`)).toEqual([]);
    // Seeded again it asks for nothing new.
    expect(await seed("")).toEqual([]);
  });

  test("that brings another agent's key is taken", async () => {
    await beat();
    expect(await seed(`agent: { publicKey: ${machine.key.publicKeyHex} },`)).toHaveLength(1);
    expect(await seed(`agent: { publicKey: "${newPublicKey()}" },`)).toEqual([]);
  });
});
