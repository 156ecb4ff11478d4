/**
 * Decides whether a machine's `install` asks for a new installation, which wipes its disk, or for one that was
 * requested before.
 *
 * A file is seeded again and again, so this compares it with every earlier request, and requests only something new:
 *
 * | generation in the file | requested before | then |
 * |---|---|---|
 * | given | that one, same content | unchanged, also when it is finished, cancelled or superseded |
 * | given | that one, other content | refused: what an agent may have begun is not rewritten |
 * | given, greater than all | – | requested |
 * | given, not greater | others | refused |
 * | none | the latest has the same content | unchanged, also when it is finished, failed or cancelled |
 * | none | the latest has other content, or there is none | requested as the next |
 *
 * An installation that failed or was cancelled is never repeated automatically. To repeat it, the file names a greater
 * generation.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ImageInstallationRequestSchema,
  MetropolisInstallationRequestSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { withDisk } from "../contract/choose-disk.ts";
import { type DiskSelector, formatDiskSelector } from "../contract/disk-selector.ts";
import { findStoredRequest } from "../contract/stored-request.ts";
import type { DiskChoice } from "../db/queries/disk-choice.ts";
import { maxGeneration } from "../db/queries/installation-generation.ts";
import type { StoredInstallationRequest } from "../db/queries/os-installation-request.ts";
import { type Install, toDiskSelector } from "./fleet-schema.ts";

/** Earlier requests of the machine. */
export interface RequestedBefore {
  /** The request of the greatest generation. */
  readonly latest?: StoredInstallationRequest | undefined;
  /** The request of the generation that the file names. */
  readonly named?: StoredInstallationRequest | undefined;
  /** The greatest generation requested or reported; 0 if there is none. */
  readonly reached: bigint;
}

/** Decision on an `install`. */
export type InstallationDecision =
  | { readonly kind: "request"; readonly generation?: bigint | undefined }
  | { readonly kind: "unchanged"; readonly generation: bigint; readonly note?: InstallationNote | undefined }
  | { readonly kind: "refused"; readonly message: string };

/** Why an unchanged request will not be carried out (again). */
export type InstallationNote = "cancelled" | "superseded";

/**
 * Compares an `install` with the machine's earlier requests. Requests only what is new, refuses what conflicts, and
 * leaves everything else unchanged.
 */
export function decideInstallation(install: Install, before: RequestedBefore): InstallationDecision {
  return install.generation === undefined
    ? decideNext(install, before)
    : decideNamed(install, install.generation, before);
}

function decideNamed(install: Install, generation: bigint, before: RequestedBefore): InstallationDecision {
  const { named, reached } = before;
  if (named !== undefined) {
    if (hasContent(named, install)) return unchanged(named, before);
    return refuse(`was requested with other content already; ${advise(reached)} to install something else`);
  }
  if (generation <= reached)
    return refuse(`does not exceed ${reached}, which was requested or reported before; ${advise(reached)}`);
  return { kind: "request", generation };
}

function decideNext(install: Install, { latest, reached }: RequestedBefore): InstallationDecision {
  if (latest !== undefined) {
    const same = hasContent(latest, install);
    if (same) return unchanged(latest, { latest });
    if (same === undefined) {
      return refuse(`cannot be compared with request ${latest.generation}, which is unreadable; ${advise(reached)}`);
    }
  }
  if (reached === maxGeneration) return refuse(`no generation is left after ${reached}; make the machine anew`);
  return { kind: "request" };
}

function unchanged(
  stored: StoredInstallationRequest,
  { latest }: Pick<RequestedBefore, "latest">,
): InstallationDecision {
  const isLatest = latest === undefined || stored.generation >= latest.generation;
  const note = stored.cancelledAt !== null ? "cancelled" : isLatest ? undefined : "superseded";
  return { kind: "unchanged", generation: stored.generation, note };
}

function refuse(message: string): InstallationDecision {
  return { kind: "refused", message };
}

function advise(reached: bigint): string {
  return reached === maxGeneration ? "no generation is left" : `give a generation of at least ${reached + 1n}`;
}

/**
 * Returns whether a stored request asks for the same as `install`, apart from the generation, or undefined if it cannot
 * be decoded.
 */
function hasContent(stored: StoredInstallationRequest, install: Install): boolean | undefined {
  const decoded = findStoredRequest(stored.request);
  if (decoded === undefined) return undefined;
  const selector = stored.diskSelector ?? formatDiskSelector({ kernelName: decoded.type.value?.rootDevice ?? "" });
  if (selector !== formatDiskSelector(selectorOf(install))) return false;
  decoded.generation = stored.generation;
  delete decoded.expectedDisk;
  // What the disk was called when it was looked up is not part of what was asked for.
  if (decoded.type.value !== undefined) decoded.type.value.rootDevice = "";
  // It is decoded and encoded again because the order of fields is the encoder's choice, which may differ between
  // versions.
  return (
    Buffer.compare(
      toBinary(OSInstallationRequestSchema, decoded),
      toBinary(OSInstallationRequestSchema, toRequest(install, stored.generation, "")),
    ) === 0
  );
}

/** Returns the disk that an `install` names, whether or not it is looked up. */
export function selectorOf({ disk, image, metropolis }: Install): DiskSelector {
  return disk === undefined ? { kernelName: image?.rootDevice ?? metropolis?.rootDevice ?? "" } : toDiskSelector(disk);
}

/** Returns whether an `install` needs an agent that supports more than Metropolis and does not set `force`. */
export function needsNewAgent({ metropolis, force = false }: Install): boolean {
  return metropolis === undefined && !force;
}

/** Returns the OSInstallationRequest of an `install`, in protobuf's binary form, for the disk that was chosen. */
export function encodeInstall(install: Install, generation: bigint, disk?: DiskChoice): Uint8Array {
  const rootDevice = install.image?.rootDevice ?? install.metropolis?.rootDevice ?? "";
  return toBinary(OSInstallationRequestSchema, withDisk(toRequest(install, generation, rootDevice), disk));
}

function toRequest(install: Install, generation: bigint, rootDevice: string): OSInstallationRequest {
  return create(OSInstallationRequestSchema, { generation, type: toType(install, rootDevice) });
}

function toType({ image, metropolis }: Install, rootDevice: string): OSInstallationRequest["type"] {
  if (image !== undefined) {
    const { userData, userDataBase64, rootDevice: _, ...rest } = image;
    const bytes = userData ?? userDataBase64;
    return {
      case: "image",
      value: create(ImageInstallationRequestSchema, {
        ...rest,
        rootDevice,
        ...(bytes === undefined ? {} : { userData: bytes }),
      }),
    };
  }
  if (metropolis !== undefined) {
    return { case: "metropolis", value: create(MetropolisInstallationRequestSchema, { ...metropolis, rootDevice }) };
  }
  throw new Error("an install without image and metropolis does not pass the schema");
}
