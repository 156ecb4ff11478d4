/** Converts installations from the database to messages for operators. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Installation,
  type InstallationDiskSchema,
  InstallationSchema,
  InstallationState,
  type InstallationTarget,
  InstallationTargetSchema,
} from "../../../gen/bmaas/admin/v1/installation_pb.js";
import type { ExpectedDisk, OSInstallationRequest } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toDiskId, toHex } from "../../contract/disk-identity.ts";
import { parseDiskSelector } from "../../contract/disk-selector.ts";
import { findStoredRequest } from "../../contract/stored-request.ts";
import type { InstallationRow, InstallationWithReasons } from "../../db/queries/installation-overview.ts";
import { toNamedDisk } from "./disk-to-choose.ts";

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
  disk_gone: "the newest hardware report does not show its disk under any kernel name",
  disks_unknown:
    "nobody has looked for its disk in the newest hardware report, which a server of an older version stored",
  serial_number_changed: "the machine's serial number is not what it was when its disk was chosen",
  system_uuid_changed: "the machine's UUID is not what it was when its disk was chosen",
  disk_names_unconfirmed:
    "its agent finds the disk by its kernel name, and has not reported the hardware since it started",
  reinstall_limit: "the machine was given too many installations that no operator requested for it alone",
  restored: "the database has failed over or been restored since the request, and may have lost its outcome",
} as const satisfies Record<InstallationWithReasons["withheld"][number], string>;

/** Converts one installation. Leaves out everything that may contain secrets. */
export function toInstallation(row: InstallationRow & Partial<InstallationWithReasons>): Installation {
  const { firstGivenAt, lastGivenAt, dueAt, progressAt, finishedAt, cancelledAt, supersededAt } = row;
  const endedAt = finishedAt ?? cancelledAt ?? supersededAt;
  const request = findStoredRequest(row.request);
  const target = request && toTarget(request, row.diskSelector);
  return create(InstallationSchema, {
    machineId: row.machineId,
    generation: row.generation,
    state: installationStates[row.state],
    stateTime: timestampFromDate(row.since),
    ...(target && { target }),
    ...(request?.expectedDisk && { disk: toDisk(request, request.expectedDisk) }),
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
 * Converts the target of a stored request. Returns undefined if the request is of a type that only a newer server
 * knows.
 */
function toTarget({ type }: OSInstallationRequest, diskSelector: string | null): InstallationTarget | undefined {
  const disk = diskSelector === null ? undefined : toNamedDisk(parseDiskSelector(diskSelector));
  switch (type.case) {
    case "image": {
      const { url, digest, rootDevice } = type.value;
      return create(InstallationTargetSchema, {
        type: { case: "image", value: { url: withoutSecrets(url), digest, rootDevice } },
        ...(disk && { disk }),
      });
    }
    case "metropolis": {
      const { rootDevice, osImage } = type.value;
      return create(InstallationTargetSchema, {
        type: {
          case: "metropolis",
          value: { rootDevice, ...(osImage && { osImage: { ...osImage, $typeName: "bmaas.admin.v1.OSImage" } }) },
        },
        ...(disk && { disk }),
      });
    }
    default:
      return undefined;
  }
}

function toDisk(
  { type }: OSInstallationRequest,
  expected: ExpectedDisk,
): MessageInitShape<typeof InstallationDiskSchema> {
  const { wwn, serialNumber, model, capacityBytes, byPath } = expected;
  const kernelName = type.value?.rootDevice ?? "";
  const identity = { wwn: wwn.length === 0 ? "" : `0x${toHex(wwn)}`, serialNumber, model, capacityBytes, byPath };
  return { id: toDiskId(expected), kernelName, ...identity };
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
