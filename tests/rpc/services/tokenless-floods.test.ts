/**
 * What needs no token is bounded for each address, so that a flood from one leaves room for others, and little behind.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { findResidentBytes } from "../../support/program.ts";
import { callHttp2, frameMessage } from "../../support/raw-connection.ts";
import { type ServerProcess, startServerProcess } from "../../support/server-process.ts";
import { waitUntil } from "../../support/wait.ts";

let database: TestDatabase;
let server: ServerProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_ADMIN_BEHIND_PROXY: "on" });
});
afterAll(async () => {
  await server?.stop();
  await database?.close();
});

const watchPath = "/grpc.health.v1.Health/Watch";
const reflectionPath = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const refused = String(Code.ResourceExhausted);

/** Headers of a call from `address`, as a proxy in front of the server names it. */
function headersFrom(address: string, path: string) {
  return { ":path": path, "content-type": "application/grpc", "x-forwarded-for": address };
}

/** Asks for the files that declare `symbol`. */
function ask(symbol = "bmaas.admin.v1.MachineService"): Buffer {
  const request = { messageRequest: { case: "fileContainingSymbol", value: symbol } } as const;
  return frameMessage(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, request)));
}

/**
 * Asks `count` times on one call; returns the bytes of each answer's files, those of all answers, and the call's
 * status.
 */
async function askOften(session: ClientHttp2Session, address: string, count: number) {
  const questions = Buffer.concat(Array<Buffer>(count).fill(ask()));
  const { headers, body, trailers } = await callHttp2(session, headersFrom(address, reflectionPath), questions);
  const sizes: number[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const { messageResponse: answer } = fromBinary(ServerReflectionResponseSchema, body.subarray(at + 5, end));
    const files = answer.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
    sizes.push(files.reduce((sum, { length }) => sum + length, 0));
    at = end;
  }
  return { sizes, bytes: body.length, status: trailers["grpc-status"] ?? headers["grpc-status"] };
}

/**
 * Begins a call that stays open; resolves with "open" at its first message, or with its status when it ends without
 * one.
 */
function begin(session: ClientHttp2Session, address: string, path: string, write: (stream: ClientHttp2Stream) => void) {
  const begun = Promise.withResolvers<unknown>();
  void callHttp2(session, headersFrom(address, path), (stream) => {
    stream.once("data", () => begun.resolve("open"));
    write(stream);
  }).then(({ headers, trailers }) => begun.resolve(trailers["grpc-status"] ?? headers["grpc-status"]));
  return begun.promise;
}
const watch = (session: ClientHttp2Session, address: string) =>
  begin(session, address, watchPath, (stream) => stream.end(frameMessage(new Uint8Array())));
const reflect = (session: ClientHttp2Session, address: string) =>
  begin(session, address, reflectionPath, (stream) => stream.write(ask()));

test.each([
  ["watches", watch, 50],
  ["reflection calls", reflect, 20],
])("%s of one address leave room for another's", async (_what, open, most) => {
  const flooding = connect(server.adminUrl);
  const flood = await Promise.all(Array.from({ length: most + 10 }, () => open(flooding, "192.0.2.1")));
  expect(flood.filter((each) => each === "open").length).toBe(most);
  expect(flood.filter((each) => each !== "open")).toEqual(Array<string>(10).fill(refused));
  const other = connect(server.adminUrl);
  expect(await open(other, "192.0.2.2")).toBe("open");
  flooding.destroy();
  await waitUntil("there is room again", async () => (await open(other, "192.0.2.1")) === "open");
  other.destroy();
});

test("a reflection call repeats no file that it has sent, and ends when it has cost enough", async () => {
  const session = connect(server.adminUrl);
  const { sizes, bytes, status } = await askOften(session, "192.0.2.3", 2_000);
  session.destroy();
  const [first = 0, second = 0] = sizes;
  expect(second).toBeLessThan(first);
  expect(new Set(sizes.slice(1))).toEqual(new Set([second]));
  expect(bytes).toBeLessThan(1024 * 1024);
  expect(status).toBe(refused);
});

test("a long question costs as much as a long answer", async () => {
  const session = connect(server.adminUrl);
  const { headers, trailers } = await callHttp2(
    session,
    headersFrom("192.0.2.4", reflectionPath),
    ask("x".repeat(600_000)),
  );
  session.destroy();
  expect({ ...headers, ...trailers }["grpc-status"]).toBe(refused);
});

test("memory is given back after floods", async () => {
  const before = await findResidentBytes(server.pid);
  const sessions = Array.from({ length: 40 }, () => connect(server.adminUrl));
  await Promise.all(sessions.map((session, at) => askOften(session, `192.0.2.${at + 10}`, 1_000)));
  for (const session of sessions) session.destroy();
  if (before === undefined) return;
  // A collection of garbage comes when it comes.
  const grownMiB = async () => (((await findResidentBytes(server.pid)) ?? 0) - before) / 2 ** 20;
  await expect.poll(grownMiB).toBeLessThan(200);
});
