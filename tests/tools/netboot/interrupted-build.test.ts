/** `npm run netboot` that is interrupted. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { buildTools } from "../../../tools/netboot/build.ts";
import { makeFolder } from "../../support/program.ts";
import { waitUntil } from "../../support/wait.ts";

test.skipIf(process.arch !== "x64")("leaves no temporary folder", async () => {
  const folder = await makeFolder();
  const [bin, temporary, marker, end] = ["bin", "tmp", "marker", "end"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  await Promise.all([bin, temporary].map((each) => mkdir(each)));
  // Debian's tools stand in for themselves: the first one that runs is waited for, and then finds nothing.
  const script = `#!/bin/sh\ntouch '${marker}'\nwhile [ ! -e '${end}' ]; do sleep 0.1; done\nexit 1\n`;
  for (const tool of [...Object.keys(buildTools), "apt-cache"]) {
    await writeFile(join(bin, tool), script);
    await chmod(join(bin, tool), 0o755);
  }
  const build = spawn(process.execPath, ["tools/netboot/build.ts", "--out", join(folder, "out")], {
    env: { ...process.env, PATH: `${bin}:/usr/bin:/bin`, TMPDIR: temporary },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void build.kill("SIGKILL"));
  let said = "";
  build.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await waitUntil("a tool runs", () => existsSync(marker), 60_000);
  expect((await readdir(temporary)).some((name) => name.startsWith("bmaas-netboot-"))).toBe(true);
  build.kill("SIGTERM");
  await writeFile(end, "");
  const [status] = (await once(build, "close")) as [number | null];
  expect([status, said]).toEqual([143, "netboot: interrupted by SIGTERM\n"]);
  expect((await readdir(temporary)).filter((name) => name.startsWith("bmaas-netboot-"))).toEqual([]);
});
