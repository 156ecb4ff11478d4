/**
 * `npm run prove:machine` proves on an emulated machine that everything from power-on to the installed system works:
 * boot by iPXE from the network, enrolment, approval, installation, boot from the disk; and that nothing else is
 * written, whatever goes wrong. It prints a transcript, which docs/netboot.md shows. `--help` lists the options.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeEmbeddedPostgres } from "../../src/db/embedded/instance.ts";
import { abortOnInterruption } from "../interruption.ts";
import { buildNetboot, buildTools } from "../netboot/build.ts";
import { findMissingTools } from "../netboot/missing-tools.ts";
import { readScriptOptions, text, toChoice } from "../script-options.ts";
import { acceleration, machineTools } from "./machine.ts";
import { Processes } from "./processes.ts";
import { diskOrders } from "./scenarios/disk-orders.ts";
import { failures } from "./scenarios/failures.ts";
import { Server } from "./server.ts";
import { elapsedSeconds, tell } from "./transcript.ts";
import { WebServer } from "./web-server.ts";

const scenarios = [diskOrders, failures];

const names = scenarios.map(({ name }) => name);
const help = `npm run prove:machine -- [options]

  --netboot DIR    take the kernel and the initramfs from there instead of building them
  --only NAME      run one scenario: ${names.join(", ")} (all)
`;
const values = readScriptOptions(help, { netboot: text, only: text });
const only = values.only === undefined ? undefined : toChoice("only", values.only, names);
const isBuilt = values.netboot !== undefined;
const missing = findMissingTools(isBuilt ? machineTools : { ...machineTools, ...buildTools });
if (missing !== undefined || process.arch !== "x64") {
  process.stderr.write(`prove:machine needs ${missing ?? "a machine with x86-64"}\n`);
  process.exit(2);
}
const chosen = scenarios.filter(({ name }) => only === undefined || only === name);

const interruption = abortOnInterruption();
const processes = new Processes();
interruption.addEventListener("abort", () => void processes.end());
try {
  await prove();
  tell(`done in ${(elapsedSeconds() / 60).toFixed(1)} minutes`);
  tell("proved");
} catch (error) {
  const { message, ...reason } = (interruption.aborted ? interruption.reason : error) as Error & {
    exitStatus?: number;
  };
  tell(interruption.aborted ? message : `failed: ${message}`);
  tell("not proved");
  process.exitCode = reason.exitStatus ?? 1;
}

/** Runs the chosen parts. Whatever happens, no process, no database and no file is left afterwards. */
async function prove(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bmaas-machine-"));
  const web = new WebServer();
  const home = join(folder, "home");
  try {
    const { kernel, initramfs } = await findNetboot(folder);
    const webPort = await web.listen();
    web.put("/vmlinuz", { content: kernel });
    web.put("/initramfs.zst", { content: initramfs });
    const ports = { agent: await findFreePort(), admin: await findFreePort() };
    const server = new Server({ home, ports, processes, interruption });
    await server.start();
    tell(`the server runs with a new database; machines run by ${acceleration}`);
    web.put("/ca.pem", { content: server.caFile });
    const token = (await server.read(["join-tokens", "create", "--uses", "100", "--require-approval"])).trim();
    for (const { run } of chosen) await run({ server, web, webPort, token, folder, processes });
    await server.stop();
  } finally {
    await processes.end();
    web.close();
    await removeEmbeddedPostgres(home);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function findNetboot(folder: string): Promise<{ kernel: string; initramfs: string }> {
  if (values.netboot === undefined) {
    tell("builds the kernel and the initramfs");
    const out = join(folder, "netboot");
    return await buildNetboot({ out, packages: join(out, "packages"), interruption });
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
