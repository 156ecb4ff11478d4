import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExchangeTimeouts, type TimedExchange } from "../../../src/rpc/unary-lane/exchange.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const limits = { bodyTimeoutMs: 1_000, answerTimeoutMs: 3_000, checkIntervalMs: 100 };

class Timed implements TimedExchange {
  previous: TimedExchange | undefined = undefined;
  next: TimedExchange | undefined = undefined;
  beganAt: number | undefined = undefined;
  isReading = true;
  readonly ends: string[] = [];
  readonly #timeouts: ExchangeTimeouts;
  constructor(timeouts: ExchangeTimeouts) {
    this.#timeouts = timeouts;
    timeouts.add(this);
  }
  expireBody() {
    this.isReading = false;
    this.ends.push("body");
  }
  destroy() {
    this.ends.push("destroyed");
    this.#timeouts.delete(this);
  }
}

test("a body that takes too long is given up once, and an exchange that takes too long is destroyed", () => {
  const exchange = new Timed(new ExchangeTimeouts(limits));
  vi.advanceTimersByTime(999);
  expect(exchange.ends).toEqual([]);
  vi.advanceTimersByTime(201);
  expect(exchange.ends).toEqual(["body"]);
  vi.advanceTimersByTime(1_799);
  expect(exchange.ends).toEqual(["body"]);
  vi.advanceTimersByTime(300);
  expect(exchange.ends).toEqual(["body", "destroyed"]);
  vi.advanceTimersByTime(10_000);
  expect(exchange.ends).toEqual(["body", "destroyed"]);
});

test("exchanges that are over, in whatever order, are left alone, and the others keep their time", () => {
  const timeouts = new ExchangeTimeouts(limits);
  const exchanges = Array.from({ length: 5 }, () => {
    vi.advanceTimersByTime(50);
    return new Timed(timeouts);
  });
  for (const index of [2, 0, 4]) timeouts.delete(exchanges[index] as Timed);
  timeouts.delete(exchanges[2] as Timed);
  vi.advanceTimersByTime(10_000);
  expect(exchanges.map(({ ends }) => ends.length)).toEqual([0, 2, 0, 2, 0]);
});

test("an answer that is bounded more tightly than its body is destroyed while the body is read", () => {
  const exchange = new Timed(new ExchangeTimeouts({ ...limits, answerTimeoutMs: 500 }));
  vi.advanceTimersByTime(700);
  expect(exchange.ends).toEqual(["destroyed"]);
});

test("without exchanges there is no timer, and with one it comes back", () => {
  const timeouts = new ExchangeTimeouts(limits);
  expect(vi.getTimerCount()).toBe(0);
  const first = new Timed(timeouts);
  expect(vi.getTimerCount()).toBe(1);
  timeouts.delete(first);
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(0);
  const second = new Timed(timeouts);
  vi.advanceTimersByTime(1_200);
  expect(second.ends).toEqual(["body"]);
});
