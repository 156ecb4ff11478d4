/** The messages that receivers are sent, as JSON. */
import { createHash } from "node:crypto";
import { printable } from "../base/printable.ts";
import { formatInstant } from "../base/time-text.ts";
import { summarizeIssueType } from "../contract/issue-types.ts";
import type { IssueChange, MachineChange } from "../db/queries/machine-change.ts";
import type { MachineOverview } from "../db/queries/machine-overview.ts";
import { noMachine } from "../db/queries/receiver-delivery.ts";
import { probeType, toEventType } from "./event-type.ts";

/** An event to send. */
export interface EventMessage {
  /** Distinguishes the event from every other one, whichever server reads it. */
  readonly key: string;
  readonly machineId: string;
  readonly type: string;
  readonly at: Date;
  /** The body of the message. */
  readonly payload: string;
}

/** Maximum length of a text of the history in a message, in UTF-16 code units. */
const maxTextLength = 2000;

/**
 * Returns the message of an event of the history. `machine` is the machine as it is now; undefined for a deleted one.
 */
export function writeHistoryMessage(change: MachineChange, machine: MachineOverview | undefined): EventMessage {
  const { machineId, kind, actor } = change;
  const at = findTime(change);
  const entries = Object.entries(change.detail).flatMap(([name, value]) =>
    value === null ? [] : [[name, shorten(value)] as const],
  );
  const told = entries
    .filter(([name]) => kind !== "health_changed" || name !== "alerts" || "changes" in change.detail)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
  return writeMessage({
    key: `${change.position.id} ${machineId} ${kind} ${at.getTime()}`,
    machineId,
    type: toEventType(kind),
    at,
    data: {
      ...describeMachine(machineId, machine),
      text: `${nameSubject(change, machine)}: ${kind} by ${actor}${told === "" ? "" : `: ${told}`}`,
      kind,
      actor,
      detail: Object.fromEntries(entries),
    },
  });
}

/**
 * Returns the time of the last change that a row of the history stands for. An agent's changes of alerts within an hour
 * have one row, and a receiver is told each of them; of boots within an hour it is told the first.
 */
function findTime({ kind, at, detail: { lastChangeTime } }: MachineChange): Date {
  const last = new Date(kind === "health_changed" ? (lastChangeTime ?? "") : "");
  return Number.isNaN(last.getTime()) ? at : last;
}

/** Returns the message that an issue began or ended. `machine` is the machine as it is now. */
export function writeIssueMessage(change: IssueChange, machine: MachineOverview | undefined): EventMessage {
  const { kind, at, issue, position } = change;
  const { type, severity, since, target } = issue;
  const hasBegun = kind === "issue_opened";
  const machineId = issue.machineId ?? noMachine;
  const detail = printable(issue.detail);
  const summary = summarizeIssueType(type);
  const told = [summary, printable(target), detail].filter(Boolean).join(": ");
  const subject = issue.machineId === null ? "the server" : nameMachine(machineId, machine);
  return writeMessage({
    key: `${position.id} ${machineId} ${type} ${target} ${at.getTime()}`,
    machineId,
    type: toEventType(kind),
    at: hasBegun ? since : at,
    data: {
      ...describeMachine(issue.machineId ?? "", machine),
      text: `${subject}: ${hasBegun ? told : `no longer: ${told}`}`,
      issue: { type, severity, since: since.toISOString(), target: printable(target), summary, detail },
    },
  });
}

/** Returns the body of a probe. */
export function writeProbe(name: string, actor: string, at: Date): string {
  const text = `${actor} probes the receiver ${name} at ${formatInstant(at)}`;
  return JSON.stringify({ type: probeType, timestamp: at.toISOString(), data: { text, receiver: name, actor } });
}

/**
 * Returns the id of a message to a receiver. It depends on the event alone, so an event that is read again, as after a
 * restore of the database, has the same id.
 */
export function toMessageId(receiverId: string, { key, type }: EventMessage): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([receiverId, type, key]))
    .digest("hex");
  return `msg_${hash.slice(0, 32)}`;
}

function writeMessage({ key, machineId, type, at, data }: Omit<EventMessage, "payload"> & { readonly data: object }) {
  return { key, machineId, type, at, payload: JSON.stringify({ type, timestamp: at.toISOString(), data }) };
}

/** Returns the fields that describe the machine, named as in the API's JSON. */
function describeMachine(machineId: string, machine: MachineOverview | undefined): object {
  return {
    machineId,
    provider: machine?.provided?.provider ?? "",
    providerId: machine?.provided?.providerId ?? "",
    location: machine?.provided?.location ?? "",
    labels: machine?.labels ?? {},
    state: machine?.state ?? "",
    muted: machine?.hold?.isMuted === true || machine?.health.mutes === true,
  };
}

/** Returns text that names the event's machine, or its enrolment: a decision about one may come without a machine. */
function nameSubject({ machineId, kind }: MachineChange, machine: MachineOverview | undefined): string {
  return kind.startsWith("enrolment_") ? `enrolment ${machineId}` : nameMachine(machineId, machine);
}

function nameMachine(machineId: string, machine: MachineOverview | undefined): string {
  const provided = machine?.provided;
  return provided ? `machine ${machineId} (${provided.provider} ${provided.providerId})` : `machine ${machineId}`;
}

function shorten(text: string): string {
  return text.length > maxTextLength ? `${text.slice(0, maxTextLength).toWellFormed()}…` : text;
}
