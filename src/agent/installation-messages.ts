/** Creates agents' messages about installations. */
import { createHash } from "node:crypto";
import { clone, create, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type OSInstallationProgress,
  OSInstallationProgressSchema,
  type OSInstallationReport,
  OSInstallationReportSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";

/** Maximum length of an error that the server stores, in UTF-16 code units. */
const maxErrorLength = 4096;

/** Creates the report of how an installation ended. */
export function createReport({ generation, error }: InstallOutcome): OSInstallationReport {
  const text = error?.slice(0, maxErrorLength).toWellFormed();
  return create(OSInstallationReportSchema, {
    generation,
    result: text === undefined ? { case: "success", value: {} } : { case: "error", value: { error: text } },
  });
}

/**
 * Creates the progress of an installation. A silence of `quietForMs` is normal unless the installer announces a
 * different one.
 */
export function createProgress(
  { generation, phase, percent, ...said }: InstallProgress & { readonly generation: bigint },
  { quietForMs }: { quietForMs: number },
): OSInstallationProgress {
  return create(OSInstallationProgressSchema, {
    generation,
    quietFor: durationFromMs(said.quietForMs ?? quietForMs),
    ...(phase !== undefined && { phase }),
    ...(percent !== undefined && { percent }),
  });
}

/**
 * Returns a digest that is the same for the same request, across restarts. The root device does not count beside an
 * expected disk: it is that disk's name at the time when the request was given.
 */
export function digestRequest(request: OSInstallationRequest): string {
  const copy = clone(OSInstallationRequestSchema, request);
  if (copy.expectedDisk !== undefined && copy.type.value !== undefined) copy.type.value.rootDevice = "";
  return createHash("sha256").update(toBinary(OSInstallationRequestSchema, copy)).digest("hex");
}
