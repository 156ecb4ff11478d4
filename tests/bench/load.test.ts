/** What the benchmark's load counts, and what it does not. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Caller } from "../../bench/load/caller.ts";
import { drive } from "../../bench/load/drive.ts";
import { createBenchIdentity, listCallers } from "../../bench/load/fleet.ts";
import { GrpcCaller } from "../../bench/load/grpc-caller.ts";
import { heartbeatPath, toGrpcBody } from "../../bench/load/heartbeat-call.ts";
import { CallFrames, encodeGrpcHeaders, literalField } from "../../bench/load/http2-frames.ts";
import { tcpTo } from "../../bench/load/open-socket.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

type Answer = "message" | "refusal" | "reset";

/** A server that gives such answers, one after the other, and keeps what it is sent. */
async function startServer(answers: readonly Answer[]) {
  const calls: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer();
  cleanUps.push(() => server.close());
  server.on("stream", async (stream, headers) => {
    const body = Buffer.concat(await stream.toArray());
    const answer = answers[calls.length];
    calls.push({ headers, body });
    if (answer === "reset") return stream.close(8);
    if (answer === "refusal") return stream.respond({ ":status": 200, "grpc-status": "16" }, { endStream: true });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, calls };
}

async function openCaller(port: number, extra: Uint8Array = Buffer.alloc(0)): Promise<GrpcCaller> {
  const { first, later } = encodeGrpcHeaders("http", `127.0.0.1:${port}`, heartbeatPath);
  const body = toGrpcBody(createBenchIdentity(1).machineId);
  const caller = await GrpcCaller.open(
    tcpTo({ host: "127.0.0.1", port }),
    (isFirst) => new CallFrames(Buffer.concat([isFirst ? first : later, extra]), body),
  );
  cleanUps.push(() => caller.close());
  return caller;
}

function callOnce(caller: Caller): Promise<boolean> {
  return new Promise((resolve) => {
    caller.onAnswer = resolve;
    caller.call();
  });
}

test("only a message and its trailers are an answer; a refusal or a reset is none", async () => {
  const { port } = await startServer(["message", "refusal", "message", "reset"]);
  const caller = await openCaller(port);
  const answers = [];
  for (let call = 0; call < 4; call++) answers.push(await callOnce(caller));
  expect(answers).toEqual([true, false, true, false]);
});

test("calls are whole, the first one of a connection and those that name its fields by their places", async () => {
  const { port, calls } = await startServer([]);
  const signature = "x".repeat(300);
  const caller = await openCaller(port, literalField("signature", signature));
  for (let call = 0; call < 3; call++) await callOnce(caller);
  for (const { headers, body } of calls) {
    expect(headers).toMatchObject({
      ":method": "POST",
      ":path": heartbeatPath,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "10S",
      signature,
    });
    expect(body.toString("latin1")).toContain(createBenchIdentity(1).machineId);
  }
  expect(calls).toHaveLength(3);
});

/** Answers every call after so many milliseconds, every tenth of them badly. */
function createCaller(afterMs: number, counter: { calls: number }): Caller {
  const caller: Caller = {
    onAnswer: () => {},
    isOpen: true,
    calledAtMs: 0,
    close: () => {},
    call() {
      const isGood = ++counter.calls % 10 !== 0;
      setTimeout(() => caller.onAnswer(isGood), afterMs);
      return true;
    },
  };
  return caller;
}

test("at a rate, a call for which nobody is free is timed from when it was due, and one that fails takes for ever", async () => {
  const counter = { calls: 0 };
  const { calls, failures, p50Ms, p99Ms } = await drive([createCaller(20, counter)], { perSecond: 100, seconds: 0.4 });
  expect([calls, failures, counter.calls]).toEqual([36, 4, 40]);
  // Calls are due every 10 ms and answered every 20 ms.
  expect(p50Ms).toBeGreaterThan(150);
  expect(p99Ms).toBe(Number.POSITIVE_INFINITY);
});

test("calls are kept under way until the end, and their callers take turns", async () => {
  const counters = Array.from({ length: 6 }, () => ({ calls: 0 }));
  const callers = counters.map((counter) => createCaller(5, counter));
  const { calls, failures, seconds } = await drive(callers, { inFlight: 2, seconds: 1 });
  const made = counters.map((counter) => counter.calls);
  expect(Math.max(...made) - Math.min(...made)).toBeLessThanOrEqual(1);
  expect(calls + failures).toBeGreaterThan(20);
  expect(calls).toBeLessThan((2 * seconds * 1000) / 5 + 2);
});

test("those who call are spread over the fleet, and known by the same ids as in SQL", () => {
  expect(listCallers(1_000, 4)).toEqual([1, 251, 501, 751]);
  expect(listCallers(3, 10)).toEqual([1, 2, 3]);
  // md5('1')
  expect(createBenchIdentity(1).machineId).toBe("c4ca4238-a0b9-2382-0dcc-509a6f75849b");
});
