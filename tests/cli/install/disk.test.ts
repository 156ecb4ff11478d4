/** How the command line names the disk, shows it before anything is wiped, and says what to write instead. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { provided } from "../../../src/db/schema/index.ts";
import type { TestDatabase } from "../../support/database.ts";
import { sda, storeHardware, type TestDisk } from "../../support/hardware.ts";
import { findInstallation, moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, requestInstallation } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { hasTerminals, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

let database: TestDatabase;
let operator: ReturnType<typeof operatorCommand>;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  ({ database } = started);
  operator = operatorCommand(started.server.adminUrl, (await tokenOf(database.db, "operator")).secret);
});

const image = ["--image", "https://images.example/os.img", "--digest", `sha256:${"ab".repeat(32)}`];
const other: TestDisk = {
  kernelName: "sdb",
  deviceModel: "Big, Slow",
  serialNumber: "OTHER 1",
  capacityBytes: 4n * 10n ** 12n,
};
const shown = "sda, Samsung SSD 860, serial number S3Z8NB0K123456, WWN 0x5002538e40a1b2c3, 1 TB";

/** A machine whose agent has reported two disks, at a place of its own. */
async function machineAt(location: string = randomUUID()): Promise<string> {
  const machineId = await bareMachine(database.db);
  await database.db.insert(provided).values({ machineId, provider: "p", providerId: machineId, location });
  await storeHardware(database.db, machineId, [sda, other]);
  return machineId;
}

const request = (machineId: string, ...more: string[]) =>
  operator.run("install", "request", machineId, ...image, ...more);

describe("install request", () => {
  test.each([
    [["--disk", "wwn=0x5002538E40A1B2C3"], "wwn=0x5002538e40a1b2c3"],
    [["--disk", "smallest,sata,min-size=100GB"], "smallest,min-size=100000000000,protocol=ata"],
    [["--disk", "sata", "--disk", "only"], "only,protocol=ata"],
    [["--disk", "name=sda"], "name=sda"],
    [["--root-device", "sda"], "name=sda"],
  ])("names the disk by %j, and shows which it is", async (named, selector) => {
    const machineId = await machineAt();
    expect(await request(machineId, ...named)).toMatchObject({ status: 0 });
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ diskSelector: selector });
    const { stdout } = await operator.run("install", "get", machineId);
    expect(stdout).toContain(shown);
    expect((await operator.run("history", machineId)).stdout).toContain("disk=sda, Samsung SSD 860, serial number");
  });

  test("with --dry-run shows machine and disk, and requests nothing", async () => {
    const machineId = await machineAt();
    expect(await request(machineId, "--disk", "smallest", "--dry-run")).toEqual({
      status: 0,
      stdout: `${machineId}  would be installed on ${shown}\n`,
      stderr: "",
    });
    const json = await operator.json("install", "request", machineId, ...image, "--disk", "smallest", "--dry-run");
    expect(json.installation).toMatchObject({ disk: { kernelName: "sda", serialNumber: "S3Z8NB0K123456" } });
    expect(await findInstallation(database, machineId, 1n)).toBeUndefined();
  });

  test.each([
    ["no disk", "serial=NONE", /no disk of machine .* matches serial=NONE/],
    ["several", "only", /2 disks of machine .* match only: sda, sdb/],
  ])("for %s ends with 4 and a table of the disks, with what to write", async (_, disk, message) => {
    const machineId = await machineAt();
    const { status, stdout, stderr } = await request(machineId, "--disk", disk);
    expect([status, stdout]).toEqual([4, ""]);
    const [first, header, ...rows] = stderr.trimEnd().split("\n");
    expect(first).toMatch(message);
    expect(header).toMatch(/^NAME +MODEL +SIZE +KIND +SERIAL NUMBER +IN USE +MATCHES +TO NAME IT$/);
    expect(rows).toEqual([
      expect.stringMatching(
        /^sda +Samsung SSD 860 +1 TB +ata +S3Z8NB0K123456 +- +(yes|no) +--disk wwn=0x5002538e40a1b2c3$/,
      ),
      expect.stringMatching(/^sdb +Big, Slow +4 TB +- +OTHER 1 +- +(yes|no) +--disk 'serial=OTHER 1'$/),
    ]);
    expect(await request(machineId, "--disk", "serial=OTHER 1")).toMatchObject({ status: 0 });
  });

  test("without a hardware report ends with 4 and says what to do, and --unchecked-disk goes on", async () => {
    const machineId = await bareMachine(database.db);
    const { status, stderr } = await request(machineId, "--root-device", "sda");
    expect([status, stderr]).toEqual([4, expect.stringMatching(/has not reported its hardware.*--unchecked-disk/)]);
    expect(await request(machineId, "--root-device", "sda", "--unchecked-disk")).toMatchObject({ status: 0 });
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ diskId: null });
  });

  test.each([
    [["--disk", "only", "--root-device", "sda"], "--disk and --root-device both name the disk"],
    [["--disk", "only", "--unchecked-disk"], "--unchecked-disk needs --root-device"],
    [["--disk", "bigest"], 'has "bigest", which is none of serial=, wwn='],
    [["--disk", "min-size=big"], "--disk: it has a min-size that is not an amount of bytes such as 400GB or 2TB\n"],
    [["--disk", "name=sda,ssd"], "has a name beside other terms"],
  ])("with %j is wrong usage", async (named, message) => {
    const { status, stderr } = await request(randomUUID(), ...named);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test("for machines of a selector counts as automatic, and for one by its id does not", async () => {
    const location = randomUUID();
    const machineId = await machineAt(location);
    await operator.run("install", "request", "--selector", `location=${location}`, ...image, "--disk", "smallest");
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({
      reinstallLimit: 3,
      reinstallWindowSeconds: 86_400,
    });
    await request(machineId, "--disk", "smallest");
    expect(await readInstallation(database, machineId, 2n)).toMatchObject({ reinstallLimit: null });
  });
});

test.skipIf(!hasTerminals)(
  "the question names the disk of each machine, and no other disk is wiped after it",
  async () => {
    const location = randomUUID();
    const [one, two] = [await machineAt(location), await machineAt(location)];
    const command = ["install", "request", "--selector", `location=${location}`, ...image, "--disk", "smallest"];
    const terminal = await operator.startOnTerminal(...command);
    await terminal.waitFor("Install on 2 machines and wipe this disk of each? [y/N]");
    for (const machineId of [one, two]) expect(terminal.shown()).toContain(`${machineId}  ${shown}`);
    await storeHardware(database.db, two, [other]);
    terminal.type("y\r");
    expect(await terminal.exited).toBe(4);
    expect(terminal.shown()).toMatch(/now means another disk of machine .* than the one that was confirmed/);
    expect(await readInstallation(database, one, 1n)).toMatchObject({ diskSelector: "smallest" });
    expect(await findInstallation(database, two, 1n)).toBeUndefined();
  },
);

test.skipIf(!hasTerminals)(
  "a machine that would be refused is not installed, whatever it reports meanwhile",
  async () => {
    const location = randomUUID();
    const [known, unknown] = [await machineAt(location), await bareMachine(database.db)];
    await database.db.insert(provided).values({ machineId: unknown, provider: "p", providerId: unknown, location });
    const command = ["install", "request", "--selector", `location=${location}`, ...image, "--disk", "smallest"];
    const terminal = await operator.startOnTerminal(...command);
    await terminal.waitFor("Install on 2 machines and wipe this disk of each? [y/N]");
    expect(terminal.shown()).toContain(
      `${unknown}  would be refused: machine ${unknown} has not reported its hardware`,
    );
    await storeHardware(database.db, unknown);
    terminal.type("y\r");
    expect(await terminal.exited).toBe(4);
    expect(await readInstallation(database, known, 1n)).toMatchObject({ diskSelector: "smallest" });
    expect(await findInstallation(database, unknown, 1n)).toBeUndefined();
  },
);

test.skipIf(!hasTerminals)("a machine that somebody else has installed since the question is not wiped", async () => {
  const location = randomUUID();
  const [one, two] = [await machineAt(location), await machineAt(location)];
  const command = ["install", "request", "--selector", `location=${location}`, ...image, "--disk", "smallest"];
  const terminal = await operator.startOnTerminal(...command);
  await terminal.waitFor("Install on 2 machines and wipe this disk of each? [y/N]");
  await requestInstallation(database.db, two);
  await moveInstallation(database.db, two, 1n, "succeeded");
  terminal.type("y\r");
  expect(await terminal.exited).toBe(4);
  expect(terminal.shown()).toContain(`generation 1 of machine ${two} does not exceed 1`);
  expect(await readInstallation(database, one, 1n)).toMatchObject({ diskSelector: "smallest" });
  expect(await findInstallation(database, two, 2n)).toBeUndefined();
});
