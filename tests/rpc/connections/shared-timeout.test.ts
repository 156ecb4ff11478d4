import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createSharedTimeout } from "../../../src/rpc/connections/shared-timeout.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("each item expires in its own time, unless it is done before, and without items there is no timer", () => {
  const expired: string[] = [];
  const timeout = createSharedTimeout<string>(1_000, 100, (item) => expired.push(item));
  timeout.add("first");
  vi.advanceTimersByTime(500);
  timeout.add("second");
  timeout.add("done");
  timeout.add("first");
  timeout.delete("done");
  timeout.delete("unknown");
  vi.advanceTimersByTime(499);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(201);
  expect(expired).toEqual(["first"]);
  vi.advanceTimersByTime(500);
  expect(expired).toEqual(["first", "second"]);
  expect(vi.getTimerCount()).toBe(0);
});
