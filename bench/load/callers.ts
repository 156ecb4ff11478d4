/** The callers of a load, by how they prove who they are. */
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

/** `certificates`: gRPC over TLS, a connection and a certificate for each machine. Others: in plaintext, each heartbeat signed. */
export const callerKinds = ["certificates", "signed-grpc", "signed-json"] as const;

/** Who calls, and how. */
export interface CallersOptions {
  readonly kind: (typeof callerKinds)[number];
  /** The server. */
  readonly url: string;
  /** Of the machines, see fleet.ts. */
  readonly numbers: readonly number[];
  /** How many connections the machines share that sign; as many calls can be under way. */
  readonly connections?: number;
}

/** Callers of one server. */
export interface Callers {
  /** Those who can call now. */
  readonly open: readonly Caller[];
  /**
   * Makes them ready: every connection is there and fresh, and `count` heartbeats are signed, which callers then use up; those with
   * certificates need none.
   */
  prepare(count: number): Promise<void>;
}

/** At once: enough to keep the server busy. */
const concurrency = 16;
/** Servers close connections that nobody uses; those that rested for longer make a heartbeat before they are measured, in milliseconds. */
const freshForMs = 60_000;

/** Makes the callers, none of which is connected before they are prepared. */
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

/** Each has made a heartbeat: what a connection costs once is behind it. */
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

/** New connections each time. */
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

/** What was made before, and is used up in its order. */
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
