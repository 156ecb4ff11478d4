/**
 * `npm run bench:cli` measures the CPU time of commands: of short ones beside `node -e 0`, and of operators' ones
 * beside an earlier commit, which it checks out into a temporary folder. `--help` lists the options, and
 * docs/performance.md explains the results.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { flag, readScriptOptions, text, toInteger } from "../tools/script-options.ts";
import { measureCpuMs, type ShellCommand } from "./command-line/cpu-of.ts";
import { checkOut, unpack, useClone, type Version } from "./command-line/versions.ts";
import { serveEnvironment } from "./measure/serve-command.ts";
import { startServer } from "./measure/server-process.ts";
import { median, medianRatio } from "./measure/statistics.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const help = `npm run bench:cli -- [options]

  --rounds N         rounds that count (15)
  --before COMMIT    the earlier commit (1e4155e)
  --tests            measure npm test of both as well, once each
`;

const values = readScriptOptions(help, {
  rounds: { ...text, default: "15" },
  before: { ...text, default: "1e4155e" },
  tests: flag,
});
const rounds = toInteger("rounds", values.rounds);

/** Commands that call no server. */
const short = ["--version", "--help", "completion bash"];
const firstMachine = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c10";
/** Commands of operators. */
const calls = [
  "status",
  "machines list",
  `install request ${firstMachine} --root-device sda --unchecked-disk --image https://images.example/a.img --digest sha256:${"ab".repeat(32)}`,
];

const folder = mkdtempSync(join(tmpdir(), "bmaas-commands-"));
try {
  process.stderr.write(`checks out ${values.before}, and packs this clone …\n`);
  const before = checkOut(values.before, folder);
  const clone = useClone();
  const packed = unpack(folder);
  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}; `);
  process.stdout.write(`medians of ${rounds} rounds, CPU time in ms, user and system.\n\n`);
  process.stdout.write(`${compareShort(before, clone, packed)}\n`);
  process.stdout.write(await compareCalls(before, clone, packed));
  if (values.tests) process.stdout.write(`\n${compareTests(before, clone)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Measures the subjects in rounds, each once in a round, after a round that does not count. Returns milliseconds. */
function measure<Name extends string>(subjects: Readonly<Record<Name, ShellCommand>>): Record<Name, number[]> {
  const names = Object.keys(subjects) as Name[];
  const measured = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= rounds; round++) {
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const cpuMs = measureCpuMs(subjects[name]);
      if (round > 0) measured[name].push(cpuMs);
    }
  }
  return measured;
}

function compareShort(before: Version, clone: Version, packed: Version): string {
  const rows = short.map((args) => {
    process.stderr.write(`bmaas ${args} …\n`);
    const bmaas = ({ bmaas: setUp, folder: directory }: Version) => ({ script: `bmaas ${args}`, directory, setUp });
    const node = { script: "node_modules/.bin/node -e 0", directory: clone.folder };
    const source = { script: `node_modules/.bin/node src/main.ts ${args}`, directory: before.folder };
    const cpu = measure({ node, source, clone: bmaas(clone), packed: bmaas(packed) });
    const show = (subject: "source" | "clone" | "packed") =>
      `${median(cpu[subject]).toFixed(0)} (${medianRatio(cpu[subject], cpu.node).toFixed(2)})`;
    return [`\`bmaas ${args}\``, median(cpu.node).toFixed(0), show("source"), show("clone"), show("packed")];
  });
  const header = ["in parentheses: times `node -e 0`", "`node -e 0`", `\`node src/main.ts\`, ${values.before}`];
  return formatMarkdownTable([...header, "clone", "package"], rows);
}

async function compareCalls(before: Version, clone: Version, packed: Version): Promise<string> {
  const home = join(folder, "home");
  const program = join(clone.folder, "bin", "bmaas.js");
  const readUrl = (line: string) =>
    line.startsWith("{") ? (JSON.parse(line) as { adminUrl?: string }).adminUrl : undefined;
  await using server = await startServer({
    ...{ program, args: ["serve"], readLine: readUrl },
    environment: { ...serveEnvironment, BMAAS_HOME: home },
  });
  const environment = { BMAAS_HOME: home, BMAAS_ADMIN_URL: server.said };
  const bmaas = (args: string, { bmaas: setUp, folder: directory }: Version): ShellCommand => {
    return { script: `bmaas ${args}`, directory, setUp, environment };
  };
  for (let machine = 0; machine < 10; machine++) {
    const id = `${firstMachine.slice(0, -1)}${machine}`;
    measureCpuMs(bmaas(`machines create --id ${id} --provider lab --provider-id ${machine}`, clone));
    measureCpuMs(bmaas(`agents register ${id} "$(bmaas agent keygen --out '${join(folder, id)}')"`, clone));
  }
  const rows = calls.map((args) => {
    const name = `bmaas ${args
      .split(" ")
      .slice(0, args.startsWith("status") ? 1 : 2)
      .join(" ")}`;
    process.stderr.write(`${name} …\n`);
    const cpu = measure({ before: bmaas(args, before), clone: bmaas(args, clone), packed: bmaas(args, packed) });
    const show = (subject: "clone" | "packed") =>
      `${median(cpu[subject]).toFixed(0)} (${medianRatio(cpu[subject], cpu.before).toFixed(2)})`;
    return [`\`${name}\``, median(cpu.before).toFixed(0), show("clone"), show("packed")];
  });
  const header = [`in parentheses: times ${values.before}`, `README's \`bmaas\`, ${values.before}`];
  return formatMarkdownTable([...header, "README's `bmaas`, clone", "package"], rows);
}

function compareTests(before: Version, clone: Version): string {
  const [earlierMs, nowMs] = [before, clone].map(({ folder: directory }) => {
    process.stderr.write(`npm test in ${directory} …\n`);
    return measureCpuMs({ script: "npm test", directory });
  }) as [number, number];
  const seconds = (ms: number) => (ms / 1000).toFixed(0);
  const row = ["CPU time in s", seconds(earlierMs), `${seconds(nowMs)} (${(nowMs / earlierMs).toFixed(2)})`];
  return formatMarkdownTable(
    [`in parentheses: times ${values.before}`, values.before, "clone"],
    [["`npm test`, CPU in s", ...row.slice(1)]],
  );
}
