/**
 * Lists events in pages: those of one machine in the order in which they happened, by the index on (machine_id, id),
 * newest first; or those of the fleet by their time, by the index on (at, id). A machine's events have the time of
 * their transactions' beginnings, and a transaction that waited for another one may have begun before it, so only ids
 * have a machine's order.
 *
 * The work for a page is bounded by how many events it scans, not by how many it finds. Where few pass the conditions,
 * a page is short and says where the next one continues.
 */
import { type SQL, sql } from "drizzle-orm";
import type { HistoryKind } from "../../contract/history-kinds.ts";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { machine, machineHistory } from "../schema/index.ts";
import { readSnapshot } from "../transaction.ts";
import { arrayParameter } from "./array-parameter.ts";
import { listTests, type MachineFilter } from "./machine-filter.ts";

/** Conditions on events, all of which must hold. */
export interface EventFilter {
  /** Any of these kinds. */
  readonly kinds?: readonly HistoryKind[] | undefined;
  /** Any of these actors; "*" at the end of one stands for anything. */
  readonly actors?: readonly string[] | undefined;
  /** Conditions on the machine as it is now. */
  readonly machines: MachineFilter;
  /** At this time or later; in ISO 8601, to the microsecond. */
  readonly start?: string | undefined;
  /** Before this time; in ISO 8601, to the microsecond. */
  readonly end?: string | undefined;
}

/** An event's place in a list. */
export interface EventKey {
  readonly id: bigint;
  /** Seconds since the epoch, as `isEventTime` accepts them. Of no use in the list of one machine. */
  readonly time: string;
}

/** Options of `listEvents`. */
export interface EventListOptions extends EventFilter {
  /** The machine or the enrolment. Absent: events of all. */
  readonly machineId?: string | undefined;
  /** The page begins after this event, which need not be kept any more. */
  readonly after?: EventKey | undefined;
  /** Maximum number of events in the page. */
  readonly limit: number;
}

/** One event. */
export interface EventRow extends EventKey {
  readonly machineId: string;
  readonly at: Date;
  readonly actor: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, string | null>>;
}

/** A page of events, and where the next one continues; `next` is absent after the last page. */
export interface EventPage {
  readonly events: readonly EventRow[];
  readonly next?: EventKey | undefined;
}

/** Maximum number of events that a page scans when it has conditions. */
const maxScanned = 10_000;
/** Maximum number of events of which a page tests the machine, which takes look-ups in other tables. */
const maxMachinesTested = 1000;

/** Returns one page. It may hold fewer than `limit` events, or none, while more follow. */
export async function listEvents(db: Database, options: EventListOptions): Promise<EventPage> {
  const { limit, machines } = options;
  const eventTests = listEventTests(options);
  const machineTests = listMachineTests(machines);
  if (eventTests.length + machineTests.length === 0) {
    // One more than the page can use tells whether anything follows.
    const rows = await select(db, scan(options, limit + 1), options);
    return rows.length > limit ? cut(rows, limit) : { events: rows };
  }
  const scanned = scan(options, maxScanned);
  const candidates = narrow(scanned, options, eventTests, maxMachinesTested);
  const matching =
    machineTests.length === 0
      ? narrow(scanned, options, eventTests, limit + 1)
      : narrow(candidates, options, machineTests, limit + 1);
  // Where a page ends is found in the rows that it was found in.
  return await readSnapshot(db, async (tx) => {
    // PostgreSQL expects tests of machines to cost more than they do, and would compile them for a second.
    await tx.execute(sql`select set_config('jit', 'off', true)`);
    const rows = await select(tx, matching, options);
    if (rows.length > limit) return cut(rows, limit);
    const tested = machineTests.length === 0 ? undefined : await findLast(tx, candidates, options, maxMachinesTested);
    return { events: rows, next: tested ?? (await findLast(tx, scanned, options, maxScanned)) };
  });
}

function cut(rows: readonly EventRow[], limit: number): EventPage {
  const events = rows.slice(0, limit);
  return { events, next: events.at(-1) };
}

/** Selects the first `limit` events of the list after a key, by one range of an index. */
function scan({ machineId, after, start, end }: EventListOptions, limit: number): SQL {
  const range =
    machineId === undefined
      ? [
          after && sql`(log.at, log.id) < (${toTime(after)}, ${after.id})`,
          start === undefined ? undefined : sql`log.at >= ${start}::timestamptz`,
          end === undefined ? undefined : sql`log.at < ${end}::timestamptz`,
        ]
      : [sql`log.machine_id = ${machineId}`, after && sql`log.id < ${after.id}`];
  // As in other lists, the candidate's id is that of the machine.
  return sql`select log.id as event_id, log.machine_id as id, log.at, log.actor, log.kind, log.detail
    from ${machineHistory} as log${where(range)}
   order by ${machineId === undefined ? sql`log.at desc, log.id desc` : sql`log.id desc`} limit ${limit}`;
}

/** Selects the first `limit` rows of a selection that pass the tests. */
function narrow(selection: SQL, options: EventListOptions, tests: readonly SQL[], limit: number): SQL {
  return sql`select * from (${selection}) as candidate${where(tests)}${order(options)} limit ${limit}`;
}

function order({ machineId }: EventListOptions): SQL {
  return sql.raw(machineId === undefined ? " order by at desc, event_id desc" : " order by event_id desc");
}

function where(conditions: readonly (SQL | undefined)[]): SQL {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length === 0 ? sql`` : sql` where ${sql.join(given, sql` and `)}`;
}

/** Returns the `count`-th row of a selection, or undefined if there are fewer. */
async function findLast(
  tx: Transaction,
  selection: SQL,
  options: EventListOptions,
  count: number,
): Promise<EventKey | undefined> {
  const [last] = await select(
    tx,
    sql`select * from (${selection}) as candidate${order(options)} offset ${count - 1}`,
    options,
  );
  return last;
}

/** Returns the tests of an event's own columns. In the list of the fleet, times are a range of the index instead. */
function listEventTests({ machineId, kinds, actors, machines, start, end }: EventListOptions): SQL[] {
  const { machineIds } = machines;
  const isTimed = machineId !== undefined;
  const tests = [
    kinds && sql`kind = any(${arrayParameter(kinds, "text")})`,
    actors && testActor(actors),
    machineIds && sql`candidate.id = any(${arrayParameter(machineIds, "uuid")})`,
    isTimed && start !== undefined ? sql`at >= ${start}::timestamptz` : undefined,
    isTimed && end !== undefined ? sql`at < ${end}::timestamptz` : undefined,
  ];
  return tests.filter((test) => test !== undefined);
}

function testActor(actors: readonly string[]): SQL {
  const beginnings = actors.filter((actor) => actor.endsWith("*")).map((actor) => actor.slice(0, -1));
  const whole = actors.filter((actor) => !actor.endsWith("*"));
  const tests = [
    sql`actor = any(${arrayParameter(whole, "text")})`,
    ...beginnings.map((beginning) => sql`starts_with(actor, ${beginning})`),
  ];
  return sql`(${sql.join(tests, sql` or `)})`;
}

/** Returns the tests of an event's machine. A machine that is no more has no labels either, and passes none. */
function listMachineTests(filter: MachineFilter): SQL[] {
  const tests = listTests(filter);
  if (tests.length === 0) return [];
  return [sql`(select id from ${machine} where id = candidate.id) is not null`, ...tests];
}

const finiteTime = /^(-?\d{1,13})\.(\d{6})$/;
const infiniteTimes: Readonly<Record<string, string>> = { Infinity: "infinity", "-Infinity": "-infinity" };
/** The times that PostgreSQL has, in seconds since the epoch. */
const [earliestSeconds, latestSeconds] = [-210_866_803_200, 9_224_318_015_999];

/** Returns whether a text is the time of a key. */
export function isEventTime(text: string): boolean {
  const seconds = Number(finiteTime.exec(text)?.[1] ?? Number.NaN);
  return Object.hasOwn(infiniteTimes, text) || (seconds > earliestSeconds && seconds < latestSeconds);
}

/** A floating-point number cannot hold all digits of a time. */
function toTime({ time }: EventKey): SQL {
  const [, seconds = "", micros = ""] = finiteTime.exec(time) ?? [];
  if (seconds === "") return sql`${infiniteTimes[time]}::timestamptz`;
  const sign = seconds.startsWith("-") ? -1 : 1;
  return sql`(to_timestamp(${seconds}::float8) + ${sign * Number(micros)} ::float8 * interval '1 microsecond')`;
}

async function select(db: Database | Transaction, query: SQL, options: EventListOptions): Promise<EventRow[]> {
  const { rows } = await db.execute<EventColumns>(
    sql`select event.*, extract(epoch from at)::text as time from (${query}) as event${order(options)}`,
  );
  return rows.map(({ event_id, id, at, time, actor, kind, detail }) => ({
    id: BigInt(event_id),
    machineId: id,
    at: parseDatabaseTime(at),
    time,
    actor,
    kind,
    detail,
  }));
}

type EventColumns = Readonly<Record<"event_id" | "id" | "at" | "time" | "actor" | "kind", string>> &
  Pick<EventRow, "detail">;
