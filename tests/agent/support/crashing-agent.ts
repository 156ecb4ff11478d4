/** An agent in a process of its own that is in mid-install, to be killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

/**
 * Starts an agent on a state file whose installer is `command`; returns once that has printed its first line, with the
 * line.
 */
export async function startInstallingAgent(
  file: string,
  machineId: string,
  command: string,
  bootId?: string,
): Promise<{ agent: ChildProcess; line: string }> {
  const main = new URL("crashing-agent-main.ts", import.meta.url).pathname;
  const agent = spawn(process.execPath, [main, file, machineId, command, ...(bootId === undefined ? [] : [bootId])], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void agent.kill("SIGKILL"));
  const [line] = (await once(createInterface(agent.stdout), "line")) as [string];
  return { agent, line };
}

/** Kills a process without a chance to tidy up; returns once it is gone. */
export async function killOutright(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
