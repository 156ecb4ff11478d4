/**
 * Measures the garbage of heartbeats: what each call allocates, how much of that survives scavenges, and how long
 * collections stop the server. Each server stands beside raw node:http2 under the same load.
 */
import { fileURLToPath } from "node:url";
import type { FleetDatabases } from "../end-to-end/fleet-databases.ts";
import { openWithCertificates, startOurs, startRawHttp2, type WholeContext } from "../end-to-end/subjects.ts";
import { measureInRounds, type Observation, type Subject } from "../measure/rounds.ts";
import { startServer } from "../measure/server-process.ts";
import { median } from "../measure/statistics.ts";
import { formatTenths } from "../report/format-report.ts";
import type { Part } from "../report/part.ts";
import { assertGrpcAnswer } from "../wire/assert-answer.ts";
import { createGrpcLoad } from "../wire/load.ts";
import { type Garbage, GcTrace, sumUp, traceArgs } from "./gc-trace.ts";

const wireServer = fileURLToPath(new URL("../wire/server.ts", import.meta.url));

interface Observed extends Observation {
  readonly garbage: Garbage;
}

/** Measures the lane without a database, and the whole path. */
export async function measureGarbage(context: WholeContext, fleet: FleetDatabases): Promise<Part> {
  await using resources = new AsyncDisposableStack();
  process.stderr.write("garbage …\n");
  const subjects = [...(await openWire(context, resources)), ...(await openWhole(context, fleet, resources))];
  const measured = await measureInRounds(subjects, context.effort);
  const rows = measured.map(({ name, observations }) => ({
    name,
    of: (read: (garbage: Garbage) => number) => median(observations.map((each) => read((each as Observed).garbage))),
  }));
  const survivors = (name: string) => rows.find((row) => row.name === name)?.of(survivingPercent) ?? Number.NaN;
  return {
    charts: [],
    notes: [],
    tables: [
      {
        title: "Garbage, medians of the rounds",
        header: ["server", "bytes per call", "survive", "promoted", "scavenges", "together", "major", "longest"],
        rows: rows.map(({ name, of }) => [
          name,
          formatTenths(
            of(({ bytesPerCall }) => bytesPerCall / 1000),
            "kB",
          ),
          formatTenths(of(survivingPercent), "%"),
          formatTenths(
            of(({ promotedShare }) => promotedShare * 100),
            "%",
          ),
          of(({ scavenges }) => scavenges).toString(),
          formatTenths(
            of(({ scavengeMs }) => scavengeMs),
            "ms",
          ),
          of(({ majors }) => majors).toString(),
          formatTenths(
            of(({ longestMajorMs }) => longestMajorMs),
            "ms",
          ),
        ]),
      },
    ],
    targets: [
      {
        what: "garbage: what survives a scavenge, unary lane",
        bound: { atMost: 1 },
        unit: "%",
        value: survivors(lane),
      },
      {
        what: "garbage: what survives a scavenge, whole path",
        bound: { atMost: 1 },
        unit: "%",
        value: survivors(ours),
      },
      {
        what: "garbage: allocated for each heartbeat, whole path",
        bound: { atMost: 20 },
        unit: "kB",
        value: (rows.find(({ name }) => name === ours)?.of(({ bytesPerCall }) => bytesPerCall) ?? Number.NaN) / 1000,
      },
    ],
  };
}

const lane = "unary lane, plaintext";
const ours = "whole path, TLS";

function survivingPercent({ copiedShare }: Garbage): number {
  return copiedShare * 100;
}

async function openWire({ folder }: WholeContext, resources: AsyncDisposableStack): Promise<Subject[]> {
  const sendLoad = await createGrpcLoad(folder);
  const servers = { [lane]: "lane", "raw node:http2, plaintext": "http2" };
  return Promise.all(
    Object.entries(servers).map(async ([name, args]) => {
      const trace = new GcTrace();
      const readLine = (line: string) => (trace.take(line) ? undefined : line);
      const command = { program: wireServer, args: [args], nodeArgs: traceArgs, readLine };
      const url = `http://127.0.0.1:${resources.use(await startServer(command)).said}`;
      await assertGrpcAnswer(url);
      return withGarbage(name, trace, async (seconds) => ({ perSecond: await sendLoad(url, seconds) }));
    }),
  );
}

async function openWhole(
  context: WholeContext,
  fleet: FleetDatabases,
  resources: AsyncDisposableStack,
): Promise<Subject[]> {
  const traces = { ours: new GcTrace(), raw: new GcTrace() };
  const started = [
    { name: ours, trace: traces.ours, server: await startOurs(context, fleet, resources, { trace: traces.ours }) },
    { name: "raw node:http2, TLS", trace: traces.raw, server: await startRawHttp2(context, resources, traces.raw) },
  ];
  const subjects: Subject[] = [];
  for (const { name, trace, server } of started) {
    const subject = await openWithCertificates(context, fleet, resources, name, server);
    subjects.push(withGarbage(name, trace, (seconds) => subject.run(seconds)));
  }
  return subjects;
}

/** Returns a subject whose observations have the garbage of its process. */
function withGarbage(name: string, trace: GcTrace, run: Subject["run"]): Subject {
  return {
    name,
    async run(seconds): Promise<Observed> {
      trace.drain();
      const observation = await run(seconds);
      return { ...observation, garbage: sumUp(trace.drain(), observation.perSecond * seconds) };
    },
  };
}
