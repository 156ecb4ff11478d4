/** One line of the log for each call, with nothing of what was asked or answered. */
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import { nameCode } from "./call-record.ts";
import type { CallObserver, WatchedCall } from "./call-watch.ts";

/** What others know of a call and its line should say. */
export interface CallNotes {
  /** How loud the line is. Default: what the log was made with. */
  level?: "debug" | "info" | "warn";
  /** Who calls, once that is known. */
  actor?: string;
  /** Where from, as an IP address. */
  address?: string;
  /** Why the caller was not let in; never the credentials. */
  reason?: string;
  /** How many lines like this one were kept out of the log since the last one. */
  unlogged?: number;
}

const notesKey = createContextKey<CallNotes | undefined>(undefined, { description: "notes for the call's log line" });

/** Adds to what the call's line will say. */
export function noteForLog({ values }: Pick<HandlerContext, "values">, notes: CallNotes): void {
  values.set(notesKey, { ...values.get(notesKey), ...notes });
}

/** Makes the observer: each call at `level` when it ends, streams also at debug when they begin. */
export function createCallLog(log: Logger, level: "debug" | "info"): CallObserver {
  return {
    started: (call) => {
      if (call.context.method.methodKind === "unary") return;
      const { level: _, ...notes } = getNotes(call);
      log.debug({ ...describe(call), ...notes }, "call started");
    },
    ended: (call) => {
      const { level: noted, ...notes } = getNotes(call);
      const durationMs = Math.round(call.durationMs * 10) / 10;
      log[noted ?? level]({ ...describe(call), code: nameCode(call.code), durationMs, ...notes }, "call");
      if (call.cause !== undefined) {
        const { requestId } = call;
        log.error({ err: call.cause, requestId }, "a call failed for a reason that is not the caller's");
      }
    },
  };
}

function getNotes({ context }: WatchedCall): CallNotes {
  return context.values.get(notesKey) ?? {};
}

function describe({ context, requestId }: WatchedCall) {
  const { service, method, protocolName: protocol } = context;
  return { method: `${service.typeName}/${method.name}`, protocol, requestId };
}
