/** What a running agent tells about itself, for logs and for people. */
import type { ConnectError } from "@connectrpc/connect";
import type { OSInstallationRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";

/** One step of an agent, in the order in which they happen. */
export type AgentEvent =
  /** The server took a heartbeat, and what it carried. */
  | {
      readonly type: "heartbeat";
      readonly hardwareReport: boolean;
      readonly outcome: InstallOutcome | undefined;
      /** The generation whose progress it told. */
      readonly installing: bigint | undefined;
    }
  /** A heartbeat failed; the next try is `retryInMs` away. */
  | {
      readonly type: "heartbeat-failed";
      readonly error: ConnectError;
      readonly failures: number;
      readonly retryInMs: number;
    }
  /** The hardware is known, apart from what the warnings name. */
  | { readonly type: "hardware-collected"; readonly warnings: readonly string[] }
  /** Heartbeats with this hardware report fail; the agent goes on without, and reports that in a warning instead. */
  | { readonly type: "hardware-refused"; readonly error: ConnectError }
  /** Heartbeats with the agent's version and boot id fail; the agent goes on without. */
  | { readonly type: "labels-refused"; readonly error: ConnectError }
  /** The server asks for an installation, which begins now. */
  | { readonly type: "installation-started"; readonly request: OSInstallationRequest }
  /** The server asks for something that the agent does not know, so that nothing is run; the outcome is told as a failure. */
  | { readonly type: "request-unknown"; readonly outcome: InstallOutcome }
  /** The installer says something new of itself. */
  | { readonly type: "installation-progress"; readonly generation: bigint; readonly progress: InstallProgress }
  /** The server will never take what the agent says of its progress; the agent installs on and says nothing of it. */
  | { readonly type: "progress-refused"; readonly generation: bigint; readonly error: ConnectError }
  /** The server asks for a newer installation while one is under way, which is ended and reported first. */
  | { readonly type: "request-deferred"; readonly generation: bigint; readonly installing: bigint }
  /** The installer has ended. */
  | { readonly type: "installation-finished"; readonly outcome: InstallOutcome }
  /** The server asks for what it has asked for before; the agent does not do it again. */
  | { readonly type: "request-ignored"; readonly generation: bigint; readonly lastAttempted: bigint }
  /** The server knows the outcome. */
  | { readonly type: "report-accepted"; readonly outcome: InstallOutcome }
  /** The server will never take this report; the agent goes on without. */
  | { readonly type: "report-refused"; readonly outcome: InstallOutcome; readonly error: ConnectError }
  /** The state could not be written: an installation that was asked for does not begin, one that ended counts all the same. */
  | { readonly type: "state-failed"; readonly error: Error }
  /** What follows a reported success has run; no error means that it went well. */
  | { readonly type: "after-install"; readonly error: string | undefined };
