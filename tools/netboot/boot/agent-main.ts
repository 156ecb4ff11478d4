/**
 * Runs `bmaas agent` in a netboot image, with settings from the kernel's command line. The agent runs in this process.
 * Its key, its state and the token are in files of the memory's file system, so no list of processes shows a secret.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type BootSettings, type CaSource, parseBootSettings } from "./boot-settings.ts";
import { fetchCa } from "./fetch-ca.ts";

const program = "/usr/lib/bmaas/bin/bmaas.js";
const folder = "/run/bmaas";
const [retryMs, maxRetryMs] = [1000, 30_000];
/** Difference from the server's clock that is left as it is, in milliseconds. */
const toleratedMs = 60_000;

try {
  const settings = parseBootSettings(readFileSync("/proc/cmdline", "utf8"));
  const flags = await prepare(settings);
  process.argv = [process.execPath, program, "agent", ...flags];
  await import(program);
} catch (error) {
  say(`cannot run the agent: ${(error as Error).message}`);
  process.exitCode = 1;
}

/** Stores what the agent reads from files, and returns its flags. */
async function prepare({ endpoint, ca, token, isSigned }: BootSettings): Promise<string[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const flags = ["--endpoint", endpoint, "--key", `${folder}/agent.pem`];
  if (isSigned) flags.push("--signed");
  if (ca !== undefined) {
    writeFileSync(`${folder}/ca.pem`, await fetchUntilThere(ca));
    flags.push("--ca", `${folder}/ca.pem`);
  }
  if (token !== undefined) {
    writeFileSync(`${folder}/join.token`, token, { mode: 0o600 });
    flags.push("--join-token-file", `${folder}/join.token`);
  }
  return flags;
}

/** Fetches the CA, again and again until it is there: the network or the server may come up later than this machine. */
async function fetchUntilThere(ca: CaSource): Promise<Buffer> {
  for (let waitMs = retryMs; ; waitMs = Math.min(2 * waitMs, maxRetryMs)) {
    try {
      const { pem, serverTimeMs } = await fetchCa(ca);
      if (serverTimeMs !== undefined) setClock(serverTimeMs);
      return pem;
    } catch (error) {
      say(`no CA yet, tries again in ${waitMs / 1000} s: ${(error as Error).message}`);
      await delay(waitMs);
    }
  }
}

/**
 * Sets a clock that is wrong, since no certificate is valid at the wrong time. The time is not proved. But it comes
 * from where the kernel came from, or from a server like it, and that could have set any clock.
 */
function setClock(serverTimeMs: number): void {
  const differenceMs = serverTimeMs - Date.now();
  if (Math.abs(differenceMs) <= toleratedMs) return;
  const { status } = spawnSync("date", ["-u", "-s", `@${Math.round(serverTimeMs / 1000)}`], { stdio: "ignore" });
  const done = status === 0 ? "is set by" : "could not be set by";
  say(`the clock differed by ${Math.round(Math.abs(differenceMs) / 1000)} s and ${done} that of the CA's server`);
}

function say(text: string): void {
  process.stdout.write(`netboot: ${text}\n`);
}
