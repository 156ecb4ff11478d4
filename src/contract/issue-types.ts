/**
 * The types of issues: what can be wrong with a machine or with the server, in the words that lists, explanations,
 * metrics and alerts share. docs/issues.md has a section for each type. What decides whether a machine has an issue is
 * in src/db/schema/issue-definition.ts. Runs in Node and in browsers.
 */

/** Severities, the most urgent first. */
export const issueSeverities = ["critical", "warning", "info"] as const;

/**
 * How urgent an issue is. Critical: a part is failing, or the server withholds what was requested until somebody acts.
 * Warning: the machine does not do what it should, or will not for long. Info: worth knowing, nothing is broken.
 */
export type IssueSeverity = (typeof issueSeverities)[number];

/** Returns whether a name is that of a severity. */
export function isIssueSeverity(name: string): name is IssueSeverity {
  return (issueSeverities as readonly string[]).includes(name);
}

/** What all issues of one type have in common. */
export interface IssueTypeWords {
  /** Severities that an issue of this type can have. */
  readonly severities: readonly [IssueSeverity, ...IssueSeverity[]];
  /** What is wrong, as a sentence without a full stop that begins in lower case; an issue's detail may follow. */
  readonly summary: string;
}

/** The types by name, the most urgent first; within a severity, those that most machines may have come last. */
export const issueTypes = {
  duplicate_agent: {
    severities: ["critical"],
    summary: "two machines call with this machine's id and key",
  },
  disk_failing: {
    severities: ["critical"],
    summary: "a disk reports that it is failing",
  },
  undecodable_request: {
    severities: ["critical"],
    summary: "no server can decode the stored installation request, so the agent is not given it",
  },
  health: {
    severities: ["critical", "warning", "info"],
    summary: "a health alert reports a problem",
  },
  installation_failed: {
    severities: ["warning"],
    summary: "the last installation failed",
  },
  installation_overdue: {
    severities: ["warning"],
    summary: "the agent has not reported on its installation in time",
  },
  installation_pending_long: {
    severities: ["warning"],
    summary: "no agent has fetched the requested installation for 15 minutes",
  },
  shared_serial_number: {
    severities: ["warning"],
    summary: "another machine has the same serial number",
  },
  shared_system_uuid: {
    severities: ["warning"],
    summary: "another machine has the same system UUID",
  },
  shared_mac: {
    severities: ["warning"],
    summary: "another machine has the same MAC address",
  },
  shared_disk: {
    severities: ["warning"],
    summary: "another machine has the same disk",
  },
  key_refused: {
    severities: ["warning"],
    summary: "somebody calls with the machine's id and another key",
  },
  serial_number_changed: {
    severities: ["warning"],
    summary: "the machine's serial number has changed under the same key",
  },
  memory_reduced: {
    severities: ["warning"],
    summary: "the machine has less memory than before",
  },
  disk_missing: {
    severities: ["warning"],
    summary: "the machine has fewer disks than before",
  },
  disk_worn: {
    severities: ["warning"],
    summary: "a disk is wearing out",
  },
  media_errors_growing: {
    severities: ["warning"],
    summary: "a disk has more media errors than before",
  },
  interface_missing: {
    severities: ["warning"],
    summary: "the machine has fewer network interfaces than before",
  },
  link_down: {
    severities: ["warning"],
    summary: "a network interface has lost its link",
  },
  report_refused: {
    severities: ["warning"],
    summary: "the agent reports an installation that it was never given",
  },
  receiver_failing: {
    severities: ["warning"],
    summary: "a receiver does not accept the events that it is sent",
  },
  boot_loop: {
    severities: ["warning"],
    summary: "the machine boots again and again",
  },
  state_overdue: {
    severities: ["warning"],
    summary: "the machine has been in its state for longer than BMAAS_STATE_LIMITS allows",
  },
  agent_silent: {
    severities: ["warning"],
    summary: "the agent is silent",
  },
  hardware_warning: {
    severities: ["info"],
    summary: "the agent had problems reading the hardware",
  },
  agent_outdated: {
    severities: ["info"],
    summary: "the agent is older than it should be",
  },
  hold_ending: {
    severities: ["info"],
    summary: "the machine's hold is about to end",
  },
  never_heartbeated: {
    severities: ["info"],
    summary: "a key is registered, but no agent has called with it",
  },
} as const satisfies Readonly<Record<string, IssueTypeWords>>;

/** Name of a type. */
export type IssueType = keyof typeof issueTypes;

/** Names of the types, the most urgent first. */
export const issueTypeNames = Object.keys(issueTypes) as IssueType[];

/** Returns what is wrong, in words, also for a type that only another version of the server knows. */
export function summarizeIssueType(type: string): string {
  return isIssueType(type)
    ? issueTypes[type].summary
    : `this version of the server does not know issues of type ${type}`;
}

/** Returns whether a name is that of a type. */
export function isIssueType(name: string): name is IssueType {
  return Object.hasOwn(issueTypes, name);
}
