/** Converts installations from the database to messages for operators. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Installation,
  InstallationSchema,
  InstallationState,
  type InstallationTarget,
  InstallationTargetSchema,
} from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { findStoredRequest } from "../../contract/stored-request.ts";
import type { InstallationRow, InstallationWithReasons } from "../../db/queries/installation-overview.ts";

/** States of the contract, by their names in the database. */
export const installationStates = {
  pending: InstallationState.PENDING,
  given: InstallationState.GIVEN,
  installing: InstallationState.INSTALLING,
  overdue: InstallationState.OVERDUE,
  succeeded: InstallationState.SUCCEEDED,
  failed: InstallationState.FAILED,
  cancelled: InstallationState.CANCELLED,
  superseded: InstallationState.SUPERSEDED,
} as const satisfies Record<InstallationRow["state"], InstallationState>;

/** Why a request is withheld, in words. */
export const withholdings = {
  held: "the machine is held",
  unhealthy: "a health alert blocks installations",
  duplicate_agent: "two machines call with this machine's id and key",
  reported_before_given: "the machine's agent reported this generation, or a later one, before it was given it",
} as const satisfies Record<InstallationWithReasons["withheld"][number], string>;

/** Converts one installation. Leaves out everything that may contain secrets. */
export function toInstallation(row: InstallationRow & Partial<InstallationWithReasons>): Installation {
  const { firstGivenAt, lastGivenAt, dueAt, progressAt, finishedAt, cancelledAt, supersededAt } = row;
  const endedAt = finishedAt ?? cancelledAt ?? supersededAt;
  const target = toTarget(row.request);
  return create(InstallationSchema, {
    machineId: row.machineId,
    generation: row.generation,
    state: installationStates[row.state],
    stateTime: timestampFromDate(row.since),
    ...(target && { target }),
    requestTime: timestampFromDate(row.requestedAt),
    requester: row.requestedBy,
    timesGiven: row.timesGiven,
    error: row.error ?? "",
    withheld: row.withheld?.map((reason) => withholdings[reason]) ?? [],
    ...(firstGivenAt && { firstGivenTime: timestampFromDate(firstGivenAt) }),
    ...(lastGivenAt && { lastGivenTime: timestampFromDate(lastGivenAt) }),
    ...(dueAt && { dueTime: timestampFromDate(dueAt) }),
    ...(endedAt && { endTime: timestampFromDate(endedAt) }),
    ...(progressAt && {
      progress: {
        phase: row.phase ?? "",
        reportTime: timestampFromDate(progressAt),
        ...(row.percent !== null && { percent: row.percent }),
      },
    }),
  });
}

/**
 * Converts the target of a stored request. Returns undefined if the request cannot be decoded or is of a type that only
 * a newer server knows.
 */
function toTarget(bytes: Uint8Array): InstallationTarget | undefined {
  const type = findStoredRequest(bytes)?.type;
  switch (type?.case) {
    case "image": {
      const { url, digest, rootDevice } = type.value;
      return create(InstallationTargetSchema, {
        type: { case: "image", value: { url: withoutSecrets(url), digest, rootDevice } },
      });
    }
    case "metropolis": {
      const { rootDevice, osImage } = type.value;
      return create(InstallationTargetSchema, {
        type: {
          case: "metropolis",
          value: { rootDevice, ...(osImage && { osImage: { ...osImage, $typeName: "bmaas.admin.v1.OSImage" } }) },
        },
      });
    }
    default:
      return undefined;
  }
}

/** Returns the URL without what may be secret: credentials, and a query that may contain a signature. */
function withoutSecrets(text: string): string {
  if (!URL.canParse(text)) return "";
  const url = new URL(text);
  return `${url.origin}${url.pathname}`;
}

/** Returns the generation that a request names, or undefined for 0, which names none. */
export function readGeneration(generation: bigint): bigint | undefined {
  return generation === 0n ? undefined : generation;
}
