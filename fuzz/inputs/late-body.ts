/**
 * Calls that are refused before their body has come, and others' calls after them on the same connection, as behind a
 * proxy.
 */
import { AnswerReader } from "../answer-reader.ts";
import { Connection } from "../connection.ts";
import type { Field } from "../content/odd-headers.ts";
import { type Route, rpcs } from "../content/routes.ts";
import { sign } from "../content/sign-call.ts";
import type { Talk } from "../talk.ts";
import type { Door, FuzzAgent } from "../target.ts";

/** Longest that an answer may take, in milliseconds. */
const answerTimeoutMs = 30_000;
/** A body that takes longer than this, in milliseconds, may be too late: the server waits two seconds for it. */
const longestBodyMs = 1_500;
/** What the server does about the refused call it does within this time, in milliseconds. */
const [leastMs, mostMs] = [2_300, 4_000];
/** The greatest body that is sure to be read and dropped while good calls wait behind it. */
const longestBody = 50_000;

/** Answers that a good call may have: a server that is loaded says so. */
const goodStatuses: ReadonlySet<number> = new Set([200, 429, 503]);

/** Throws ViolationError when a good call has no answer, a bad one, or its connection goes without a word. */
export async function callAfterRefusal(talk: Talk): Promise<void> {
  const { random } = talk;
  const door = talk.drawDoor();
  const agent = talk.takeAgent();
  const connection = await Connection.open(talk, door, { alpn: "http/1.1", ...(door.hasTls && { certified: agent }) });
  const reader = new AnswerReader([]);
  connection.read((bytes) => reader.take(bytes));
  const refused = drawRefused(talk, door);
  const sentAtMs = performance.now();
  await connection.send(refused.head);
  if (random.chance(0.7)) await connection.until(() => reader.answers.length > 0, 1_000);
  await talk.pause(random.logBetween(1, 300));
  await connection.sendInPieces(refused.rest);
  // Only a fuzzer that waits for the processor takes so long, and then a cut is what the server owes.
  if (performance.now() - sentAtMs > longestBodyMs) return await connection.end("end");
  await awaitAnswer(talk, connection, reader, 1, "the refused call");
  const endsAtMs = performance.now() + random.between(leastMs, mostMs);
  for (let calls = 2; performance.now() < endsAtMs && !talk.signal.aborted; calls++) {
    if (reader.answers.at(-1)?.closes === true) break;
    await connection.send(await formatGoodCall(talk, door, agent));
    await awaitAnswer(talk, connection, reader, calls, "a good call");
    if (talk.signal.aborted) break;
    const status = reader.answers.at(-1)?.status ?? 0;
    if (!goodStatuses.has(status)) talk.fail(`a good call after a refused one was answered with ${status}`);
    await talk.pause(random.logBetween(20, 800));
  }
  await connection.end("end");
}

async function awaitAnswer(talk: Talk, connection: Connection, reader: AnswerReader, count: number, what: string) {
  const sinceMs = performance.now();
  const isThere = await connection.until(
    () => reader.answers.length >= count || reader.trouble !== undefined,
    answerTimeoutMs,
  );
  if (reader.trouble !== undefined) talk.fail(`no answer of HTTP/1.1: ${reader.trouble}`);
  if (isThere || talk.signal.aborted || reader.answers.at(-1)?.closes === true) return;
  const afterMs = Math.round(performance.now() - sinceMs);
  const fate = connection.isGone ? "had its connection cut" : "was not answered";
  talk.fail(`${what} on a connection with a refused one ${fate} after ${afterMs} ms`);
}

/** A call that is refused by what its head says: its path, its method, its content type, or who sends it. */
function drawRefused(talk: Talk, door: Door): { head: Buffer; rest: Buffer } {
  const { random, target } = talk;
  const { path } = random.pick<Route>(rpcs[door.side]);
  const json: Field = ["Content-Type", "application/json"];
  const wrong: Field = ["Authorization", `Bearer ${random.bytes(24).toString("base64url")}`];
  const right: Field = ["Authorization", `Bearer ${random.pick(target.tokens)}`];
  const [method, where, ...fields] = random.pick<readonly [string, string, ...Field[]]>([
    ["POST", path, json, wrong],
    ["POST", path, ["Content-Type", "application/proto"], wrong],
    ["POST", path, ["Content-Type", "application/grpc-web+proto"], wrong],
    ["POST", path, json],
    ["POST", path, ["Content-Type", "text/plain"], right],
    ["POST", "/nothing/is/here", json, right],
    ["GET", path, json],
    ["GET", "/healthz"],
    ["PUT", path, json, right],
  ]);
  const body = Buffer.alloc(Math.ceil(random.logBetween(1, longestBody)), " ");
  const isChunked = random.chance(0.3);
  const length = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
  const lines = [`Host: ${door.authority}`, length, ...fields.map(([name, value]) => `${name}: ${value}`)];
  talk.note(`${method} ${where}, ${fields.map(([name]) => name).join(", ")}, ${length}`);
  const rest = isChunked
    ? Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")])
    : body;
  return { head: Buffer.from(`${method} ${where} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`), rest };
}

async function formatGoodCall(talk: Talk, door: Door, agent: FuzzAgent): Promise<Buffer> {
  if (door.side === "operators" && talk.random.chance(0.3))
    return Buffer.from(`GET /healthz HTTP/1.1\r\nHost: ${door.authority}\r\n\r\n`);
  const isHeartbeat = door.side === "agents";
  const path = isHeartbeat ? (rpcs.agents[0]?.path ?? "/") : "/bmaas.admin.v1.TokenService/GetCaller";
  const body = Buffer.from(isHeartbeat ? JSON.stringify({ machineId: agent.machineId }) : "{}");
  const proof: readonly Field[] = isHeartbeat
    ? door.hasTls
      ? []
      : await sign(agent, { method: "POST", url: new URL(path, door.url), body })
    : [["authorization", `Bearer ${talk.random.pick(talk.target.tokens)}`]];
  const fields: Field[] = [
    ["Host", door.authority],
    ["Content-Type", "application/json"],
    ["Content-Length", `${body.length}`],
    ...proof,
  ];
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines}\r\n`), body]);
}
