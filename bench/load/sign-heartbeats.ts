/** Signs heartbeats (RFC 9421) before the clock starts, in the form in which a connection sends them. */
import { signRequest } from "../../src/agent/request-signing.ts";
import type { SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";
import { heartbeatPath, toGrpcBody, toJsonBody } from "./heartbeat-call.ts";
import { CallFrames, encodeGrpcHeaders, literalField } from "./http2-frames.ts";

let lastNonce = 0n;

/**
 * Returns the microseconds since the epoch, but always more than before, so that a machine's nonces increase even if
 * another process signs for it next.
 */
function nextNonce(): bigint {
  const now = BigInt(Date.now()) * 1_000n;
  lastNonce = now > lastNonce ? now : lastNonce + 1n;
  return lastNonce;
}

/** Signs `count` heartbeats of the machines in turn, each over its own body. They are valid for a minute. */
async function* signInTurn(
  identities: readonly SimulatedIdentity[],
  count: number,
  url: URL,
  toBody: (machineId: string) => Buffer,
) {
  for (let index = 0; index < count; index++) {
    const identity = identities[index % identities.length] as SimulatedIdentity;
    const body = toBody(identity.machineId);
    const signer = { machineId: identity.machineId, key: identity, created: Math.floor(Date.now() / 1000) };
    yield { body, fields: await signRequest({ method: "POST", url, body }, { ...signer, nonce: nextNonce() }) };
  }
}

/** Returns complete requests in Connect's JSON over HTTP/1.1. */
export async function signJsonRequests(
  identities: readonly SimulatedIdentity[],
  count: number,
  server: string,
): Promise<Buffer[]> {
  const url = new URL(heartbeatPath, server);
  const requests: Buffer[] = [];
  for await (const { body, fields } of signInTurn(identities, count, url, toJsonBody)) {
    const headers = { host: url.host, "content-type": "application/json", "content-length": body.length, ...fields };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    requests.push(Buffer.concat([Buffer.from(`POST ${url.pathname} HTTP/1.1\r\n${lines.join("")}\r\n`), body]));
  }
  return requests;
}

/** A gRPC call that any connection can make. */
export interface SignedGrpcCall {
  toFrames(isFirst: boolean): CallFrames;
}

/** Returns signed calls for gRPC over plaintext HTTP/2. */
export async function signGrpcCalls(
  identities: readonly SimulatedIdentity[],
  count: number,
  server: string,
): Promise<SignedGrpcCall[]> {
  const url = new URL(heartbeatPath, server);
  const blocks = encodeGrpcHeaders("http", url.host, url.pathname);
  const calls: SignedGrpcCall[] = [];
  for await (const { body, fields } of signInTurn(identities, count, url, toGrpcBody)) {
    const literals = Buffer.concat(Object.entries(fields).map(([name, value]) => literalField(name, value)));
    const later = new CallFrames(Buffer.concat([blocks.later, literals]), body);
    calls.push({
      toFrames: (isFirst) => (isFirst ? new CallFrames(Buffer.concat([blocks.first, literals]), body) : later),
    });
  }
  return calls;
}
