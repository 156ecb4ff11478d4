/**
 * Measures the wire's part of a run: servers that decode a call and answer it, and write nothing, under the same load.
 */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { observe } from "../measure/observe.ts";
import { type Effort, type Measured, measureInRounds, type Observation, type Subject } from "../measure/rounds.ts";
import { startServer } from "../measure/server-process.ts";
import { cpuCell, rateCells, ratioCell, ratioOf } from "../report/columns.ts";
import type { Part } from "../report/part.ts";
import { type Comparison, comparisons } from "./comparisons.ts";
import { EndlessLoadError, type SendLoad } from "./load.ts";

const program = fileURLToPath(new URL("server.ts", import.meta.url));

/** Measures all comparisons, one after the other. Throws if a server does not do the work. */
export async function measureWire(effort: Effort, parentFolder: string): Promise<Part> {
  const folder = await mkdtemp(join(parentFolder, "wire-"));
  const parts: Part[] = [];
  for (const comparison of comparisons) {
    process.stderr.write(`${comparison.title} …\n`);
    await using resources = new AsyncDisposableStack();
    const sendLoad = await comparison.createLoad(folder);
    const subjects: Subject[] = [];
    for (const server of Object.keys(comparison.servers)) {
      subjects.push(await startSubject(comparison, server, sendLoad, folder, resources));
    }
    parts.push(showComparison(comparison, await measureInRounds(subjects, effort)));
  }
  return {
    tables: parts.flatMap((part) => part.tables),
    charts: [],
    targets: parts.flatMap((part) => part.targets),
    notes: [],
  };
}

async function startSubject(
  { tls, assertAnswer }: Comparison,
  server: string,
  sendLoad: SendLoad,
  folder: string,
  resources: AsyncDisposableStack,
): Promise<Subject> {
  const { pid, said } = resources.use(await startServer({ program, args: tls ? [server, folder] : [server] }));
  const url = `${tls ? "https" : "http"}://127.0.0.1:${said}`;
  await assertAnswer(url);
  return {
    name: server,
    run: (seconds) =>
      untilItEnds(() =>
        observe({ server: pid }, async () => ({ calls: (await sendLoad(url, seconds)) * seconds, seconds })),
      ),
  };
}

const maxAttempts = 3;

/** Repeats a measurement whose load did not end. */
async function untilItEnds(measure: () => Promise<Observation>): Promise<Observation> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await measure();
    } catch (error) {
      if (!(error instanceof EndlessLoadError) || attempt === maxAttempts) throw error;
    }
  }
}

/** Returns the table and the targets of a comparison. */
export function showComparison({ title, servers, targets }: Comparison, measured: readonly Measured[]): Part {
  const [lane] = measured;
  const nameOf = (server: string) => servers[server] ?? server;
  const header = ["server", "calls/s, median", "from, to", "lane / it", "server's CPU per call"];
  const rows = measured.map((each) => [
    nameOf(each.name),
    ...rateCells(each),
    ratioCell(lane, each),
    cpuCell(each, "server"),
  ]);
  return {
    tables: [{ title: `Wire, ${title}`, header, rows }],
    charts: [],
    targets: Object.entries(targets).map(([server, atLeast]) => ({
      what: `wire, ${title}: lane / ${nameOf(server)}`,
      bound: { atLeast },
      value: ratioOf(
        lane,
        measured.find(({ name }) => name === server),
      ),
    })),
    notes: [],
  };
}
