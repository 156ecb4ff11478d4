/** Runs a fleet of simulated agents against a server, and counts the outcomes. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../agent/backoff.ts";
import type { SimulatedIdentity } from "./fleet-identities.ts";
import { HeartbeatFailedError, type HeartbeatSender } from "./heartbeat-sender.ts";
import { type AgentBehaviour, SimulatedAgent } from "./simulated-agent.ts";
import { SimulationFigures } from "./simulation-figures.ts";
import { TimingWheel } from "./timing-wheel.ts";

/** Options of `runSimulation`. */
export interface SimulationOptions {
  readonly identities: readonly SimulatedIdentity[];
  readonly sender: HeartbeatSender;
  readonly behaviour: AgentBehaviour;
  /** Maximum number of unanswered heartbeats. Further ones wait until one is answered. */
  readonly maxInFlight: number;
  /** Time between two moments at which all connections break at once, in milliseconds. Absent: never. */
  readonly stormEveryMs?: number | undefined;
  /** Requests an installation on a machine. Absent: install nothing. */
  readonly requestInstallation?: ((machineId: string) => Promise<void>) | undefined;
  /** How many machines get an installation, spread over the run. */
  readonly installations: number;
  /** Duration of the run, in milliseconds. */
  readonly durationMs: number;
  readonly random: Random;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  /** Called with the current figures once a second. */
  readonly onFigures?: ((figures: SimulationFigures) => void) | undefined;
}

const tickMs = 10;

/** Runs until the time is over or `signal` aborts, waits for the outstanding answers, and returns the figures. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationFigures> {
  const { identities, sender, behaviour, maxInFlight, durationMs, random, signal } = options;
  const figures = new SimulationFigures(identities.length);
  const agents = identities.map(({ machineId }) => new SimulatedAgent(machineId, behaviour));
  const startedAtMs = performance.now();
  const wheel = new TimingWheel(tickMs, startedAtMs);
  // Spreads the first heartbeats over the interval, as those of a fleet that is older than its server.
  for (const agent of agents.keys()) wheel.schedule(agent, startedAtMs + behaviour.intervalMs * random());
  const extras = startExtras(options, figures);
  const waiting: number[] = [];
  let inFlight = 0;

  async function heartbeat(index: number): Promise<void> {
    const agent = agents[index] as SimulatedAgent;
    const identity = identities[index] as SimulatedIdentity;
    const sentAtMs = performance.now();
    try {
      const answer = await sender.send(index, identity, agent.nextHeartbeat(sentAtMs));
      const nowMs = performance.now();
      figures.latency.add(nowMs - sentAtMs);
      const { pauseMs, finished, isSpurious } = agent.takeAnswer(answer, nowMs);
      if (isSpurious) figures.spuriousRequests += 1;
      if (finished !== undefined) figures.outcomes[finished] += 1;
      if (pauseMs !== undefined) wheel.schedule(index, nowMs + pauseMs);
      else figures.silentAgents += 1;
    } catch (error) {
      const failure =
        error instanceof HeartbeatFailedError ? error : new HeartbeatFailedError("unknown", String(error));
      figures.countFailure(failure.code);
      wheel.schedule(index, performance.now() + agent.takeFailure(failure.retryAfterMs));
    }
  }

  function startWaiting(): void {
    while (inFlight < maxInFlight && waiting.length > 0) {
      inFlight += 1;
      void heartbeat(waiting.pop() as number).finally(() => {
        inFlight -= 1;
        startWaiting();
      });
    }
  }

  try {
    while (!signal.aborted && performance.now() - startedAtMs < durationMs) {
      for (const agent of wheel.takeDue(performance.now())) {
        figures.countDue(performance.now() - startedAtMs);
        waiting.push(agent);
      }
      startWaiting();
      figures.update({
        elapsedMs: performance.now() - startedAtMs,
        inFlight,
        waiting: waiting.length,
        connections: sender.openConnections,
      });
      await delay(tickMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    waiting.length = 0;
    extras.stop();
  }
  while (inFlight > 0) await delay(tickMs);
  figures.update({
    elapsedMs: performance.now() - startedAtMs,
    inFlight,
    waiting: 0,
    connections: sender.openConnections,
  });
  return figures;
}

/** Starts what runs beside the heartbeats: live figures, broken connections, requests of installations. */
function startExtras(options: SimulationOptions, figures: SimulationFigures): { stop(): void } {
  const { stormEveryMs, sender, onFigures, requestInstallation, installations, identities, durationMs, random } =
    options;
  const timers: NodeJS.Timeout[] = [];
  if (onFigures !== undefined) timers.push(setInterval(() => onFigures(figures), 1_000));
  if (stormEveryMs !== undefined) {
    timers.push(
      setInterval(() => {
        figures.storms += 1;
        sender.breakConnections();
      }, stormEveryMs),
    );
  }
  if (requestInstallation !== undefined && installations > 0) {
    const chosen = choose(identities.length, installations, random);
    // Requests end at 60 % of the run, so that the last installations have time to finish.
    const everyMs = (durationMs * 0.6) / chosen.length;
    timers.push(
      setInterval(() => {
        const machineId = identities[chosen.pop() ?? -1]?.machineId;
        if (machineId === undefined) return;
        requestInstallation(machineId).then(
          () => {
            figures.installationsRequested += 1;
          },
          () => {
            figures.installationRequestsFailed += 1;
          },
        );
      }, everyMs),
    );
  }
  return {
    stop: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

/** Returns `count` different numbers below `limit`, or all of them if there are fewer. */
function choose(limit: number, count: number, random: Random): number[] {
  const chosen = new Set<number>();
  while (chosen.size < Math.min(count, limit)) chosen.add(Math.floor(random() * limit));
  return [...chosen];
}
