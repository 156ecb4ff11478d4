import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { type ExplainMachineResponse, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { agentHeartbeat, osInstallationReport, osInstallationRequest } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { situations } from "../../support/situation.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const viewer = await tokenOf(db, "viewer");
const operator = await tokenOf(db, "operator");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

async function machineOf(name: string): Promise<string> {
  const situation = situations.find((each) => each.name === name);
  if (situation === undefined) throw new Error(`there is no machine ${name}`);
  return await situation.make(db);
}

const explain = (machineId: string) => machines.explainMachine({ machineId });
const explainOne = async (name: string) => await explain(await machineOf(name));
/** In whole minutes from the machine's state on; undefined when nothing has a time. */
const nextInMinutes = ({ nextTime }: ExplainMachineResponse) =>
  nextTime && Math.round((timestampMs(nextTime) - Date.now()) / 60_000);
const firstWords = ({ remedies }: ExplainMachineResponse) =>
  remedies.map(
    ({ command, description }) =>
      command.replace(/ [0-9a-f-]{36}.*/, "").slice("bmaas ".length) || description.split(" ", 1).join(),
  );

const time = String.raw`\(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\)`;
const agentCalls = `its agent heartbeats, last \\d+ (?:s|min) ago ${time}`;
const agentIsSilent = `its agent has not been heard for 12 min \\(since [^)]+Z\\)`;
const given = `installation 1 was given to the agent 30 min ago ${time}, the last of 3 times 29 min ago ${time}`;

test.each<[string, RegExp, RegExp, number | undefined, string[]]>([
  [
    "of which nothing is known",
    /^no provider .* and no agent's key is registered, for 90 min \(since /,
    /^$/,
    undefined,
    ["agents register", "machines set-provided", "machines delete"],
  ],
  [
    "that a provider made available",
    /^no agent's key is registered, for 60 min /,
    /^$/,
    undefined,
    ["agents register", "machines delete"],
  ],
  [
    "whose agent has not called yet",
    /^an agent's key is registered, but no heartbeat with it has arrived, for 50 min /,
    /first heartbeat/,
    undefined,
    ["agent --machine-id", "agents replace"],
  ],
  ["whose agent calls", new RegExp(`^${agentCalls}, and no installation`), /stale/, 4, ["install request"]],
  [
    "whose agent is silent",
    /^its agent has not been heard for 12 min .*, and its silence allowance ended at 20.*Z$/,
    /next heartbeat changes the state/,
    undefined,
    ["check", "agents replace"],
  ],
  [
    "that is to be installed",
    new RegExp(`^installation 1 was requested 35 min ago ${time}, .*; ${agentCalls}$`),
    /^the agent is given it with its next heartbeat$/,
    4,
    ["install cancel"],
  ],
  [
    "that is to be installed while its agent is silent",
    new RegExp(`; ${agentIsSilent}$`),
    /with its next heartbeat$/,
    undefined,
    ["check", "agents replace", "install cancel"],
  ],
  [
    "that is to be installed and has no agent",
    /no agent can be given it$/,
    /^$/,
    undefined,
    ["agents register", "install cancel"],
  ],
  [
    "whose agent has the request",
    new RegExp(`^${given}, and the agent has not reported progress yet; ${agentCalls}$`),
    /becomes overdue unless/,
    10,
    ["history", "install request"],
  ],
  [
    "whose agent has the request and lost its key",
    /; no agent's key is registered$/,
    /becomes overdue$/,
    10,
    ["agents register"],
  ],
  [
    "whose agent installs",
    new RegExp(
      `^the agent carries out installation 1; the agent reported 20 min ago ${time}: writing, 40 %; ${agentCalls}$`,
    ),
    /becomes overdue unless/,
    10,
    ["history"],
  ],
  [
    "whose agent did not say anything of the request in time",
    new RegExp(`^${given}, and .* has been overdue for 10 min .*; ${agentIsSilent}$`),
    /^nothing, unless/,
    undefined,
    ["check", "install retry", "install request"],
  ],
  [
    "whose agent began to install and did not go on in time",
    /has been overdue for 10 min .*; the agent reported 20 min ago .*: writing, 40 %; /,
    /^nothing, unless/,
    undefined,
    ["check", "install retry"],
  ],
  [
    "that failed",
    new RegExp(`^installation 1 failed 5 min ago ${time}: no such disk; ${agentCalls}$`),
    /^$/,
    undefined,
    ["install retry", "install request"],
  ],
  [
    "that failed, and whose next request was cancelled",
    /^installation 1 failed .*: no such disk; installation 2 was cancelled since; /,
    /^$/,
    undefined,
    ["install request"],
  ],
  ["that is installed", /^installation 1 succeeded 5 min ago /, /^$/, undefined, ["install request"]],
])(
  "says of a machine %s what holds it there, what follows, and what to do",
  async (name, condition, next, inMinutes, remedies) => {
    const explained = await explainOne(name);
    expect(explained.condition).toMatch(condition);
    expect(explained.next).toMatch(next);
    expect(nextInMinutes(explained)).toBe(inMinutes);
    expect(firstWords(explained).slice(0, remedies.length)).toEqual(remedies);
  },
);

/** Puts other bytes in the place of the request that is stored of a machine's installation. */
async function explainWithRequest(name: string, request: Uint8Array) {
  const machineId = await machineOf(name);
  await db.update(osInstallationRequest).set({ request }).where(eq(osInstallationRequest.machineId, machineId));
  return await explain(machineId);
}

describe("a request that is stored and cannot be read", () => {
  const spoil = (name: string) => explainWithRequest(name, Buffer.from([0xff]));

  test("is what holds a pending installation, and nothing happens by itself", async () => {
    const explained = await spoil("that is to be installed");
    expect(explained.condition).toMatch(/cannot be decoded, so no agent is given it$/);
    expect(explained).toMatchObject({ next: "", machine: { state: MachineState.INSTALLATION_PENDING } });
    expect(explained.nextTime).toBeUndefined();
    expect(firstWords(explained)).toEqual(["install request", "install cancel"]);
  });

  test.each(["that failed", "whose agent did not say anything of the request in time"])(
    "is not advised to be tried once more: %s",
    async (name) => {
      expect(firstWords(await spoil(name))).not.toContain("install retry");
    },
  );
});

describe("a request of a type that only a newer server knows", () => {
  const ofNewerType = Buffer.from([0x08, 0x01, 0x92, 0x01, 0x00]);

  test("is given to the agent like any other", async () => {
    const explained = await explainWithRequest("that is to be installed", ofNewerType);
    expect(explained.condition).toMatch(/no heartbeat has fetched it yet/);
    expect(explained.next).toBe("the agent is given it with its next heartbeat");
  });

  test("can be tried once more when it has failed", async () => {
    expect(firstWords(await explainWithRequest("that failed", ofNewerType))[0]).toBe("install retry");
  });
});

test.each(["this agent does not know what is asked for", "unknown installation request type"])(
  "advises another agent, and no retry, where the agent said: %s",
  async (error) => {
    const machineId = await machineOf("that failed");
    await db.update(osInstallationReport).set({ error }).where(eq(osInstallationReport.machineId, machineId));
    const explained = await explain(machineId);
    expect(explained.condition).toContain(`failed 5 min ago`);
    expect(explained.condition).toContain(error);
    expect(explained.remedies[0]?.description).toMatch(/^run an agent that supports this kind of installation/);
    expect(firstWords(explained)).not.toContain("install retry");
    expect(firstWords(explained)).toContain("install request");
  },
);

describe("a request that the agent is given again and again", () => {
  /** Moves the deliveries on: the first one ten minutes ago, the last one with the last heartbeat. */
  async function explainGiven(name: string, timesGiven: bigint, silent = false) {
    const machineId = await machineOf(name);
    const minutesAgo = (minutes: number) => sql`now() - make_interval(secs => ${minutes * 60})`;
    await db
      .update(osInstallationRequest)
      .set({ firstGivenAt: minutesAgo(10), lastGivenAt: minutesAgo(0.9), timesGiven })
      .where(eq(osInstallationRequest.machineId, machineId));
    const heard = { heartbeatAt: minutesAgo(1), quietUntil: minutesAgo(-1) };
    await db
      .update(agentHeartbeat)
      .set({ ...heard, aliveSince: minutesAgo(silent ? 5 : 40) })
      .where(eq(agentHeartbeat.machineId, machineId));
    return await explain(machineId);
  }
  const neverTakenUp =
    /^installation 1 was given 12 times, never taken up: the agent has kept asking since the first time 10 min ago .* without progress, report or silence/;

  test.each(["whose agent has the request", "whose agent did not say anything of the request in time"])(
    "was never taken up, and the agent's log may say why: %s",
    async (name) => {
      const { condition, remedies } = await explainGiven(name, 12n);
      expect(condition).toMatch(neverTakenUp);
      expect(remedies[0]?.description).toMatch(/^see in the agent's log whether it can read the request/);
    },
  );

  test("may only not have been heard when it was given a second time", async () => {
    expect((await explainGiven("whose agent has the request", 2n)).condition).not.toContain("never taken up");
  });

  test("was taken up by an agent that was silent meanwhile, or told of its progress", async () => {
    expect((await explainGiven("whose agent has the request", 12n, true)).condition).not.toContain("never taken up");
    expect((await explainGiven("whose agent installs", 12n)).condition).not.toContain("never taken up");
  });
});

test("names a provider that says why nothing comes from the machine", async () => {
  const machineId = await machineOf("whose agent is silent");
  const said = { provider: "lab", providerId: "slot-7", status: ProviderStatus.STOPPED };
  await adminClient(MachineService, server.adminUrl, operator.secret).setProvided({ machineId, provided: said });
  expect((await explain(machineId)).condition).toMatch(/; its provider lab says that slot-7 is switched off$/);
});

test("quotes an agent's error in one line, and not without end", async () => {
  const machineId = await machineOf("that failed");
  const error = `mkfs:\n\tno space\u{1b}[2J${"😀".repeat(5000)}`;
  await db.update(osInstallationReport).set({ error }).where(eq(osInstallationReport.machineId, machineId));
  const { condition } = await explain(machineId);
  expect(condition).toContain("mkfs: no space [2J😀");
  expect(condition).not.toMatch(/\p{Cc}/u);
  expect(condition.isWellFormed()).toBe(true);
  expect(condition.length).toBeLessThan(800);
});

test("refuses what is no machine, and nobody; takes ids in any case", async () => {
  const machineId = await machineOf("of which nothing is known");
  expect((await machines.explainMachine({ machineId: machineId.toUpperCase() })).machine?.id).toBe(machineId);
  expect(await errorOf(machines.explainMachine({ machineId: "x" }))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id"],
  });
  expect(await codeOf(machines.explainMachine({ machineId: randomUUID() }))).toBe("NotFound");
  const nobody = adminClient(MachineService, server.adminUrl);
  expect(await codeOf(nobody.explainMachine({ machineId }))).toBe("Unauthenticated");
});
