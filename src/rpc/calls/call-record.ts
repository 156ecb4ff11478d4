/** The record of a call's outcome, made once for each call, however it was served and wherever it ended. */
import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ContextValues } from "@connectrpc/connect";

/** Record of a call that has ended. */
export interface CallRecord {
  readonly method: DescMethod;
  /** Undefined if the request's method and content type belong to no protocol. */
  readonly protocol: "connect" | "grpc" | "grpc-web" | undefined;
  /**
   * "ok", or the code of the error in Connect's spelling, such as "invalid_argument"; "canceled" if the caller left
   * before its answer.
   */
  readonly code: string;
  /** Time from the request's headers until the answer's last byte was handed to the connection. */
  readonly durationMs: number;
  readonly headers: IncomingHttpHeaders | Headers;
  /** Context values of the call. */
  readonly values: ContextValues;
  /** The error that ended the call if it was not a ConnectError and has not been logged yet. */
  readonly cause?: unknown;
}

/** Receives the record of each call. It must not throw, and nothing waits for it. */
export type OnCall = (record: CallRecord) => void;

/** Code of a call that succeeded. */
export const okCode = "ok";

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(Code)
    .filter((entry): entry is [string, Code] => typeof entry[1] === "number")
    .map(([name, code]) => [code, name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()]),
);

/** Returns the name of a code in Connect's spelling, such as "not_found", or "ok" for undefined. */
export function nameCode(code: Code | undefined): string {
  return code === undefined ? okCode : (names.get(code) ?? "unknown");
}
