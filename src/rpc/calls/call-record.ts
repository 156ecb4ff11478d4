/** What came of a call, told once for each, whichever way it was served and wherever it ended. */
import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ContextValues } from "@connectrpc/connect";

/** A call that is over. */
export interface CallRecord {
  readonly method: DescMethod;
  /** Undefined when the request's method and content type belong to none. */
  readonly protocol: "connect" | "grpc" | "grpc-web" | undefined;
  /** "ok", or the error's code as Connect spells it, such as "invalid_argument"; "canceled" for a caller that left before its answer. */
  readonly code: string;
  /** From the request's headers to the answer's last byte being handed to the connection. */
  readonly durationMs: number;
  readonly headers: IncomingHttpHeaders | Headers;
  /** What was set for the call on its way. */
  readonly values: ContextValues;
  /** What ended the call when that was no ConnectError, where nobody has logged it yet. */
  readonly cause?: unknown;
}

/** Is told of calls; it must not throw, and nothing waits for it. */
export type OnCall = (record: CallRecord) => void;

/** A call that succeeded. */
export const okCode = "ok";

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(Code)
    .filter((entry): entry is [string, Code] => typeof entry[1] === "number")
    .map(([name, code]) => [code, name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()]),
);

/** A code's name as Connect's protocol spells it, such as "not_found"; "ok" for a call that did not fail. */
export function nameCode(code: Code | undefined): string {
  return code === undefined ? okCode : (names.get(code) ?? "unknown");
}
