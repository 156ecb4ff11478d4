/**
 * Measures the whole path by gRPC over TLS: every agent has a connection and a client certificate, in fleets of several
 * sizes.
 */
import { type Measured, measureInRounds, type Subject } from "../measure/rounds.ts";
import { median } from "../measure/statistics.ts";
import { formatCount } from "../report/format-report.ts";
import type { Part } from "../report/part.ts";
import type { FleetDatabases } from "./fleet-databases.ts";
import { type Latency, measureLatency } from "./latency.ts";
import {
  type CalledServer,
  type CalledSubject,
  createPgbench,
  openWithCertificates,
  startGo,
  startGrpcJs,
  startOurs,
  startRawHttp2,
  type WholeContext,
} from "./subjects.ts";
import { type Kind, names, showWhole } from "./whole-report.ts";

/** Programs that subjects need. A subject without its program is left out. */
export interface OtherPrograms {
  readonly pgbench?: string | undefined;
  /** The built servers of bench/peers. */
  readonly go?: string | undefined;
}

interface Placed<S = Subject | CalledSubject> {
  readonly kind: Kind;
  readonly machines: number;
  readonly subject: S;
}

/** Subjects whose latencies are also compared at the same rate. */
const comparedAtSameLoad: readonly Kind[] = ["ours", "goThree"];
/**
 * Number of rounds at the same rate for each of the others. The slowest hundredth of a round is a few dozen calls, so
 * one disturbance of the machine decides a round.
 */
const sameLoadRounds = 3;

/** Measures all subjects with all fleets side by side, but other servers only with the smallest fleet. */
export async function measureWithCertificates(
  context: WholeContext,
  fleets: readonly FleetDatabases[],
  programs: OtherPrograms,
): Promise<Part> {
  await using resources = new AsyncDisposableStack();
  const placed: Placed[] = [];
  for (const fleet of fleets) {
    process.stderr.write(`${formatCount(fleet.machines)} machines, ${formatCount(fleet.callers)} of them connect …\n`);
    placed.push(...(await startSubjects(context, fleet, fleet === fleets[0], programs, resources)));
  }
  await context.postgres.checkpoint();
  const measured = await measureInRounds(
    placed.map(({ subject }) => subject),
    context.effort,
  );
  const most = new Map(placed.map((each, index) => [each, measured[index] as Measured]));
  const halfOf = (each: Placed) => median(most.get(each)?.rates ?? []) / 2;
  const measureAt = async (
    some: readonly Placed<CalledSubject>[],
    rateOf: (each: Placed) => number,
    effort = context.effort,
  ) => {
    const offered = some.map((each) => ({ subject: each.subject, perSecond: rateOf(each) }));
    const latencies = await measureLatency(offered, effort);
    return new Map<Placed, Latency | undefined>(some.map((each, index) => [each, latencies[index]]));
  };
  const called = placed.filter((each): each is Placed<CalledSubject> => "runAt" in each.subject);
  const atHalf = await measureAt(called, halfOf);
  const goThree = placed.find(({ kind }) => kind === "goThree");
  const atSameLoad =
    goThree &&
    (await measureAt(
      called.filter(({ kind, machines }) => machines === goThree.machines && comparedAtSameLoad.includes(kind)),
      () => halfOf(goThree),
      { ...context.effort, rounds: context.effort.rounds * sameLoadRounds },
    ));
  return showWhole(
    placed.map((each) => ({
      ...{ kind: each.kind, machines: each.machines },
      measured: most.get(each) as Measured,
      latency: atHalf.get(each),
      atSameLoad: atSameLoad?.get(each),
    })),
  );
}

async function startSubjects(
  context: WholeContext,
  fleet: FleetDatabases,
  withPeers: boolean,
  { pgbench, go }: OtherPrograms,
  resources: AsyncDisposableStack,
): Promise<Placed[]> {
  const { machines } = fleet;
  const nameOf = (kind: Kind) => `${names[kind]}, ${machines}`;
  const starts: Partial<Record<Kind, () => Promise<CalledServer>>> = {
    ours: () => startOurs(context, fleet, resources),
    ...(withPeers && {
      threeTransactions: () => startGrpcJs(context, fleet, resources, "three-transactions"),
      ourStore: () => startGrpcJs(context, fleet, resources, "our-store"),
      rawHttp2: () => startRawHttp2(context, resources),
      ...(go !== undefined && {
        oursTwice: () => startOurs(context, fleet, resources, { args: ["--workers", "2"] }),
        goThree: () => startGo(context, fleet, resources, go, "three-transactions"),
        goOne: () => startGo(context, fleet, resources, go, "one-statement"),
        goNothing: () => startGo(context, fleet, resources, go, "nothing"),
      }),
    }),
  };
  const placed: Placed[] = [];
  for (const kind of Object.keys(names) as Kind[]) {
    const start = starts[kind];
    if (start === undefined) continue;
    const subject = await openWithCertificates(context, fleet, resources, nameOf(kind), await start());
    placed.push({ kind, machines, subject });
  }
  if (pgbench === undefined) return placed;
  return [...placed, { kind: "pgbench", machines, subject: createPgbench(context, fleet, nameOf("pgbench"), pgbench) }];
}
