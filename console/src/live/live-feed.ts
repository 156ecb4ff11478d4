/**
 * The tab's one stream of changes. It resumes where it was after a lost connection and while the tab was hidden, so
 * that nobody misses a change, and hands changes on once for each frame that the browser draws.
 */
import { MachineService, type WatchMachinesResponse } from "@api/machine_service_pb.js";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { reasonOf } from "../session/reason-of.ts";

/** State of the connection. */
export type LiveState =
  | { readonly status: "connecting" | "live" }
  /** The tab is hidden, or nobody is signed in. */
  | { readonly status: "paused" }
  /** The connection is lost and is tried again. */
  | { readonly status: "lost"; readonly since: Date; readonly reason: string };

/** Changes of one frame, oldest first. */
export type Changes = readonly WatchMachinesResponse[];

/** The server sends a sign of life every 15 s. After this time without one, the connection is taken for dead. */
const silenceMs = 40_000;
/** Shortest and longest pause before another attempt. */
const [shortestPauseMs, longestPauseMs] = [500, 10_000];
/** Most changes that wait for a frame. Beyond it everything is read again instead. */
const maxWaiting = 20_000;

/** The stream, which components reach by `useLiveState` and `useChanges`. */
export class LiveFeed {
  readonly #transport: Transport;
  #state: LiveState = { status: "paused" };
  #stop: AbortController | undefined;
  #token = "";
  #waiting: WatchMachinesResponse[] = [];
  #frame: number | undefined;
  readonly #stateListeners = new Set<() => void>();
  readonly #changeListeners = new Set<(changes: Changes) => void>();
  readonly #gapListeners = new Set<() => void>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get state(): LiveState {
    return this.#state;
  }

  readonly subscribeState = (listener: () => void): (() => void) => subscribe(this.#stateListeners, listener);

  /** Calls `listener` with the changes of each frame. */
  readonly subscribeChanges = (listener: (changes: Changes) => void): (() => void) =>
    subscribe(this.#changeListeners, listener);

  /** Calls `listener` when changes may have been missed, so that everything has to be read again. */
  readonly subscribeGaps = (listener: () => void): (() => void) => subscribe(this.#gapListeners, listener);

  /** Connects, from where the stream was when it stopped. */
  start(): void {
    if (this.#stop !== undefined) return;
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  /** Disconnects. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#setState({ status: "paused" });
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#setState({ status: "connecting" });
    let pauseMs = shortestPauseMs;
    while (!signal.aborted) {
      try {
        await this.#watch(signal, () => {
          pauseMs = shortestPauseMs;
        });
        // The server ends a stream when it shuts down.
        if (!signal.aborted) this.#lose("the server ended the stream");
      } catch (error) {
        if (signal.aborted) return;
        if (ConnectError.from(error).code === Code.OutOfRange) {
          this.#token = "";
          continue;
        }
        this.#lose(reasonOf(error));
      }
      await pause(pauseMs * (0.75 + Math.random() / 2), signal);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
  }

  /** Watches until the stream ends. Throws when it fails. */
  async #watch(signal: AbortSignal, onConnected: () => void): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    const isFromNow = this.#token === "";
    let isFirst = true;
    try {
      const client = createClient(MachineService, this.#transport);
      const request = { resumeToken: this.#token, enrolments: true };
      for await (const message of client.watchMachines(request, {
        signal: AbortSignal.any([signal, silence.signal]),
      })) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        this.#token = message.resumeToken;
        if (isFirst) {
          isFirst = false;
          onConnected();
          this.#setState({ status: "live" });
          // What was read before the stream began may be older than its beginning.
          if (isFromNow) this.#tellGap();
        }
        if (message.kind !== "") this.#add(message);
      }
    } catch (error) {
      if (silence.signal.aborted && !signal.aborted) throw new Error("the server was silent for too long");
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #add(change: WatchMachinesResponse): void {
    this.#waiting.push(change);
    if (this.#waiting.length > maxWaiting) {
      this.#waiting = [];
      this.#tellGap();
    }
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const changes = this.#waiting;
      this.#waiting = [];
      for (const listener of this.#changeListeners) listener(changes);
    });
  }

  #tellGap(): void {
    for (const listener of this.#gapListeners) listener();
  }

  #lose(reason: string): void {
    const since = this.#state.status === "lost" ? this.#state.since : new Date();
    this.#setState({ status: "lost", since, reason });
  }

  #setState(state: LiveState): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener();
  }
}

function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
