/**
 * `npm run prove:machine` proves on an emulated machine that everything from power-on to the installed system works:
 * boot by iPXE from the network, enrolment, approval, installation, boot from the disk; and that nothing else is
 * written, whatever goes wrong. `--netboot DIR` takes the kernel and initramfs from there, `--only NAME` runs one
 * scenario. It prints a transcript, which docs/netboot.md shows.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildNetboot, buildTools } from "../netboot/build.ts";
import { findMissingTools } from "../netboot/missing-tools.ts";
import { acceleration, machineTools } from "./machine.ts";
import type { Rack } from "./rack.ts";
import { diskOrders } from "./scenarios/disk-orders.ts";
import { failures } from "./scenarios/failures.ts";
import { Server } from "./server.ts";
import { elapsedSeconds, tell } from "./transcript.ts";
import { WebServer } from "./web-server.ts";

const scenarios = [diskOrders, failures];

const { values } = parseArgs({ options: { netboot: { type: "string" }, only: { type: "string" } } });
const isBuilt = values.netboot !== undefined;
const missing = findMissingTools(isBuilt ? machineTools : { ...machineTools, ...buildTools });
if (missing !== undefined || process.arch !== "x64") {
  process.stderr.write(`prove:machine needs ${missing ?? "a machine with x86-64"}\n`);
  process.exit(2);
}
const chosen = scenarios.filter(({ name }) => values.only === undefined || values.only === name);
if (chosen.length === 0) {
  process.stderr.write(`--only: there are ${scenarios.map(({ name }) => name).join(", ")}\n`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "bmaas-machine-"));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const clean = async () => {
  for (const step of undo.splice(0).toReversed()) await step();
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void clean().then(() => process.exit(1)));
try {
  await prove();
} catch (error) {
  tell(`failed: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await clean();
}
tell(process.exitCode === 1 ? "not proved" : "proved");

async function prove(): Promise<void> {
  const { kernel, initramfs } = await findNetboot();
  const web = new WebServer();
  undo.push(() => web.close());
  const webPort = await web.listen();
  web.put("/vmlinuz", { content: kernel });
  web.put("/initramfs.zst", { content: initramfs });
  const server = new Server(join(folder, "home"), { agent: await findFreePort(), admin: await findFreePort() });
  undo.push(() => server.remove());
  await server.start();
  tell(`the server runs with a new database; machines run by ${acceleration}`);
  web.put("/ca.pem", { content: server.caFile });
  const token = (await server.read(["join-tokens", "create", "--uses", "100", "--require-approval"])).trim();
  const rack: Rack = { server, web, webPort, token, folder };
  undo.push(() => rack.current?.cutPower());
  for (const { run } of chosen) await run(rack);
  tell(`done in ${(elapsedSeconds() / 60).toFixed(1)} minutes`);
}

async function findNetboot(): Promise<{ kernel: string; initramfs: string }> {
  if (values.netboot === undefined) {
    tell("builds the kernel and the initramfs");
    const out = join(folder, "netboot");
    return await buildNetboot({ out, packages: join(out, "packages") });
  }
  const files = { kernel: join(values.netboot, "vmlinuz"), initramfs: join(values.netboot, "initramfs.zst") };
  for (const file of Object.values(files)) if (!existsSync(file)) throw new Error(`--netboot: there is no ${file}`);
  return files;
}

async function findFreePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
