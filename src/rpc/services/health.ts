/**
 * Health checking (grpc.health.v1). Every service is healthy exactly when the server is ready, so one check serves all
 * services and all watchers.
 */
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { clientAddressKey } from "../callers/client-address.ts";
import { maxOpenMessageBytes } from "../limits.ts";
import { createOpenStreams, type StreamLimits } from "./open-streams.ts";

/** The server's health, checked on request and every second while someone watches. */
export interface HealthMonitor {
  /** Number of current watchers. */
  readonly watchers: number;
  check(): Promise<ServingStatus>;
  /**
   * Yields the status, and again whenever it changes or has not changed for a while. Ends after NOT_SERVING when the
   * monitor closes.
   */
  watch(isKnown: boolean, signal: AbortSignal, address: string): AsyncGenerator<ServingStatus>;
  /**
   * Ends all watches and accepts no more while the server continues, so that watchers resume at another of its
   * processes.
   */
  sendWatchersAway(): void;
  /** Tells all watchers NOT_SERVING, and ends their watches. */
  close(): void;
}

/** Limits of a monitor; times are in milliseconds. */
export interface HealthLimits extends StreamLimits {
  readonly pollMs: number;
  /** Time after which an unchanged status is sent again, since proxies may close a stream that is silent for longer. */
  readonly signOfLifeMs: number;
}

const defaultHealthLimits: HealthLimits = {
  pollMs: 1_000,
  signOfLifeMs: 60_000,
  maxOpen: 1_000,
  // A load balancer opens a watch for each of its connections.
  maxOpenPerAddress: 50,
};

/**
 * Creates a monitor. `findUnreadiness` resolves to the reason why the server cannot serve now, or to undefined if it
 * can.
 */
export function createHealthMonitor(
  findUnreadiness: () => Promise<string | undefined>,
  limits: HealthLimits = defaultHealthLimits,
): HealthMonitor {
  const sleepers = new Set<() => void>();
  const watches = createOpenStreams("watches are open", limits);
  let isPolling = false;
  let isClosed = false;
  let isSendingAway = false;
  let look: Promise<ServingStatus> | undefined;
  /** Status that watchers get; undefined before the first check and while nobody watches. */
  let status: ServingStatus | undefined;

  function check(): Promise<ServingStatus> {
    look ??= findStatus().finally(() => {
      look = undefined;
    });
    return look;
  }

  async function findStatus(): Promise<ServingStatus> {
    // If readiness cannot be determined, the server is not serving.
    const isReady = !isClosed && (await findUnreadiness().catch(() => "unknown")) === undefined;
    return isReady && !isClosed ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  async function poll(): Promise<void> {
    isPolling = true;
    while (watches.count > 0 && !isClosed) {
      tell(await check());
      await delay(limits.pollMs, undefined, { ref: false });
    }
    if (!isClosed) status = undefined;
    isPolling = false;
  }

  function tell(next: ServingStatus): void {
    if (next === status || isClosed) return;
    status = next;
    for (const wake of sleepers) wake();
  }

  /** Waits for `tell`, for the end of the call, or until the status must be sent again. */
  async function sleep(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, limits.signOfLifeMs);
    sleepers.add(wake);
    signal.addEventListener("abort", wake);
    await promise;
    signal.removeEventListener("abort", wake);
    sleepers.delete(wake);
    clearTimeout(timer);
  }

  async function* watch(isKnown: boolean, signal: AbortSignal, address: string): AsyncGenerator<ServingStatus> {
    const close = watches.open(address);
    if (!isPolling) void poll();
    try {
      while (!signal.aborted) {
        const told = status;
        if (told !== undefined) yield isKnown ? told : ServingStatus.SERVICE_UNKNOWN;
        if (isSendingAway && told === status)
          throw new ConnectError("this process is shutting down: watch again", Code.Unavailable);
        if (told === status) await sleep(signal);
      }
    } finally {
      close();
    }
  }

  function sendWatchersAway(): void {
    isSendingAway = true;
    // Also wakes watchers that already have the status.
    for (const wake of sleepers) wake();
  }

  return {
    get watchers() {
      return watches.count;
    },
    check,
    watch,
    sendWatchersAway,
    close: () => {
      tell(ServingStatus.NOT_SERVING);
      isClosed = true;
      sendWatchersAway();
    },
  };
}

/** Registers the service. At each call it knows the services that `router` has by then. */
export function registerHealth(router: ConnectRouter, monitor: HealthMonitor): void {
  const isKnown = (name: string) => name === "" || router.handlers.some(({ service }) => service.typeName === name);
  router.service(
    Health,
    {
      check: async ({ service }: HealthCheckRequest) => {
        if (!isKnown(service)) throw new ConnectError(`${service} is not served here`, Code.NotFound);
        return toResponse(await monitor.check());
      },
      async *watch({ service }: HealthCheckRequest, { signal, values }: HandlerContext) {
        const address = values.get(clientAddressKey);
        for await (const status of monitor.watch(isKnown(service), signal, address)) yield toResponse(status);
      },
    },
    { readMaxBytes: maxOpenMessageBytes },
  );
}

function toResponse(status: ServingStatus): HealthCheckResponse {
  return create(HealthCheckResponseSchema, { status });
}
