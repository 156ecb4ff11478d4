/**
 * Requests over HTTP/1.1: pipelined, in pieces, with bodies that never become whole, damaged, and given up at any
 * moment.
 */
import { AnswerReader } from "../answer-reader.ts";
import { Connection } from "../connection.ts";
import { type Call, drawCall } from "../content/draw-call.ts";
import { formatRequest, mustBeAnswered } from "../content/format-request.ts";
import { mutate } from "../content/mutate.ts";
import type { Talk } from "../talk.ts";

/**
 * Longest that a whole request may remain without an answer, in milliseconds: more than any time limit of the server.
 */
const answerTimeoutMs = 45_000;

/**
 * Sends requests that are whole, and often one more that never becomes so, and goes away at some moment. Throws
 * ViolationError when it waits for all answers and one does not come.
 */
export async function sendRequests(talk: Talk): Promise<void> {
  const { random } = talk;
  const { door, certified, calls, requests } = await drawRequests(talk, random.pick([0, 1, 1, 2, 3, 5, 8]));
  const areAnswered = requests.every((request, index) => mustBeAnswered(calls[index] as Call, request));
  if (calls.length === 0 || random.chance(0.6)) {
    const last = await drawCall(random, { target: talk.target, door, certified });
    requests.push(formatRequest(random, last, { authority: door.authority, isCut: true }));
    talk.note(`${last.method} ${last.path.slice(0, 60)}, not whole`);
  }
  const connection = await Connection.open(talk, door, { alpn: "http/1.1", certified });
  const reader = new AnswerReader(calls.map(({ method }) => method));
  if (random.chance(0.9)) connection.read((bytes) => reader.take(bytes));
  if (random.chance(0.5)) await connection.sendInPieces(Buffer.concat(requests));
  else for (const request of requests) await connection.sendInPieces(request);
  const moment = random.next();
  if (moment < 0.35) await talk.pause(random.logBetween(0.1, 10));
  else if (moment < 0.5) {
    const bytes = random.logBetween(1, 20_000);
    await connection.until(() => connection.receivedBytes >= bytes, random.logBetween(1, 100));
  } else if (moment < 0.8 && connection.isRead)
    await awaitAnswers(talk, connection, reader, areAnswered ? calls.length : 0);
  await connection.endSomehow();
}

/** The same, but that what is sent contradicts itself or is damaged: nobody need answer that. */
export async function sendDamagedRequests(talk: Talk): Promise<void> {
  const { random } = talk;
  const { door, certified, requests } = await drawRequests(talk, random.pick([1, 1, 2, 3]), random.chance(0.5));
  const connection = await Connection.open(talk, door, { alpn: "http/1.1", certified });
  connection.read();
  const whole = Buffer.concat(requests);
  await connection.sendInPieces(random.chance(0.7) ? mutate(random, whole) : whole);
  await connection.until(() => false, random.logBetween(0.1, 30));
  await connection.endSomehow();
}

/** The same as `sendRequests`, over half a minute, so that the server's time limits come first now and then. */
export async function sendRequestsSlowly(talk: Talk): Promise<void> {
  const { random } = talk;
  const { door, certified, calls, requests } = await drawRequests(talk, random.pick([0, 1, 2]));
  const last = await drawCall(random, { target: talk.target, door, certified });
  requests.push(formatRequest(random, last, { authority: door.authority, isCut: true }));
  const connection = await Connection.open(talk, door, {
    alpn: random.chance(0.95) ? "http/1.1" : undefined,
    certified,
  });
  if (random.chance(0.7)) connection.read();
  for (const request of requests) {
    await connection.sendInPieces(request);
    await connection.until(() => false, random.logBetween(10, 10_000));
  }
  talk.note(`${calls.length} whole requests, and one more`);
  await connection.until(() => false, random.logBetween(100, 40_000));
  await connection.endSomehow();
}

async function drawRequests(talk: Talk, count: number, isContradictory = false) {
  const { random, target } = talk;
  const door = talk.drawDoor();
  const certified = talk.drawCertified(door);
  const calls: Call[] = [];
  const requests: Buffer[] = [];
  for (let left = count; left > 0; left--) {
    const call = await drawCall(random, { target, door, certified });
    talk.note(`${call.method} ${call.path.slice(0, 60)}`);
    calls.push(call);
    requests.push(formatRequest(random, call, { authority: door.authority, isContradictory }));
    // What never ends is the last one.
    if (call.isEndless) break;
  }
  return { door, certified, calls, requests };
}

async function awaitAnswers(talk: Talk, connection: Connection, reader: AnswerReader, count: number): Promise<void> {
  const { answers } = reader;
  const isDone = () => answers.length >= count || answers.at(-1)?.closes === true || reader.trouble !== undefined;
  await connection.until(isDone, answerTimeoutMs);
  if (reader.trouble !== undefined) talk.fail(`no answer of HTTP/1.1: ${reader.trouble}`);
  if (isDone() || talk.signal.aborted) return;
  const how = connection.isGone ? "the connection was cut" : `nothing came for ${answerTimeoutMs / 1000} s`;
  talk.fail(`${answers.length} of ${count} whole requests were answered over HTTP/1.1, then ${how}`);
}
