/** The options of an agent. */
import type { Client } from "@connectrpc/connect";
import type { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentEvent } from "./agent-event.ts";
import type { Random } from "./backoff.ts";
import type { FindDisk } from "./hardware/find-disk.ts";
import type { CollectHardware } from "./hardware-feed.ts";
import type { CollectHealth } from "./health-feed.ts";
import type { InstallState } from "./install-state.ts";
import type { Installer } from "./installer.ts";

/** Options of `runAgent`. */
export interface AgentOptions {
  readonly machineId: string;
  readonly client: Client<typeof AgentCallback>;
  readonly state: InstallState;
  readonly install: Installer;
  /**
   * Whether the installer writes within this process alone, so that nothing of it outlives the process: as long as a
   * thread of a killed process waits in the kernel, the state file stays locked. Otherwise an agent that was killed
   * during an installation installs nothing else before the machine has rebooted. Default: false.
   */
  readonly installsInProcess?: boolean | undefined;
  /**
   * Time after which an installer that has not ended is given up: the agent reports a failure, and installs nothing
   * else until the installer has ended. A disk that hangs can hold an installer for ever. Default: unlimited.
   */
  readonly installLimitMs?: number | undefined;
  /** Finds the disk that a request expects before the installer starts. Default: among this machine's disks. */
  readonly findDisk?: FindDisk | undefined;
  /**
   * Called when a success has been reported, for example to reboot. Resolves to the error, or to undefined on success.
   * If the agent dies or is stopped before that, the next one calls it once more, unless the machine has rebooted
   * since.
   */
  readonly afterInstall?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
  /**
   * Time after which the agent no longer waits for `afterInstall`, and continues to send heartbeats. It then reports a
   * health alert, and installs nothing else until `afterInstall` has ended or the machine has rebooted. Default: 60 s.
   */
  readonly afterInstallLimitMs?: number | undefined;
  /** Default: no hardware report. */
  readonly collectHardware?: CollectHardware | undefined;
  /** Time between collections of the hardware. The second collection follows within a minute. Default: 1 h. */
  readonly hardwareIntervalMs?: number | undefined;
  /** Finds the machine's problems. Default: none are reported. */
  readonly collectHealth?: CollectHealth | undefined;
  /** Time between two collections of the health. Alerts end after three times as long. Default: 5 min. */
  readonly healthIntervalMs?: number | undefined;
  /** Version shown to operators. Default: that of this package. */
  readonly version?: string | undefined;
  /** Id that distinguishes boots of the machine. Default: the kernel's, if it has one. */
  readonly bootId?: string | undefined;
  /** Time between heartbeats, whatever the server requests. Default: the time that the server requests, or 30 s. */
  readonly intervalMs?: number | undefined;
  /** Shortest time between heartbeats that report progress. Default: 2 s, or the interval if that is shorter. */
  readonly progressIntervalMs?: number | undefined;
  /** Deadline of a call. Default: 10 s. */
  readonly callTimeoutMs?: number | undefined;
  /** Longest time between attempts. Default: 60 s. */
  readonly maxBackoffMs?: number | undefined;
  readonly onEvent?: ((event: AgentEvent) => void) | undefined;
  /** Ends the agent when it aborts. */
  readonly signal: AbortSignal;
  readonly random?: Random | undefined;
  /** Returns the time of a clock that never goes back, in milliseconds. Default: the process's clock. */
  readonly nowMs?: (() => number) | undefined;
  /** Waits, or rejects when the signal aborts. */
  readonly sleep?: ((durationMs: number, signal: AbortSignal) => Promise<unknown>) | undefined;
}
