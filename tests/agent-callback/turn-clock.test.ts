/** How long a turn of the event loop has lasted, counted from its first question. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurnClock } from "../../src/agent-callback/turn-clock.ts";

test("time passes within a turn, and each turn begins anew", async () => {
  const turnMs = createTurnClock();
  for (let round = 0; round < 3; round++) {
    expect(turnMs()).toBe(0);
    const beganAtMs = performance.now();
    while (performance.now() < beganAtMs + 20);
    expect(turnMs()).toBeGreaterThanOrEqual(20);
    await Promise.resolve();
    expect(turnMs()).toBeGreaterThanOrEqual(20);
    await turn();
  }
});
