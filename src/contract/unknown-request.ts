/** How an agent says that it does not know what it is asked to install, so that the server can tell that from a failure. */

/** What an agent reports as the error of such a request. */
export const unknownRequestError = "this agent does not know what is asked for";

/** The words of other agents for the same: Monogon's. */
const othersErrors: readonly string[] = ["unknown installation request type"];

/** Whether an installation's error says that: to ask the same agent for the same again is of no use. */
export function saysUnknownRequest(error: string): boolean {
  return [unknownRequestError, ...othersErrors].some((text) => error.includes(text));
}
