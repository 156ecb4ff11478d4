/** The demonstration, as `npm run demo` runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { mainFile, makeFolder } from "../support/program.ts";

async function startDemo() {
  const folder = await makeFolder();
  const child = spawn(process.execPath, [mainFile, "demo"], { env: { ...process.env, TMPDIR: folder } });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]).then(
    ([[status], stdout, stderr]) => ({ status, stdout, stderr }),
  );
  return { child, folder, ended };
}

test("tells an installation from request to report in order, and leaves nothing behind", async () => {
  const { folder, ended } = await startDemo();
  const { status, stdout, stderr } = await ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const story = [
    "serves agents at",
    "seeds machine",
    "heartbeats for the first time",
    "reports its hardware",
    "requests an installation",
    "receives generation 1",
    "is at 25 %: pretending: ",
    "reports success",
    "the report of generation 1 is stored",
    "installation_requested 1",
    "installation_given 1",
    "installation_started 1",
    "installation_reported 1",
    "drains and stops",
  ].map((step) => stdout.indexOf(step));
  expect(Math.min(...story)).toBeGreaterThanOrEqual(0);
  expect(story).toEqual([...story].sort((a, b) => a - b));
  expect(await readdir(folder)).toEqual([]);
});

test("tidies up when it is stopped while its server starts", async () => {
  const { child, folder, ended } = await startDemo();
  child.stdout.once("data", () => child.kill("SIGINT"));
  const { status, stdout, stderr } = await ended;
  expect({ status, stderr }).toEqual({ status: 1, stderr: "bmaas: stopped by SIGINT\n" });
  expect(stdout).toMatch(/ starts with its own PostgreSQL and development CA\n$/);
  expect(await readdir(folder)).toEqual([]);
});

test("tidies up when nobody reads on, and does so with status 0", async () => {
  const folder = await makeFolder();
  const child = spawn(process.execPath, [mainFile, "demo"], { env: { ...process.env, TMPDIR: folder } });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = Promise.all([once(child, "exit"), text(child.stderr)]);
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [[status], stderr] = await ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(await readdir(folder)).toEqual([]);
});
