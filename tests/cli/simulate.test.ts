/** A simulated fleet against a real server: registered, heartbeating and installing. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MachineState } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { countFleet } from "../../src/db/queries/fleet.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { makeFolder, runProgram } from "../support/program.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const admin = await tokenOf(database.db, "admin");
const machines = adminClient(MachineService, server.adminUrl, admin.secret);

interface Summary {
  readonly machines: number;
  readonly heartbeats: number;
  readonly busiestSecond: number;
  readonly failuresByCode: Record<string, number>;
  readonly installations: Record<string, number>;
  readonly spuriousRequests: number;
}

async function simulate(fleet: string, ...options: string[]): Promise<Summary> {
  const { status, stdout, stderr } = await runProgram(
    ["simulate", "--endpoint", server.agentUrl, "--ca", server.caFile, "--fleet", fleet, "--json", ...options],
    { environment: { BMAAS_ADMIN_URL: server.adminUrl, BMAAS_ADMIN_TOKEN: admin.secret } },
  );
  expect(stderr).not.toContain("bmaas:");
  expect(status).toBe(0);
  return JSON.parse(stdout) as Summary;
}

test("registers its machines, heartbeats, installs, and finds the same machines the next time", async () => {
  const fleet = join(await makeFolder(), "fleet.key");
  const first = await simulate(
    fleet,
    ...["--machines", "30", "--interval", "1s", "--duration", "12s", "--installations", "6"],
    ...["--install-duration", "1s", "--fail-share", "0.3", "--vanish-share", "0.2", "--storm-every", "4s"],
  );
  expect(first.machines).toBe(30);
  expect(first.heartbeats).toBeGreaterThan(60);
  expect(first.busiestSecond).toBeGreaterThan(first.heartbeats / 13);
  expect(first.spuriousRequests).toBe(0);
  expect(first.installations.requested).toBe(6);
  expect(Object.keys(first.failuresByCode).filter((code) => code !== "connection_lost")).toEqual([]);
  const listed = await machines.listMachines({ filter: { provider: "simulation" }, pageSize: 100 });
  expect(listed.machines).toHaveLength(30);
  const silent = listed.machines.filter((machine) => machine.state === MachineState.NEVER_HEARTBEATED);
  expect(silent).toEqual([]);
  const hardware = listed.machines.filter((machine) => machine.hardware?.memoryBytes === 64n << 30n);
  expect(hardware.length).toBeGreaterThan(20);
  const second = await simulate(fleet, ...["--machines", "30", "--interval", "1s", "--duration", "3s"]);
  expect(second.failuresByCode).toEqual({});
  expect((await machines.listMachines({ filter: { provider: "simulation" }, pageSize: 100 })).machines).toHaveLength(
    30,
  );
  // The same agents once more are no other machines with the same keys.
  expect((await countFleet(database.db)).duplicateAgents).toBe(0n);
});

test("gives every agent a connection and a certificate of its own when told to", async () => {
  const fleet = join(await makeFolder(), "fleet.key");
  const summary = await simulate(
    fleet,
    ...["--machines", "5", "--interval", "1s", "--duration", "3s", "--proof", "certificate"],
  );
  expect(summary).toMatchObject({ machines: 5, failuresByCode: {}, connections: 5 });
});

describe("says what is wrong before it registers anything", () => {
  const run = async (admin: string, ...options: string[]) =>
    await runProgram(["simulate", "--machines", "2", "--fleet", join(await makeFolder(), "fleet.key"), ...options], {
      environment: { BMAAS_ADMIN_URL: admin, BMAAS_ADMIN_TOKEN: "secret" },
    });

  test.each([
    ["a CA file", ["--ca", "absent.pem"], 2, "--ca: ENOENT"],
    ["a seed file", ["--seed-file", "absent/fleet.json"], 2, "--seed-file: ENOENT"],
    ["a token", ["--ca", server.caFile], 5, "the token is unknown (BMAAS_ADMIN_TOKEN, at "],
  ])("%s", async (_what, options, status, reason) => {
    const failed = await run(server.adminUrl, ...options);
    expect(failed).toMatchObject({ status, stdout: "", stderr: expect.stringContaining(`bmaas: ${reason}`) });
  });
});

test.each([
  ["whose home was mistyped", [], /^bmaas: there is no token \(no typo\/admin\.token\): /],
  [
    "that is said to exist",
    ["--no-register", "--duration", "1s"],
    /^bmaas: --no-register: there is no fleet yet \(no /,
  ],
])("creates nothing for a fleet %s", async (_which, options, reason) => {
  const directory = await makeFolder();
  const { status, stderr } = await runProgram(["simulate", "--home", "typo", ...options], { directory });
  expect(status).toBe(2);
  expect(stderr).toMatch(reason);
  expect(await readdir(directory)).toEqual([]);
});

test("refuses an endpoint that it cannot call", async () => {
  const { status, stderr } = await runProgram([
    "simulate",
    "--endpoint",
    "http://127.0.0.1:1",
    "--proof",
    "certificate",
  ]);
  expect(status).toBe(2);
  expect(stderr).toContain("--endpoint: a client certificate needs an https URL");
});
