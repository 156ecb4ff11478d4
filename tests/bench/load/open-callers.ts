/** The callers of a load, by how they prove who they are. */
import type { SimulatedIdentity } from "../../../src/simulate/fleet-identities.ts";
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

/** Callers that are connected. */
export interface OpenCallers {
  readonly callers: readonly Caller[];
  /** Signs heartbeats, which callers then use up; those with certificates need none. */
  sign(count: number): Promise<void>;
}

/** At once: enough to keep the server busy. */
const concurrency = 16;

/** Opens them; those with certificates have made a heartbeat: what a connection costs once is behind them. */
export async function openCallers(options: CallersOptions): Promise<OpenCallers> {
  const { hostname, port } = new URL(options.url);
  const address = { host: hostname, port: Number(port) };
  const identities = options.numbers.map(createBenchIdentity);
  if (options.kind === "certificates") return await openWithCertificates(address, identities);
  return options.kind === "signed-json" ? openSignedJson(address, options) : openSignedGrpc(address, options);

  async function openSignedJson(to: Address, { url, connections = 1 }: CallersOptions): Promise<OpenCallers> {
    const stock = createStock<Buffer>();
    const open = () => Http1Caller.open(tcpTo(to), stock.take);
    const sign = async (count: number) => stock.fill(await signJsonRequests(identities, count, url));
    return { callers: await openAll(Array.from({ length: connections }, () => open)), sign };
  }

  async function openSignedGrpc(to: Address, { url, connections = 1 }: CallersOptions): Promise<OpenCallers> {
    const stock = createStock<SignedGrpcCall>();
    const open = () => GrpcCaller.open(tcpTo(to), (isFirst) => stock.take()?.toFrames(isFirst));
    const sign = async (count: number) => stock.fill(await signGrpcCalls(identities, count, url));
    return { callers: await openAll(Array.from({ length: connections }, () => open)), sign };
  }
}

async function openWithCertificates(address: Address, identities: readonly SimulatedIdentity[]): Promise<OpenCallers> {
  const blocks = encodeGrpcHeaders("https", `${address.host}:${address.port}`, heartbeatPath);
  const callers = await openAll(
    identities.map((identity) => async () => {
      const body = toGrpcBody(identity.machineId);
      const later = new CallFrames(blocks.later, body);
      const caller = await GrpcCaller.open(tlsTo(address, issueClientCertificate(identity)), (isFirst) =>
        isFirst ? new CallFrames(blocks.first, body) : later,
      );
      await callOnce(caller);
      return caller;
    }),
  );
  return { callers, sign: async () => {} };
}

function callOnce(caller: Caller): Promise<void> {
  return new Promise((resolve, reject) => {
    caller.onAnswer = (isGood) => (isGood ? resolve() : reject(new Error("a first heartbeat was refused")));
    caller.call();
  });
}

async function openAll(opens: readonly (() => Promise<Caller>)[]): Promise<Caller[]> {
  const callers: Caller[] = [];
  const pending = opens.values();
  const openOneByOne = async () => {
    for (const open of pending) callers.push(await open());
  };
  await Promise.all(Array.from({ length: concurrency }, openOneByOne));
  return callers;
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
