/** What an address may still ask for once too many of its calls have failed to prove an agent. */
import { randomBytes } from "node:crypto";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import {
  type AddressLimitError,
  type Claim,
  createStrangerLimit,
  defaultFailureRule,
} from "../../src/agent-callback/stranger-limit.ts";
import { codeOf, grpcAgent, signingAgent } from "../support/agents.ts";
import { machineWithAgent } from "../support/machine.ts";
import { createCollectingLog, type LogLine, startServerWithDatabase } from "../support/server.ts";

const rule = { burst: 3, secondsPerAttempt: 3600, maxParties: 100 };
const remoteAddress = "192.0.2.7";
let logged: LogLine[];
let limit: ReturnType<typeof createStrangerLimit>;

beforeEach(() => {
  logged = [];
  limit = createStrangerLimit(createCollectingLog(logged), { rule, random: () => 0.5 });
});

/** A call that claims this and ends with the code; returns what it is refused with. */
function call(claim: Partial<Claim>, code: string): AddressLimitError | undefined {
  const values = createContextValues();
  try {
    limit.assertMayTry({ remoteAddress, ...claim }, values);
  } catch (error) {
    limit.noteCall({ code: "resource_exhausted", values });
    return error as AddressLimitError;
  }
  limit.noteCall({ code, values });
  return undefined;
}

const isServed = (claim: Partial<Claim>, code = "ok") => call(claim, code) === undefined;
const someKey = () => randomBytes(32);
const known = { publicKey: someKey() };
const signer = { machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11" };

function floodWith(code: string, claim: () => Partial<Claim> = () => ({ publicKey: someKey() })) {
  for (let attempt = 0; attempt < rule.burst; attempt++) expect(isServed(claim(), code)).toBe(true);
}

describe("an address that enrols", () => {
  const enrolment = { isEnrolment: true } as const;

  test("too often is refused, whatever came of its calls, and its other calls are not", () => {
    floodWith("ok", () => enrolment);
    expect(call(enrolment, "ok")).toMatchObject({ message: "too many enrolments come from your address: retry later" });
    expect(isServed({ publicKey: someKey() })).toBe(true);
    expect(isServed({ ...enrolment, remoteAddress: "192.0.2.8" })).toBe(true);
  });

  test("becomes no known agent, and is refused like others whose address failed too often", () => {
    const claim = { publicKey: someKey() };
    expect(isServed(enrolment)).toBe(true);
    expect([limit.isKnown({ remoteAddress, ...claim }), limit.isKnown({ remoteAddress })]).toEqual([false, false]);
    floodWith("unauthenticated");
    expect(isServed(enrolment)).toBe(false);
  });

  test.each(["unavailable", "internal", "resource_exhausted"])("and is answered %s is not to blame", (code) => {
    floodWith(code, () => enrolment);
    expect(isServed(enrolment)).toBe(true);
  });
});

describe("an address whose calls fail", () => {
  test.each(["unauthenticated", "invalid_argument", "canceled", "deadline_exceeded", "unimplemented"])(
    "with %s is over its limit",
    (code) => {
      floodWith(code);
      expect(call({}, "ok")).toMatchObject({
        message: "too many calls from your address failed authentication: retry later",
        retryAfterSeconds: 8,
      });
    },
  );

  test.each(["unavailable", "internal", "resource_exhausted", "ok"])("with %s is not to blame", (code) => {
    floodWith(code);
    expect(isServed({}, "unauthenticated")).toBe(true);
  });

  test("keeps nobody else from being looked at, but its network of IPv6", () => {
    floodWith("unauthenticated", () => ({ remoteAddress: "2001:db8::1" }));
    expect(isServed({ remoteAddress: "2001:db8::2" })).toBe(false);
    expect(isServed({ remoteAddress: "2001:db8:0:1::1" })).toBe(true);
    expect(isServed({})).toBe(true);
  });

  test("keeps its known agents, by certificate as by signature", () => {
    expect([isServed(known), isServed(signer)]).toEqual([true, true]);
    floodWith("unauthenticated");
    expect([isServed({}), isServed({ publicKey: someKey() }), isServed({ machineId: "another" })]).toEqual([
      false,
      false,
      false,
    ]);
    expect([isServed(known), isServed(signer)]).toEqual([true, true]);
  });

  test("is named once in the log", () => {
    floodWith("unauthenticated");
    for (let attempt = 0; attempt < 10; attempt++) call({}, "ok");
    expect(logged).toMatchObject([{ level: 40, remoteAddress }]);
  });
});

describe("known is", () => {
  const isKnown = (claim: Partial<Claim>) => limit.isKnown({ remoteAddress, ...claim });

  test("whose heartbeat has counted", () => {
    expect([isKnown(known), isKnown(signer), isKnown({})]).toEqual([false, false, false]);
    call(known, "invalid_argument");
    call(signer, "unauthenticated");
    expect([isKnown(known), isKnown(signer)]).toEqual([false, false]);
    call(known, "ok");
    call(signer, "failed_precondition");
    expect([isKnown(known), isKnown(signer), isKnown({})]).toEqual([true, true, false]);
    expect(isKnown({ ...known, remoteAddress: "192.0.2.8" })).toBe(true);
  });

  test("who names a machine, until its address has named machines falsely too often", () => {
    call(known, "ok");
    call(signer, "ok");
    floodWith("unauthenticated", () => signer);
    expect([isKnown(signer), isKnown({ ...signer, remoteAddress: "192.0.2.8" }), isKnown(known)]).toEqual([
      false,
      true,
      true,
    ]);
  });
});

test("who names a known machine falsely uses up an allowance of its own, and does not touch those with a certificate", () => {
  expect([isServed(known), isServed(signer)]).toEqual([true, true]);
  floodWith("unauthenticated", () => signer);
  expect([isServed(signer), isServed({ publicKey: someKey() }), isServed(known)]).toEqual([false, true, true]);
});

test.each(["canceled", "deadline_exceeded"])(
  "who names a known machine and ends with %s before it is proven is one of those",
  (code) => {
    expect(isServed(signer)).toBe(true);
    floodWith(code, () => signer);
    expect([isServed(signer), isServed({ publicKey: someKey() })]).toEqual([false, true]);
  },
);

test("a known agent that hangs up, or sets a short deadline, stays one by its certificate", () => {
  expect(isServed(known)).toBe(true);
  for (const code of ["canceled", "deadline_exceeded"]) {
    for (let attempt = 0; attempt < 10; attempt++) expect(isServed(known, code)).toBe(true);
  }
  expect(isServed({ publicKey: someKey() })).toBe(true);
});

test("a known agent may send what cannot be decoded, and stays known", () => {
  expect(isServed(known)).toBe(true);
  for (let attempt = 0; attempt < 10; attempt++) expect(isServed(known, "invalid_argument")).toBe(true);
  expect(isServed({ publicKey: someKey() })).toBe(true);
});

test("a key that is an agent's no longer is a stranger's", () => {
  expect(isServed(known)).toBe(true);
  expect(isServed(known, "unauthenticated")).toBe(true);
  floodWith("unauthenticated");
  expect(isServed(known)).toBe(false);
});

test("an agent whose report was never requested is an agent", () => {
  expect(isServed(known, "failed_precondition")).toBe(true);
  floodWith("unauthenticated");
  expect(isServed(known)).toBe(true);
});

describe("a server", () => {
  test("goes on serving its agents while strangers at their address are sent away", async () => {
    const { database, server } = await startServerWithDatabase();
    const [certified, signing, late] = await Promise.all([1, 2, 3].map(() => machineWithAgent(database.db)));
    if (certified === undefined || signing === undefined || late === undefined) throw new Error("no machines");
    using certifiedAgent = grpcAgent(server, certified.key);
    using signingOne = signingAgent(server, signing, "connect-json");
    const beat = async () => {
      await certifiedAgent.heartbeat({ machineId: certified.machineId });
      await signingOne.heartbeat({ machineId: signing.machineId });
    };
    await beat();
    const stranger = await generateAgentKey();
    using strangersAgent = grpcAgent(server, stranger);
    const codes = new Map<string, number>();
    for (let round = 0; round < 100 && !codes.has("ResourceExhausted"); round++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => codeOf(strangersAgent.heartbeat({ machineId: certified.machineId }))),
      );
      for (const code of answers) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual(["ResourceExhausted", "Unauthenticated"]);
    expect(codes.get("Unauthenticated")).toBeGreaterThanOrEqual(defaultFailureRule.burst);
    await beat();
    expect(server.logged.filter(({ msg }) => String(msg).includes("too many calls from this address"))).toMatchObject([
      { remoteAddress: "127.0.0.1" },
    ]);
    using lateAgent = signingAgent(server, late, "connect-json");
    const outcome = await lateAgent.heartbeat({ machineId: late.machineId }).then(
      () => "ok",
      (error: unknown) => ConnectError.from(error).code,
    );
    expect(["ok", Code.ResourceExhausted]).toContain(outcome);
    await expect.poll(() => codeOf(lateAgent.heartbeat({ machineId: late.machineId }))).toBe("ok");
  });
});
