/**
 * Records that a call has ended, so that remaining work for it can stop. This is cheaper than creating the signal of
 * its context.
 */
import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { CallRecord } from "../rpc/calls/call-record.ts";
import { callerGone } from "../rpc/wire/request-body.ts";
import type { Patience } from "./call-deadline.ts";

const isOverKey = createContextKey(false, { description: "whether the call is over" });

/** Records that a call has ended, answered or not. */
export function noteCallEnd({ values }: Pick<CallRecord, "values">): void {
  values.set(isOverKey, true);
}

/** Throws a ConnectError with `canceled` if the call has ended. */
export function assertGoesOn(values: ContextValues): void {
  if (values.get(isOverKey)) throw callerGone();
}

/** Returns a patience that ends when the call ends or when `others` does. */
export function patienceOf(values: ContextValues, others: Patience): Patience {
  return new CallersPatience(values, others);
}

class CallersPatience implements Patience {
  readonly #values: ContextValues;
  readonly #others: Patience;

  constructor(values: ContextValues, others: Patience) {
    this.#values = values;
    this.#others = others;
  }

  get aborted(): boolean {
    return this.#others.aborted || this.#values.get(isOverKey);
  }

  get reason(): unknown {
    return this.#others.aborted ? this.#others.reason : callerGone();
  }
}
