/**
 * `npx node bench/load.ts` runs only the benchmark's load, against a running server, to examine that server.
 * `--database-url` first fills the server's empty database with the fleet. `--kind` is one of the kinds in callers.ts.
 * It prints a line for each of `--rounds`.
 */
import { parseArgs } from "node:util";
import { registerCallers, seedFleet, withClient } from "./end-to-end/seed-fleet.ts";
import { callerKinds } from "./load/callers.ts";
import type { LoadPlan } from "./load/drive.ts";
import { listCallers } from "./load/fleet.ts";
import { startLoad } from "./load/load-process.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "https://127.0.0.1:8443" },
    "database-url": { type: "string" },
    kind: { type: "string", default: "certificates" },
    machines: { type: "string", default: "1000" },
    callers: { type: "string", default: "1000" },
    "in-flight": { type: "string", default: "256" },
    "per-second": { type: "string" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
  },
});
const [machines, callers] = [Number(values.machines), Number(values.callers)];
const seconds = Number(values.seconds);
const plan: LoadPlan =
  values["per-second"] === undefined
    ? { seconds, inFlight: Number(values["in-flight"]) }
    : { seconds, perSecond: Number(values["per-second"]) };

const kind = callerKinds.find((each) => each === values.kind);
if (values["database-url"] !== undefined) await fill(values["database-url"]);
using load = await startLoad({
  kind: kind ?? fail(`--kind: one of ${callerKinds.join(", ")}`),
  url: values.url,
  numbers: listCallers(machines, callers),
  connections: Number(values["in-flight"]),
});
for (let round = 0; round < Number(values.rounds); round++) {
  await load.prepare(plan);
  const { calls, seconds: took, p50Ms, p99Ms, cpuSeconds } = await load.drive(plan);
  const figures = {
    "calls/s": Math.round(calls / took),
    "p50 ms": p50Ms.toFixed(1),
    "p99 ms": p99Ms.toFixed(1),
    "load's CPU per call, µs": ((cpuSeconds * 1e6) / calls).toFixed(1),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

/** Fills an empty database with the fleet, or keeps a fleet of the same size. Then registers the callers. */
async function fill(databaseUrl: string): Promise<void> {
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ count: string }>("select count(*) from machine"),
  );
  if (rows[0]?.count === "0") await seedFleet(databaseUrl, machines);
  else if (Number(rows[0]?.count) !== machines) throw new Error(`the database holds ${rows[0]?.count} machines`);
  await registerCallers(databaseUrl, machines, callers);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
