/** Records of the calls that a call watch sees. */
import { nameCode, type OnCall, okCode } from "./call-record.ts";
import type { CallObserver } from "./call-watch.ts";

/** An observer that tells `onCall` what came of each call. */
export function createCallRecorder(onCall: OnCall): CallObserver {
  return {
    ended: ({ context: { method, protocolName, requestHeader, values }, code, durationMs }) =>
      onCall({
        method,
        protocol: protocols.find((known) => known === protocolName),
        code: code === undefined ? okCode : nameCode(code),
        durationMs,
        headers: requestHeader,
        values,
      }),
  };
}

const protocols = ["connect", "grpc", "grpc-web"] as const;
