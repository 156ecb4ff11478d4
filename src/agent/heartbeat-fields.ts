/** What an agent says with a heartbeat. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AgentHardwareReport, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentOptions } from "./agent-options.ts";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";
import { createProgress, createReport } from "./installation-messages.ts";

/** What there is to say beyond that the agent lives. */
export interface HeartbeatLoad {
  /** The generation whose installation was under way when the load was put together. */
  readonly installing: bigint | undefined;
  readonly hardwareReport: AgentHardwareReport | undefined;
  readonly outcome: InstallOutcome | undefined;
  /** How far the installation is that is under way. */
  readonly progress: (InstallProgress & { readonly generation: bigint }) | undefined;
  readonly labels: Pick<AgentOptions, "version" | "bootId">;
}

/** After how many intervals without a heartbeat an agent that installs is overdue. */
const toleratedIntervals = 3;

/** Puts a heartbeat together. */
export function createFields(
  machineId: string,
  { hardwareReport, outcome, progress, labels: { version, bootId } }: HeartbeatLoad,
  intervalMs: number,
): MessageInitShape<typeof HeartbeatRequestSchema> {
  const quietForMs = toleratedIntervals * intervalMs;
  return {
    machineId,
    ...(version !== undefined && { agentVersion: toLabel(version) }),
    ...(bootId !== undefined && { bootId: toLabel(bootId) }),
    ...(hardwareReport !== undefined && { hardwareReport }),
    ...(outcome !== undefined && { installationReport: createReport(outcome) }),
    ...(progress !== undefined && { installationProgress: createProgress(progress, { quietForMs }) }),
  };
}

/** Longest label that the server keeps, as agent.proto says. */
const maxLabelLength = 128;

function toLabel(text: string): string {
  return text.slice(0, maxLabelLength).toWellFormed();
}
