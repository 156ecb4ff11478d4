/**
 * `npm run bench:installer` compares the installer of images with `curl | zstd -d | dd oflag=direct`, side by side: an
 * image of files of this machine, compressed by zstd, from a server on the same machine. It needs curl, zstd and dd.
 * `--help` lists the options, and docs/performance.md explains the results.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import { measureCpuMs } from "./command-line/cpu-of.ts";
import { digestFile, writeContent } from "./installer/content.ts";
import { median, medianRatio } from "./measure/statistics.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const help = `npm run bench:installer -- [options]

  --size MIB       size of the image (4096)
  --rounds N       rounds that count (3)
  --target KIND    loop: write to a loop device where there is one; file: write to a file (loop)
`;

const values = readScriptOptions(help, {
  size: { ...text, default: "4096" },
  rounds: { ...text, default: "3" },
  target: { ...text, default: "loop" },
});
const mib = 1024 * 1024;
const sizeBytes = toInteger("size", values.size) * mib;
const rounds = toInteger("rounds", values.rounds);
const wantsLoop = toChoice("target", values.target, ["loop", "file"]) === "loop";

/** What is to be reached, as times the pipeline's. */
const wanted = { wall: 1.15, cpu: 1.5 };

interface Took {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const missing = ["curl", "zstd", "dd"].filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
if (missing.length > 0) {
  process.stderr.write(`bench:installer needs ${missing.join(", ")}: install them (Debian: curl zstd coreutils)\n`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "bmaas-installer-"));
const undo: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
try {
  await compare();
} finally {
  for (const step of undo.toReversed()) step();
}

async function compare(): Promise<void> {
  const [image, packed] = [join(folder, "image"), join(folder, "image.zst")];
  process.stderr.write(`makes an image of ${values.size} MiB from this machine's files, and compresses it …\n`);
  await writeContent(image, sizeBytes);
  execFileSync("zstd", ["--quiet", "--rm", image, "-o", packed]);
  const digest = digestFile(packed);
  const disk = createDisk(sizeBytes + 64 * mib);
  const url = await serve(packed);
  const [ours, pipeline]: [Took[], Took[]] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    process.stderr.write(round === 0 ? "a round that does not count …\n" : `round ${round} of ${rounds} …\n`);
    const pair = [() => runPipeline(url, disk), () => runInstaller(url, digest, disk)] as const;
    // Each is the first one in half of the rounds.
    const [first, second] = round % 2 === 0 ? pair : pair.toReversed();
    const took = [first?.(), second?.()] as [Took, Took];
    if (round === 0) continue;
    const [theirs, mine] = round % 2 === 0 ? took : took.toReversed();
    if (theirs !== undefined) pipeline.push(theirs);
    if (mine !== undefined) ours.push(mine);
  }
  report(ours, pipeline, { disk, packedBytes: statSync(packed).size });
}

/** Returns the path of a loop device, or of a file where there are none. Its blocks are there, as on a used disk. */
function createDisk(bytes: number): string {
  const file = join(folder, "disk");
  writeFileSync(file, "");
  if (spawnSync("fallocate", ["--length", `${bytes}`, file]).status !== 0) truncateSync(file, bytes);
  if (!wantsLoop || process.getuid?.() !== 0) return file;
  const made = spawnSync("losetup", ["--direct-io=on", "--find", "--show", file], { encoding: "utf8" });
  const loop = made.stdout?.trim() ?? "";
  if (made.status !== 0 || !/^\/dev\/loop\d+$/.test(loop)) return file;
  undo.push(() => execFileSync("losetup", ["--detach", loop]));
  return loop;
}

async function serve(file: string): Promise<string> {
  const main = fileURLToPath(new URL("installer/serve-main.ts", import.meta.url));
  const server = spawn(process.execPath, [main, file], { stdio: ["ignore", "pipe", "inherit"] });
  undo.push(() => void server.kill());
  const [port] = (await once(server.stdout, "data")) as [Buffer];
  return `http://127.0.0.1:${port.toString().trim()}/image.zst`;
}

/** Without `iflag=fullblock`, dd would write what each read of the pipe returns, which is slower. */
function runPipeline(url: string, disk: string): Took {
  const write = `dd of=${disk} bs=4M iflag=fullblock oflag=direct conv=notrunc status=none`;
  const startedAt = performance.now();
  const cpuMs = measureCpuMs({ script: `curl --silent --fail ${url} | zstd -d | ${write}`, directory: folder });
  return { wallMs: performance.now() - startedAt, cpuMs };
}

/** The installer checks the digest, wipes, flushes and reads back; the time that Node needs to start does not count. */
function runInstaller(url: string, digest: string, disk: string): Took {
  const main = fileURLToPath(new URL("installer/install-main.ts", import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [main, url, digest, disk], { encoding: "utf8" })) as Took;
}

function report(ours: readonly Took[], pipeline: readonly Took[], facts: { disk: string; packedBytes: number }): void {
  const row = (name: string, read: (took: Took) => number, limit: number) => {
    const [a, b] = [ours.map(read), pipeline.map(read)];
    const ratio = medianRatio(a, b);
    const seconds = (of: readonly number[]) => `${(median(of) / 1000).toFixed(1)} s`;
    const isReached = ratio <= limit ? "yes" : "no";
    return [name, seconds(a), seconds(b), ratio.toFixed(2), `at most ${limit.toFixed(2)}`, isReached];
  };
  const target = facts.disk.startsWith("/dev/") ? "a loop device" : "a file";
  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}; `);
  process.stdout.write(`${values.size} MiB, ${(facts.packedBytes / mib).toFixed(0)} MiB compressed, onto ${target}; `);
  process.stdout.write(`medians of ${rounds} rounds.\n\n`);
  const header = ["", "bmaas", "curl, zstd and dd", "ratio", "wanted", "reached"];
  const rows = [row("time", ({ wallMs }) => wallMs, wanted.wall), row("CPU time", ({ cpuMs }) => cpuMs, wanted.cpu)];
  process.stdout.write(formatMarkdownTable(header, rows));
}
