/**
 * Calls over HTTP/2 by a client that keeps to the protocol and to nothing else: streams are cut, reset, never read, or
 * left open.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { Connection } from "../connection.ts";
import { type Call, drawCall } from "../content/draw-call.ts";
import type { Field } from "../content/odd-headers.ts";
import type { Talk } from "../talk.ts";

/** Longest that a whole call may remain without an answer, in milliseconds: more than any time limit of the server. */
const answerTimeoutMs = 45_000;
/** Of header fields that the server is sure to take. */
const longestHead = 12_000;

/** A call under way. */
interface StreamTalk {
  readonly call: Call;
  readonly stream: ClientHttp2Stream;
  readonly isWhole: boolean;
  status: number | undefined;
  isClosed: boolean;
}

/**
 * Makes calls at the same time and goes away at some moment. Throws ViolationError when a call that it waits for is not
 * answered.
 */
export async function callOnStreams(talk: Talk): Promise<void> {
  const { random, target } = talk;
  const door = talk.drawDoor();
  const certified = talk.drawCertified(door);
  const connection = await Connection.open(talk, door, { alpn: "h2", certified });
  if (connection.isGone) return;
  const session = openSession(talk, connection, door.url);
  const streams: StreamTalk[] = [];
  for (let left = random.pick([1, 1, 2, 3, 5, 12]); left > 0 && !session.destroyed; left--) {
    const call = await drawCall(random, { target, door, certified });
    const begun = begin(talk, connection, session, call, door.authority);
    if (begun !== undefined) streams.push(begun);
    if (random.chance(0.2)) await talk.pause(random.logBetween(0.5, 5));
  }
  const moment = random.next();
  if (moment < 0.4) await talk.pause(random.logBetween(0.1, 10));
  else if (moment < 0.5) await talk.pause(random.logBetween(10, 200));
  else await awaitAnswers(talk, connection, session, streams);
  const ending = random.next();
  if (ending < 0.2) session.destroy();
  else if (ending < 0.4) session.close();
  await connection.endSomehow();
}

function openSession({ random }: Talk, connection: Connection, url: string): ClientHttp2Session {
  const session = connectHttp2(url, {
    createConnection: () => connection.socket,
    settings: { enablePush: false, initialWindowSize: random.pick([65_535, 65_535, 1_048_576, 1_000, 10, 0]) },
  });
  return session.on("error", () => {});
}

/** Undefined for a call that Node's client refuses to send. */
function begin(
  talk: Talk,
  connection: Connection,
  session: ClientHttp2Session,
  call: Call,
  authority: string,
): StreamTalk | undefined {
  const { random } = talk;
  const isWhole = random.chance(0.7);
  const stream = tryRequest(session, call, authority);
  if (stream === undefined) return undefined;
  talk.note(`${call.method} ${call.path.slice(0, 60)}${isWhole ? "" : ", not whole"}`);
  const begun: StreamTalk = { call, stream, isWhole, status: undefined, isClosed: false };
  stream.on("error", () => {});
  stream.on("response", (headers) => {
    begun.status = headers[":status"];
    connection.nudge();
  });
  stream.once("close", () => {
    begun.isClosed = true;
    connection.nudge();
  });
  if (isWhole || random.chance(0.7)) stream.resume();
  sendBody(talk, begun);
  return begun;
}

function sendBody({ random }: Talk, { call: { body }, stream, isWhole }: StreamTalk): void {
  if (isWhole) {
    const cut = random.below(body.length + 1);
    stream.write(body.subarray(0, cut));
    if (random.chance(0.5)) stream.end(body.subarray(cut));
    else setTimeout(() => stream.end(body.subarray(cut)), random.logBetween(1, 20));
    return;
  }
  const how = random.next();
  if (how < 0.7) stream.write(body.subarray(0, random.below(body.length + 1)));
  if (how < 0.5) return;
  const close = () => stream.close(random.pick(resetCodes));
  const afterMs = random.chance(0.3) ? 0 : random.logBetween(0.5, 20);
  if (afterMs === 0) close();
  else setTimeout(close, afterMs);
}

const resetCodes: readonly number[] = [
  constants.NGHTTP2_NO_ERROR,
  constants.NGHTTP2_CANCEL,
  constants.NGHTTP2_CANCEL,
  constants.NGHTTP2_INTERNAL_ERROR,
  constants.NGHTTP2_REFUSED_STREAM,
];

function tryRequest(session: ClientHttp2Session, call: Call, authority: string): ClientHttp2Stream | undefined {
  const { method, path, fields } = call;
  const all: Field[] = [[":method", method], [":path", path], [":authority", authority], ...fields];
  try {
    return session.request(all.flat(), { endStream: false });
  } catch {
    return undefined;
  }
}

async function awaitAnswers(talk: Talk, connection: Connection, session: ClientHttp2Session, streams: StreamTalk[]) {
  const awaited = streams.filter(({ call, isWhole }) => isWhole && mustBeAnswered(call));
  const isOver = ({ status, stream, isClosed }: StreamTalk) =>
    isClosed || status !== undefined || (stream.rstCode ?? 0) !== 0;
  await connection.until(() => session.destroyed || awaited.every(isOver), answerTimeoutMs);
  const unanswered = awaited.filter(({ status }) => status === undefined);
  if (unanswered.length === 0 || talk.signal.aborted) return;
  const what = unanswered.map(
    ({ call: { method, path }, stream: { rstCode } }) => `${method} ${path.slice(0, 60)}, reset by ${rstCode}`,
  );
  const how = connection.isGone || session.destroyed ? "the connection went" : "it stayed";
  talk.fail(`whole calls were not answered over HTTP/2, and ${how}: ${what.join("; ")}`);
}

/** Whether it is a request that HTTP/2 allows, and neither endless nor large. */
function mustBeAnswered({ path, fields, isEndless }: Call): boolean {
  if (isEndless || !path.startsWith("/")) return false;
  return fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, path.length) < longestHead;
}
