/** Bounds the time of exchanges: one timer for all, and no more than a few pointers for each. */
import type { ListenerLimits } from "../limits.ts";

/** What is bounded; the fields of the list belong to `ExchangeTimeouts`. */
export interface TimedExchange {
  older: TimedExchange | undefined;
  newer: TimedExchange | undefined;
  /** In checks of the timer; undefined while the exchange is not in the list. */
  beganAt: number | undefined;
  /** Whether the body is still being read. */
  readonly isReading: boolean;
  /** Gives up the body. */
  expireBody(): void;
  /** Ends the exchange. */
  destroy(): void;
}

/** Ends exchanges whose body or answer takes too long, by one timer for all of them. */
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
    // The first check may come at once.
    this.#bodyChecks = Math.ceil(bodyTimeoutMs / checkIntervalMs) + 1;
    this.#answerChecks = Math.ceil(answerTimeoutMs / checkIntervalMs) + 1;
  }

  /** Begins to count. The process may end while exchanges are under way. */
  add(exchange: TimedExchange): void {
    exchange.beganAt = this.#checks;
    exchange.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = exchange;
    else this.#newest.newer = exchange;
    this.#newest = exchange;
    this.#timer ??= setInterval(() => this.#check(), this.#checkIntervalMs).unref();
  }

  /** The exchange is over. */
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
      // Either may take the exchange off the list.
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
