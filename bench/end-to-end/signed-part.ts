/**
 * Measures the whole path without TLS, as behind a proxy that ends TLS: each heartbeat is signed, in Connect's JSON and
 * in gRPC.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { listCallers } from "../load/fleet.ts";
import { startLoad } from "../load/load-process.ts";
import { type Measured, measureInRounds, type Subject } from "../measure/rounds.ts";
import { median } from "../measure/statistics.ts";
import { cpuCell, noteFailures, rateBar, rateCells, ratioOf } from "../report/columns.ts";
import type { Part } from "../report/part.ts";
import type { FleetDatabases } from "./fleet-databases.ts";
import { type Latency, latencyCells, measureLatency } from "./latency.ts";
import { createCalledSubject, startOurs, type WholeContext } from "./subjects.ts";

const run = promisify(execFile);
const verifier = fileURLToPath(new URL("verify-signatures.ts", import.meta.url));

const names = {
  json: "bmaas, Connect JSON over HTTP/1.1",
  grpc: "bmaas, gRPC over HTTP/2",
  verify: "node:crypto verifies, one core",
} as const;

/** Measures both protocols on one server, and the cost of verifying signatures alone. */
export async function measureSigned(context: WholeContext, fleet: FleetDatabases): Promise<Part> {
  await using resources = new AsyncDisposableStack();
  process.stderr.write("signed heartbeats …\n");
  const server = await startOurs(context, fleet, resources, { agentTls: "off" });
  const callers = {
    url: server.url,
    numbers: listCallers(fleet.machines, fleet.callers),
    connections: context.inFlight,
  };
  const open = async (name: string, kind: "signed-json" | "signed-grpc") =>
    createCalledSubject(context, name, server, resources.use(await startLoad({ kind, ...callers })));
  const called = [await open(names.json, "signed-json"), await open(names.grpc, "signed-grpc")];
  await context.postgres.checkpoint();
  const measured = await measureInRounds([...called, createVerifier()], context.effort);
  const offered = called.map((subject, index) => ({ subject, perSecond: median(measured[index]?.rates ?? []) / 2 }));
  return showSigned(measured, await measureLatency(offered, context.effort));
}

function createVerifier(): Subject {
  return {
    name: names.verify,
    run: async (seconds) => {
      const { stdout } = await run(process.execPath, [verifier, seconds.toString()]);
      return { perSecond: Number(stdout) };
    },
  };
}

function showSigned(measured: readonly Measured[], latencies: readonly Latency[]): Part {
  const [json, , verify] = measured;
  return {
    tables: [
      {
        title: "Whole path, plaintext, a signature for each heartbeat",
        header: [
          ...[
            "what",
            "a second, median",
            "from, to",
            "it / verifying",
            "CPU per heartbeat: server",
            "PostgreSQL",
            "load",
          ],
          ...["at half of that: p50", "p99"],
        ],
        rows: measured.map((each, index) => [
          ...[each.name, ...rateCells(each), each === verify ? "" : ratioOf(each, verify).toFixed(2)],
          ...(["server", "postgres", "load"] as const).map((user) => cpuCell(each, user)),
          ...latencyCells(latencies[index]),
        ]),
      },
    ],
    charts: [
      {
        title: "Heartbeats per second, plaintext, each with a signature",
        bars: measured.map((each) => rateBar(each, each.name, each !== verify)),
      },
    ],
    targets: [
      {
        what: "whole path: signed JSON / what node:crypto verifies on one core",
        bound: { atLeast: 0.6 },
        value: ratioOf(json, verify),
      },
    ],
    notes: noteFailures(measured.map(({ name, observations }) => ({ label: name, observations }))),
  };
}
