/** Which calls are refused while more come than can be served, what they are told, and that they cost nothing. */
import { Agent, request } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createContextValues } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { AgentCallback, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { createAdmission, defaultAdmissionLimits } from "../../../src/agent-callback/admission/admission.ts";
import { createUrgencyTest } from "../../../src/agent-callback/admission/urgent-calls.ts";
import { createErrorMapper } from "../../../src/rpc/calls/error-mapping.ts";
import type { Authenticate } from "../../../src/rpc/calls/raw-call.ts";
import { findKnownError } from "../../../src/service/error-table.ts";
import { startAgentListener } from "../../support/agent-listener.ts";
import { heartbeatPath } from "../../support/agents.ts";

/** What the admission goes by; each test begins with an idle server. */
const seen = { expectedWaitMs: 0, slowdown: 1, random: 0, isKnown: true };
const checks = { expectedWaitMs: 0, waitingCount: 0 };
const databaseIsBehind = { expectedWaitMs: 1_001 };
const refusals: string[] = [];

beforeEach(() => {
  Object.assign(seen, { expectedWaitMs: 0, slowdown: 1, random: 0, isKnown: true });
  checks.expectedWaitMs = 0;
  refusals.length = 0;
});

function admissionWith(limits: Partial<typeof defaultAdmissionLimits> = {}) {
  return createAdmission({
    writer: seen,
    checks,
    isUrgent: createUrgencyTest({ isKnown: () => seen.isKnown }),
    slowdown: () => seen.slowdown,
    random: () => seen.random,
    observer: { refused: (reason) => refusals.push(reason), undecodableRequest: () => {} },
    limits: { ...defaultAdmissionLimits, ...limits },
  });
}

describe.each(["on", "off"] as const)("with the lane %s", (unaryLane) => {
  /** A listener whose calls pass the admission before anybody looks at who sent them. */
  async function start(limits: Partial<typeof defaultAdmissionLimits> = {}, lookMs = 0) {
    const admission = admissionWith(limits);
    let looked = 0;
    const look: Authenticate = () => () => {
      looked++;
      const endsAtMs = performance.now() + lookMs;
      while (performance.now() < endsAtMs);
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

  test("a heartbeat is refused at once while the database is behind, and a report of a known agent alone is not", async () => {
    const server = await start();
    await using _listener = server.listener;
    Object.assign(seen, databaseIsBehind, { slowdown: 2, random: 0.5 });
    const error = await server.client.heartbeat({}).catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: "the server receives more heartbeats than it can process: retry later",
    });
    const refusal = error as ConnectError;
    expect(refusal.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 15n } }]);
    expect(refusal.metadata.get("retry-after")).toBe("15");
    expect([server.looked(), refusals]).toEqual([0, ["overloaded"]]);
    await server.client.heartbeat({ installationReport: { generation: 1n } });
    expect(server.looked()).toBe(1);
    seen.isKnown = false;
    await expect(server.client.heartbeat({ installationReport: { generation: 1n } })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
    expect(server.looked()).toBe(1);
    await expect.poll(() => server.admission.callCount).toBe(0);
  });

  test("of many at once, those that would stand in line too long are refused, and no report is", async () => {
    const server = await start({ maxLineMs: 20 }, 2);
    await using _listener = server.listener;
    const heartbeats = Array.from({ length: 600 }, (_, index) =>
      server.client.heartbeat(index % 20 === 19 ? { installationReport: { generation: 1n } } : {}),
    );
    const settled = await Promise.allSettled(heartbeats);
    const served = settled.filter(({ status }) => status === "fulfilled");
    expect(settled.filter((_, index) => index % 20 === 19 && settled[index]?.status === "rejected")).toEqual([]);
    const codes = settled.map((each) => (each.status === "rejected" ? ConnectError.from(each.reason).code : undefined));
    expect(new Set(codes)).toEqual(new Set([undefined, Code.ResourceExhausted]));
    expect(server.looked()).toBe(served.length);
    expect(server.admission.takeRefusedShare()).toBeCloseTo(1 - served.length / settled.length, 10);
    await expect.poll(() => server.admission.callCount).toBe(0);
  });

  test("a connection of HTTP/1.1 whose call was refused is read again when there is room", async () => {
    const server = await start();
    await using _listener = server.listener;
    const agent = new Agent({ ca: server.listener.ca, keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const post = () => postJson(server.listener.agentUrl, agent);
    Object.assign(seen, databaseIsBehind);
    expect(await post()).toBe(429);
    let isAnswered = false;
    const next = post().finally(() => {
      isAnswered = true;
    });
    await delay(300);
    expect(isAnswered).toBe(false);
    // Nobody else calls, and the time that a connection rests at most is not over yet.
    seen.expectedWaitMs = 0;
    expect(await Promise.race([next, delay(3_000, "it still rests")])).toBe(200);
  });

  test("a heartbeat is refused while signatures wait too long to be verified, and a report is not", async () => {
    const server = await start();
    await using _listener = server.listener;
    checks.expectedWaitMs = 501;
    await expect(server.client.heartbeat({})).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(server.looked()).toBe(0);
    await server.client.heartbeat({ installationReport: { generation: 1n } });
    checks.expectedWaitMs = 500;
    await server.client.heartbeat({});
    expect(server.looked()).toBe(2);
  });

  test("up to the limits everybody is served", async () => {
    const server = await start();
    await using _listener = server.listener;
    Object.assign(seen, { expectedWaitMs: 1_000 });
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
  Object.assign(seen, databaseIsBehind, { slowdown, random });
  expect(admit(admissionWith())?.metadata.get("retry-after")).toBe(seconds.toString());
});

test("the share of refused calls is told once", () => {
  const admission = admissionWith();
  expect(admission.takeRefusedShare()).toBe(0);
  for (const expectedWaitMs of [0, 1_001, 1_001, 1_001]) {
    seen.expectedWaitMs = expectedWaitMs;
    admit(admission);
  }
  expect(admission.takeRefusedShare()).toBe(0.75);
  expect(admission.takeRefusedShare()).toBe(0);
});

/** Resolves with the status of a heartbeat's answer. */
function postJson(agentUrl: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    request(new URL(heartbeatPath, agentUrl), { method: "POST", headers, agent }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    })
      .on("error", reject)
      .end("{}");
  });
}

/** Puts a heartbeat before an admission; returns the refusal. */
function admit(admission: ReturnType<typeof createAdmission>): ConnectError | undefined {
  const guarded = admission.guard(() => () => {});
  const body = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, {}));
  const finish = guarded({} as Parameters<Authenticate>[0], createContextValues());
  const call = { method: "POST", scheme: "http", authority: "", path: "", remoteAddress: undefined } as const;
  try {
    finish({ ...call, headers: { "content-type": "application/proto" }, body });
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}
