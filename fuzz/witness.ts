/** Good agents and good operators beside the fuzzer, in a thread of their own: what inputs must not harm. */
import { Worker } from "node:worker_threads";

/** A server, and the machine and the token by which it is called. */
export interface WitnessedServer {
  readonly agentUrl: string;
  readonly adminUrl: string;
  /** PEM of the CA of both its listeners; empty without TLS. */
  readonly ca: string;
  readonly machineId: string;
  /** Of the machine's agent's key. */
  readonly seed: Uint8Array;
  /** A viewer's. */
  readonly token: string;
}

/** How long answers took; all 0 without any. */
export interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What was seen in one part of the run. */
export interface WitnessedPhase {
  readonly name: string;
  readonly agents: Latencies;
  readonly operators: Latencies;
}

/** What was seen in all. */
export interface WitnessFigures {
  readonly phases: readonly WitnessedPhase[];
  /** Calls that the server refused because it had too much to do. */
  readonly refusals: number;
}

/** What the thread is told. */
export type ToWitness =
  | { readonly type: "phase"; readonly name: string }
  | { readonly type: "pause" | "resume"; readonly server: number }
  | { readonly type: "stop" };

/** What the thread tells. */
export type FromWitness =
  | { readonly type: "ready" }
  | { readonly type: "failure"; readonly server: number; readonly what: string }
  | { readonly type: "figures"; readonly figures: WitnessFigures };

/** The thread. */
export interface Witness {
  /** Resolves when each caller has been served once: what comes then is timed. */
  readonly ready: Promise<void>;
  /** What is timed from now on belongs to that part of the run. */
  beginPhase(name: string): void;
  /** Nobody calls the server by that index until it is resumed. */
  pause(server: number): void;
  resume(server: number): void;
  /** Ends all calls. */
  stop(): Promise<WitnessFigures>;
}

/** Starts to call; a call that fails, or has no answer within `timeoutMs`, is told to `onFailure`. */
export function startWitness(
  servers: readonly WitnessedServer[],
  timeoutMs: number,
  onFailure: (what: string) => void,
): Witness {
  const worker = new Worker(new URL("witness-main.ts", import.meta.url), { workerData: { servers, timeoutMs } });
  const { promise: figures, resolve, reject } = Promise.withResolvers<WitnessFigures>();
  const { promise: ready, resolve: begin, reject: giveUp } = Promise.withResolvers<void>();
  worker.on("error", (error) => {
    reject(error);
    giveUp(error);
  });
  worker.on("message", (message: FromWitness) => {
    if (message.type === "ready") begin();
    else if (message.type === "figures") resolve(message.figures);
    else onFailure(message.what);
  });
  const send = (message: ToWitness) => worker.postMessage(message);
  return {
    ready,
    beginPhase: (name) => send({ type: "phase", name }),
    pause: (server) => send({ type: "pause", server }),
    resume: (server) => send({ type: "resume", server }),
    async stop() {
      send({ type: "stop" });
      const told = await figures;
      await worker.terminate();
      return told;
    },
  };
}
