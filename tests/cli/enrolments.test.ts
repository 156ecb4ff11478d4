/** `bmaas enrolments` as an operator runs it, and enrolments in `machines watch`. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { parseEnrolmentSelector } from "../../src/cli/enrolments/enrolment-targets.ts";
import type { TestDatabase } from "../support/database.ts";
import { knock, reportOf } from "../support/enrolments.ts";
import { bareMachine, machineWithAgent } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { hasTerminals, type OperatorCommand, operatorCommand } from "../support/operator-command.ts";
import { startServerWithDatabase, type TestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";

let database: TestDatabase;
let server: TestServer;
let operator: OperatorCommand;
let actor: string;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  const token = await tokenOf(database.db, "operator");
  actor = `token:${token.name}`;
  operator = operatorCommand(server.adminUrl, token.secret);
});

const newSerial = () => `SN-${randomUUID().slice(0, 8)}`;
const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

test("one that waits is listed, shown, approved onto a new machine, and in the histories", async () => {
  const serialNumber = newSerial();
  const hardwareReport = reportOf(serialNumber, {
    memoryInstalledBytes: 1n << 34n,
    blockDevice: [{ deviceModel: "Disk 9000", capacityBytes: 10n ** 12n }],
    networkInterface: [{ mac: Buffer.from("0242ac110002", "hex") }],
  });
  const { key, enrolmentId } = await knock(server, database, { hardwareReport, agentVersion: "7.1" });
  const list = await operator.run("enrolments", "list", "--selector", `serial=${serialNumber.toLowerCase()}`);
  expect(list).toMatchObject({ status: 0, stderr: "1 enrolment\n" });
  expect(list.stdout).toMatch(/^ID +STATE +FIRST SEEN +LAST SEEN +ADDRESS +HARDWARE +SERIAL +NOTE\n/);
  expect(list.stdout).toMatch(
    new RegExp(
      `\n${enrolmentId}  waiting +(?:just now|\\S.* ago) +(?:just now|\\S.* ago) +127.0.0.1 +Acme A1 +${serialNumber} +-\n$`,
    ),
  );
  const show = await operator.run("enrolments", "show", enrolmentId);
  for (const line of [
    `agent's key +${key.publicKeyHex}`,
    "agent version +7.1",
    `serial number +${serialNumber}`,
    "MAC addresses +02:42:ac:11:00:02",
    "memory +16 GiB",
    "reported +\\d{4}-.*",
  ]) {
    expect(show.stdout).toMatch(new RegExp(`(^|\n)${line}\n`));
  }
  expect(show.stdout).toContain("Disk 9000");
  const approved = await operator.run(
    ...["enrolments", "approve", enrolmentId, "--label", "rack=r3"],
    ...["--provider", "lab", "--provider-id", serialNumber],
  );
  expect(approved).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(new RegExp(`^${enrolmentId}  approved as machine ${uuid}\n$`)),
  });
  const machineId = approved.stdout.trim().slice(-36);
  const [machine, machineHistory, enrolmentHistory, after] = await Promise.all([
    operator.run("machines", "get", machineId),
    operator.run("history", machineId),
    operator.run("history", enrolmentId),
    operator.run("enrolments", "list", "--all", "--selector", `id=${enrolmentId}`),
  ]);
  expect(machine.stdout).toMatch(/\nlabels +rack=r3\n(.*\n)*provider +lab\n/);
  expect(machineHistory.stdout).toContain("machine_enrolled");
  expect(enrolmentHistory.stdout).toMatch(new RegExp(`enrolment_approved.*${actor}|${actor}.*enrolment_approved`));
  expect(after.stdout).toMatch(new RegExp(`${enrolmentId}  approved .*machine ${machineId}\n$`));
});

test("one is approved onto a named machine, with a key in place of the machine's, and JSON says so", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const { enrolmentId } = await knock(server, database);
  const refused = await operator.run("enrolments", "approve", enrolmentId, "--machine", machineId);
  expect(refused).toMatchObject({ status: 4, stderr: expect.stringContaining("has another agent's key") });
  const command = ["enrolments", "approve", enrolmentId, "--machine", machineId, "--replace-key"] as const;
  expect(await operator.json(...command)).toMatchObject({
    enrolment: { id: enrolmentId, state: "ENROLMENT_STATE_APPROVED", machineId, decider: actor },
    machine: { id: machineId },
  });
});

test("one that resembles a machine is marked, and refused with both machines, who approved it and when", async () => {
  const hardwareReport = reportOf(newSerial());
  const first = await knock(server, database, { hardwareReport });
  const approved = await operator.run("enrolments", "approve", first.enrolmentId);
  const holder = approved.stdout.trim().slice(-36);
  const { enrolmentId } = await knock(server, database, { hardwareReport });
  const list = await operator.run("enrolments", "list", "--selector", `id=${enrolmentId}`);
  expect(list.stdout).toMatch(new RegExp(`resembles machine ${holder}\n$`));
  const show = await operator.run("enrolments", "show", enrolmentId);
  expect(show.stdout).toMatch(new RegExp(`\nresembles +machine ${holder}: serial number\n`));
  const target = await bareMachine(database.db);
  const refused = await operator.run("enrolments", "approve", enrolmentId, "--machine", target);
  expect(refused).toMatchObject({ status: 4, stdout: "" });
  expect(refused.stderr).toMatch(
    new RegExp(
      `cannot become machine ${target}: its serial number is that of machine ${holder}, which was approved by ${actor} at \\d{4}-.*; name that machine if it is this one, or look at both and allow a duplicate \\(--allow-duplicate\\)\n`,
    ),
  );
  const allowed = await operator.run("enrolments", "approve", enrolmentId, "--machine", target, "--allow-duplicate");
  expect(allowed).toMatchObject({ status: 0, stdout: `${enrolmentId}  approved as machine ${target}\n` });
});

describe("several", () => {
  async function knockTwice(product: string): Promise<string[]> {
    const knocks = [0, 1].map(() => knock(server, database, { hardwareReport: reportOf(newSerial(), { product }) }));
    return (await Promise.all(knocks)).map(({ enrolmentId }) => enrolmentId);
  }

  test.each([
    ["approve", "approved as machine"],
    ["reject", "rejected"],
    ["forget", "forgotten"],
  ])("are selected and asked about: %s", async (verb, word) => {
    const product = `P-${randomUUID()}`;
    const ids = await knockTwice(product);
    const command = ["enrolments", verb, "--selector", `product=${product}`];
    const unasked = await operator.run(...command);
    expect(unasked).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/2 enrolments.*add --yes/) });
    const { status, stdout } = await operator.run(...command, "--yes");
    expect(status).toBe(0);
    for (const id of ids) expect(stdout).toContain(`${id}  ${word}`);
  });

  test("are approved at once, each as the machine that is expected, and one that is not is told", async () => {
    const product = `P-${randomUUID()}`;
    const serials = [newSerial(), newSerial(), newSerial()];
    const knocks = serials.map((serial) => knock(server, database, { hardwareReport: reportOf(serial, { product }) }));
    const ids = (await Promise.all(knocks)).map(({ enrolmentId }) => enrolmentId);
    const machineIds = [await bareMachine(database.db), await bareMachine(database.db)];
    for (const [index, machineId] of machineIds.entries()) {
      const said = await operator.run("machines", "expect", machineId, "--serial", serials[index] ?? "");
      expect(said.stdout).toMatch(
        new RegExp(`\nexpected +yes, and its agent has not come\nexpected serial +${serials[index]}\n`),
      );
    }
    const command = ["enrolments", "approve", "--selector", `product=${product}`, "--expected", "--yes"];
    const { status, stdout, stderr } = await operator.run(...command);
    expect(status).toBe(4);
    for (const [index, machineId] of machineIds.entries()) {
      expect(stdout).toContain(`${ids[index]}  approved as machine ${machineId}\n`);
    }
    expect(stderr).toContain(`${ids[2]}: no machine is expected as its agent describes it`);
  });

  test("of which some have gone are told one by one, and in JSON by enrolmentId", async () => {
    const [one, two] = (await knockTwice("A2")) as [string, string];
    await operator.run("enrolments", "forget", one);
    const { status, stdout, stderr } = await operator.run("enrolments", "reject", one, two, "--yes", "--json");
    expect(status).toBe(4);
    expect(stderr).toContain("1 of 2 enrolments failed");
    expect(JSON.parse(stdout)).toMatchObject({
      results: [
        { enrolmentId: one, error: { code: "failed_precondition", message: expect.stringContaining("is gone") } },
        { enrolmentId: two, enrolment: { state: "ENROLMENT_STATE_REJECTED" } },
      ],
    });
  });

  test("are not approved onto one machine", async () => {
    const machineId = await bareMachine(database.db);
    const ids = await knockTwice("A3");
    expect(await operator.run("enrolments", "approve", ...ids, "--machine", machineId)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("one machine has one agent"),
    });
  });

  test.skipIf(!hasTerminals)("are asked about on a terminal", async () => {
    const product = `P-${randomUUID()}`;
    const ids = await knockTwice(product);
    const terminal = await operator.startOnTerminal("enrolments", "reject", "--selector", `product=${product}`);
    await terminal.waitFor("Turn the agents of 2 enrolments away? [y/N]");
    terminal.type("y\n");
    expect(await terminal.exited).toBe(0);
    for (const id of ids) expect(terminal.shown()).toContain(`${id}  rejected`);
  });
});

test.each([
  [["enrolments", "approve"], /name enrolments by id, or select them/],
  [["enrolments", "approve", randomUUID(), "--expected", "--machine", randomUUID()], /either --machine or --expected/],
  [["machines", "expect", randomUUID()], /--serial, --uuid and --mac, or --clear/],
  [["machines", "expect", randomUUID(), "--clear", "--serial", "x"], /--serial, --uuid and --mac, or --clear/],
  [["enrolments", "show", "x"], /An enrolment's id is a UUID/],
  [["enrolments", "list", "--selector", "stat=waiting"], /"stat" is not a key, did you mean state\?/],
  [["enrolments", "list", "--selector", "state=waitin"], /"waitin" is not a state, did you mean waiting\?/],
  [["enrolments", "list", "--selector", "serial="], /serial needs a value/],
  [["enrolments", "list", "--selector", "serial=1,serial=2"], /serial is given twice/],
])("wrong usage ends with 2: %j", async (args, words) => {
  expect(await operator.run(...args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(words) });
});

test("a selector becomes a filter", () => {
  const id = randomUUID();
  expect(
    parseEnrolmentSelector([`state=waiting,state=rejected,address=::1`, `serial=a\\,b,older-than=2h,id=${id}`]),
  ).toMatchObject({
    states: [1, 3],
    address: "::1",
    serialNumber: "a,b",
    minAge: { seconds: 7200n },
    enrolmentIds: [id],
  });
});

test("nothing to select ends with 3", async () => {
  const refused = await operator.run("enrolments", "reject", "--selector", `serial=${randomUUID()}`, "--yes");
  expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining("no enrolment matches the selector") });
});

test("a watch shows enrolments where it is asked to", async () => {
  const { watchToken } = (await operator.json("machines", "list", "--limit", "1")) as { watchToken: string };
  const watch = operator.start("machines", "watch", "--enrolments", "--from", watchToken);
  const { enrolmentId } = await knock(server, database, { hardwareReport: reportOf(newSerial()) });
  await waitUntil("it is shown", () => watch.output.stdout.includes(enrolmentId));
  expect(watch.output.stdout).toMatch(new RegExp(`Z.*  ${enrolmentId}  waiting  enrolment_waiting\n`));
  await operator.run("enrolments", "reject", enrolmentId);
  await waitUntil("the rejection is shown", () =>
    new RegExp(`${enrolmentId}  rejected  enrolment_rejected  by ${actor}\n`).test(watch.output.stdout),
  );
});

test("the expected fleet: what came unexpected, what has not come, and a token for expected machines only", async () => {
  const serialNumber = newSerial();
  const created = await operator.run(
    "machines",
    "create",
    "--expect-serial",
    serialNumber,
    "--expect-mac",
    "02-42-AC-11-77-01",
  );
  const machineId = created.stdout.trim();
  expect((await operator.run("machines", "get", machineId)).stdout).toMatch(
    new RegExp(
      `expected +yes, and its agent has not come\n *expected serial +${serialNumber}\n *expected MACs +02:42:ac:11:77:01\n`,
    ),
  );
  const missing = await operator.run("machines", "list", "--selector", "missing");
  expect(missing.stdout).toContain(machineId);
  const networkInterface = [{ mac: Buffer.from("0242ac117701", "hex") }];
  const hardwareReport = reportOf(serialNumber, { networkInterface });
  const came = await knock(server, database, { hardwareReport });
  const stranger = await knock(server, database, { hardwareReport: reportOf(newSerial()) });
  const other = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
  const list = await operator.run("enrolments", "list", "--selector", "expected=yes");
  expect(list.stdout).toMatch(
    new RegExp(`\n${came.enrolmentId} .* expected as machine ${machineId}, resembles enrolment ${other.enrolmentId}\n`),
  );
  const unexpected = await operator.run("enrolments", "list", "--unexpected");
  expect(unexpected.stdout).toContain(stranger.enrolmentId);
  expect(unexpected.stdout).not.toContain(came.enrolmentId);
  expect(unexpected.stdout).toMatch(
    new RegExp(
      `\n${other.enrolmentId} .* machine ${machineId} is expected with its serial number, but with another MAC`,
    ),
  );
  await operator.run("enrolments", "forget", other.enrolmentId);
  expect((await operator.run("enrolments", "list")).stdout).toMatch(
    new RegExp(`\n${came.enrolmentId} .* expected as machine ${machineId}\n`),
  );
  const { stdout: joinToken } = await operator.run("join-tokens", "create", "--only-expected");
  await came.client.enrol({ hardwareReport, joinToken: joinToken.trim() });
  expect((await operator.run("machines", "list", "--selector", "missing")).stdout).not.toContain(machineId);
  expect((await operator.run("machines", "get", machineId)).stdout).toContain("yes, and its agent has come\n");
  expect((await operator.run("machines", "create", "--expect-serial", "Default string")).stderr).toMatch(
    /expected.serial_number: is a serial number that many machines share/,
  );
  expect((await operator.run("join-tokens", "create", "--only-expected", "--require-approval")).stderr).toContain(
    "only_expected: contradicts requires_approval",
  );
});
