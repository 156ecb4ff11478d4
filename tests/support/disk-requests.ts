/** Requests of installations that name a disk, for machines whose agents have reported disks. */
import { afterAll } from "vitest";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { OSInstallationRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { grpcAgent, type HeartbeatInit } from "./agents.ts";
import { createTestDatabase } from "./database.ts";
import { hardwareOf, sda, type TestDisk, type TestSystem } from "./hardware.ts";
import { machineWithAgent } from "./machine.ts";
import { adminClient, tokenOf } from "./operator.ts";
import { startTestServer } from "./server.ts";

/** An image that names no disk. */
export const image = { url: "https://images.example/os.img", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "" };
/** A second disk, of 4 TB. */
export const other: TestDisk = { kernelName: "sdb", serialNumber: "OTHER1", capacityBytes: 4_000_000_000_000n };
/** Names the disk `sda` by its serial number. */
export const bySerial = { serialNumber: sda.serialNumber as string };

type Target = NonNullable<
  Parameters<ReturnType<typeof adminClient<typeof InstallationService>>["requestInstallation"]>[0]["target"]
>;

/** How a request names a disk. */
export type NamedDisk = NonNullable<Target["disk"]>;

/** Returns a target with the image, on the named disk. */
export const on = (disk?: NamedDisk, rootDevice = "") => ({
  type: { case: "image" as const, value: { ...image, rootDevice } },
  ...(disk && { disk }),
});

/** Starts a server on which a hardware report may be an hour old, and removes it after the file's tests. */
export async function startDiskServer() {
  const database = await createTestDatabase();
  afterAll(() => database.close());
  const server = await startTestServer(database.url, { BMAAS_HARDWARE_MAX_AGE: "3600" });
  afterAll(() => server.close());
  const { db } = database;
  const { secret } = await tokenOf(db, "operator");
  const installations = adminClient(InstallationService, server.adminUrl, secret);
  const machines = adminClient(MachineService, server.adminUrl, secret);

  /** Creates a machine whose agent, which also knows what Monogon agents do not, has reported these disks. */
  async function machineWith(disks: readonly TestDisk[] = [sda], system: TestSystem = {}) {
    const { machineId, key } = await machineWithAgent(db);
    const agent = grpcAgent(server, key);
    const beat = async (init: HeartbeatInit = {}): Promise<OSInstallationRequest | undefined> =>
      (await agent.heartbeat({ machineId, agentVersion: "test", ...init })).installationRequest;
    const report = (reported: readonly TestDisk[], of: TestSystem = {}) =>
      beat({ hardwareReport: hardwareOf(reported, of) });
    await report(disks, system);
    return { machineId, beat, report };
  }

  return { database, db, server, installations, machines, machineWith };
}
