/** Whether a call is over, for what is still to be done for it: cheaper to ask than to make the signal of its context. */
import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { CallRecord } from "../rpc/calls/call-record.ts";
import { callerGone } from "../rpc/wire/request-body.ts";
import type { Patience } from "./call-deadline.ts";

const isOverKey = createContextKey(false, { description: "whether the call is over" });

/** A call is over, answered or not. */
export function noteCallEnd({ values }: Pick<CallRecord, "values">): void {
  values.set(isOverKey, true);
}

/** Throws a ConnectError with `canceled` when the call is over. */
export function assertGoesOn(values: ContextValues): void {
  if (values.get(isOverKey)) throw callerGone();
}

/** The patience of the call's caller, who has none once the call is over, or once `others` is gone. */
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
