/** A run of tests that ends in good order when its time is over. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { makeFolder } from "../support/program.ts";

const reporter = resolve("tests/support/end-in-time.ts");
const slow = "await new Promise((resolve) => setTimeout(resolve, 9_000));";

/** Runs test files of such bodies, one after the other, in a run of nine seconds. */
async function run(...bodies: string[]): Promise<{ status: number; output: string }> {
  const folder = await makeFolder();
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "vitest.config.mjs"),
    `import { endInTime } from "${reporter}";
     export default {
       test: {
         maxWorkers: 1, fileParallelism: false, cache: false, testTimeout: 60_000,
         reporters: ["default", endInTime(0.15)],
       },
     };`,
  );
  await mkdir(join(folder, "tests"));
  for (const [index, body] of bodies.entries()) {
    // Vitest begins with the largest file, where no cache tells which one took longest.
    const padding = "x".repeat(1_000 * (bodies.length - index));
    const content = `import { expect, test } from "vitest"; test("one", async () => { ${body} }); // ${padding}`;
    await writeFile(join(folder, "tests", `${index}.test.mjs`), content);
  }
  const child = spawn(process.execPath, [resolve("node_modules/vitest/vitest.mjs"), "run"], {
    cwd: folder,
    env: { PATH: process.env.PATH, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status, output: stdout + stderr };
}

test("says how many files were left out, and ends with a status of its own", async () => {
  const { status, output } = await run("", slow, slow);
  expect(output).toMatch(/The 0\.15 minutes of TEST_MINUTES were over: [12] of 3 files did not run to their end\./);
  expect(status).toBe(3);
});

test("a failed test is one all the same", async () => {
  const { status, output } = await run("expect(1).toBe(2);", slow, slow);
  expect(output).toContain("files did not run to their end.");
  expect(status).toBe(1);
});

test("says nothing when everything has run", async () => {
  const { status, output } = await run("");
  expect(output).not.toContain("TEST_MINUTES");
  expect(status).toBe(0);
});
