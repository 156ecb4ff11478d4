/** `bmaas machines find` and `bmaas hardware where` as a viewer runs them. */
import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../../support/agents.ts";
import { machineWithAgent, readTags, type TestMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
let viewer: OperatorCommand;

beforeAll(async () => {
  viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
});

const newSerial = () => `S${randomBytes(6).toString("hex").toUpperCase()}`;

/** Reports one disk, or none, and returns the report's time as commands print it, but without its distance from now. */
async function report({ machineId, key }: TestMachine, serialNumber?: string): Promise<string> {
  using agent = grpcAgent(server, key);
  const blockDevice = serialNumber === undefined ? [] : [{ vendor: "ACME", deviceModel: "D 1", serialNumber }];
  await agent.heartbeat({ machineId, hardwareReport: { report: { blockDevice } } });
  const { hardware } = await readTags(database, machineId);
  return `${hardware?.reportedAt.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** The rows of a table, as cells; times without their distance from now. */
const rowsOf = (stdout: string) =>
  stdout
    .replaceAll(/ \((?:just now|\d+ \w+ ago)\)/g, "")
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/));

describe("machines find", () => {
  test("shows the machine with a disk's serial number, and by what it was found", async () => {
    const serial = newSerial();
    const machine = await machineWithAgent(database.db);
    await report(machine, serial);
    const { status, stdout, stderr } = await viewer.run("machines", "find", serial.toLowerCase());
    expect([status, stderr]).toEqual([0, "1 machine\n"]);
    expect(rowsOf(stdout)).toEqual([
      ["ID", "STATE", "PROVIDER", "LOCATION", "MATCH"],
      [machine.machineId, "heartbeating", "-", "-", `disk serial number ${serial} (ACME D 1)`],
    ]);
    expect(await viewer.json("machines", "find", serial)).toMatchObject({
      results: [
        { machine: { id: machine.machineId }, matches: [{ kind: "MATCH_KIND_DISK_SERIAL_NUMBER", value: serial }] },
      ],
      more: false,
    });
  });

  test("shows since when a machine has a part no more, and the label that matches", async () => {
    const serial = newSerial();
    const [had, labelled] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
    await report(had, serial);
    const gone = await report(had);
    const { secret } = await tokenOf(database.db, "operator");
    await adminClient(MachineService, server.adminUrl, secret).setLabels({
      machineId: labelled.machineId,
      set: { note: serial },
    });
    const { stdout } = await viewer.run("machines", "find", serial);
    expect(rowsOf(stdout).map((cells) => cells.at(-1))).toEqual([
      "MATCH",
      `label note=${serial}`,
      `disk serial number ${serial} (ACME D 1), until ${gone}`,
    ]);
  });

  test("says that more match, and what to do", async () => {
    const serial = newSerial();
    for (const last of ["a", "b", "c"]) await report(await machineWithAgent(database.db), `${serial}${last}`);
    const { stdout, stderr } = await viewer.run("machines", "find", serial, "--limit", "2");
    expect(rowsOf(stdout)).toHaveLength(3);
    expect(stderr).toBe("2 machines, and more match: write more of it, or use --limit\n");
  });

  test("exits with 3 when nothing matches, and says what else to try", async () => {
    const none = await viewer.run("machines", "find", "no such thing");
    expect(none).toMatchObject({ status: 3, stdout: "" });
    expect(none.stderr).toMatch(/no machine has "no such thing".*write only the beginning/);
    const json = await viewer.run("machines", "find", "no such thing", "--json");
    expect([json.status, JSON.parse(json.stdout)]).toEqual([3, { results: [], more: false }]);
  });

  test.each([
    [["machines", "find"], "missing required argument"],
    [["machines", "find", "  "], "Write what to look for"],
    [["machines", "find", "a".repeat(256)], "at most 255 characters"],
    [["machines", "find", "x", "--limit", "101"], "up to 100"],
    [["hardware", "where"], "missing required argument"],
    [["hardware", "where", " "], "Write what to look for"],
  ])("%j is wrong usage", async (args, message) => {
    expect(await viewer.run(...args)).toMatchObject({ status: 2, stderr: expect.stringContaining(message) });
  });
});

describe("hardware where", () => {
  test("shows which machine has a disk, which had it, and when", async () => {
    const serial = newSerial();
    const [one, other] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
    const first = await report(one, serial);
    const gone = await report(one);
    const moved = await report(other, serial);
    const { status, stdout, stderr } = await viewer.run("hardware", "where", serial);
    expect([status, stderr]).toEqual([0, ""]);
    expect(rowsOf(stdout)).toEqual([
      ["PART", "VALUE", "MODEL", "MACHINE", "SINCE", "UNTIL"],
      ["disk serial number", serial, "ACME D 1", other.machineId, moved, "now"],
      ["disk serial number", serial, "ACME D 1", one.machineId, first, gone],
    ]);
    expect(await viewer.json("hardware", "where", serial)).toMatchObject({
      parts: [{ value: serial, holders: [{ machineId: other.machineId }, { machineId: one.machineId }] }],
    });
  });

  test("leaves the hardware of a machine to the command above it", async () => {
    const machine = await machineWithAgent(database.db);
    const serial = newSerial();
    await report(machine, serial);
    const [text, json] = await Promise.all([
      viewer.run("hardware", machine.machineId),
      viewer.json("hardware", machine.machineId),
    ]);
    expect(text.stdout).toContain(serial);
    expect(json).toHaveProperty("reports");
  });

  test("exits with 3 when no machine had the part", async () => {
    const none = await viewer.run("hardware", "where", "no such part");
    expect(none).toMatchObject({ status: 3, stdout: "" });
    expect(none.stderr).toContain("bmaas machines find");
  });
});
