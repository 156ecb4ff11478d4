/** Kinds of events that the history of machines and enrolments records. Runs in Node and in browsers. */
export const historyKinds = [
  "machine_created",
  "machine_deleted",
  "machine_provided",
  "machine_unprovided",
  "machine_labelled",
  "machine_expected",
  "machine_held",
  "machine_released",
  "health_changed",
  "machine_enrolled",
  "enrolment_approved",
  "enrolment_rejected",
  "enrolment_forgotten",
  "agent_registered",
  "agent_replaced",
  "agent_revoked",
  "agent_booted",
  "agent_duplicated",
  "installation_requested",
  "installation_cancelled",
  "installation_given",
  "installation_started",
  "installation_reported",
  "installation_report_refused",
] as const;

/** Kind of an event of the history. */
export type HistoryKind = (typeof historyKinds)[number];

/** Returns whether a name is that of a kind. */
export function isHistoryKind(name: string): name is HistoryKind {
  return (historyKinds as readonly string[]).includes(name);
}
