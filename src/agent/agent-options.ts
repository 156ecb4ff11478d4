/** What an agent is made of. */
import type { Client } from "@connectrpc/connect";
import type { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentEvent } from "./agent-event.ts";
import type { Random } from "./backoff.ts";
import type { CollectHardware } from "./hardware-feed.ts";
import type { InstallState } from "./install-state.ts";
import type { Installer } from "./installer.ts";

/** What `runAgent` takes. */
export interface AgentOptions {
  readonly machineId: string;
  readonly client: Client<typeof AgentCallback>;
  readonly state: InstallState;
  readonly install: Installer;
  /** Runs once a success is reported, to reboot for example; returns what went wrong, if something did. */
  readonly afterInstall?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
  /** Default: no hardware report. */
  readonly collectHardware?: CollectHardware | undefined;
  /** Time between collections of the hardware, of which the second comes within a minute. Default: 1 h. */
  readonly hardwareIntervalMs?: number | undefined;
  /** For operators to read. Default: the version of this package. */
  readonly version?: string | undefined;
  /** Tells one boot of the machine from another. Default: the kernel's, where it has one. */
  readonly bootId?: string | undefined;
  /** Time between heartbeats, whatever the server asks for. Default: what it asks for, and 30 s when it does not. */
  readonly intervalMs?: number | undefined;
  /** Shortest time between heartbeats that tell of progress. Default: 2 s, or the interval when that is shorter. */
  readonly progressIntervalMs?: number | undefined;
  /** Deadline of a call. Default: 10 s. */
  readonly callTimeoutMs?: number | undefined;
  /** Longest time between tries. Default: 60 s. */
  readonly maxBackoffMs?: number | undefined;
  readonly onEvent?: ((event: AgentEvent) => void) | undefined;
  /** Ends the agent. */
  readonly signal: AbortSignal;
  readonly random?: Random | undefined;
  /** A clock that never goes back, in milliseconds. Default: the process's. */
  readonly nowMs?: (() => number) | undefined;
  /** Waits, and rejects when the signal aborts. */
  readonly sleep?: ((durationMs: number, signal: AbortSignal) => Promise<unknown>) | undefined;
}
