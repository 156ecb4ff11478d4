/** Reads the installations that a change of machines has made or changed, as operators see them. */
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import type { Transaction } from "../../db/client.ts";
import { slicesOf } from "../../db/queries/candidates.ts";
import { findInstallationsWithReasons } from "../../db/queries/installation-overview.ts";
import { toInstallation } from "./to-installation.ts";

/** Returns the installations of these generations by machine. */
export async function readInstallations(
  tx: Transaction,
  generations: ReadonlyMap<string, bigint>,
): Promise<Map<string, Installation>> {
  const installations = new Map<string, Installation>();
  for (const slice of slicesOf(generations)) {
    const keys = slice.map(([machineId, generation]) => ({ machineId, generation }));
    for (const found of await findInstallationsWithReasons(tx, keys)) {
      installations.set(found.machineId, toInstallation(found));
    }
  }
  return installations;
}
