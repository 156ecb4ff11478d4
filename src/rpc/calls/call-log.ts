/** One line of the log for each call, with nothing of what was asked or answered. */
import { type ContextValues, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { CallRecord } from "./call-record.ts";
import { type CallObserver, requestIdKey } from "./call-watch.ts";

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

/** Creates the observer that logs each call at `level` when it ends; streams also at debug when they begin. */
export function createCallLog(log: Logger, level: "debug" | "info"): CallObserver {
  return {
    onStart: ({ method, protocolName: protocol, values }) => {
      if (method.methodKind === "unary") return;
      const { level: _, ...notes } = getNotes(values);
      log.debug({ ...describe({ method, protocol, values }), ...notes }, "call started");
    },
    onCall: (record) => {
      const { code, values, cause } = record;
      const { level: noted, ...notes } = getNotes(values);
      const durationMs = Math.round(record.durationMs * 10) / 10;
      log[noted ?? level]({ ...describe(record), code, durationMs, ...notes }, "call");
      if (cause !== undefined) {
        const requestId = values.get(requestIdKey);
        log.error({ err: cause, requestId }, "a call failed for a reason that is not the caller's");
      }
    },
  };
}

function getNotes(values: ContextValues): CallNotes {
  return values.get(notesKey) ?? {};
}

function describe(call: Pick<CallRecord, "method" | "values"> & { readonly protocol: string | undefined }) {
  const { method, protocol, values } = call;
  return { method: `${method.parent.typeName}/${method.name}`, protocol, requestId: values.get(requestIdKey) };
}
