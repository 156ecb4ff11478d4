/**
 * Explains why a machine is in its state, what happens next, and what an operator can do: a table by state. It decides
 * no state. It words what the view decided, with the times that the view used.
 */
import { formatInstant } from "../../base/time-text.ts";
import { saysUnknownRequest } from "../../contract/unknown-request.ts";
import {
  ago,
  describeAgent,
  describeDelivery,
  describeProvider,
  describeReport,
  describeTrouble,
  type Facts,
  isNeverTakenUp,
  isSilent,
  nameInstallation,
  oneLine,
  since,
} from "./fact-text.ts";
import type { RemedyName } from "./remedies.ts";
import { describeEndOfDelivery, describeWithholding } from "./withheld-text.ts";

/** Text of ExplainMachine's answer. Sentences begin in lower case and have no full stop. */
export interface Explanation {
  readonly condition: string;
  /** Empty when nothing will happen without an operator. */
  readonly next: string;
  /** Latest time at which `next` happens. */
  readonly nextTime?: Date | undefined;
  /** Most suitable first. */
  readonly remedies: readonly RemedyName[];
}

/** Explains one machine. */
export function explain(facts: Facts): Explanation {
  const explanation = explanations[facts.state](facts);
  const remedies = new Set([...remediesForTrouble(facts), ...explanation.remedies]);
  return { ...explanation, condition: `${explanation.condition}${describeTrouble(facts)}`, remedies: [...remedies] };
}

function remediesForTrouble({ hold, alerts, duplicate, refusedReport, knockers }: Facts): readonly RemedyName[] {
  return [
    ...(hold === null ? [] : (["release"] as const)),
    ...(alerts.length === 0 ? [] : (["showHealth"] as const)),
    ...(knockers.length === 0 ? [] : (["judgeKnocker"] as const)),
    ...(duplicate === undefined ? [] : (["sayWhich"] as const)),
    ...(refusedReport === undefined ? [] : (["restart"] as const)),
  ];
}

const explanations: Readonly<Record<Facts["state"], (facts: Facts) => Explanation>> = {
  not_provided: (facts) => ({
    condition: `no provider has made the machine available, and no agent's key is registered, ${since(facts)}`,
    next: "",
    remedies: ["register", "provide", "remove"],
  }),
  no_agent: (facts) => ({
    condition: `no agent's key is registered, ${since(facts)}${describeProvider(facts)}`,
    next: "",
    remedies: ["register", "remove"],
  }),
  never_heartbeated: (facts) => ({
    condition:
      "an agent's key is registered, but no heartbeat with it has arrived, " +
      `${since(facts)}${describeProvider(facts)}`,
    next: "the agent's first heartbeat changes the state",
    remedies: ["startAgent", "replaceKey", "showHistory"],
  }),
  heartbeating: (facts) => ({
    condition: `${describeAgent(facts)}, and no installation is open or was carried out`,
    next: "the machine becomes stale unless another heartbeat arrives first",
    nextTime: facts.heartbeat?.quietUntil,
    remedies: ["request", "showHardware"],
  }),
  stale: (facts) => ({
    condition:
      `its agent has not been heard ${since(facts, facts.heartbeat?.heartbeatAt)}, ` +
      `and its silence allowance ended at ${formatInstant(facts.since)}${describeProvider(facts)}`,
    next: "the agent's next heartbeat changes the state",
    remedies: ["findOut", "replaceKey", "showHistory"],
  }),
  installation_pending: explainPending,
  installation_given: (facts) => ({
    condition:
      `${describeDelivery(facts)}${isNeverTakenUp(facts) ? "" : ", and the agent has not reported progress yet"}` +
      `${describeEndOfDelivery(facts)}; ${describeAgent(facts)}`,
    ...becomesOverdue(facts),
    remedies: [...registerIfGone(facts), ...readLogIfNeverTakenUp(facts), "showHistory", "supersede"],
  }),
  installing: (facts) => ({
    condition:
      `the agent carries out ${nameInstallation(facts)}${describeProgress(facts)}` +
      `${describeEndOfDelivery(facts)}; ${describeAgent(facts)}`,
    ...becomesOverdue(facts),
    remedies: [...registerIfGone(facts), "showHistory", "supersede"],
  }),
  installation_overdue: (facts) => ({
    condition:
      `${describeDelivery(facts)}, and the agent's report has been overdue ${since(facts)}${describeProgress(facts)}` +
      `${describeEndOfDelivery(facts)}; ${describeAgent(facts)}${describeProvider(facts)}`,
    next: facts.agent === null ? "" : "nothing, unless the agent still reports progress or an outcome",
    remedies: [
      ...registerIfGone(facts),
      ...readLogIfNeverTakenUp(facts),
      "findOut",
      ...(facts.isRequestReadable ? (["retry"] as const) : []),
      "supersede",
      "showHistory",
    ],
  }),
  installation_failed: (facts) => ({
    condition: `${describeReport(facts)}; ${describeAgent(facts)}${describeProvider(facts)}`,
    next: "",
    remedies: [...listRetries(facts), "request", "showHistory", "showHardware"],
  }),
  installed: (facts) => ({
    condition: `${describeReport(facts)}; ${describeAgent(facts)}`,
    next: "",
    remedies: ["request", "showHistory"],
  }),
};

function explainPending(facts: Facts): Explanation {
  const { agent, heartbeat } = facts;
  const asked = `${nameInstallation(facts)} was requested ${ago(facts, facts.since)}`;
  if (!facts.isRequestReadable) {
    const condition = `${asked}, but the stored request cannot be decoded, so no agent is given it`;
    return { condition, next: "", remedies: ["request", "cancel"] };
  }
  if (agent === null) {
    const condition = `${asked}, but no agent's key is registered, so no agent can be given it`;
    return { condition, next: "", remedies: ["register", "cancel"] };
  }
  if (facts.withheld.length > 0) return explainWithheld(facts, asked);
  const condition = `${asked}, but no heartbeat has fetched it yet; ${describeAgent(facts)}${describeProvider(facts)}`;
  if (heartbeat !== null && !isSilent(facts)) {
    const next = "the agent is given it with its next heartbeat";
    return { condition, next, nextTime: heartbeat.quietUntil, remedies: ["cancel", "showHistory"] };
  }
  const next = "the agent is given it with its next heartbeat";
  return { condition, next, remedies: [heartbeat === null ? "startAgent" : "findOut", "replaceKey", "cancel"] };
}

type Reason = Facts["withheld"][number]["reason"];

/** What an operator can do about a reason, besides cancelling the request. */
const remediesByReason: Readonly<Partial<Record<Reason, readonly RemedyName[]>>> = {
  disk_gone: ["chooseDiskAnew", "showHardware"],
  disks_unknown: ["chooseDiskAnew", "showHardware"],
  serial_number_changed: ["chooseDiskAnew", "showHardware"],
  system_uuid_changed: ["chooseDiskAnew", "showHardware"],
  disk_names_unconfirmed: ["restartAgent"],
  restored: ["repeatRestored"],
  reported_before_given: ["request"],
  reinstall_limit: ["request"],
};

/** Conditions under which a reason ends by itself, as clauses; other reasons have none. */
const unlessRepeated: Partial<Record<Reason, string>> = {
  unhealthy: "if the alert is not put again",
  duplicate_agent: "if no further sign of two machines appears",
};

function explainWithheld(facts: Facts, asked: string): Explanation {
  const { withheld } = facts;
  const ends = withheld.map(({ until }) => until);
  const condition = `${asked}, but it is withheld, ${describeWithholding(facts)}`;
  const remedies: RemedyName[] = [
    ...withheld.flatMap(({ reason }) => remediesByReason[reason] ?? []),
    "cancel",
    "showHistory",
  ];
  if (withheld.every(({ reason }) => reason === "disk_names_unconfirmed")) {
    return { condition, next: "the agent is given it with its first hardware report", remedies };
  }
  if (!ends.every((end) => end !== null)) return { condition, next: "", remedies };
  const conditions = withheld.flatMap(({ reason }) => unlessRepeated[reason] ?? []);
  const next = ["the agent is given it with its first heartbeat after this time", ...conditions].join(", ");
  return { condition, next, nextTime: new Date(Math.max(...ends.map(Number))), remedies };
}

function readLogIfNeverTakenUp(facts: Facts): readonly RemedyName[] {
  return isNeverTakenUp(facts) ? ["readAgentLog"] : [];
}

function becomesOverdue({ agent, installation }: Facts): Pick<Explanation, "next" | "nextTime"> {
  const what = "the installation becomes overdue";
  const next = agent === null ? what : `${what} unless the agent reports progress or an outcome first`;
  return { next, nextTime: installation?.dueAt ?? undefined };
}

/**
 * Returns the remedy "register" if the agent's key was revoked, since until there is one again, nobody can report on
 * the installation.
 */
function registerIfGone({ agent }: Facts): readonly RemedyName[] {
  return agent === null ? ["register"] : [];
}

/**
 * Returns the remedies that repeat a failed installation. Only the newest installation can be retried, and a cancelled
 * one may be newer than the failed one. Retrying is useless if the agent does not know this kind of installation.
 */
function listRetries({ installationState, isRequestReadable, report }: Facts): readonly RemedyName[] {
  if (!isRequestReadable || installationState?.state !== "failed") return [];
  return saysUnknownRequest(report?.error ?? "") ? ["changeAgent"] : ["retry"];
}

function describeProgress(facts: Facts): string {
  const { phase = null, percent = null, progressAt = null } = facts.installation ?? {};
  if (progressAt === null) return "";
  const said = [phase === null ? "" : oneLine(phase), percent === null ? "" : `${percent} %`];
  const words = said.filter((part) => part !== "").join(", ");
  return `; the agent reported ${ago(facts, progressAt)}: ${words || "it continues"}`;
}
