/** `bmaas install` as an operator runs it, off a terminal. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { grpcAgent } from "../../support/agents.ts";
import type { TestDatabase } from "../../support/database.ts";
import { findInstallation, moveInstallation } from "../../support/installation.ts";
import {
  bareMachine,
  machineWithAgent,
  replaceAgentKey,
  requestInstallation,
  testImage,
} from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { makeFolder } from "../../support/program.ts";
import { startServerWithDatabase, type TestServer } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait.ts";

let database: TestDatabase;
let server: TestServer;
let operator: OperatorCommand;
let actor: string;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  const { name, secret } = await tokenOf(database.db, "operator");
  actor = `token:${name}`;
  operator = operatorCommand(server.adminUrl, secret);
});

const image = [
  "--image",
  testImage.url,
  "--digest",
  testImage.digest,
  "--root-device",
  testImage.rootDevice,
  "--unchecked-disk",
];

async function readRequest(machineId: string, generation = 1n) {
  const row = await findInstallation(database, machineId, generation);
  return row && { ...row, decoded: fromBinary(OSInstallationRequestSchema, new Uint8Array(row.request)).type };
}

describe("request", () => {
  test("asks for an image with user data, under the next generation or the given one", async () => {
    const machineId = await bareMachine(database.db);
    const userData = join(await makeFolder(), "user-data");
    await writeFile(userData, "#cloud-config\n");
    const { status, stdout } = await operator.run("install", "request", machineId, ...image, "--user-data", userData);
    expect([status, stdout]).toEqual([0, `${machineId}  generation 1 pending: waiting for a heartbeat\n`]);
    expect(await readRequest(machineId)).toMatchObject({
      requestedBy: actor,
      decoded: { case: "image", value: { ...testImage, userData: Uint8Array.from(Buffer.from("#cloud-config\n")) } },
    });
    const second = await operator.json("install", "request", machineId, ...image, "--generation", "9007199254740993");
    expect(second.installation).toMatchObject({ machineId, generation: "9007199254740993" });
  });

  test("asks for a Metropolis node", async () => {
    const machineId = await bareMachine(database.db);
    const parameters = join(await makeFolder(), "node.bin");
    await writeFile(parameters, Uint8Array.of(8, 1));
    const reference = `registry.example:5000/metropolis/node:v1@${testImage.digest}`;
    const target = [
      "--metropolis",
      reference,
      "--root-device",
      "nvme0n1",
      "--unchecked-disk",
      "--node-parameters",
      parameters,
    ];
    expect(await operator.run("install", "request", machineId, ...target)).toMatchObject({ status: 0 });
    expect((await readRequest(machineId))?.decoded).toMatchObject({
      case: "metropolis",
      value: {
        rootDevice: "nvme0n1",
        nodeParameters: Uint8Array.of(8, 1),
        osImage: {
          scheme: "https",
          host: "registry.example:5000",
          repository: "metropolis/node",
          tag: "v1",
          digest: testImage.digest,
        },
      },
    });
  });

  test("is refused with 4 while an agent has another one, unless told, and says so", async () => {
    const machineId = await bareMachine(database.db);
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "given");
    const refused = await operator.run("install", "request", machineId, ...image);
    expect(refused).toMatchObject({ status: 4, stdout: "", stderr: expect.stringMatching(/^bmaas: [^\n]+\n$/) });
    expect(await operator.run("install", "request", machineId, ...image, "--supersede")).toMatchObject({ status: 0 });
    expect(await readRequest(machineId, 2n)).toMatchObject({ requestedBy: actor });
  });

  test("names everything that is missing, and what is wrong, with 2", async () => {
    const machineId = await bareMachine(database.db);
    const [missing, wrong] = await Promise.all([
      operator.run("install", "request", machineId),
      operator.run("install", "request", machineId, ...image.slice(0, 4), "--root-device", "/dev/sda"),
    ]);
    expect(missing).toEqual({
      status: 2,
      stdout: "",
      stderr:
        "bmaas: --image or --metropolis is missing\nbmaas: --digest is missing\nbmaas: --disk or --root-device is missing\n",
    });
    expect(wrong).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("is invalid. It is a path; write the device's name alone: sda."),
    });
  });
});

describe("--wait", () => {
  test("tells the progress in lines, and ends with 7 and the reason when it fails", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    const waiting = operator.start("install", "request", machineId, ...image, "--wait", "--json");
    await waitUntil("it is requested", () => readRequest(machineId));
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId });
    const phase = "writing \u001b[31m";
    await agent.heartbeat({ machineId, installationProgress: { generation: 1n, phase, percent: 40 } });
    await waitUntil("the progress is told", () => waiting.output.stderr.includes("40 %"));
    const error = "disk sda is\non fire";
    await agent.heartbeat({
      machineId,
      installationReport: { generation: 1n, result: { case: "error", value: { error } } },
    });
    expect(await waiting.exited).toBe(7);
    expect(JSON.parse(waiting.output.stdout)).toMatchObject({
      installation: { machineId, generation: "1", state: "INSTALLATION_STATE_FAILED", error },
    });
    const lines = waiting.output.stderr.trimEnd().split("\n");
    const start = `${machineId}  generation 1 `;
    expect(lines).toEqual(
      expect.arrayContaining([
        `${start} pending: waiting for a heartbeat`,
        `${start} installing: writing \\u{1b}[31m, 40 %`,
      ]),
    );
    expect(lines.at(-1)).toMatch(/^bmaas: generation 1 failed after \d+ s: disk sda is on fire$/);
  });

  test("tells what withholds the installation, as long as it is", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    for (const bootId of ["a", "b", "a"]) await agent.heartbeat({ machineId, bootId });
    const twice = "because two machines call with this machine's id and key";
    const request = await operator.run("install", "request", machineId, ...image);
    expect(request.stdout).toBe(`${machineId}  generation 1 pending: withheld, ${twice}\n`);
    const waiting = operator.start("install", "get", machineId, "--wait");
    const tells = (text: string) =>
      waitUntil(`it tells ${text}`, () =>
        waiting.output.stderr.split("\n").includes(`${machineId}  generation 1  pending: ${text}`),
      );
    await tells(`withheld, ${twice}`);
    await operator.run("machines", "hold", machineId, "--reason", "on a bench");
    await tells(`withheld, ${twice}, and because the machine is held`);
    const next = await replaceAgentKey(database.db, machineId);
    await tells("withheld, because the machine is held");
    const get = await operator.run("install", "get", machineId);
    expect(get.stdout).toMatch(/\nwithheld +because the machine is held\n/);
    await operator.run("machines", "release", machineId);
    await tells("waiting for a heartbeat");
    using successor = grpcAgent(server, next);
    await successor.heartbeat({ machineId });
    await successor.heartbeat({
      machineId,
      installationReport: { generation: 1n, result: { case: "success", value: {} } },
    });
    expect(await waiting.exited).toBe(0);
  });

  test("ends with 0 on success, 9 when it is superseded, and 8 when its time is over", async () => {
    const [succeeding, superseded, slow] = await Promise.all([
      bareMachine(database.db),
      bareMachine(database.db),
      bareMachine(database.db),
    ]);
    for (const machineId of [succeeding, superseded, slow]) await requestInstallation(database.db, machineId);
    await moveInstallation(database.db, succeeding, 1n, "succeeded");
    await requestInstallation(database.db, superseded);
    const [success, dropped, late] = await Promise.all([
      operator.run("install", "get", succeeding, "--wait"),
      operator.run("install", "get", superseded, "--generation", "1", "--wait"),
      operator.run("install", "get", slow, "--wait", "--timeout", "3s"),
    ]);
    expect(success).toMatchObject({ status: 0, stdout: expect.stringMatching(/\nstands +succeeded\n/) });
    expect(dropped).toMatchObject({ status: 9, stderr: expect.stringMatching(/bmaas: generation 1 superseded\n$/) });
    expect(late).toMatchObject({ status: 8, stderr: expect.stringMatching(/still after \d+ s; it continues\n$/) });
  });
});

test("a wait whose time is over while the server is away says that what came of it is unknown", async () => {
  await using proxy = await startTcpProxy(server.adminUrl);
  const { secret } = await tokenOf(database.db, "operator");
  const machineId = await bareMachine(database.db);
  await requestInstallation(database.db, machineId);
  const waiting = operatorCommand(proxy.url, secret).start("install", "get", machineId, "--wait", "--timeout", "8s");
  await waitUntil("it waits", () => waiting.output.stderr.includes("pending: waiting for a heartbeat"));
  await proxy.setMode("refuse");
  expect(await waiting.exited).toBe(8);
  expect(waiting.output.stderr).toMatch(
    /\nbmaas: generation 1 pending: waiting for a heartbeat, when the server was last reached; the wait ended after 8 s\n$/,
  );
});

test("a time to wait without --wait is refused before anything is requested", async () => {
  const machineId = await bareMachine(database.db);
  const given = await operator.run("install", "request", machineId, ...image, "--timeout", "5m");
  expect(given).toEqual({ status: 2, stdout: "", stderr: "bmaas: --timeout: has no use without --wait\n" });
  expect(await readRequest(machineId)).toBeUndefined();
});

test("cancel takes a pending one back, and is refused with 4 once an agent has it", async () => {
  const machineId = await bareMachine(database.db);
  const generation = await requestInstallation(database.db, machineId);
  await moveInstallation(database.db, machineId, generation, "given");
  expect(await operator.run("install", "cancel", machineId)).toMatchObject({ status: 4, stdout: "" });
  expect(await readRequest(machineId)).toMatchObject({ cancelledAt: null });
  const pending = await bareMachine(database.db);
  await requestInstallation(database.db, pending);
  expect(await operator.run("install", "cancel", pending)).toMatchObject({
    status: 0,
    stdout: `${pending}  generation 1 cancelled\n`,
  });
  expect(await readRequest(pending)).toMatchObject({ cancelledBy: actor });
});

test("list shows those in the states asked for", async () => {
  const machineId = await bareMachine(database.db);
  await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "failed");
  await requestInstallation(database.db, machineId);
  const [table, all] = await Promise.all([
    operator.run("install", "list", "--machine", machineId, "--state", "failed", "overdue"),
    operator.json("install", "list", "--machine", machineId),
  ]);
  const rows = table.stdout.trimEnd().split("\n");
  expect(rows).toHaveLength(2);
  expect(rows[1]).toMatch(new RegExp(`^${machineId}  1 +failed .*  no such disk$`));
  expect(all.installations).toMatchObject([{ generation: "2" }, { generation: "1" }]);
});
