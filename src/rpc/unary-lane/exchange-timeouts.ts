/** Bounds the time of exchanges with one timer for all, and only a few pointers for each. */
import type { ListenerLimits } from "../limits.ts";

/** An exchange with bounded time. Only `ExchangeTimeouts` changes `older`, `newer` and `beganAt`. */
export interface TimedExchange {
  older: TimedExchange | undefined;
  newer: TimedExchange | undefined;
  /** Number of the timer's check at which the exchange began; undefined while it is not in the list. */
  beganAt: number | undefined;
  /** Whether the body is still being read. */
  readonly isReading: boolean;
  /** Stops reading the body. */
  expireBody(): void;
  /** Ends the exchange. */
  destroy(): void;
}

/** Ends exchanges whose body or answer takes too long, with one timer for all of them. */
export class ExchangeTimeouts {
  readonly #checkIntervalMs: number;
  readonly #bodyChecks: number;
  readonly #answerChecks: number;
  #oldest: TimedExchange | undefined;
  #newest: TimedExchange | undefined;
  #checks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Pick<ListenerLimits, "bodyTimeoutMs" | "answerTimeoutMs" | "checkIntervalMs">) {
    const { bodyTimeoutMs, answerTimeoutMs, checkIntervalMs } = limits;
    this.#checkIntervalMs = checkIntervalMs;
    // The first check may follow immediately.
    this.#bodyChecks = Math.ceil(bodyTimeoutMs / checkIntervalMs) + 1;
    this.#answerChecks = Math.ceil(answerTimeoutMs / checkIntervalMs) + 1;
  }

  /** Starts the time of an exchange. Exchanges do not keep the process alive. */
  add(exchange: TimedExchange): void {
    exchange.beganAt = this.#checks;
    exchange.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = exchange;
    else this.#newest.newer = exchange;
    this.#newest = exchange;
    this.#timer ??= setInterval(() => this.#check(), this.#checkIntervalMs).unref();
  }

  /** Removes an exchange that has ended. */
  delete(exchange: TimedExchange): void {
    if (exchange.beganAt === undefined) return;
    const { older, newer } = exchange;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    exchange.older = undefined;
    exchange.newer = undefined;
    exchange.beganAt = undefined;
  }

  #check(): void {
    this.#checks++;
    for (let exchange = this.#oldest; exchange !== undefined; ) {
      const age = this.#checks - (exchange.beganAt ?? this.#checks);
      if (age < this.#bodyChecks && age < this.#answerChecks) return;
      // Either call may remove the exchange from the list.
      const { newer } = exchange;
      if (age >= this.#answerChecks) exchange.destroy();
      else if (exchange.isReading) exchange.expireBody();
      exchange = newer;
    }
    if (this.#oldest !== undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
