/**
 * Converts the tag Provided of a call to the stored form. It sets every field, so that nothing of an earlier tag
 * remains.
 */
import type { Provided } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { ProvidedChange, ProvidedRow } from "../../db/queries/provided.ts";
import { providerStatuses } from "./to-machine.ts";

/** Converts the tag. An empty text becomes null. */
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
