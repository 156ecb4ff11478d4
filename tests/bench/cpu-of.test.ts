/** What the benchmark of commands counts. */
import { expect, test } from "vitest";
import { measureCpuMs } from "../../bench/command-line/cpu-of.ts";

/** A command line that uses at least so much CPU time, whatever else the machine does. */
const use = (ms: number) => `'${process.execPath}' -e 'while (process.cpuUsage().user < ${ms * 1000});'`;

test("the CPU time of a command counts with that of its children, and what was set up before does not", {
  timeout: 180_000,
}, () => {
  const setUp = `${use(400)}\nbmaas() { bash -c "$1"; }`;
  const script = `bmaas "${use(300)}"`;
  const cpuMs = measureCpuMs({ script, directory: ".", setUp });
  expect(cpuMs).toBeGreaterThan(300);
  expect(measureCpuMs({ script: "true", directory: ".", setUp })).toBeLessThan(300);
});

test("a command that fails is no measurement", () => {
  expect(() => measureCpuMs({ script: "echo broken >&2; exit 3", directory: "." })).toThrow(/status 3:\nbroken/);
});
