/** What a caller says that a provider says, as it is stored: all of it, so that nothing of what was there before remains. */
import type { Provided } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { ProvidedChange, ProvidedRow } from "../../db/queries/provided.ts";
import { providerStatuses } from "./to-machine.ts";

/** Converts; a text that is empty is taken away. */
export function toProvidedChange(machineId: string, provided: Provided): ProvidedChange {
  const names = Object.keys(providerStatuses) as ProvidedRow["status"][];
  return {
    machineId,
    provider: provided.provider,
    providerId: provided.providerId,
    reservation: provided.reservation || null,
    address: provided.address || null,
    location: provided.location || null,
    status: names.find((name) => providerStatuses[name] === provided.status) ?? "unknown",
  };
}
