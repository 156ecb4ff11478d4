/** Creates the callers of a load, by their kind of proof. */
import type { SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";
import type { Caller } from "./caller.ts";
import { issueClientCertificate } from "./client-certificate.ts";
import { createBenchIdentity } from "./fleet.ts";
import { GrpcCaller } from "./grpc-caller.ts";
import { heartbeatPath, toGrpcBody } from "./heartbeat-call.ts";
import { Http1Caller } from "./http1-caller.ts";
import { CallFrames, encodeGrpcHeaders } from "./http2-frames.ts";
import { type Address, tcpTo, tlsTo } from "./open-socket.ts";
import { type SignedGrpcCall, signGrpcCalls, signJsonRequests } from "./sign-heartbeats.ts";

/**
 * Kinds of callers. `certificates`: gRPC over TLS, with a connection and a certificate for each machine. The others:
 * plaintext, with a signature for each heartbeat.
 */
export const callerKinds = ["certificates", "signed-grpc", "signed-json"] as const;

/** Options of `createCallers`. */
export interface CallersOptions {
  readonly kind: (typeof callerKinds)[number];
  /** URL of the server. */
  readonly url: string;
  /** Numbers of the machines that call, as in fleet.ts. */
  readonly numbers: readonly number[];
  /** How many connections the signing machines share, which is also the maximum number of concurrent calls. */
  readonly connections?: number;
}

/** Callers of one server. */
export interface Callers {
  /** Callers that can call now. */
  readonly open: readonly Caller[];
  /**
   * Prepares the callers: opens and refreshes every connection, and signs `count` heartbeats, which the callers then
   * use up. Callers with certificates need no signatures.
   */
  prepare(count: number): Promise<void>;
}

/** How many callers are prepared concurrently: enough to keep the server busy. */
const concurrency = 16;
/**
 * Servers close unused connections. A connection that was unused for longer than this sends a heartbeat before it is
 * measured, in milliseconds.
 */
const freshForMs = 60_000;

/** Creates the callers. They connect when they are prepared. */
export function createCallers(options: CallersOptions): Callers {
  const { hostname, port } = new URL(options.url);
  const address = { host: hostname, port: Number(port) };
  const identities = options.numbers.map(createBenchIdentity);
  if (options.kind === "certificates") return createWithCertificates(address, identities);
  const { url, connections = 1 } = options;
  if (options.kind === "signed-json") {
    const stock = createStock<Buffer>();
    return createSigned(
      connections,
      () => Http1Caller.open(tcpTo(address), stock.take),
      async (count) => stock.fill(await signJsonRequests(identities, count, url)),
    );
  }
  const stock = createStock<SignedGrpcCall>();
  return createSigned(
    connections,
    () => GrpcCaller.open(tcpTo(address), (isFirst) => stock.take()?.toFrames(isFirst)),
    async (count) => stock.fill(await signGrpcCalls(identities, count, url)),
  );
}

/**
 * Creates callers with certificates. Once prepared, each has sent a heartbeat, so the one-time costs of its connection
 * are past.
 */
function createWithCertificates(address: Address, identities: readonly SimulatedIdentity[]): Callers {
  const blocks = encodeGrpcHeaders("https", `${address.host}:${address.port}`, heartbeatPath);
  const callers: Caller[] = [];
  const ensureFresh = async (identity: SimulatedIdentity, index: number) => {
    const known = callers[index];
    if (known?.isOpen && performance.now() - known.calledAtMs < freshForMs) return;
    const caller = known?.isOpen ? known : await open(identity);
    callers[index] = caller;
    await callOnce(caller);
  };
  const open = (identity: SimulatedIdentity) => {
    const body = toGrpcBody(identity.machineId);
    const later = new CallFrames(blocks.later, body);
    return GrpcCaller.open(tlsTo(address, issueClientCertificate(identity)), (isFirst) =>
      isFirst ? new CallFrames(blocks.first, body) : later,
    );
  };
  return { open: callers, prepare: () => inParallel(identities, ensureFresh) };
}

/** Creates signing callers. Each preparation opens new connections. */
function createSigned(
  connections: number,
  open: () => Promise<Caller>,
  sign: (count: number) => Promise<void>,
): Callers {
  const callers: Caller[] = [];
  return {
    open: callers,
    async prepare(count) {
      for (const caller of callers.splice(0)) caller.close();
      await sign(count);
      await inParallel(Array.from({ length: connections }), async () => void callers.push(await open()));
    },
  };
}

function callOnce(caller: Caller): Promise<void> {
  return new Promise((resolve, reject) => {
    caller.onAnswer = (isGood) => (isGood ? resolve() : reject(new Error("a heartbeat before the clock was refused")));
    caller.call();
  });
}

async function inParallel<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  const pending = items.entries();
  const workOneByOne = async () => {
    for (const [index, item] of pending) await work(item, index);
  };
  await Promise.all(Array.from({ length: concurrency }, workOneByOne));
}

/** Creates a stock of prepared items, which are taken in order. */
function createStock<T>() {
  let stock: readonly T[] = [];
  let next = 0;
  return {
    fill(made: readonly T[]): void {
      [stock, next] = [made, 0];
    },
    take: (): T | undefined => stock[next++],
  };
}
