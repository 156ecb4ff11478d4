/** Encodes operators' installation targets as the requests that agents are given. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { InstallationTarget } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import {
  ImageInstallationRequestSchema,
  MetropolisInstallationRequestSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
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

/** A request for an installation, before it has a generation. */
export type RequestContent = Required<Pick<InstallationRequest, "encode" | "needsAdditions">>;

/**
 * Checks the target and returns the request for it. Throws `invalid_argument` that names every wrong field by its path
 * in the call, which begins with `target`.
 */
export function toRequestContent(target: InstallationTarget | undefined): RequestContent {
  const violations = new Violations();
  const type = toType(target, (field, parse) => violations.check(`target.${field}`, parse));
  violations.assertNone();
  return contentOf(create(OSInstallationRequestSchema, { type }));
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
  return contentOf(request);
}

function contentOf(request: OSInstallationRequest): RequestContent {
  return {
    encode: (generation) => toBinary(OSInstallationRequestSchema, { ...request, generation }),
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
    check("image.root_device", () => parseDevice(rootDevice));
    check("image.user_data", () => userData && limitPayload(userData));
    const value = { url, digest, rootDevice, ...(userData && { userData }) };
    return { case: "image", value: create(ImageInstallationRequestSchema, value) };
  }
  if (target?.type.case === "metropolis") {
    const { nodeParameters, rootDevice, osImage } = target.type.value;
    const { scheme = "", host = "", repository = "", tag = "", digest = "" } = osImage ?? {};
    check("metropolis.node_parameters", () => parseNodeParameters(nodeParameters));
    check("metropolis.root_device", () => parseDevice(rootDevice));
    check("metropolis.os_image.host", () => parseRegistryName(host));
    check("metropolis.os_image.repository", () => parseRegistryName(repository));
    check("metropolis.os_image.tag", () => tag !== "" && parseImageTag(tag));
    check("metropolis.os_image.digest", () => parseDigest(digest));
    const value = { nodeParameters, rootDevice, osImage: { scheme, host, repository, tag, digest } };
    return { case: "metropolis", value: create(MetropolisInstallationRequestSchema, value) };
  }
  throw new Error("a target of unknown type passed validation");
}
