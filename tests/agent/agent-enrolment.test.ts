/** `bmaas agent` without a machine id, against a real server: it makes a key, asks to be let in, and heartbeats. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { EnrolmentService } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { EnrolRequestSchema } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { enrolAgent } from "../../src/agent/enrol-agent.ts";
import { loadAgentKey } from "../../src/agent/key-file.ts";
import { machineEnrolment } from "../../src/db/schema/index.ts";
import { enrolmentClient, findEnrolment } from "../support/enrolments.ts";
import { readTags } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { makeFolder, startProgram } from "../support/program.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "operator");
const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
const tokens = adminClient(JoinTokenService, server.adminUrl, secret);
const machines = adminClient(MachineService, server.adminUrl, secret);

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
  await database.db.delete(machineEnrolment);
});

/** Starts an agent in the folder. All of them run on one machine, so nothing but the first may be let in by itself. */
function startAgent(args: readonly string[] = [], environment: Record<string, string> = {}) {
  const program = startProgram(
    [
      ...["agent", "--key", "agent.pem", "--endpoint", server.agentUrl, "--ca", server.caFile, "--interval", "0.5"],
      ...["--installer", "pretend", ...args],
    ],
    { directory: folder, environment },
  );
  program.child.stdin?.end();
  onTestFinished(() => void program.child.kill("SIGKILL"));
  return program;
}

const said = (program: ReturnType<typeof startAgent>, text: string) =>
  waitUntil(`the agent says ${text}`, () => program.output.stdout.includes(text));

const loadKey = async () => (await loadAgentKey(join(folder, "agent.pem"))).key;

async function newToken(requiresApproval: boolean): Promise<string> {
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  return (await tokens.createJoinToken({ maxUses: 1, expireTime, requiresApproval })).secret;
}

test.each([
  ["by certificate", []],
  ["signed", ["--signed"]],
])("an agent makes a key, waits, is approved, heartbeats, and keeps its machine id: %s", async (_proof, args) => {
  const agent = startAgent(args);
  await said(agent, "waiting for an operator to let this agent in");
  const key = await loadKey();
  expect((await stat(join(folder, "agent.pem"))).mode & 0o777).toBe(0o600);
  const enrolmentId = (await findEnrolment(database, key))?.id as string;
  const { machine } = await enrolments.approveEnrolment({ enrolmentId, allowDuplicate: true });
  const machineId = machine?.id as string;
  await said(agent, "agent started");
  await waitUntil("it heartbeats", async () => (await readTags(database, machineId)).heartbeat !== undefined);
  expect(await readFile(join(folder, "agent.pem.machine-id"), "utf8")).toBe(`${machineId} ${key.publicKeyHex}\n`);
  agent.child.kill("SIGTERM");
  await agent.exited;
  const before = (await findEnrolment(database, key))?.lastSeenAt;
  const again = startAgent(args);
  await said(again, "agent started");
  expect(again.output.stdout).not.toContain("asking to be let in");
  expect((await findEnrolment(database, key))?.lastSeenAt).toEqual(before);
});

test("an agent that has lost its key makes another, asks again, and runs as whatever machine it is let in", async () => {
  const [{ publicKeyHex: lost }, before] = [await generateAgentKey(), "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11"];
  const state = `${JSON.stringify({ machineId: before })}\n`;
  await writeFile(join(folder, "agent.pem.machine-id"), `${before} ${lost}\n`);
  await writeFile(join(folder, "agent.pem.state.json"), state);
  const agent = startAgent();
  await said(agent, "waiting for an operator to let this agent in");
  await expect(stat(join(folder, "agent.pem.machine-id"))).rejects.toThrow("ENOENT");
  const enrolmentId = (await findEnrolment(database, await loadKey()))?.id as string;
  const { machine } = await enrolments.approveEnrolment({ enrolmentId, allowDuplicate: true });
  await said(agent, "agent started");
  expect(await readFile(join(folder, "agent.pem.state.json"), "utf8")).toBe(state);
  const own = await readFile(join(folder, `agent.pem.${machine?.id}.state.json`), "utf8");
  expect(JSON.parse(own)).toEqual({ machineId: machine?.id });
});

test("a kept id that is none is told with its file, and is not replaced", async () => {
  await said(startAgent(), "waiting for an operator to let this agent in");
  const { publicKeyHex: key } = await loadKey();
  await writeFile(join(folder, "agent.pem.machine-id"), `machine-1 ${key}\n`);
  const agent = startAgent();
  expect(await agent.exited).toBe(2);
  expect(agent.output.stderr).toContain("agent.pem.machine-id: ");
});

test.each([
  [
    "from a file",
    async (token: string) => {
      await writeFile(join(folder, "join.token"), `${token}\n`);
      return startAgent(["--join-token-file", "join.token"]);
    },
  ],
  ["from the environment", async (token: string) => startAgent([], { BMAAS_JOIN_TOKEN: token })],
])("a join token is sent, %s, and is in neither the process list nor the log", async (_from, start) => {
  const token = await newToken(true);
  const agent = await start(token);
  await said(agent, "waiting for an operator to let this agent in");
  expect((await findEnrolment(database, await loadKey()))?.joinTokenId).toBe(token.split("_")[2]);
  expect(agent.child.spawnargs.join(" ")).not.toContain(token);
  expect(agent.output.stdout + agent.output.stderr).not.toContain(token);
});

test("a rejected agent, and one with a wrong token, say so and ask again until they are let in", async () => {
  await writeFile(join(folder, "join.token"), "bmaas_join_wrong");
  const agent = startAgent(["--join-token-file", "join.token"]);
  await said(agent, "the join token is not valid");
  expect(agent.child.exitCode).toBeNull();
  agent.child.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  const second = startAgent();
  await said(second, "waiting for an operator");
  const enrolmentId = (await findEnrolment(database, await loadKey()))?.id as string;
  await enrolments.rejectEnrolment({ enrolmentId });
  await said(second, "this server does not accept the agent");
  await enrolments.approveEnrolment({ enrolmentId, allowDuplicate: true });
  await said(second, "agent started");
});

test("an agent that the server cannot be reached by retries, and ends on a signal", async () => {
  const agent = startProgram(
    [
      "agent",
      "--key",
      "agent.pem",
      "--endpoint",
      "https://127.0.0.1:1",
      "--ca",
      server.caFile,
      "--installer",
      "pretend",
    ],
    { directory: folder },
  );
  onTestFinished(() => void agent.child.kill("SIGKILL"));
  await said(agent, "cannot ask to be let in");
  agent.child.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
});

test("a hardware report that is too large for an enrolment is cut to what the machine is recognised by", async () => {
  const key = await generateAgentKey();
  const joinToken = await newToken(false);
  const report = create(AgentHardwareReportSchema, {
    warning: ["w".repeat(20_000)],
    report: {
      serialNumber: "SN-LARGE",
      blockDevice: Array.from({ length: 500 }, () => ({ deviceModel: "m".repeat(60) })),
    },
  });
  expect(toBinary(EnrolRequestSchema, create(EnrolRequestSchema, { hardwareReport: report })).length).toBeGreaterThan(
    40_000,
  );
  const machineId = await enrolAgent({
    client: enrolmentClient(server, key),
    collectHardware: async () => report,
    joinToken,
    signal: AbortSignal.timeout(50_000),
  });
  expect((await machines.getMachine({ machineId: machineId as string })).machine?.agent?.publicKey).toEqual(
    key.publicKey,
  );
  expect(await findEnrolment(database, key)).toMatchObject({ serialNumber: "SN-LARGE", machineId });
});

test("hardware that cannot be collected keeps no agent from asking", async () => {
  const machineId = await enrolAgent({
    client: enrolmentClient(server, await generateAgentKey()),
    collectHardware: () => Promise.reject(new Error("no /sys")),
    joinToken: await newToken(false),
    signal: AbortSignal.timeout(50_000),
  });
  expect(machineId).toMatch(/^[0-9a-f-]{36}$/);
});

test("hardware that shows itself while the agent waits is told, too", async () => {
  const key = await generateAgentKey();
  const ending = new AbortController();
  let collections = 0;
  let nowMs = 0;
  const enrolling = enrolAgent({
    client: enrolmentClient(server, key),
    collectHardware: async () => {
      const serialNumber = collections++ === 0 ? "" : "SN-LATE";
      return create(AgentHardwareReportSchema, { report: { product: "Example", serialNumber } });
    },
    intervalMs: 1,
    onEvent: () => {
      nowMs += 20_000;
    },
    nowMs: () => nowMs,
    signal: ending.signal,
  });
  await waitUntil("it is told", async () => (await findEnrolment(database, key))?.serialNumber === "SN-LATE");
  ending.abort();
  expect(await enrolling).toBeUndefined();
});
