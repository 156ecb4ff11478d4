/** Names of the states of machines. */

/** States of a machine, as the view machine_state, selectors and settings name them. */
export const machineStateNames = [
  "not_provided",
  "no_agent",
  "never_heartbeated",
  "heartbeating",
  "stale",
  "installation_pending",
  "installation_given",
  "installing",
  "installation_overdue",
  "installation_failed",
  "installed",
] as const;
