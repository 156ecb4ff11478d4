/** Which calls are refused while more come than can be served, what they are told, and that they cost nothing. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createContextValues } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import { AgentCallback, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { createAdmission, defaultAdmissionLimits } from "../../src/agent-callback/admission.ts";
import { OverloadedError } from "../../src/agent-callback/overloaded-error.ts";
import { findKnownError } from "../../src/error-table.ts";
import { createErrorMapper } from "../../src/rpc/error-mapping.ts";
import type { Authenticate } from "../../src/rpc/raw-call.ts";
import { startAgentListener } from "../support/agent-listener.ts";

/** What the admission goes by; each test begins with an idle server. */
const seen = { expectedWaitMs: 0, turnMs: 0, slowdown: 1, random: 0 };
const refusals: string[] = [];

beforeEach(() => {
  Object.assign(seen, { expectedWaitMs: 0, turnMs: 0, slowdown: 1, random: 0 });
  refusals.length = 0;
});

function admissionWith(limits: Partial<typeof defaultAdmissionLimits> = {}) {
  return createAdmission({
    writer: seen,
    slowdown: () => seen.slowdown,
    random: () => seen.random,
    turnMs: () => seen.turnMs,
    observer: { refused: (reason) => refusals.push(reason), undecodableRequest: () => {} },
    limits: { ...defaultAdmissionLimits, ...limits },
  });
}

const overloads: [name: string, seen: Partial<typeof seen>][] = [
  ["the database is behind", { expectedWaitMs: 1_001 }],
  ["the processor is behind", { turnMs: 501 }],
];

describe.each(["on", "off"] as const)("with the lane %s", (unaryLane) => {
  /** A listener whose calls pass the admission before anybody looks at who sent them. */
  async function start(limits: Partial<typeof defaultAdmissionLimits> = {}) {
    const admission = admissionWith(limits);
    let looked = 0;
    const look: Authenticate = () => () => {
      looked++;
    };
    const released = Promise.withResolvers<void>();
    const listener = await startAgentListener({
      unaryLane,
      authenticate: admission.guard(look),
      toConnectError: createErrorMapper(findKnownError, pino({ level: "silent" })),
      onCall: admission.noteCall,
      heartbeat: async ({ agentVersion }) => {
        if (agentVersion === "slow") await released.promise;
        return {};
      },
    });
    const transport = createGrpcTransport({ baseUrl: listener.agentUrl, nodeOptions: { ca: listener.ca } });
    const client = createClient(AgentCallback, transport);
    return { admission, listener, client, looked: () => looked, release: released.resolve };
  }

  test.each(overloads)("a heartbeat is refused at once while %s, and a report is not", async (_name, trouble) => {
    const server = await start();
    await using _listener = server.listener;
    Object.assign(seen, trouble, { slowdown: 2, random: 0.5 });
    const error = await server.client.heartbeat({}).catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: "more heartbeats come than the server can take: send this one again later",
    });
    const refusal = error as ConnectError;
    expect(refusal.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 15n } }]);
    expect(refusal.metadata.get("retry-after")).toBe("15");
    expect([server.looked(), refusals]).toEqual([0, ["overloaded"]]);
    await server.client.heartbeat({ installationReport: { generation: 1n } });
    expect(server.looked()).toBe(1);
    expect(server.admission.callCount).toBe(0);
  });

  test("up to the limits everybody is served", async () => {
    const server = await start();
    await using _listener = server.listener;
    Object.assign(seen, { expectedWaitMs: 1_000, turnMs: 500 });
    await server.client.heartbeat({});
    expect([server.looked(), refusals]).toEqual([1, []]);
  });

  test("no more calls are under way than may be, and each that ends makes room, however it ends", async () => {
    const server = await start({ maxCalls: 2 });
    await using _listener = server.listener;
    const leaving = new AbortController();
    const left = server.client.heartbeat({ agentVersion: "slow" }, { signal: leaving.signal }).catch(() => "left");
    const slow = server.client.heartbeat({ agentVersion: "slow" });
    await expect.poll(() => server.admission.callCount).toBe(2);
    await expect(server.client.heartbeat({ installationReport: {} })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
    leaving.abort();
    expect(await left).toBe("left");
    await expect.poll(() => server.admission.callCount).toBe(1);
    await server.client.heartbeat({});
    server.release();
    await slow;
    await expect.poll(() => server.admission.callCount).toBe(0);
  });
});

test.each([
  [1, 0, 5],
  [1, 0.999, 10],
  [3, 0, 15],
  [10, 0, 30],
  [10, 0.999, 60],
])("slowed down %d-fold, with %d drawn, callers are to come back in %d s", (slowdown, random, seconds) => {
  Object.assign(seen, { turnMs: 501, slowdown, random });
  expect(admit(admissionWith())).toMatchObject({ retryAfterSeconds: seconds });
});

test("the share of refused calls is told once", () => {
  const admission = admissionWith();
  expect(admission.takeRefusedShare()).toBe(0);
  for (const turnMs of [0, 501, 501, 501]) {
    seen.turnMs = turnMs;
    admit(admission);
  }
  expect(admission.takeRefusedShare()).toBe(0.75);
  expect(admission.takeRefusedShare()).toBe(0);
});

/** Puts a heartbeat before an admission; returns the refusal. */
function admit(admission: ReturnType<typeof createAdmission>): OverloadedError | undefined {
  const guarded = admission.guard(() => () => {});
  const body = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, {}));
  const finish = guarded({} as Parameters<Authenticate>[0], createContextValues());
  const call = { method: "POST", scheme: "http", authority: "", path: "", remoteAddress: undefined } as const;
  try {
    finish({ ...call, headers: { "content-type": "application/proto" }, body });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(OverloadedError);
    return error as OverloadedError;
  }
}
