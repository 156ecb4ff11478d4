/**
 * Plans for the flights of a TLS client: in pieces, in odd records, damaged, replaced or given up. Records are all that
 * is understood of them (RFC 8446 section 5.1).
 */
import { drawEnding } from "../connection.ts";
import type { Action, FlightPlan } from "../handshake-relay.ts";
import { Random } from "../random.ts";
import { mutate } from "./mutate.ts";

/** A plan, and what is known of it. */
export interface DrawnFlight {
  /** For the report. */
  readonly name: string;
  /** Whether a server must go on with the handshake. */
  readonly isSound: boolean;
  readonly plan: FlightPlan;
}

interface FlightKind {
  readonly name: string;
  readonly weight: number;
  readonly isSound: boolean;
  readonly act: (random: Random, flight: Buffer) => readonly Action[];
}

const recordHeadBytes = 5;
const recordType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;
const recordTypes = Object.values(recordType);
/** Around the server's limit on a handshake, which is ten seconds, in milliseconds. */
const [leastLateMs, mostLateMs] = [9_000, 13_000];

const inPieces: FlightKind = { name: "in pieces", weight: 10, isSound: true, act: sendInPieces };

const kinds: readonly FlightKind[] = [
  inPieces,
  { name: "whole", weight: 5, isSound: true, act: (_random, flight) => [{ send: flight }] },
  {
    name: "record by record",
    weight: 3,
    isSound: true,
    act: (random, flight) => splitRecords(flight).flatMap((record) => [{ send: record }, drawPause(random)]),
  },
  {
    name: "given up",
    weight: 8,
    isSound: false,
    act(random, flight) {
      const from = random.pick([0, flight.length, random.below(flight.length + 1)]);
      return [{ send: flight.subarray(0, from) }, drawPause(random), { ending: drawEnding(random) }];
    },
  },
  { name: "damaged", weight: 4, isSound: false, act: (random, flight) => [{ send: mutate(random, flight) }] },
  { name: "twice", weight: 1, isSound: false, act: (_random, flight) => [{ send: flight }, { send: flight }] },
  {
    name: "an alert instead",
    weight: 4,
    isSound: false,
    act: (random) => [{ send: drawAlert(random) }],
  },
  {
    name: "among other records",
    weight: 4,
    isSound: false,
    act(random, flight) {
      const records = splitRecords(flight);
      for (let left = 1 + random.below(3); left > 0; left--)
        records.splice(random.below(records.length + 1), 0, drawRecord(random));
      return sendInPieces(random, Buffer.concat(records));
    },
  },
  {
    name: "HTTP instead",
    weight: 1,
    isSound: false,
    act: (random) => [
      { send: Buffer.from(random.pick(["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])) },
    ],
  },
];

/** A first flight is not encrypted yet, so that its records can be divided. */
const kindsOfFirst: readonly FlightKind[] = [
  ...kinds,
  {
    name: "in small records",
    weight: 5,
    isSound: true,
    act: (random, flight) => sendInPieces(random, divideRecords(random, flight)),
  },
];

/** Draws plans for the first flights of a client, of which one at least is not whole. */
export function drawFlights(random: Random): DrawnFlight[] {
  const odd = random.pick([0, 0, 1, 1, 1, 2]);
  return [0, 1, 2].map((index) => {
    const isOdd = index === odd || random.chance(0.2);
    return draw(random, isOdd ? random.pickWeighted(index === 0 ? kindsOfFirst : kinds) : inPieces);
  });
}

/** Draws the same, but that one of them, most often the last one of the handshake, stops for about ten seconds. */
export function drawLateFlights(random: Random): DrawnFlight[] {
  const late = random.pick([0, 1, 1, 1, 1, 2]);
  const timeMs = random.between(leastLateMs, mostLateMs);
  const lateKind: FlightKind = {
    name: `late by ${timeMs} ms`,
    weight: 1,
    isSound: false,
    act(own, flight) {
      const from = own.pick([0, 0, own.below(flight.length)]);
      return [{ send: flight.subarray(0, from) }, { pauseMs: timeMs }, { send: flight.subarray(from) }];
    },
  };
  return Array.from({ length: late + 1 }, (_, index) => draw(random, index === late ? lateKind : inPieces));
}

/** What it does must not depend on what is drawn meanwhile, so it has a source of its own. */
function draw(random: Random, { name, isSound, act }: FlightKind): DrawnFlight {
  const own = new Random(random.below(2 ** 32));
  return { name, isSound, plan: (flight) => act(own, flight) };
}

function sendInPieces(random: Random, flight: Buffer): Action[] {
  const cuts = Array.from({ length: random.pick([0, 0, 1, 2, 5, 20]) }, () => random.below(flight.length + 1));
  cuts.sort((a, b) => a - b);
  const starts = [0, ...cuts];
  return starts.flatMap((from, index) => {
    const isLast = index === cuts.length;
    const send = flight.subarray(from, starts[index + 1] ?? flight.length);
    return isLast ? [{ send }] : [{ send }, drawPause(random)];
  });
}

function drawPause(random: Random): Action {
  return { pauseMs: random.pick([0, random.logBetween(0.5, 30)]) };
}

/** What is no whole record is the last one. */
function splitRecords(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const isWhole = at + recordHeadBytes <= bytes.length;
    const end = isWhole ? at + recordHeadBytes + bytes.readUInt16BE(at + 3) : bytes.length;
    records.push(bytes.subarray(at, end));
    at = end;
  }
  return records;
}

function formatRecord(type: number, version: number, content: Buffer): Buffer {
  const head = Buffer.from([type, version >> 8, version & 0xff, content.length >> 8, content.length & 0xff]);
  return Buffer.concat([head, content]);
}

/** Puts the messages of each record into several. */
function divideRecords(random: Random, bytes: Buffer): Buffer {
  const most = Math.ceil(random.logBetween(1, 500));
  const divided: Buffer[] = [];
  for (const record of splitRecords(bytes)) {
    const content = record.subarray(recordHeadBytes);
    for (let from = 0; from < content.length; ) {
      const to = from + random.between(1, most);
      divided.push(formatRecord(record.readUInt8(0), record.readUInt16BE(1), content.subarray(from, to)));
      from = to;
    }
  }
  return Buffer.concat(divided);
}

function drawAlert(random: Random): Buffer {
  const description = random.pick([0, 10, 20, 40, 42, 70, 80, 90, 100, 120, random.below(256)]);
  return formatRecord(recordType.alert, 0x303, Buffer.from([random.pick([1, 2, 2, random.below(256)]), description]));
}

function drawRecord(random: Random): Buffer {
  const kind = random.next();
  if (kind < 0.3) return drawAlert(random);
  if (kind < 0.5) return formatRecord(recordType.changeCipherSpec, 0x303, Buffer.from([1]));
  const type = random.chance(0.9) ? random.pick(recordTypes) : random.below(256);
  const version = random.pick([0x301, 0x303, 0x303, 0x304, random.below(65_536)]);
  return formatRecord(type, version, random.bytes(random.pick([0, 0, 1, random.below(100), random.below(17_000)])));
}
