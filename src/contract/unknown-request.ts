/**
 * The error by which an agent reports that it does not know this kind of installation, which the server distinguishes
 * from a failure.
 */

/** Error that this agent reports for an installation of an unknown kind. */
export const unknownRequestError = "this agent does not know what is asked for";

/** Errors of other agents that mean the same; this one is Monogon's. */
const othersErrors: readonly string[] = ["unknown installation request type"];

/**
 * Returns whether an installation's error says that the agent does not know this kind of installation, so that
 * repeating the request is useless.
 */
export function saysUnknownRequest(error: string): boolean {
  return [unknownRequestError, ...othersErrors].some((text) => error.includes(text));
}
