/** The script that looks for interfaces, run by this machine's shell on files in the place of the kernel's. */
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { makeFolder } from "../../support/program.ts";

const script = new URL("../../../tools/netboot/root/etc/netboot/devices", import.meta.url);

/** Runs seven rounds of the script on a machine with these Ethernet interfaces, and returns what it prints. */
async function look(commandLine: string, interfaces: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = await makeFolder();
  const bin = join(folder, "bin");
  await mkdir(bin);
  await mkdir(join(folder, "net", "lo"), { recursive: true });
  for (const [name, address] of Object.entries(interfaces)) {
    await mkdir(join(folder, "net", name, "device"), { recursive: true });
    await writeFile(join(folder, "net", name, "type"), "1\n");
    await writeFile(join(folder, "net", name, "address"), `${address}\n`);
  }
  await writeFile(join(folder, "cmdline"), `${commandLine}\n`);
  const programs = {
    udhcpc: 'echo "udhcpc on $3"',
    ip: "exit 0",
    // Ends the script after seven rounds, once its other programs have printed.
    sleep: `echo >>'${folder}/rounds'; [ "$(wc -l <'${folder}/rounds')" -lt 7 ] || kill "$PPID"`,
    load: "exit 0",
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(bin, name), 0o755);
  }
  const text = (await readFile(script, "utf8"))
    .replaceAll("/sys/class/net", join(folder, "net"))
    .replaceAll("/proc/cmdline", join(folder, "cmdline"))
    .replaceAll("/run/", `${folder}/`)
    .replaceAll("/etc/netboot/load-modules", join(bin, "load"));
  const environment = { PATH: `${bin}:/usr/bin:/bin` };
  const run = promisify(execFile)("/bin/sh", ["-c", text], { env: environment });
  const { stdout } = await run.catch((ended: { stdout: string }) => ended);
  return stdout.trim().split("\n");
}

const two = { eth0: "52:54:00:12:34:56", eth1: "52:54:00:12:34:57" };

test("each interface asks for an address, once", async () => {
  expect((await look("quiet", two)).toSorted()).toEqual(["udhcpc on eth0", "udhcpc on eth1"]);
});

test("BOOTIF chooses one interface, in whatever letters", async () => {
  expect(await look("quiet BOOTIF=01-52-54-00-12-34-57 x", two)).toEqual(["udhcpc on eth1"]);
  expect(await look("BOOTIF=01-AA-54-00-12-34-57", { eth0: "aa:54:00:12:34:57" })).toEqual(["udhcpc on eth0"]);
});

test("BOOTIF that no interface matches is told once, with the interfaces that are there", async () => {
  expect(await look("BOOTIF=01-52-54-00-12-34-99", two)).toEqual([
    "netboot: no Ethernet interface has the address 52:54:00:12:34:99, which BOOTIF names; there are: eth0 52:54:00:12:34:56 eth1 52:54:00:12:34:57",
  ]);
});

test("a machine without an interface says so", async () => {
  expect(await look("quiet", {})).toEqual([
    "netboot: there is no Ethernet interface; its driver may be missing, or lack firmware",
  ]);
});
