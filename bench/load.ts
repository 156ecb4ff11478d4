/**
 * `npx node bench/load.ts` runs only the benchmark's load, against a running server, to examine that server.
 * `--help` lists the options.
 */
import { readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import { registerCallers, seedFleet, withClient } from "./end-to-end/seed-fleet.ts";
import { callerKinds } from "./load/callers.ts";
import type { LoadPlan } from "./load/drive.ts";
import { listCallers } from "./load/fleet.ts";
import { startLoad } from "./load/load-process.ts";

const help = `npx node bench/load.ts [options]

  --url URL             the server's listener for agents (https://127.0.0.1:8443)
  --database-url URL    its database: fills it with the fleet if it is empty, and registers the callers
  --kind KIND           ${callerKinds.join(", ")} (certificates)
  --machines N          size of the fleet (1000)
  --callers N           machines of the fleet that call (1000)
  --in-flight N         calls under way at a time (256)
  --per-second N        calls per second, instead of as many as there can be
  --seconds N           length of a round (5)
  --rounds N            rounds, with a line for each (3)
`;

const values = readScriptOptions(help, {
  url: { ...text, default: "https://127.0.0.1:8443" },
  "database-url": text,
  kind: { ...text, default: "certificates" },
  machines: { ...text, default: "1000" },
  callers: { ...text, default: "1000" },
  "in-flight": { ...text, default: "256" },
  "per-second": text,
  seconds: { ...text, default: "5" },
  rounds: { ...text, default: "3" },
});
const [machines, callers] = [toInteger("machines", values.machines), toInteger("callers", values.callers)];
const [seconds, rounds] = [toInteger("seconds", values.seconds), toInteger("rounds", values.rounds)];
const inFlight = toInteger("in-flight", values["in-flight"]);
const plan: LoadPlan =
  values["per-second"] === undefined
    ? { seconds, inFlight }
    : { seconds, perSecond: toInteger("per-second", values["per-second"]) };

const kind = toChoice("kind", values.kind, callerKinds);
if (values["database-url"] !== undefined) await fill(values["database-url"]);
using load = await startLoad({
  kind,
  url: values.url,
  numbers: listCallers(machines, callers),
  connections: inFlight,
});
for (let round = 0; round < rounds; round++) {
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
