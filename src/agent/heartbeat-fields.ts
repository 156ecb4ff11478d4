/** Creates the fields of an agent's heartbeat. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AgentHardwareReport,
  AgentHealthReport,
  HeartbeatRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentOptions } from "./agent-options.ts";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";
import { createProgress, createReport } from "./installation-messages.ts";

/** Content of a heartbeat apart from the machine's id. */
export interface HeartbeatLoad {
  /** The generation whose installation was running when the load was created. */
  readonly installing: bigint | undefined;
  readonly hardwareReport: AgentHardwareReport | undefined;
  readonly health: AgentHealthReport | undefined;
  readonly outcome: InstallOutcome | undefined;
  /** Progress of the running installation. */
  readonly progress: (InstallProgress & { readonly generation: bigint }) | undefined;
  readonly labels: Pick<AgentOptions, "version" | "bootId">;
}

/** Number of intervals without a heartbeat after which an installing agent is overdue. */
const toleratedIntervals = 3;

/** Creates the fields of a heartbeat. */
export function createFields(
  machineId: string,
  { hardwareReport, health, outcome, progress, labels: { version, bootId } }: HeartbeatLoad,
  intervalMs: number,
): MessageInitShape<typeof HeartbeatRequestSchema> {
  const quietForMs = toleratedIntervals * intervalMs;
  return {
    machineId,
    ...(version !== undefined && { agentVersion: toLabel(version) }),
    ...(bootId !== undefined && { bootId: toLabel(bootId) }),
    ...(hardwareReport !== undefined && { hardwareReport }),
    ...(health !== undefined && { health }),
    ...(outcome !== undefined && { installationReport: createReport(outcome) }),
    ...(progress !== undefined && { installationProgress: createProgress(progress, { quietForMs }) }),
  };
}

/** Maximum length of a label that the server stores, as in agent.proto. */
const maxLabelLength = 128;

function toLabel(text: string): string {
  return text.slice(0, maxLabelLength).toWellFormed();
}
