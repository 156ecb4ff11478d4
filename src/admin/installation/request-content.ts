/** Encodes operators' installation targets as the requests that agents are given. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { InstallationTarget } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import type { RequestInstallationRequest } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import {
  ImageInstallationRequestSchema,
  MetropolisInstallationRequestSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { withDisk } from "../../contract/choose-disk.ts";
import type { DiskSelector } from "../../contract/disk-selector.ts";
import {
  limitPayload,
  parseDevice,
  parseDigest,
  parseImageTag,
  parseImageUrl,
  parseRegistryName,
} from "../../contract/installation-rules.ts";
import { parseNodeParameters } from "../../contract/node-parameters.ts";
import { findStoredRequest } from "../../contract/stored-request.ts";
import { InstallationRefusedError } from "../../db/installation-errors.ts";
import type { InstallationRow } from "../../db/queries/installation-overview.ts";
import type { InstallationRequest } from "../../db/queries/os-installation-request.ts";
import { Violations } from "../violations.ts";
import { findSelector, readSelector } from "./disk-to-choose.ts";

/** A request for an installation, before it has a generation and a disk. */
export interface RequestContent extends Required<Pick<InstallationRequest, "encode" | "needsAdditions">> {
  /** Absent: the request names its disk by the root device alone, whatever the hardware report says. */
  readonly selector?: DiskSelector | undefined;
}

/**
 * Checks the target and returns the request for it. Throws `invalid_argument` that names every wrong field by its path
 * in the call. With `uncheckedDisk`, nobody chooses a disk.
 */
export function toRequestContent(
  target: InstallationTarget | undefined,
  { uncheckedDisk: isUnchecked, expectedDisk }: Pick<RequestInstallationRequest, "uncheckedDisk" | "expectedDisk">,
): RequestContent {
  const violations = new Violations();
  if (isUnchecked && expectedDisk !== "") {
    violations.add("expected_disk", "needs a disk that is looked up, and with unchecked_disk none is");
  }
  const type = toType(target, (field, parse) => violations.check(`target.${field}`, parse));
  const selector = toSelector(target, isUnchecked, violations);
  violations.assertNone();
  return { ...contentOf(create(OSInstallationRequestSchema, { type })), ...(!isUnchecked && { selector }) };
}

function toSelector(
  target: InstallationTarget | undefined,
  isUnchecked: boolean,
  violations: Violations,
): DiskSelector {
  const { rootDevice = "", type } = { rootDevice: target?.type.value?.rootDevice, type: target?.type.case };
  const field = `target.${type}.root_device`;
  const named = target?.disk;
  if (named === undefined) {
    if (rootDevice === "")
      violations.add(field, "is empty, and target.disk is not set: say which disk to install onto");
    return { kernelName: rootDevice };
  }
  if (rootDevice !== "")
    violations.add(field, "is set beside target.disk: say in one place which disk to install onto");
  if (isUnchecked) violations.add("unchecked_disk", "needs root_device, and not target.disk, which is looked up");
  return readSelector(named, "target.disk", violations);
}

/**
 * Returns the stored request of an installation. Fields that only newer servers know are preserved. Throws
 * InstallationRefusedError if the request cannot be decoded.
 */
export function repeatContent(installation: InstallationRow): RequestContent {
  const request = findStoredRequest(installation.request);
  if (request === undefined) {
    throw new InstallationRefusedError(
      "REQUEST_UNREADABLE",
      installation,
      "has a stored request that cannot be decoded, so it cannot be retried: request a new installation",
    );
  }
  return { ...contentOf(request), selector: findSelector(installation) };
}

function contentOf(request: OSInstallationRequest): RequestContent {
  return {
    encode: (generation, disk) => toBinary(OSInstallationRequestSchema, { ...withDisk(request, disk), generation }),
    needsAdditions: request.type.case !== "metropolis",
  };
}

function toType(
  target: InstallationTarget | undefined,
  check: (field: string, parse: () => unknown) => void,
): OSInstallationRequest["type"] {
  if (target?.type.case === "image") {
    const { url, digest, rootDevice, userData } = target.type.value;
    check("image.url", () => parseImageUrl(url));
    check("image.digest", () => parseDigest(digest));
    check("image.root_device", () => rootDevice && parseDevice(rootDevice));
    check("image.user_data", () => userData && limitPayload(userData));
    const value = { url, digest, rootDevice, ...(userData && { userData }) };
    return { case: "image", value: create(ImageInstallationRequestSchema, value) };
  }
  if (target?.type.case === "metropolis") {
    const { nodeParameters, rootDevice, osImage } = target.type.value;
    const { scheme = "", host = "", repository = "", tag = "", digest = "" } = osImage ?? {};
    check("metropolis.node_parameters", () => parseNodeParameters(nodeParameters));
    check("metropolis.root_device", () => rootDevice && parseDevice(rootDevice));
    check("metropolis.os_image.host", () => parseRegistryName(host));
    check("metropolis.os_image.repository", () => parseRegistryName(repository));
    check("metropolis.os_image.tag", () => tag !== "" && parseImageTag(tag));
    check("metropolis.os_image.digest", () => parseDigest(digest));
    const value = { nodeParameters, rootDevice, osImage: { scheme, host, repository, tag, digest } };
    return { case: "metropolis", value: create(MetropolisInstallationRequestSchema, value) };
  }
  throw new Error("a target of unknown type passed validation");
}
