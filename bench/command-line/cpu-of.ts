/** Measures the CPU time of commands as a shell runs them. */
import { spawnSync } from "node:child_process";

/** A command to measure. */
export interface ShellCommand {
  /** Lines for bash, which may use functions that `setUp` defines. */
  readonly script: string;
  readonly directory: string;
  /** Lines that bash runs before, at no cost. */
  readonly setUp?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a command and returns its CPU time in milliseconds, user and system, with all processes that it waited for.
 * Throws if it ends with another status than 0.
 */
export function measureCpuMs({ script, directory, setUp = ":", environment = {} }: ShellCommand): number {
  const lines = `${setUp}\nTIMEFORMAT='%3U %3S'\nexec 3>&2\ntime { ${script}; } >/dev/null 2>&3`;
  const { status, stderr } = spawnSync("bash", ["--norc", "-c", lines], {
    cwd: directory,
    // The caller's own settings are not passed on.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    encoding: "utf8",
  });
  const said = stderr.trim().split("\n");
  if (status !== 0) throw new Error(`${script} ended with status ${status}:\n${stderr}`);
  const [user, system] = (said.at(-1) ?? "").split(" ").map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * 1000;
}
