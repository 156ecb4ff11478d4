/** Types of the events that receivers are sent, and the patterns by which a receiver chooses among them. */
import { historyKinds } from "../contract/history-kinds.ts";

/** Returns the type of an event of the history, or of an issue: "agent.booted" for the kind "agent_booted". */
export function toEventType(kind: string): string {
  return kind.replace("_", ".");
}

/** Types of all events that this server sends by itself. */
export const eventTypes: readonly string[] = [...historyKinds, "issue_opened", "issue_closed"].map(toEventType);

/** Type of the event by which an operator probes a receiver, whatever it chooses. */
export const probeType = "receiver.probe";

/**
 * Returns whether one of the patterns fits the type. "*" stands for any characters, and so do several: as many
 * wildcards of an expression in a row would keep the process busy for ever.
 */
export function matchesEvent(patterns: readonly string[], type: string): boolean {
  return patterns.some((pattern) => toExpression(pattern).test(type));
}

function toExpression(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll(/\*+/g, ".*")}$`);
}
