import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { it } from "vitest";
import { removeLeftovers } from "../../../src/db/embedded/temporary-folder.ts";
import { makeTestFolder } from "../../support/embedded-owner.ts";
import { waitUntil } from "../../support/wait.ts";

it("lets a program that outlives its starter write on, and removes its folder the next time", async ({
  onTestFinished,
}) => {
  const parent = await makeTestFolder();
  // No process has this id: Linux ends at 4194304.
  const leftover = join(parent, "data.tmp-4194305-half");
  await mkdir(leftover);
  const script = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); mkdir -p "$0"; : > "$0/$i"; done';
  const writer = spawn("/bin/sh", ["-c", script, leftover], { stdio: "ignore" });
  const exited = once(writer, "exit");
  onTestFinished(() => void writer.kill("SIGKILL"));
  await waitUntil("it writes", async () => (await readdir(leftover)).length > 200);
  await removeLeftovers(join(parent, "data"));
  writer.kill("SIGKILL");
  await exited;
  // The last command of the writer may outlive it for a moment.
  await waitUntil("it is gone", async () => {
    await removeLeftovers(join(parent, "data"));
    return (await readdir(parent)).length === 0;
  });
});
