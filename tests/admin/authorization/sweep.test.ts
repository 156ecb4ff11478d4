/**
 * Every method that the operators' listener serves, of services that nobody has thought of yet as well: who may call
 * it, and who not.
 */
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Role, required_role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { openServices } from "../../../src/admin/authorization/authorize.ts";
import { codeOf } from "../../support/agents.ts";
import { tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const options = { baseUrl: server.adminUrl, httpVersion: "1.1", nodeOptions: { agent: false } } as const;
const transports: Record<string, Transport> = {
  connect: createConnectTransport(options),
  "gRPC-Web": createGrpcWebTransport(options),
  gRPC: createGrpcTransport({ baseUrl: server.adminUrl, idleConnectionTimeoutMs: 100 }),
};

/** All services in gen/ but the agents'. */
async function listServices(): Promise<DescService[]> {
  const files = await readdir("gen", { recursive: true });
  const modules = await Promise.all(
    files.filter((file) => file.endsWith("_pb.js")).map((file) => import(resolve("gen", file))),
  );
  const found = modules.flatMap((module) => Object.values(module as Record<string, { kind?: string } | undefined>));
  const services = found.filter((value) => value?.kind === "service") as unknown as DescService[];
  return services.filter(({ typeName }) => !/^(?:cloud|bmaas\.agent)\./.test(typeName));
}

const services = await listServices();
const methods = services.flatMap((service) => service.methods);
const guarded = methods.filter((method) => !openServices.has(method.parent.typeName));
const nameOf = (method: DescMethod) => `${method.parent.typeName}/${method.name}`;

function requiredRole(method: DescMethod): Role {
  return hasOption(method, required_role) ? getOption(method, required_role) : Role.UNSPECIFIED;
}

/** Sends an empty message, and reads the first answer of a stream. */
async function call(transport: Transport, method: DescMethod, headers: Record<string, string>): Promise<void> {
  if (method.methodKind === "unary") {
    await transport.unary(method as DescMethodUnary, undefined, undefined, headers, {});
    return;
  }
  const { message } = await transport.stream(method as DescMethodStreaming, undefined, undefined, headers, sendOne());
  for await (const _ of message) break;
}

async function* sendOne() {
  yield {};
}

test("there is something to sweep", () => {
  expect(methods.length).toBeGreaterThan(25);
  expect(guarded.length).toBeLessThan(methods.length);
});

test("what the server says that it serves is what is swept", async () => {
  const client = createClient(ServerReflection, transports.gRPC as Transport);
  async function* ask() {
    yield { messageRequest: { case: "listServices", value: "" } } as const;
  }
  const served: string[] = [];
  for await (const { messageResponse } of client.serverReflectionInfo(ask())) {
    if (messageResponse.case === "listServicesResponse")
      served.push(...messageResponse.value.service.map(({ name }) => name));
  }
  expect(served.toSorted()).toEqual(services.map(({ typeName }) => typeName).toSorted());
});

test("every method asks for a role, but those of the services that are open by name", () => {
  expect(guarded.filter((method) => requiredRole(method) === Role.UNSPECIFIED).map(nameOf)).toEqual([]);
  const open = methods.filter((method) => openServices.has(method.parent.typeName));
  expect(open.filter((method) => requiredRole(method) !== Role.UNSPECIFIED).map(nameOf)).toEqual([]);
  expect([...openServices].toSorted()).toEqual([...new Set(open.map((method) => method.parent.typeName))].toSorted());
});

describe.each(Object.entries(transports))("over %s", (_protocol, transport) => {
  test("nobody gets in without a token", async () => {
    const codes = await Promise.all(guarded.map((method) => codeOf(call(transport, method, {}))));
    expect(codes.map((code, index) => [nameOf(guarded[index] as DescMethod), code])).toEqual(
      guarded.map((method) => [nameOf(method), "Unauthenticated"]),
    );
  });

  test.each(["viewer", "operator", "admin"] as const)(
    "the role %s opens what asks for it or less, and nothing else",
    async (name) => {
      const { secret } = await tokenOf(database.db, name);
      const rank = Role[name.toUpperCase() as "VIEWER" | "OPERATOR" | "ADMIN"];
      const headers = { authorization: `Bearer ${secret}` };
      for (const method of guarded) {
        const mayCall = requiredRole(method) <= rank;
        // A stream that is let in may have nothing to say for hours.
        if (mayCall && method.methodKind !== "unary") continue;
        const code = await codeOf(call(transport, method, headers));
        if (mayCall) expect(["Unauthenticated", "PermissionDenied"], nameOf(method)).not.toContain(code);
        else expect(code, nameOf(method)).toBe("PermissionDenied");
      }
    },
  );
});

test("nobody gets in by GET without a token", async () => {
  const readers = guarded.filter(({ methodKind, idempotency }) => methodKind === "unary" && idempotency === 1);
  expect(readers.length).toBeGreaterThan(5);
  for (const method of readers) {
    const answer = await fetch(`${server.adminUrl}/${nameOf(method)}?connect=v1&encoding=json&message=%7B%7D`);
    expect([answer.status, await answer.json()], nameOf(method)).toMatchObject([401, { code: "unauthenticated" }]);
  }
});

test("open services answer without a token, and with a wrong one", async () => {
  for (const authorization of [undefined, "Bearer wrong"]) {
    const answer = await fetch(`${server.adminUrl}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(authorization && { authorization }) },
      body: "{}",
    });
    expect([answer.status, await answer.json()]).toEqual([200, { status: "SERVING" }]);
  }
});
