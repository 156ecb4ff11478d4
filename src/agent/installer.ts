/** Installers: one that runs the operator's command, and one that only pretends. */
import { setTimeout as sleep } from "node:timers/promises";
import { toJsonString } from "@bufbuild/protobuf";
import { type OSInstallationRequest, OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type InstallProgress, parseProgressLine } from "./install-progress.ts";
import { runShellCommand } from "./shell-command.ts";

/**
 * Carries out a request. Resolves to undefined on success, or else to the error, for people to read. May call `report`
 * with its progress as often as it likes.
 */
export type Installer = (
  request: OSInstallationRequest,
  signal: AbortSignal,
  report: (progress: InstallProgress) => void,
) => Promise<string | undefined>;

/** Options of `createCommandInstaller`. */
export interface CommandInstallerOptions {
  /** Longest time of the command. Default: unlimited. */
  readonly timeoutMs?: number | undefined;
  /** Time between asking the command to stop and killing it. */
  readonly graceMs?: number | undefined;
  /** Called with each line that the command prints, except those with its progress. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/**
 * Creates an installer that runs a shell command. The command gets the request as ProtoJSON on its standard input and
 * the path of the disk's device in the variable INSTALL_DISK, and succeeds if its exit status is zero. It reports its
 * progress by lines on its standard output, in the form of `parseProgressLine`. Everything that it started ends with
 * it, or with this process.
 */
export function createCommandInstaller(command: string, options: CommandInstallerOptions = {}): Installer {
  return async (request, signal, report) => {
    const input = `${toJsonString(OSInstallationRequestSchema, request)}\n`;
    const onLine = (line: string, stream: "stdout" | "stderr") => {
      const progress = stream === "stdout" ? parseProgressLine(line) : undefined;
      if (progress === undefined) options.onLine?.(line);
      else report(progress);
    };
    const variables = { INSTALL_DISK: findDevicePath(request) };
    const failure = await runShellCommand(command, { ...options, input, variables, signal, onLine });
    return failure === undefined ? undefined : `installer: ${failure}`;
  };
}

/**
 * Returns the path of the device to install onto: that of the expected disk, which the agent has found, or else that of
 * the root device, whose name is all that the request says.
 */
export function findDevicePath({ expectedDisk, type }: OSInstallationRequest): string {
  return expectedDisk?.devicePath || `/dev/${type.value?.rootDevice.replace(/^\/dev\//, "") ?? ""}`;
}

/** Phases that the pretending installer reports, in order. */
const pretendedPhases = ["fetching the image", "writing the image", "checking what was written", "setting up the boot"];

/** Creates an installer that changes nothing, says so, reports progress, and succeeds after a moment. */
export function createPretendingInstaller(
  options: { durationMs?: number; onLine?: (line: string) => void } = {},
): Installer {
  const { durationMs = 1000, onLine = () => {} } = options;
  return async (request, signal, report) => {
    // The rest of a request may contain secrets, such as URLs with a token, and user data.
    onLine(
      `pretending to install generation ${request.generation} onto ${request.type.value?.rootDevice || "no disk"}`,
    );
    try {
      for (const [step, phase] of pretendedPhases.entries()) {
        report({ phase: `pretending: ${phase}`, percent: (100 * step) / pretendedPhases.length });
        await sleep(durationMs / pretendedPhases.length, undefined, { signal });
      }
      return undefined;
    } catch {
      return "stopped because the agent is stopping";
    }
  };
}
