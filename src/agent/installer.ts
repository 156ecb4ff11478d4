/** Installs an operating system by the operator's command, or pretends to. */
import { setTimeout as sleep } from "node:timers/promises";
import { toJsonString } from "@bufbuild/protobuf";
import { type OSInstallationRequest, OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type InstallProgress, parseProgressLine } from "./install-progress.ts";
import { runShellCommand } from "./shell-command.ts";

/**
 * Installs what is requested; returns undefined when it is installed, and otherwise what went wrong, for people to read. May `report`
 * its progress as often as it likes.
 */
export type Installer = (
  request: OSInstallationRequest,
  signal: AbortSignal,
  report: (progress: InstallProgress) => void,
) => Promise<string | undefined>;

/** What an installer command takes. */
export interface CommandInstallerOptions {
  /** How long it may take. Default: for ever. */
  readonly timeoutMs?: number | undefined;
  /** How long a command that is told to stop has until it is killed. */
  readonly graceMs?: number | undefined;
  /** Gets each line that the command prints, but for those that tell its progress. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/**
 * Makes an installer of a shell command, which gets the request as ProtoJSON on its standard input and succeeds by exiting with
 * 0. It tells its progress by lines on its standard output, as `parseProgressLine` reads them. All that it started ends with it, or
 * with this process.
 */
export function createCommandInstaller(command: string, options: CommandInstallerOptions = {}): Installer {
  return async (request, signal, report) => {
    const input = `${toJsonString(OSInstallationRequestSchema, request)}\n`;
    const onLine = (line: string, stream: "stdout" | "stderr") => {
      const progress = stream === "stdout" ? parseProgressLine(line) : undefined;
      if (progress === undefined) options.onLine?.(line);
      else report(progress);
    };
    const failure = await runShellCommand(command, { ...options, input, signal, onLine });
    return failure === undefined ? undefined : `installer: ${failure}`;
  };
}

/** What the pretending installer says that it does, one after another. */
const pretendedPhases = ["fetching the image", "writing the image", "checking what was written", "setting up the boot"];

/** Makes an installer that touches nothing, says so, tells progress, and succeeds after a moment. */
export function createPretendingInstaller(
  options: { durationMs?: number; onLine?: (line: string) => void } = {},
): Installer {
  const { durationMs = 1000, onLine = () => {} } = options;
  return async (request, signal, report) => {
    // The rest of a request may hold secrets: URLs with a token in them, and user data.
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
