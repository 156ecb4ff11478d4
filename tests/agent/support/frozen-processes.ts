/** Processes that nothing ends for a while, as if they waited in the kernel for a disk that does not answer. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const freezer = "/sys/fs/cgroup/freezer";

/** A control group that freezes. SIGKILL ends a process in it only once it is thawed. */
export interface Freezer {
  /** Shell commands by which a process puts itself into the group and freezes. */
  readonly freezeSelf: string;
  /** Freezes a thread of another process. */
  freezeThread(id: number): void;
  /** Whether a process waits. */
  isFrozen(): boolean;
  /** Ends the wait of all processes in the group. */
  thaw(): void;
}

/** Makes such a group until the test is over; undefined without root or where Linux has none (cgroups, version 1). */
export function createFreezer(): Freezer | undefined {
  const group = join(freezer, `bmaas-test-${process.pid}`);
  const state = join(group, "freezer.state");
  try {
    mkdirSync(group);
    writeFileSync(state, "THAWED");
  } catch {
    return undefined;
  }
  const processes = join(group, "cgroup.procs");
  const thaw = () => writeFileSync(state, "THAWED");
  onTestFinished(async () => {
    thaw();
    // The processes have been killed, and end now.
    while ((await readFile(processes, "utf8")) !== "") await new Promise((resolve) => setTimeout(resolve, 10));
    rmdirSync(group);
  });
  const freezeThread = (id: number) => {
    writeFileSync(join(group, "tasks"), `${id}`);
    writeFileSync(state, "FROZEN");
  };
  const isFrozen = () => readFileSync(state, "utf8").trim() === "FROZEN";
  return { freezeSelf: `echo $$ > ${processes}; echo FROZEN > ${state}`, freezeThread, isFrozen, thaw };
}
