/** What one agent of a simulated fleet says next, and what it makes of the answer; it waits for nothing by itself. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeartbeatRequestSchema, HeartbeatResponse } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { backoff, jitter, type Random } from "../agent/backoff.ts";
import { readWantedPause } from "../agent/wanted-pause.ts";

/** How the agents of a fleet behave. */
export interface AgentBehaviour {
  /** Between heartbeats, in milliseconds. */
  readonly intervalMs: number;
  /** Obey the time that the server names for the next heartbeat. */
  readonly obeysPacing: boolean;
  /** Share of the agents that hand in their hardware, 0 to 1. */
  readonly hardwareShare: number;
  /** How long an installation takes, in milliseconds. */
  readonly installMs: number;
  /** Shares of installations that fail, and whose agent is never heard of again; the rest succeeds. */
  readonly failShare: number;
  readonly vanishShare: number;
  readonly random: Random;
}

type HeartbeatFields = Exclude<MessageInitShape<typeof HeartbeatRequestSchema>, { $typeName: string }>;

/** What became of an installation that a simulated agent was given. */
export type SimulatedOutcome = "succeeded" | "failed" | "vanished";

interface Installation {
  readonly generation: bigint;
  readonly startedAtMs: number;
  readonly outcome: SimulatedOutcome;
}

const maxBackoffMs = 60_000;

/** One agent. */
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

  /** What it says at `nowMs`. */
  nextHeartbeat(nowMs: number): HeartbeatFields {
    const { hardwareShare, installMs } = this.#behaviour;
    const fields: HeartbeatFields = { machineId: this.machineId, agentVersion: "simulated" };
    // The second heartbeat brings the hardware, as the field's agents do it.
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

  /** Takes an answer in; returns when the next heartbeat is due, in milliseconds from now, or undefined when it falls silent for good. */
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
    // What no server may ever do: ask again for what was acknowledged as finished.
    const isSpurious = request !== undefined && request.generation <= this.#reported;
    if (request !== undefined && !isSpurious && this.#installation === undefined) {
      const outcome = this.#drawOutcome();
      this.#installation = { generation: request.generation, startedAtMs: nowMs, outcome };
      if (outcome === "vanished") return { pauseMs: undefined, finished: "vanished", isSpurious };
    }
    return { pauseMs: this.#pause(answer), isSpurious, ...(finished && { finished }) };
  }

  /** Takes a failure in; `retryAfterMs` is what the server asked for. Returns when to try again, in milliseconds from now. */
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

/** The same machines are in the share in every run. */
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
