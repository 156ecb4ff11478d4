/** In which order calls begin that come at once, and what is known of how long it takes. */
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { createCallQueue } from "../../../src/agent-callback/admission/call-queue.ts";

/** Stops the clock, and returns how to let time pass, so that what the machine does beside the test takes none. */
function stopClock(): (ms: number) => void {
  let nowMs = performance.now();
  const clock = vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  onTestFinished(() => clock.mockRestore());
  return (ms) => {
    nowMs += ms;
  };
}

test("an idle server's calls begin at once, so many in each turn", async () => {
  const line = createCallQueue();
  for (let round = 0; round < 3; round++) {
    const passing = Array.from({ length: 40 }, () => line.passes()).filter(Boolean);
    expect(passing).toHaveLength(32);
    await turn();
  }
  expect([line.length, line.expectedWaitMs]).toEqual([0, 0]);
});

test("those in line begin in the order in which they came, urgent ones first, and nobody passes them", async () => {
  const line = createCallQueue();
  const begun: string[] = [];
  for (const name of ["a", "b", "URGENT 1", "c", "URGENT 2"]) {
    line.add({ isUrgent: name.startsWith("URGENT"), begin: () => begun.push(name) });
    expect(line.passes()).toBe(false);
  }
  await expect.poll(() => line.length).toBe(0);
  expect(begun).toEqual(["URGENT 1", "URGENT 2", "a", "b", "c"]);
  await turn();
  expect(line.passes()).toBe(true);
});

test("what a call leads to happens before the next one begins", async () => {
  const line = createCallQueue();
  const seen: string[] = [];
  for (const name of ["a", "b"]) {
    line.add({ isUrgent: false, begin: () => void Promise.resolve().then(() => seen.push(`${name} goes on`)) });
  }
  await expect.poll(() => seen).toEqual(["a goes on", "b goes on"]);
});

test("answers that are ready leave before calls in line take the processor", async () => {
  const seen: string[] = [];
  const line = createCallQueue({ beforeSlice: () => seen.push("answers leave") });
  for (const name of ["a", "b"]) line.add({ isUrgent: false, begin: () => seen.push(name) });
  await expect.poll(() => line.length).toBe(0);
  expect(seen).toEqual(["answers leave", "a", "b"]);
});

test("a long line leaves the turns to others, and tells how long it is", async () => {
  const pass = stopClock();
  const line = createCallQueue();
  let begun = 0;
  for (let call = 0; call < 100; call++) {
    line.add({
      isUrgent: false,
      begin: () => {
        begun++;
        pass(2);
      },
    });
  }
  let turns = 0;
  let longestWaitMs = 0;
  while (line.length > 0) {
    await turn();
    turns++;
    longestWaitMs = Math.max(longestWaitMs, line.expectedWaitMs);
  }
  expect(begun).toBe(100);
  expect(turns).toBeGreaterThan(2);
  expect(longestWaitMs).toBeGreaterThan(2);
});

test("an empty line is filled for as long as there is something to fill it with", async () => {
  let asked = 0;
  const line = createCallQueue({ askForMore: () => ++asked < 3 });
  expect(line.passes()).toBe(true);
  await expect.poll(() => asked).toBe(3);
  await turn();
  expect(asked).toBe(3);
});

test("nobody in line begins while there is no room for what calls go on to", async () => {
  let hasRoom = false;
  const line = createCallQueue({ hasRoom: () => hasRoom });
  const begun: number[] = [];
  for (let call = 0; call < 5; call++) {
    line.add({
      isUrgent: false,
      begin: () => {
        begun.push(call);
        hasRoom = begun.length !== 2;
      },
    });
  }
  await delay(20);
  expect(begun).toEqual([]);
  hasRoom = true;
  await expect.poll(() => begun.length).toBe(2);
  await delay(20);
  expect(begun).toEqual([0, 1]);
  hasRoom = true;
  await expect.poll(() => begun).toEqual([0, 1, 2, 3, 4]);
});

test("time in which nobody stood in line says nothing of how fast it moves", async () => {
  const pass = stopClock();
  const line = createCallQueue();
  pass(300);
  for (let call = 0; call < 60; call++) line.add({ isUrgent: false, begin: () => pass(1) });
  let longestWaitMs = 0;
  while (line.length > 0) {
    await turn();
    longestWaitMs = Math.max(longestWaitMs, line.expectedWaitMs);
  }
  // With the idle time, the estimate would be fifty times as long.
  expect(longestWaitMs).toBeGreaterThan(0);
  expect(longestWaitMs).toBeLessThanOrEqual(60);
});
