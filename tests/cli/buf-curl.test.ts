/** The installation flow through programs that are not ours: buf curl by each protocol, and curl with a signature. */
import { execFile, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { signRequest } from "../../src/agent/request-signing.ts";
import { SigningClock } from "../../src/agent/signing-clock.ts";
import { heartbeatPath } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine, testImage } from "../support/machine.ts";
import { makeFolder } from "../support/program.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  folder = await makeFolder();
});

afterAll(async () => {
  await server?.close();
  await database?.close();
});

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const url = () => server.agentUrl + heartbeatPath;

/** Sends one heartbeat, as JSON, and resolves with the answer, as JSON. */
type Heartbeat = (message: object) => Promise<unknown>;

async function expectInstallationFlow({ machineId }: TestMachine, heartbeat: Heartbeat): Promise<void> {
  const paced = { nextHeartbeatAfter: expect.stringMatching(/^\d+(\.\d+)?s$/) };
  expect(await heartbeat({ machineId })).toEqual(paced);
  await requestInstallation(database.db, machineId, 123n);
  for (let time = 0; time < 2; time++) {
    const installationRequest = { generation: "123", image: testImage };
    expect(await heartbeat({ machineId })).toEqual({ installationRequest, ...paced });
  }
  expect(await heartbeat({ machineId, installationReport: { generation: "123", success: {} } })).toEqual(paced);
  expect(await heartbeat({ machineId })).toEqual(paced);
  expect((await readTags(database, machineId)).report).toMatchObject({ generation: 123n, result: "success" });
}

async function bufCurl(machine: TestMachine, protocol: string): Promise<Heartbeat> {
  const { cert, key } = createClientCertificate(machine.key);
  const [certFile, keyFile] = [join(folder, `${machine.machineId}.crt`), join(folder, `${machine.machineId}.pem`)];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key, { mode: 0o600 });
  const options = [
    "--schema",
    "proto",
    "--cacert",
    server.caFile,
    "--cert",
    certFile,
    "--key",
    keyFile,
    "--protocol",
    protocol,
  ];
  return async (message) => {
    const buf = join(root, "node_modules/.bin/buf");
    const args = [buf, "curl", ...options, "--data", JSON.stringify(message), url()];
    const { stdout } = await execute(process.execPath, args, { cwd: root, env: { ...process.env, HOME: folder } });
    return JSON.parse(stdout) as unknown;
  };
}

describe("buf curl", () => {
  test.each(["grpc", "grpcweb", "connect"])(
    "goes through an installation by %s, with a certificate",
    async (protocol) => {
      const machine = await machineWithAgent(database.db);
      await expectInstallationFlow(machine, await bufCurl(machine, protocol));
    },
  );

  test.each(["grpc", "grpcweb", "connect"])("shows by %s why it was refused", async (protocol) => {
    const [machine, other] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
    const heartbeat = await bufCurl(machine, protocol);
    await expect(heartbeat({ machineId: other.machineId })).rejects.toMatchObject({
      stderr: expect.stringMatching(/"code": "unauthenticated",\s+"message": "machine id or public key unknown"/),
    });
  });
});

const curlVersion = spawnSync("curl", ["--version"]).stdout?.toString() ?? "";

describe.skipIf(curlVersion === "")("curl with a signature (skipped where curl is not installed)", () => {
  const versions = curlVersion.includes("HTTP2") ? ["--http1.1", "--http2"] : ["--http1.1"];
  test.each(versions)("goes through an installation with %s", async (version) => {
    const machine = await machineWithAgent(database.db);
    const clock = new SigningClock();
    await expectInstallationFlow(machine, async (message) => {
      const body = JSON.stringify(message);
      const request = { method: "POST", url: new URL(url()), body: Buffer.from(body) };
      const signed = await signRequest(request, { ...machine, ...clock.next() });
      const headers = Object.entries({ "content-type": "application/json", ...signed });
      const options = headers.flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
      const args = [
        "-sS",
        "--fail-with-body",
        version,
        "--cacert",
        server.caFile,
        ...options,
        "--data-binary",
        body,
        url(),
      ];
      return JSON.parse((await execute("curl", args)).stdout) as unknown;
    });
  });
});
