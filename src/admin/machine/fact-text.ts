/** Formats facts about a machine as parts of an explanation. Times are relative to the database's clock. */

import type { ExpectedDisk } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { formatDuration, formatInstant } from "../../base/time-text.ts";
import { describeAlert } from "../../db/queries/machine-health.ts";
import { describeHold } from "../../db/queries/machine-hold.ts";
import type { MachineOverview } from "../../db/queries/machine-overview.ts";
import type { MachineTrouble } from "../../db/queries/machine-trouble.ts";

/** Facts on which an explanation is based. */
export type Facts = Pick<
  MachineOverview,
  | "state"
  | "since"
  | "overdueSince"
  | "readAt"
  | "hold"
  | "provided"
  | "agent"
  | "heartbeat"
  | "report"
  | "installation"
  | "installationState"
  | "hardware"
> &
  MachineTrouble & {
    /** Whether `findStoredRequest` can decode the request of the newest installation. */
    readonly isRequestReadable: boolean;
    /** The disk that the newest installation expects. */
    readonly expectedDisk?: ExpectedDisk | undefined;
  };

/** Maximum length of an agent's text that a sentence quotes, in UTF-16 code units. */
const maxQuoted = 500;

/** Returns a time as text such as "12 min ago (2026-03-01 12:00:00Z)". */
export function ago(facts: Pick<Facts, "readAt">, time: Date): string {
  return `${lasting(facts, time)} ago (${formatInstant(time)})`;
}

/**
 * Returns text such as "for 12 min (since 2026-03-01 12:00:00Z)". Default for `time`: when the machine entered its
 * state.
 */
export function since(facts: Pick<Facts, "readAt" | "since">, time: Date = facts.since): string {
  return `for ${lasting(facts, time)} (since ${formatInstant(time)})`;
}

function lasting({ readAt }: Pick<Facts, "readAt">, time: Date): string {
  return formatDuration(Math.max(0, readAt.getTime() - time.getTime()));
}

/** Returns whether the agent has been silent longer than is normal or than it announced. */
export function isSilent({ heartbeat, readAt }: Facts): boolean {
  return heartbeat !== null && heartbeat.quietUntil < readAt;
}

/** Returns a clause that says when the agent last called. */
export function describeAgent(facts: Facts): string {
  const { agent, heartbeat } = facts;
  if (agent === null) return "no agent's key is registered";
  if (heartbeat === null) return "its agent has never heartbeated";
  if (isSilent(facts)) return `its agent has not been heard ${since(facts, heartbeat.heartbeatAt)}`;
  return `its agent heartbeats, last ${ago(facts, heartbeat.heartbeatAt)}`;
}

const troubles = {
  provisioning: "is being made available",
  stopped: "is switched off",
  missing: "is gone",
  failed: "is broken",
} as const;

/** Returns the provider's status as the end of a sentence if it may be the cause of the state, or else "". */
export function describeProvider({ provided }: Facts): string {
  if (provided === null || provided.status === "unknown" || provided.status === "running") return "";
  const { provider, providerId, status } = provided;
  return `; its provider ${provider} says that ${providerId} ${troubles[status]}`;
}

/** Returns the machine's newest installation by its generation, such as "installation 3". */
export function nameInstallation({ installation }: Pick<Facts, "installation">): string {
  return `installation ${installation?.generation}`;
}

/** Returns a clause that says when and how often the agent was given the installation. */
export function describeDelivery(facts: Facts): string {
  const { installation } = facts;
  if (!installation?.firstGivenAt) return `${nameInstallation(facts)} was given to the agent`;
  const { firstGivenAt, lastGivenAt, timesGiven } = installation;
  if (isNeverTakenUp(facts)) {
    const given = `${nameInstallation(facts)} was given ${timesGiven} times, never taken up`;
    const asking = `the agent has kept asking since the first time ${ago(facts, firstGivenAt)}`;
    return `${given}: ${asking}, without progress, report or silence`;
  }
  const first = `${nameInstallation(facts)} was given to the agent ${ago(facts, firstGivenAt)}`;
  return timesGiven < 2n || lastGivenAt === null
    ? first
    : `${first}, the last of ${timesGiven} times ${ago(facts, lastGivenAt)}`;
}

/** Maximum number of times that a request is given to an agent which carries it out: an answer can get lost. */
const fewTimes = 2n;

/**
 * Returns whether the agent keeps calling as if it had never been given the installation. An agent that carries it out
 * reports progress or, as Monogon agents do, stays silent meanwhile.
 */
export function isNeverTakenUp({ installation, heartbeat }: Pick<Facts, "installation" | "heartbeat">): boolean {
  if (!installation?.firstGivenAt || !installation.lastGivenAt || heartbeat === null) return false;
  const { firstGivenAt, lastGivenAt, timesGiven, startedAt } = installation;
  const wasSilent = heartbeat.aliveSince > firstGivenAt;
  return timesGiven > fewTimes && startedAt === null && !wasSilent && lastGivenAt >= heartbeat.heartbeatAt;
}

/** Returns a clause that says how the last reported installation ended, and what happened to a newer request. */
export function describeReport(facts: Facts): string {
  const { report, installation, installationState } = facts;
  if (report === null) return "an installation ended";
  const { generation, result, error, reportedAt } = report;
  const [outcome, reason] =
    result === "success" ? ["succeeded", ""] : ["failed", `: ${oneLine(error ?? "") || "the agent did not say why"}`];
  const ended = `installation ${generation} ${outcome} ${ago(facts, reportedAt)}${reason}`;
  if (installation === null || installationState === null || installation.generation === generation) return ended;
  return `${ended}; installation ${installation.generation} was ${installationState.state} since`;
}

const signs = { boot_id: "boot id", serial_number: "serial number" } as const;

/** Returns the end of a sentence that names further problems with the agent's calls, or "". */
export function describeTrouble(facts: Facts): string {
  const { overdueSince, hold, alerts, duplicate, bootLoop, refusedReport, knockers } = facts;
  const troubles: string[] = [];
  if (overdueSince !== null) {
    const limit = formatDuration(overdueSince.getTime() - facts.since.getTime());
    troubles.push(`it has been in this state for longer than the limit of ${limit}`);
  }
  if (hold !== null) troubles.push(`it is held ${describeHold(hold)}`);
  if (alerts.length > 0) troubles.push(describeHealth(facts));
  if (duplicate !== undefined) {
    const { sign, value, otherValue, seenAt } = duplicate;
    const returned = `${signs[sign]} "${oneLine(value)}" came back after "${oneLine(otherValue)}"`;
    troubles.push(`two machines call with its id and key: ${returned}, last ${ago(facts, seenAt)}`);
  }
  if (bootLoop !== undefined) {
    const { loopBoots, loopSince, lastAt } = bootLoop;
    const first = loopSince === null ? "" : ` between ${formatInstant(loopSince)} and ${formatInstant(lastAt)}`;
    troubles.push(`it is in a boot loop: booted ${loopBoots} times${first}`);
  }
  if (refusedReport !== undefined) {
    const { generation, refusedAt } = refusedReport;
    troubles.push(
      `${ago(facts, refusedAt)} its agent reported installation ${generation}, ` +
        "which this server's database never gave it, so the report does not count",
    );
  }
  for (const { id, address, lastSeenAt } of knockers) {
    const enrolment = `enrolment ${id} from ${address}, last ${ago(facts, lastSeenAt)}`;
    troubles.push(`an agent with another key asks to be let in as this machine: ${enrolment}`);
  }
  return troubles.map((trouble) => `; ${trouble}`).join("");
}

/** Maximum number of alerts that an explanation names. */
const maxNamedAlerts = 3;

/** Names the health alerts, those that block installations first. */
function describeHealth(facts: Facts): string {
  const { alerts } = facts;
  const ranked = [...alerts.filter((alert) => alert.blocksInstall), ...alerts.filter((alert) => !alert.blocksInstall)];
  const named = ranked.slice(0, maxNamedAlerts).map((alert) => {
    const effects = [alert.blocksInstall ? "blocks installations" : "", alert.mutes ? "mutes" : ""].filter(Boolean);
    const suffix = effects.length === 0 ? "" : `, which ${effects.join(" and ")}`;
    return `${oneLine(describeAlert(alert))}, ${since({ ...facts, since: alert.since })}${suffix}`;
  });
  const more = ranked.length > maxNamedAlerts ? [`${ranked.length - maxNamedAlerts} more`] : [];
  return `it has the health ${ranked.length === 1 ? "alert" : "alerts"} ${[...named, ...more].join("; ")}`;
}

/** Returns an agent's text on one line, shortened to fit a sentence. */
export function oneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length > maxQuoted ? `${line.slice(0, maxQuoted).toWellFormed()}…` : line;
}
