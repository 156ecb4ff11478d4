/** One agent of a simulated fleet: what it sends next, and how it reacts to an answer. It has no timers of its own. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeartbeatRequestSchema, HeartbeatResponse } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { backoff, jitter, type Random } from "../agent/backoff.ts";
import { readWantedPause } from "../agent/wanted-pause.ts";

/** How the agents of a fleet behave. */
export interface AgentBehaviour {
  /** Time between heartbeats, in milliseconds. */
  readonly intervalMs: number;
  /** Whether agents obey the server's time for the next heartbeat. */
  readonly obeysPacing: boolean;
  /** Share of the agents that report their hardware, 0 to 1. */
  readonly hardwareShare: number;
  /** How long an installation takes, in milliseconds. */
  readonly installMs: number;
  /** Shares of installations that fail, and whose agent falls silent for good; the rest succeed. */
  readonly failShare: number;
  readonly vanishShare: number;
  readonly random: Random;
}

type HeartbeatFields = Exclude<MessageInitShape<typeof HeartbeatRequestSchema>, { $typeName: string }>;

/** Outcome of an installation that a simulated agent was given. */
export type SimulatedOutcome = "succeeded" | "failed" | "vanished";

interface Installation {
  readonly generation: bigint;
  readonly startedAtMs: number;
  readonly outcome: SimulatedOutcome;
}

const maxBackoffMs = 60_000;

/** One simulated agent. */
export class SimulatedAgent {
  readonly machineId: string;
  readonly #behaviour: AgentBehaviour;
  #heartbeats = 0;
  #failures = 0;
  #installation: Installation | undefined;
  #reported = -1n;
  #sentReport = false;

  constructor(machineId: string, behaviour: AgentBehaviour) {
    this.machineId = machineId;
    this.#behaviour = behaviour;
  }

  /** Returns the heartbeat that the agent sends at `nowMs`. */
  nextHeartbeat(nowMs: number): HeartbeatFields {
    const { hardwareShare, installMs } = this.#behaviour;
    const fields: HeartbeatFields = { machineId: this.machineId, agentVersion: "simulated" };
    // The second heartbeat carries the hardware report, as that of the field's agents does.
    if (this.#heartbeats === 1 && isInShare(this.machineId, hardwareShare))
      fields.hardwareReport = simulatedHardware(this.machineId);
    const installation = this.#installation;
    this.#sentReport = installation !== undefined && nowMs - installation.startedAtMs >= installMs;
    if (installation === undefined) return fields;
    const { generation, outcome, startedAtMs } = installation;
    if (this.#sentReport) {
      const error = { case: "error" as const, value: { error: "simulated failure" } };
      fields.installationReport = {
        generation,
        result: outcome === "failed" ? error : { case: "success", value: {} },
      };
    } else {
      const percent = Math.floor((100 * (nowMs - startedAtMs)) / installMs);
      fields.installationProgress = { generation, phase: "writing the image", percent };
    }
    return fields;
  }

  /**
   * Handles an answer. Returns when the next heartbeat is due, in milliseconds from now, or undefined if the agent
   * falls silent for good.
   */
  takeAnswer(
    answer: HeartbeatResponse,
    nowMs: number,
  ): { pauseMs: number | undefined; finished?: SimulatedOutcome; isSpurious: boolean } {
    this.#heartbeats += 1;
    this.#failures = 0;
    const finished = this.#sentReport ? this.#installation?.outcome : undefined;
    if (this.#sentReport && this.#installation !== undefined) {
      this.#reported = this.#installation.generation;
      this.#installation = undefined;
    }
    const request = answer.installationRequest;
    // No server may ever request again what it acknowledged as finished.
    const isSpurious = request !== undefined && request.generation <= this.#reported;
    if (request !== undefined && !isSpurious && this.#installation === undefined) {
      const outcome = this.#drawOutcome();
      this.#installation = { generation: request.generation, startedAtMs: nowMs, outcome };
      if (outcome === "vanished") return { pauseMs: undefined, finished: "vanished", isSpurious };
    }
    return { pauseMs: this.#pause(answer), isSpurious, ...(finished && { finished }) };
  }

  /**
   * Handles a failure. `retryAfterMs` is the delay that the server requested. Returns when to try again, in
   * milliseconds from now.
   */
  takeFailure(retryAfterMs: number): number {
    this.#failures += 1;
    return backoff(this.#failures, maxBackoffMs, Math.min(retryAfterMs, maxBackoffMs), this.#behaviour.random);
  }

  #pause(answer: HeartbeatResponse): number {
    const { intervalMs, obeysPacing, installMs, random } = this.#behaviour;
    if (this.#installation !== undefined) return Math.min(jitter(intervalMs, random), Math.max(1, installMs / 4));
    const wantedMs = obeysPacing ? readWantedPause(answer.nextHeartbeatAfter) : undefined;
    return wantedMs ?? jitter(intervalMs, random);
  }

  #drawOutcome(): SimulatedOutcome {
    const { failShare, vanishShare, random } = this.#behaviour;
    const drawn = random();
    if (drawn < vanishShare) return "vanished";
    return drawn < vanishShare + failShare ? "failed" : "succeeded";
  }
}

/** Returns whether a machine is in the share. The same machines are in every run. */
function isInShare(machineId: string, share: number): boolean {
  return Number.parseInt(machineId.slice(0, 8), 16) < share * 2 ** 32;
}

function simulatedHardware(machineId: string): NonNullable<HeartbeatFields["hardwareReport"]> {
  const serialNumber = machineId.slice(-12).toUpperCase();
  return {
    report: {
      manufacturer: "bmaas",
      product: "simulated machine",
      serialNumber,
      memoryInstalledBytes: 64n << 30n,
      cpu: [{ vendor: "Simulated", model: "One", cores: 16, hardwareThreads: 32 }],
      blockDevice: [
        { deviceModel: "Simulated disk", serialNumber: `D${serialNumber}`, capacityBytes: 960_197_124_096n },
      ],
    },
  };
}
