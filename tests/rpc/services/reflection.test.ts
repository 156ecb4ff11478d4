/**
 * What clients without a schema learn from the operators' listener, by programs that are not ours and by the protocol
 * itself.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createFileRegistry, fromBinary, getOption, hasOption } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Role, required_role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { codeOf } from "../../support/agents.ts";
import { bareMachine } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { makeFolder } from "../../support/program.ts";
import { startServerWithDatabase, startTestServer } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const transport = createGrpcTransport({ baseUrl: server.adminUrl });
const versions = [
  ["v1", createClient(ServerReflection, transport)],
  ["v1alpha", createClient(ServerReflectionAlpha, transport)],
] as const;

type Question =
  | { case: "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType" | "listServices"; value: string }
  | { case: "fileContainingExtension"; value: { containingType: string; extensionNumber: number } };

/** Asks all questions on one stream and returns what is answered to each. */
async function ask(version: (typeof versions)[number][1], ...questions: Question[]) {
  async function* requests() {
    for (const messageRequest of questions) yield { host: "here", messageRequest };
  }
  const answers = [];
  for await (const { validHost, originalRequest, messageResponse } of version.serverReflectionInfo(requests())) {
    expect([validHost, originalRequest?.messageRequest.case]).toEqual(["here", questions[answers.length]?.case]);
    answers.push(messageResponse);
  }
  expect(answers).toHaveLength(questions.length);
  return answers;
}

async function askOne(version: (typeof versions)[number][1], question: Question) {
  const [answer] = await ask(version, question);
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

/** The files of an answer; throws unless each stands with all that it depends on. */
async function filesOf(version: (typeof versions)[number][1], question: Question) {
  const answer = await askOne(version, question);
  if (answer.case !== "fileDescriptorResponse") throw new Error(`got ${JSON.stringify(answer)}`);
  const protos = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  const names = new Set(protos.map((proto) => proto.name));
  for (const proto of protos) for (const dependency of proto.dependency) expect(names).toContain(dependency);
  return protos;
}

const admin = "bmaas.admin.v1";

describe.each(versions)("reflection %s", (_name, client) => {
  test("lists every service of the listener, and none of the agents'", async () => {
    const answer = await askOne(client, { case: "listServices", value: "" });
    if (answer.case !== "listServicesResponse") throw new Error(`got ${answer.case}`);
    const names = answer.value.service.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        `${admin}.FleetService`,
        `${admin}.MachineService`,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ]),
    );
    expect(names.filter((name) => name.startsWith("cloud."))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each([
    ["service", `${admin}.MachineService`, "bmaas/admin/v1/machine_service.proto"],
    ["method", `${admin}.MachineService.GetMachine`, "bmaas/admin/v1/machine_service.proto"],
    ["message", `${admin}.Machine`, "bmaas/admin/v1/machine.proto"],
    ["field", `${admin}.Machine.state_time`, "bmaas/admin/v1/machine.proto"],
    ["oneof", "grpc.reflection.v1.ServerReflectionRequest.message_request", "grpc/reflection/v1/reflection.proto"],
    ["enum", `${admin}.MachineState`, "bmaas/admin/v1/machine.proto"],
    ["enum value", `${admin}.MACHINE_STATE_STALE`, "bmaas/admin/v1/machine.proto"],
    ["nested enum", "grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"],
    ["nested enum's value", "grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
    ["extension", `${admin}.required_role`, "bmaas/admin/v1/role.proto"],
    ["well-known type", "google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
    ["message in the details of errors", "google.rpc.BadRequest", "google/rpc/error_details.proto"],
  ])("finds the file of a %s", async (_kind, symbol, file) => {
    const [proto] = await filesOf(client, { case: "fileContainingSymbol", value: symbol });
    expect(proto?.name).toBe(file);
  });

  test("finds a file by its name, with all options of its methods", async () => {
    const protos = await filesOf(client, { case: "fileByFilename", value: "bmaas/admin/v1/machine_service.proto" });
    const registry = createFileRegistry({ $typeName: FileDescriptorSetSchema.typeName, file: protos.toReversed() });
    const method = registry.getService(`${admin}.MachineService`)?.method.deleteMachine;
    if (method === undefined) throw new Error("the method is not there");
    expect(hasOption(method, required_role) && getOption(method, required_role)).toBe(Role.ADMIN);
  });

  test("finds the extensions that carry roles, rules and behaviour", async () => {
    const [methods, fields, machine] = await ask(
      client,
      { case: "allExtensionNumbersOfType", value: "google.protobuf.MethodOptions" },
      { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
      { case: "allExtensionNumbersOfType", value: `${admin}.Machine` },
    );
    expect(methods).toMatchObject({
      value: { baseTypeName: "google.protobuf.MethodOptions", extensionNumber: [50_001] },
    });
    expect(fields).toMatchObject({ value: { extensionNumber: [1_052, 1_159] } });
    expect(machine).toMatchObject({ value: { extensionNumber: [] } });
    const [proto] = await filesOf(client, {
      case: "fileContainingExtension",
      value: { containingType: "google.protobuf.FieldOptions", extensionNumber: 1_159 },
    });
    expect(proto?.name).toBe("buf/validate/validate.proto");
  });

  test("says what it does not know, and goes on", async () => {
    const answers = await ask(
      client,
      { case: "fileByFilename", value: "none.proto" },
      { case: "fileContainingSymbol", value: `${admin}.Nothing` },
      { case: "fileContainingExtension", value: { containingType: `${admin}.Machine`, extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: `${admin}.MachineState` },
      { case: "listServices", value: "" },
    );
    expect(answers.map(({ case: kind, value }) => (kind === "errorResponse" ? value?.errorCode : kind))).toEqual([
      5,
      5,
      5,
      5,
      "listServicesResponse",
    ]);
  });
});

test.each(versions)("%s decodes questions of up to 4 KiB", async (_name, version) => {
  const about = (length: number) =>
    codeOf(askOne(version, { case: "fileContainingSymbol", value: "x".repeat(length) }));
  expect([await about(4_000), await about(5_000)]).toEqual(["ok", "ResourceExhausted"]);
});

test("agents are offered none", async () => {
  const agents = createGrpcTransport({ baseUrl: server.agentUrl, nodeOptions: { ca: server.ca } });
  for (const service of [ServerReflection, ServerReflectionAlpha]) {
    const client = createClient(service, agents);
    async function* requests() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
    }
    const call = async () => {
      for await (const _ of client.serverReflectionInfo(requests()));
    };
    expect(await codeOf(call())).toBe("Unimplemented");
  }
});

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Runs buf curl without a schema, where there is none; resolves with what it prints. */
async function bufCurl(folder: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const buf = join(root, "node_modules/.bin/buf");
  return await promisify(execFile)(process.execPath, [buf, "curl", ...args], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
  });
}

describe("buf curl without a schema", () => {
  test.each(["v1", "v1alpha"])("calls by gRPC over plaintext, by reflection %s", async (version) => {
    const viewer = await tokenOf(database.db, "viewer");
    const machineId = await bareMachine(database.db);
    const options = ["--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", `grpc-${version}`];
    const { stdout } = await bufCurl(
      await makeFolder(),
      ...options,
      ...["-H", `authorization: Bearer ${viewer.secret}`, "--data", JSON.stringify({ machineId })],
      `${server.adminUrl}/${admin}.MachineService/GetMachine`,
    );
    expect(JSON.parse(stdout)).toMatchObject({ machine: { id: machineId, state: "MACHINE_STATE_NOT_PROVIDED" } });
  });

  test("lists the methods over TLS, and shows the details of an error by their type", async () => {
    const folder = await makeFolder();
    const { caFile, certFile, keyFile } = await ensureDevelopmentTls(folder, ["127.0.0.1"]);
    await using secured = await startTestServer(database.url, {
      BMAAS_ADMIN_TLS_CERT: certFile,
      BMAAS_ADMIN_TLS_KEY: keyFile,
    });
    const listed = await bufCurl(folder, "--cacert", caFile, "--protocol", "grpc", "--list-methods", secured.adminUrl);
    expect(listed.stdout).toContain(`${admin}.MachineService/WatchMachines`);
    const viewer = await tokenOf(database.db, "viewer");
    const refused = bufCurl(
      folder,
      ...["--cacert", caFile, "--protocol", "connect", "-H", `authorization: Bearer ${viewer.secret}`],
      ...["--data", '{"machineId":"none"}', `${secured.adminUrl}/${admin}.MachineService/GetMachine`],
    );
    await expect(refused).rejects.toMatchObject({
      stderr: expect.stringMatching(/google\.rpc\.BadRequest.*machine_id/s),
    });
  });
});
