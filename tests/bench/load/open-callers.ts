/** Opens the callers of a load. */
import { create, toBinary } from "@bufbuild/protobuf";
import { AgentCallback, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { frameMessage } from "../../../src/rpc/grpc-frames.ts";
import type { Caller } from "./caller.ts";
import { createBenchIdentity, listCallers } from "./fleet.ts";
import { GrpcCaller } from "./grpc-caller.ts";

/** Who calls whom. */
export interface CallersOptions {
  readonly url: string;
  /** Of the fleet. */
  readonly machines: number;
  /** Machines that call, each with a connection. */
  readonly callers: number;
}

const path = `/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`;
/** Handshakes at once: enough to keep the server busy. */
const concurrency = 16;

/**
 * Agents with a connection and a client certificate each, who have made a heartbeat: what a connection costs once is behind them.
 * Throws when one is refused.
 */
export async function openCertificateCallers({ url, machines, callers }: CallersOptions): Promise<Caller[]> {
  const { hostname, port } = new URL(url);
  const opened: Caller[] = [];
  const pending = listCallers(machines, callers).values();
  const openOneByOne = async () => {
    for (const number of pending) {
      const identity = createBenchIdentity(number);
      const message = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, identity));
      opened.push(await GrpcCaller.open({ host: hostname, port: Number(port), path }, identity, frameMessage(message)));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, openOneByOne));
  await callOnceEach(opened);
  return opened;
}

async function callOnceEach(callers: readonly Caller[]): Promise<void> {
  for (let from = 0; from < callers.length; from += concurrency) {
    const group = callers.slice(from, from + concurrency);
    await Promise.all(
      group.map(
        (caller) =>
          new Promise<void>((resolve, reject) => {
            caller.onAnswer = (isGood) => (isGood ? resolve() : reject(new Error("a first heartbeat was refused")));
            caller.call();
          }),
      ),
    );
  }
}
