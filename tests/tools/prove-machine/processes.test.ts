/** The processes of the proof end with it. */
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { expect, test } from "vitest";
import { isRunning, Processes } from "../../../tools/prove-machine/processes.ts";
import { isRunning as isAlive } from "../../agent/support/processes.ts";
import { waitUntil } from "../../support/wait.ts";

const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];

/** Starts a process that ignores polite signals, and returns it once it runs. */
async function start(processes: Processes, command: string, isGroup = false) {
  const child = processes.spawn("/bin/sh", ["-c", `trap "" TERM INT; ${command}`], { stdio, detached: isGroup });
  const [line] = (await once(createInterface(child.stdout as Readable), "line")) as [string];
  return { child, line };
}

test("all that run are killed, with what a group has started, and none starts afterwards", async () => {
  const processes = new Processes();
  const ended = processes.spawn("true", [], { stdio: "ignore" });
  await once(ended, "exit");
  const plain = await start(processes, "echo running; exec sleep 600");
  const group = await start(processes, "sleep 600 & echo $!; wait", true);
  expect([ended, plain.child, group.child].map(isRunning)).toEqual([false, true, true]);
  await processes.end();
  expect([plain.child, group.child].map(isRunning)).toEqual([false, false]);
  await waitUntil("what the group has started is gone", async () => !(await isAlive(Number(group.line))));
  expect(() => processes.spawn("true", [], {})).toThrow("true is not started, since the proof is ending");
  await processes.end();
});

test("one that cannot be started is none", async () => {
  const processes = new Processes();
  const child = processes.spawn("/nonexistent", [], { stdio: "ignore" });
  await once(child, "error");
  expect(isRunning(child)).toBe(false);
  await processes.end();
});
