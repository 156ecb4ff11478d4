/** Logs one line for each call, without any content of its messages. */
import { type ContextValues, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { CallRecord } from "./call-record.ts";
import { type CallObserver, requestIdKey } from "./call-watch.ts";

/** Additional facts for the log line of a call. */
export interface CallNotes {
  /** Level of the line. Default: the level of the call log. */
  level?: "debug" | "info" | "warn";
  /** The caller's actor, once known. */
  actor?: string;
  /** IP address of the caller. */
  address?: string;
  /** Why the caller was refused; never the credentials. */
  reason?: string;
  /** How many similar lines were not logged at this level since the last one. */
  unlogged?: number;
}

const notesKey = createContextKey<CallNotes | undefined>(undefined, { description: "notes for the call's log line" });

/** Adds facts to the call's log line. */
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
        log.error({ err: cause, requestId }, "a call failed because of an internal error");
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
