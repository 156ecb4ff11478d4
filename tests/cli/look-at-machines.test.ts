/** `bmaas status`, `bmaas history` and `bmaas hardware` as a viewer runs them. */
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { BlockDevice_Kind, BlockDevice_Protocol, EFISupport } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { machineEnrolment, machineHistory, machineLabel, provided } from "../../src/db/schema/index.ts";
import { grpcAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { knock } from "../support/enrolments.ts";
import { moveInstallation } from "../support/installation.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../support/operator-command.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let viewer: OperatorCommand;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
});

describe("status", () => {
  test("counts by state, says what needs attention, and by which command to look at it", async () => {
    const own = await createTestDatabase();
    const places = { p1: ["am6", "am6", "fr4"], p2: ["ny1"] };
    for (const [provider, locations] of Object.entries(places)) {
      for (const location of locations) {
        const machineId = await bareMachine(own.db);
        await own.db.insert(provided).values({ machineId, provider, providerId: machineId, location });
      }
    }
    const failed = await bareMachine(own.db);
    await moveInstallation(own.db, failed, await requestInstallation(own.db, failed), "failed");
    // Machines are counted once in a while, so they are there before the server.
    await using counting = await startTestServer(own.url);
    const { secret } = await tokenOf(own.db, "viewer");
    const command = operatorCommand(counting.adminUrl, secret);
    const [states, locations] = await Promise.all([command.run("status"), command.run("status", "--by", "location")]);
    expect(states.stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ["STATE", "MACHINES"],
      ["no_agent", "4"],
      ["installation_failed", "1"],
      ["all", "5"],
      [""],
      ["Needs attention"],
      ["MACHINES", "WHY"],
      ["1", "the last installation failed"],
      [""],
    ]);
    expect(states.stdout).toContain("bmaas machines explain --selector state=installation_failed\n");
    const rows = locations.stdout.split("\n").map((line) => line.split(/ {2,}/));
    expect(rows[0]?.slice(0, 4)).toEqual(["PROVIDER", "LOCATION", "MACHINES", "NOT SET UP"]);
    expect(rows.slice(1, 5).map((row) => row.slice(0, 4))).toEqual([
      ["-", "-", "1", "0"],
      ["p1", "am6", "2", "2"],
      ["p1", "fr4", "1", "1"],
      ["p2", "ny1", "1", "1"],
    ]);
    await counting.close();
    await own.close();
  });

  test("says how many agents wait to be let in, since when, and by which command to look at them", async () => {
    const own = await createTestDatabase();
    const { secret } = await tokenOf(own.db, "viewer");
    const statusOf = async () => {
      // Machines are counted once in a while.
      await using fresh = await startTestServer(own.url);
      return (await operatorCommand(fresh.adminUrl, secret).run("status")).stderr;
    };
    await using door = await startTestServer(own.url);
    const first = await knock(door, own);
    await own.db.update(machineEnrolment).set({ firstSeenAt: new Date(Date.now() - 3 * 3_600_000) });
    expect(await statusOf()).toBe(
      "there are no machines yet; create one with: bmaas machines create\n" +
        "1 agent waits to be let in, first seen 3 h ago; see them with: bmaas enrolments list\n",
    );
    await bareMachine(own.db);
    await knock(door, own);
    expect(await statusOf()).toContain(
      "\n2 agents wait to be let in, the oldest first seen 3 h ago; see them with: bmaas enrolments list\n",
    );
    await own.db.delete(machineEnrolment).where(eq(machineEnrolment.id, first.enrolmentId));
    await own.db.update(machineEnrolment).set({ state: "rejected" });
    expect(await statusOf()).not.toContain("let in");
    await door.close();
    await own.close();
  });
});

describe("history", () => {
  test("tells what happened, newest first, with who did it, page after page up to the limit", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    const [shown, limited] = await Promise.all([
      viewer.run("history", machineId),
      viewer.json("history", machineId, "--limit", "2"),
    ]);
    const [header, ...rows] = shown.stdout.trimEnd().split("\n");
    expect(header).toMatch(/^TIME +ACTOR +EVENT +DETAIL$/);
    expect(rows).toEqual([
      expect.stringMatching(/Z \(.*\) +test +installation_requested +generation=1/),
      expect.stringMatching(/Z \(.*\) +test +agent_registered +publicKey=[0-9a-f]{64}/),
      expect.stringMatching(/Z \(.*\) +test +machine_created$/),
    ]);
    expect(limited.events).toMatchObject([{ kind: "installation_requested" }, { kind: "agent_registered" }]);
  });

  test("of the fleet names the machines, and is narrowed by time, kind, actor and selector", async () => {
    const own = await createTestDatabase();
    await using quiet = await startTestServer(own.url);
    const command = operatorCommand(quiet.adminUrl, (await tokenOf(own.db, "viewer")).secret);
    expect(await command.run("history")).toEqual({ status: 0, stdout: "", stderr: "there is no history\n" });
    const [first, second] = [await bareMachine(own.db), await bareMachine(own.db)];
    await own.db.insert(machineLabel).values({ machineId: first, key: "rack", value: "r1" });
    await own.db.insert(machineHistory).values([
      { machineId: first, actor: "token:ann", kind: "machine_held", detail: {}, at: new Date("2026-03-01T12:30:00Z") },
      { machineId: second, actor: "oidc:bob", kind: "machine_held", detail: {}, at: new Date("2026-03-01T12:40:00Z") },
    ]);
    const list = async (...args: string[]) => {
      const { events } = await command.json("history", ...args);
      return (events as { kind: string; machineId: string }[]).map(({ kind, machineId }) => [kind, machineId]);
    };
    const [shown, held, byAnn, ofRack, old, recent, limited, none, both, unknown] = await Promise.all([
      command.run("history"),
      list("--kind", "machine_held"),
      list("--actor", "token:*", "nobody"),
      list("--selector", "label.rack=r1", "--until", "1h"),
      list("--since", "2026-03-01 13:35+01:00", "--until", "2026-03-02"),
      list("--since", "1h"),
      list("--limit", "1"),
      command.run("history", "--until", "2026-03-01T12:30"),
      command.run("history", first, "--selector", "label.rack=r1"),
      command.run("history", "--kind", "machine_hold"),
    ]);
    const [header, ...rows] = shown.stdout.trimEnd().split("\n");
    expect(header).toMatch(/^TIME +MACHINE +ACTOR +EVENT +DETAIL$/);
    expect(rows).toHaveLength(4);
    expect(rows[0]).toContain(`${second}  test`);
    expect(rows[3]).toMatch(new RegExp(`^2026-03-01 12:30:00Z .* ${first} +token:ann +machine_held$`));
    expect(held).toEqual([
      ["machine_held", second],
      ["machine_held", first],
    ]);
    expect(byAnn).toEqual([["machine_held", first]]);
    expect(ofRack).toEqual([["machine_held", first]]);
    expect(old).toEqual([["machine_held", second]]);
    expect(recent).toEqual([
      ["machine_created", second],
      ["machine_created", first],
    ]);
    expect(limited).toEqual([["machine_created", second]]);
    expect(none).toEqual({ status: 0, stdout: "", stderr: "no event matches\n" });
    expect(both).toMatchObject({ status: 2, stderr: expect.stringContaining("not both") });
    expect(unknown).toMatchObject({ status: 2, stderr: expect.stringContaining("machine_held") });
    await quiet.close();
    await own.close();
  });

  test("of what happened since a time is whole, and else has the newest fifty", async () => {
    const machineId = await bareMachine(database.db);
    const entry = { machineId, actor: "test", kind: "machine_provided" as const, detail: {} };
    await database.db.insert(machineHistory).values(Array.from({ length: 60 }, () => entry));
    const count = async (...args: string[]) =>
      ((await viewer.json("history", machineId, ...args)).events as unknown[]).length;
    expect(await Promise.all([count(), count("--since", "1h"), count("--since", "1h", "--limit", "55")])).toEqual([
      50, 61, 55,
    ]);
  });

  test("refuses ages in the wrong order, by the names of the options", async () => {
    expect(await viewer.run("history", "--since", "1h", "--until", "2h")).toEqual({
      status: 2,
      stdout: "",
      stderr: "bmaas: --until: must be later than --since; of two ages, the smaller one is later\n",
    });
  });

  test.each(["2026-02-30", "2026-03-01T25:00", "yesterday", "-1h", "0000-01-01"])(
    "refuses %s as a time",
    async (time) => {
      const { status, stderr } = await viewer.run("history", `--since=${time}`);
      expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("--since") });
    },
  );

  test("says so when nothing is kept", async () => {
    const unknown = "00000000-0000-4000-8000-000000000000";
    const expected = { status: 0, stdout: "", stderr: "there is no history of this machine\n" };
    expect(await viewer.run("history", unknown)).toEqual(expected);
  });
});

describe("hardware", () => {
  const disk = {
    vendor: "ACME",
    deviceModel: "Fast\u001b[2J",
    serialNumber: "S1",
    capacityBytes: 1_920_383_410_176n,
    protocol: BlockDevice_Protocol.NVME,
    usageRatio: 0.25,
    kernelName: "nvme0n1",
    stableName: [
      "disk/by-id/nvme-eui.0025385b71b0c9e1",
      "disk/by-id/nvme-Fast_S1",
      "disk/by-path/pci-0000:07:00.0-nvme-1",
    ],
    path: ["nvme0c0n1", "nvme0c1n1"],
  };
  const stick = {
    deviceModel: "Stick",
    capacityBytes: 32_000_000_000n,
    protocol: BlockDevice_Protocol.SCSI,
    rotational: true,
    kind: BlockDevice_Kind.REMOVABLE,
  };
  const node = {
    manufacturer: "Example Corp",
    product: "Server 1",
    serialNumber: "X1",
    memoryInstalledBytes: 274_877_906_944n,
    memoryUsableRatio: 0.98,
    cpu: [{ vendor: "GenuineIntel", model: "Xeon", cores: 16, hardwareThreads: 32 }],
    blockDevice: [disk, stick],
    networkInterface: [
      {
        mac: Uint8Array.of(2, 0, 0, 0, 0, 255),
        driver: "ixgbe",
        linkUp: true,
        currentSpeedBytes: 1_250_000_000n,
        name: "eno1",
        pciAddress: "0000:3b:00.0",
      },
    ],
    efiSupport: EFISupport.EFI_SUPPORT_ENABLED,
    chassisSerialNumber: "C1",
    biosVersion: "3.4a",
  };

  test("shows the newest report, its disks and interfaces, and what changed since the one before", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    const report = { report: node, warning: ["no access to the BMC"] };
    await agent.heartbeat({ machineId, hardwareReport: report });
    const grown = {
      ...node,
      blockDevice: [disk, { ...disk, serialNumber: "S2" }, stick],
      memoryInstalledBytes: 2n ** 39n,
    };
    await agent.heartbeat({ machineId, hardwareReport: { ...report, report: grown } });
    const [shown, diff, json] = await Promise.all([
      viewer.run("hardware", machineId),
      viewer.run("hardware", machineId, "--diff"),
      viewer.json("hardware", machineId),
    ]);
    const lines = shown.stdout.split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        "system            Example Corp Server 1",
        "chassis's serial  C1",
        "memory            512 GiB, 98 % usable",
        "processors        Xeon: 16 cores, 32 threads",
        "EFI               enabled",
        "warnings          no access to the BMC",
        expect.stringMatching(
          /^nvme0n1 +ACME Fast\\u\{1b\}\[2J +1\.92 TB +nvme, 2 paths +S2 +25 % worn +- +by-id\/nvme-Fast_S1$/,
        ),
        expect.stringMatching(/^- +Stick +32 GB +scsi, removable, not counted +- +- +- +-$/),
        expect.stringMatching(/^eno1 +02:00:00:00:00:ff +0000:3b:00\.0 +ixgbe +up +10 Gbit\/s$/),
        "BIOS version      3.4a",
        "  ~ report.memory_installed_bytes: 274877906944 -> 549755813888",
      ]),
    );
    expect(shown.stdout).not.toContain("\u001b");
    expect(diff.stdout).toMatch(/^\nChanged \d{4}-.*\n {2}~ report\.memory_installed_bytes: .*\n/);
    expect(diff.stdout).toContain("  + report.block_device[S2]");
    expect(json.reports).toHaveLength(2);
    expect(json.reports).toMatchObject([{ report: { report: { blockDevice: [{}, {}, {}] } } }, {}]);
  });

  test("says of what an agent could not find out that it is unknown, or nothing", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    const unknown = {
      memoryUsableRatio: Number.POSITIVE_INFINITY,
      cpu: [{ vendor: "GenuineIntel" }],
      blockDevice: [{ deviceModel: "Disk", usageRatio: Number.NaN }],
      networkInterface: [{ linkUp: true }, { longAddress: Uint8Array.of(0, 0, 0, 0, 0xfe, 0x80), linkUp: false }],
      efiSupport: EFISupport.EFI_SUPPORT_UNKNOWN,
    };
    await agent.heartbeat({ machineId, hardwareReport: { report: { ...unknown, memoryUsableRatio: Number.NaN } } });
    await agent.heartbeat({ machineId, hardwareReport: { report: unknown } });
    await agent.heartbeat({ machineId, hardwareReport: { report: { ...unknown, memoryUsableRatio: 0.5 } } });
    await agent.heartbeat({ machineId, hardwareReport: { report: unknown } });
    const [shown, diff, machine, list] = await Promise.all([
      viewer.run("hardware", machineId),
      viewer.run("hardware", machineId, "--diff"),
      viewer.run("machines", "get", machineId),
      viewer.run("machines", "list", "--selector", `id=${machineId}`),
    ]);
    const [report] = shown.stdout.split("\nChanged");
    expect(report?.trimEnd().split("\n").slice(1)).toEqual([
      "memory      unknown",
      "processors  GenuineIntel: unknown",
      "EFI         unknown",
      "",
      expect.stringMatching(/^NAME +DISK /),
      expect.stringMatching(/^- +Disk +unknown +- +- +- +- +-$/),
      "",
      expect.stringMatching(/^INTERFACE /),
      expect.stringMatching(/^- +- +- +- +up +unknown$/),
      expect.stringMatching(/^- +00:00:00:00:fe:80 +- +- +down +-$/),
    ]);
    expect(diff.stdout.match(/usable_ratio.*/g)).toEqual([
      "usable_ratio: 0.5 -> unknown",
      "usable_ratio: unknown -> 0.5",
    ]);
    expect(machine.stdout).toMatch(/^memory +unknown$/m);
    expect(machine.stdout).toMatch(/^threads +unknown$/m);
    expect(list.stdout).toMatch(/ - +- +0 B\n$/);
  });

  test("shows shares as they were measured", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    await agent.heartbeat({
      machineId,
      hardwareReport: {
        report: {
          memoryUsableRatio: 0.97,
          blockDevice: [{ serialNumber: "S1", usageRatio: 0.03, availableSpareRatio: 1 }],
        },
      },
    });
    const { stdout } = await viewer.run("hardware", machineId, "--json");
    expect(stdout.match(/"(?:usageRatio|availableSpareRatio|memoryUsableRatio)": [^,\n]*/g)).toEqual([
      '"memoryUsableRatio": 0.97',
      '"availableSpareRatio": 1',
      '"usageRatio": 0.03',
    ]);
  });

  test("says so when the agent has reported none", async () => {
    const machineId = await bareMachine(database.db);
    const expected = { status: 0, stdout: "", stderr: "the agent has not reported its hardware yet\n" };
    expect(await viewer.run("hardware", machineId)).toEqual(expected);
  });
});
