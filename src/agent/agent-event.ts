/** Events of a running agent, for logs and for people. */
import type { ConnectError } from "@connectrpc/connect";
import type { OSInstallationRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";

/** An event. Events are emitted in the order in which they happen. */
export type AgentEvent =
  /** The server accepted a heartbeat with everything in it. */
  | {
      readonly type: "heartbeat";
      readonly hardwareReport: boolean;
      readonly outcome: InstallOutcome | undefined;
      /** Generation whose progress the heartbeat reported. */
      readonly installing: bigint | undefined;
    }
  /** A heartbeat failed. The next attempt follows after `retryInMs`. */
  | {
      readonly type: "heartbeat-failed";
      readonly error: ConnectError;
      readonly failures: number;
      readonly retryInMs: number;
    }
  /** The hardware was collected, except what the warnings name. */
  | { readonly type: "hardware-collected"; readonly warnings: readonly string[] }
  /** Heartbeats with this hardware report fail. The agent continues without it, and reports a warning instead. */
  | { readonly type: "hardware-refused"; readonly error: ConnectError }
  /**
   * The health was collected and has changed, with the number of alerts, or could not be collected: then the alerts
   * before it stay until they end.
   */
  | { readonly type: "health-collected"; readonly alerts: number; readonly error?: Error }
  /** Heartbeats with this health report fail. The agent continues without it until the health changes. */
  | { readonly type: "health-refused"; readonly error: ConnectError }
  /** Heartbeats with the agent's version and boot id fail. The agent continues without them. */
  | { readonly type: "labels-refused"; readonly error: ConnectError }
  /** The server requested an installation, which begins now. */
  | { readonly type: "installation-started"; readonly request: OSInstallationRequest }
  /** The server requested something that the agent does not know. Nothing is run, and the agent reports a failure. */
  | { readonly type: "request-unknown"; readonly outcome: InstallOutcome }
  /** An installer that was given up has not ended. Nothing is run, and the agent reports a failure. */
  | { readonly type: "request-refused"; readonly outcome: InstallOutcome }
  /** The installer reported new progress. */
  | { readonly type: "installation-progress"; readonly generation: bigint; readonly progress: InstallProgress }
  /** The server does not accept the progress reports. The agent continues the installation without them. */
  | { readonly type: "progress-refused"; readonly generation: bigint; readonly error: ConnectError }
  /** The server requested a newer installation while one is running, which is finished and reported first. */
  | { readonly type: "request-deferred"; readonly generation: bigint; readonly installing: bigint }
  /** The installer has ended, or was given up. */
  | { readonly type: "installation-finished"; readonly outcome: InstallOutcome }
  /** An installer that was given up has ended. */
  | { readonly type: "installer-left"; readonly generation: bigint }
  /** The server repeated an earlier request, which the agent does not carry out again. */
  | { readonly type: "request-ignored"; readonly generation: bigint; readonly lastAttempted: bigint }
  /** The server accepted the installation report. */
  | { readonly type: "report-accepted"; readonly outcome: InstallOutcome }
  /** The server permanently refused the installation report. The agent continues without it. */
  | { readonly type: "report-refused"; readonly outcome: InstallOutcome; readonly error: ConnectError }
  /**
   * The state could not be written. A requested installation does not begin; the outcome of a finished one is still
   * reported.
   */
  | { readonly type: "state-failed"; readonly error: Error }
  /** `afterInstall` has run after a reported success; `error` is undefined if it succeeded. */
  | { readonly type: "after-install"; readonly error: string | undefined }
  /** `afterInstall` has not ended within `limitMs`. The agent goes on without its end, and reports a health alert. */
  | { readonly type: "after-install-hangs"; readonly generation: bigint; readonly limitMs: number }
  /** The agent was told to stop before `afterInstall` had ended, for example by the reboot that this asked for. */
  | { readonly type: "after-install-stopped" }
  /**
   * `afterInstall` was started by an earlier process, which did not see it end, and is not started again: the machine
   * has rebooted since, it was interrupted too often, or it may still run.
   */
  | { readonly type: "after-install-skipped"; readonly reason: "rebooted" | "interrupted" | "hanging" };
