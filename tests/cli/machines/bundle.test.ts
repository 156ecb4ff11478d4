/** `bmaas machines bundle`: what a viewer may read of a machine, in one archive. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { sql } from "drizzle-orm";
import { unpackTar } from "modern-tar";
import { beforeAll, describe, expect, test } from "vitest";
import { HardwareService } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { HealthService } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { HealthSeverity } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../../support/agents.ts";
import { createTestDatabase } from "../../support/database.ts";
import { machineWithAgent, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { hasTerminals, type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { makeFolder, runProgram } from "../../support/program.ts";
import { startTestServer } from "../../support/server.ts";

const database = await createTestDatabase();
const server = await startTestServer(database.url, { BMAAS_METRIC_LABELS: "rack" });
const { machineId, key } = await machineWithAgent(database.db);
let viewer: OperatorCommand;
let viewerSecret = "";

beforeAll(async () => {
  ({ secret: viewerSecret } = await tokenOf(database.db, "viewer"));
  viewer = operatorCommand(server.adminUrl, viewerSecret);
  const { secret } = await tokenOf(database.db, "operator");
  const agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId, agentVersion: "test", hardwareReport: { report: { product: "First" } } });
  await agent.heartbeat({ machineId, agentVersion: "test", hardwareReport: { report: { product: "Second" } } });
  agent[Symbol.dispose]();
  await adminClient(InstallationService, server.adminUrl, secret).requestInstallation({
    uncheckedDisk: true,
    machineId,
    target: {
      type: {
        case: "image",
        value: {
          ...testImage,
          url: "https://robot:open-sesame@images.example/os.img?signature=hidden-query",
          userData: Buffer.from("hidden-user-data"),
        },
      },
    },
  });
  const machines = adminClient(MachineService, server.adminUrl, secret);
  await machines.setLabels({ machineId, set: { rack: "r12" } });
  await machines.setHold({ machineId, reason: "on the bench" });
  await adminClient(HealthService, server.adminUrl, secret).putHealth({
    machineId,
    source: "burn-in",
    alerts: [{ id: "fan", severity: HealthSeverity.WARNING, message: "fan 3 is slow" }],
    ttl: durationFromMs(3_600_000),
  });
  await database.db.execute(sql`
    update os_installation_request set requested_at = now() - interval '1 hour' where machine_id = ${machineId}`);
  return async () => {
    await server.close();
    await database.close();
  };
});

async function unpack(archive: Uint8Array): Promise<Map<string, string>> {
  const entries = await unpackTar(gunzipSync(archive));
  return new Map(entries.map(({ header, data }) => [header.name, Buffer.from(data ?? []).toString()]));
}

/** Writes a bundle by redirecting standard output, as operators do. */
async function bundle(): Promise<{ file: string; stderr: string; parts: Map<string, string> }> {
  const file = join(await makeFolder(), "bundle.tar.gz");
  const { status, stderr } = await runProgram(["machines", "bundle", machineId], {
    environment: { BMAAS_ADMIN_URL: server.adminUrl, BMAAS_ADMIN_TOKEN: viewerSecret },
    stdoutFile: file,
  });
  expect([status, stderr]).toEqual([0, expect.stringMatching(/^\d+ bytes with explanation\.txt, /)]);
  return { file, stderr, parts: await unpack(readFileSync(file)) };
}

const files = ["README.txt", "explanation.txt", "explanation.json", "machine.json", "hardware.json"].concat([
  "installations.json",
  "history.json",
  "issues.json",
  "health.json",
  "server.json",
]);

test("a viewer's bundle has everything about the machine, in one folder", async () => {
  const { parts } = await bundle();
  const folder = `bmaas-${machineId}`;
  expect([...parts.keys()]).toEqual(files.map((name) => `${folder}/${name}`));
  const read = (name: string) => JSON.parse(parts.get(`${folder}/${name}.json`) ?? "");
  expect(parts.get(`${folder}/explanation.txt`)).toMatch(/^because .*it is held by token:\S+: on the bench/m);
  expect(read("explanation")).toMatchObject({ machine: { id: machineId }, condition: expect.any(String) });
  expect(read("machine").machine).toMatchObject({ labels: { rack: "r12" }, hold: { reason: "on the bench" } });
  expect(read("hardware").reports.map(({ report }: { report: { report: object } }) => report.report)).toMatchObject([
    { product: "Second" },
    { product: "First" },
  ]);
  expect(read("installations").installations).toMatchObject([
    { generation: "1", target: { image: { url: "https://images.example/os.img", rootDevice: "sda" } } },
  ]);
  expect(read("issues").issues).toMatchObject([
    { type: "health", machineId },
    { type: "installation_pending_long", machineId },
  ]);
  expect(read("health").alerts).toMatchObject([{ source: "burn-in", message: "fan 3 is slow" }]);
  const kinds = read("history").events.map(({ kind }: { kind: string }) => kind);
  expect(kinds).toEqual(
    expect.arrayContaining(["machine_held", "machine_labelled", "installation_requested", "machine_created"]),
  );
  expect(read("server")).toMatchObject({
    version: expect.stringMatching(/^\d/),
    databaseVersion: expect.stringMatching(/^\d/),
    settings: expect.arrayContaining([
      { variable: "BMAAS_METRIC_LABELS", value: "rack", source: "SETTING_SOURCE_ENVIRONMENT", secret: false },
    ]),
  });
  const contents = parts.get(`${folder}/README.txt`) ?? "";
  for (const name of files.slice(1)) expect(contents).toContain(`\n${name} `);
});

test("no secret is in it", async () => {
  const { parts } = await bundle();
  const everything = [...parts.values()].join("\n");
  expect(everything).toContain("images.example/os.img");
  const secrets = ["open-sesame", "robot", "hidden-query", "hidden-user-data", viewerSecret, database.url];
  for (const secret of [...secrets, Buffer.from("hidden-user-data").toString("base64")]) {
    expect(everything).not.toContain(secret);
  }
});

test("tar itself unpacks it", async () => {
  const { file } = await bundle();
  const { status, stdout, stderr } = spawnSync("tar", ["tzf", file]);
  expect([status, stderr.toString()]).toEqual([0, ""]);
  expect(stdout.toString().trim().split("\n")).toEqual(files.map((name) => `bmaas-${machineId}/${name}`));
});

test("--out writes a file that only its owner can read, and --json prints the messages", async () => {
  const file = join(await makeFolder(), "machine.tar.gz");
  expect(await viewer.run("machines", "bundle", machineId, "--out", file)).toMatchObject({ status: 0, stdout: "" });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect([...(await unpack(readFileSync(file))).keys()]).toHaveLength(files.length);
  const messages = await viewer.json("machines", "bundle", machineId);
  expect(Object.keys(messages)).toEqual(files.filter((name) => name.endsWith(".json")));
  const reports = await adminClient(HardwareService, server.adminUrl, viewerSecret).listHardwareReports({ machineId });
  expect(messages["hardware.json"]).toMatchObject({ reports: { length: reports.reports.length } });
});

test("a machine that does not exist has none, and a file that cannot be written is named", async () => {
  const unknown = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
  const file = join(await makeFolder(), "none.tar.gz");
  expect(await viewer.run("machines", "bundle", unknown, "--out", file)).toMatchObject({ status: 3, stdout: "" });
  expect(existsSync(file)).toBe(false);
  const nowhere = join(file, "bundle.tar.gz");
  expect(await viewer.run("machines", "bundle", machineId, "--out", nowhere)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`cannot write ${nowhere}`),
  });
});

describe.skipIf(!hasTerminals)("on a terminal (skipped without script of util-linux)", () => {
  test("it writes no archive, and says how to get one", async () => {
    const terminal = await viewer.startOnTerminal("machines", "bundle", machineId);
    expect(await terminal.exited).toBe(2);
    expect(terminal.shown()).toMatch(/^bmaas: an archive is not written to a terminal: .*--out FILE/);
  });
});
